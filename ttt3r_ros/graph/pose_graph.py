# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Where all key frames are: poses and scales of their depth that agree best with what was measured.

The unknowns of a key frame are its pose and the logarithm of the scale of its depth. Errors count
by their covariance and a Cauchy kernel; the normal equations are sparse and solved by SuperLU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
import scipy.sparse as sparse
from scipy.sparse.linalg import splu, SuperLU
from scipy.spatial.transform import Rotation

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import transform
from ttt3r_ros.tracking.relative_pose import cross_matrices

SIZE = 7  # unknowns of a key frame: rotation, translation, log scale
SCALE_SIGMA = 0.3  # of the depth of a key frame, a property of the network
GAUGE_SIGMA = 1e-4  # the first key frame stays where it is
ENOUGH = 1e-4  # metres and radians; smaller steps end the search
DAMPING = 1e-6


@dataclass(frozen=True, eq=False)
class Motion:
    """
    A measured pose of one key frame as seen from another.

    here, there: their numbers. here_T_there: (4, 4). covariance: (6, 6) of rotation and
    translation, to its right. scaled: whether its translation is in the unit of here's depth
    (1) or metres (0). kernel: width of the Cauchy kernel, sigmas; inf trusts it as it is. arm:
    (3,) metres, added to the translation whatever its unit, along the axes of here.
    """

    here: int
    there: int
    here_T_there: Array
    covariance: Array
    scaled: float = 1.0
    kernel: float = 3.0
    arm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def renumbered(self, by: int) -> Motion:
        """
        Return the same between key frames with other numbers.

        :param by: what is added to them.
        """
        return replace(self, here=self.here + by, there=self.there + by)


@dataclass(frozen=True)
class ScaleStep:
    """A measured log scale of there's depth minus that of here's, with its sigma and kernel."""

    here: int
    there: int
    log_ratio: float
    sigma: float
    kernel: float = 2.0

    def renumbered(self, by: int) -> ScaleStep:
        """
        Return the same between key frames with other numbers.

        :param by: what is added to them.
        """
        return replace(self, here=self.here + by, there=self.there + by)


@dataclass(frozen=True)
class ScaleFix:
    """A measured log scale of a key frame's depth, with its sigma and kernel."""

    here: int
    log_scale: float
    sigma: float
    kernel: float = 2.0


@dataclass(frozen=True, eq=False)
class Estimate:
    """
    Estimated poses and scales.

    poses: (K, 4, 4) map_T_camera. log_scales: (K,).
    """

    poses: Array
    log_scales: Array

    def moved(self, step: Array) -> Estimate:
        """
        Return the estimate after a step.

        :param step: (K, 7), rotation and translation to the right of the poses, log scale.
        """
        turn = self.poses[:, :3, :3]
        rotation = turn @ Rotation.from_rotvec(step[:, :3]).as_matrix()
        position = self.poses[:, :3, 3] + np.einsum('nij,nj->ni', turn, step[:, 3:6])
        return Estimate(transform(rotation, position), self.log_scales + step[:, 6])


@dataclass(frozen=True, eq=False)
class _Motions:
    """Motions as arrays, in the order of the graph's key frames."""

    here: NDArray[np.intp]
    there: NDArray[np.intp]
    pose: Array
    whitening: Array  # (M, 6, 6) of which the square is the information
    scaled: Array
    kernel: Array
    arm: Array

    @classmethod
    def of(cls, motions: Sequence[Motion], index: dict[int, int]) -> _Motions:
        """Collect; whitening is the inverse Cholesky factor of the covariance."""
        if not motions:
            none, empty = np.empty(0, np.intp), np.empty(0)
            shapes = np.empty((0, 4, 4)), np.empty((0, 6, 6))
            return cls(none, none, *shapes, empty, empty, np.empty((0, 3)))
        factor = np.linalg.cholesky(np.stack([m.covariance for m in motions]))
        return cls(
            np.array([index[m.here] for m in motions]),
            np.array([index[m.there] for m in motions]),
            np.stack([m.here_T_there for m in motions]),
            np.asarray(np.linalg.inv(factor), dtype=np.float64),
            np.array([m.scaled for m in motions]),
            np.array([m.kernel for m in motions]),
            np.array([m.arm for m in motions]),
        )

    def wider(self, factor: float) -> _Motions:
        """Return the same with wider kernels."""
        return replace(self, kernel=self.kernel * factor)

    def linearised(self, at: Estimate) -> tuple[Array, Array, Array]:
        """Return whitened errors (M, 6) and their derivatives (M, 6, 7) by here and there."""
        turn, place = at.poses[:, :3, :3], at.poses[:, :3, 3]
        measured_turn, measured_shift = self.pose[:, :3, :3], self.pose[:, :3, 3]
        stretch = np.exp(self.scaled * at.log_scales[self.here])[:, None]
        here_R_there = np.swapaxes(turn[self.here], 1, 2) @ turn[self.there]
        shift = np.einsum('nji,nj->ni', turn[self.here], place[self.there] - place[self.here])
        measured_R_here = np.swapaxes(measured_turn, 1, 2)
        error = np.empty((len(self.here), 6))
        rest = measured_R_here @ here_R_there
        error[:, :3] = Rotation.from_matrix(rest).as_rotvec()
        error[:, 3:] = np.einsum(
            'nij,nj->ni', measured_R_here, shift - stretch * measured_shift - self.arm
        )
        # To first order of the error itself, which is small where it counts.
        by_turn = np.eye(3) + 0.5 * cross_matrices(error[:, :3])
        by_here = np.zeros((len(self.here), 6, SIZE))
        by_there = np.zeros((len(self.here), 6, SIZE))
        by_there[:, :3, :3] = by_turn
        by_there[:, 3:, 3:6] = rest
        by_here[:, :3, :3] = -by_turn @ np.swapaxes(here_R_there, 1, 2)
        by_here[:, 3:, :3] = measured_R_here @ cross_matrices(shift)
        by_here[:, 3:, 3:6] = -measured_R_here
        along = np.einsum('nij,nj->ni', measured_R_here, stretch * measured_shift)
        by_here[:, 3:, 6] = -self.scaled[:, None] * along
        white = self.whitening
        return np.einsum('nij,nj->ni', white, error), white @ by_here, white @ by_there


@dataclass(frozen=True, eq=False)
class PoseGraph:
    """
    Key frames and what was measured between them; a value.

    numbers: of the key frames, rising. estimate: in their order. held: numbers of those that stay
    as they are; the first one's pose always does.
    """

    numbers: tuple[int, ...]
    estimate: Estimate
    motions: tuple[Motion, ...]
    scale_steps: tuple[ScaleStep, ...]
    scale_fixes: tuple[ScaleFix, ...] = ()
    held: tuple[int, ...] = ()

    def around(self, recent: int) -> PoseGraph:
        """
        Return the part that a new key frame changes when it closes no loop.

        Key frames from which something leads to a recent one belong to it, but stay.

        :param recent: how many of the newest key frames may move.
        """
        moving = set(self.numbers[-recent:])
        if len(moving) == len(self.numbers):
            return self
        motions = tuple(m for m in self.motions if m.here in moving or m.there in moving)
        numbers = sorted(moving.union(*({m.here, m.there} for m in motions)))
        known = set(numbers)
        index = [i for i, number in enumerate(self.numbers) if number in known]
        at = self.estimate
        return PoseGraph(
            tuple(numbers),
            Estimate(at.poses[index], at.log_scales[index]),
            motions,
            tuple(s for s in self.scale_steps if s.here in known and s.there in known),
            tuple(f for f in self.scale_fixes if f.here in known),
            tuple(sorted(known - moving)),
        )

    def optimised(self, rounds: int, widths: Sequence[float] = ()) -> PoseGraph:
        """
        Return the graph with the estimate that fits best.

        :param rounds: steps of Gauss and Newton, at most.
        :param widths: factors on the kernels of motions in the first rounds: so wide, what is far
            off before anything has moved counts as well.
        """
        estimate = self.estimate
        motions, steps, fixes, held = self._arrays()
        for width in [*widths, *[1.0] * rounds][:rounds]:
            matrix, gradient = _normal_equations(
                estimate, motions.wider(width), steps, fixes, held
            )
            step = -_factorised(matrix).solve(gradient)
            if not np.isfinite(step).all():
                break
            estimate = estimate.moved(step.reshape(-1, SIZE))
            if width == 1.0 and np.abs(step).max() < ENOUGH:
                break
        return replace(self, estimate=estimate)

    def _arrays(self) -> tuple[_Motions, Array, Array, NDArray[np.intp]]:
        index = {number: i for i, number in enumerate(self.numbers)}
        fixes = [(index[f.here], f.log_scale, f.sigma, f.kernel) for f in self.scale_fixes]
        return (
            _Motions.of(self.motions, index),
            _scale_arrays(self.scale_steps, index),
            np.array(fixes).reshape(-1, 4),
            np.array([index[number] for number in self.held], dtype=np.intp),
        )

    def errors(self) -> Array:
        """Return how many sigmas each motion is off, (M,)."""
        index = {number: i for i, number in enumerate(self.numbers)}
        error, _, _ = _Motions.of(self.motions, index).linearised(self.estimate)
        sigmas: Array = np.linalg.norm(error, axis=1)
        return sigmas


@dataclass(frozen=True, eq=False)
class Covariances:
    """How sure the key frames of a graph are; it is factorised once."""

    _factor: SuperLU
    _side: int

    @classmethod
    def of(cls, graph: PoseGraph) -> Covariances:
        """Factorise a graph at its estimate."""
        matrix, _ = _normal_equations(graph.estimate, *graph._arrays())
        return cls(_factorised(matrix), matrix.shape[0])

    def joint(self, here: int, there: int) -> Array:
        """
        Compute how sure two key frames are.

        :param here: index of one, there: of the other.
        :returns: (14, 14) of their unknowns.
        """
        wanted = np.concatenate([one * SIZE + np.arange(SIZE) for one in (here, there)])
        sides = np.zeros((self._side, len(wanted)))
        sides[wanted, np.arange(len(wanted))] = 1.0
        covariance: Array = self._factor.solve(sides)[wanted]
        symmetric: Array = 0.5 * (covariance + covariance.T)
        return symmetric


def _factorised(matrix: sparse.csc_matrix) -> SuperLU:
    return splu(
        matrix,
        permc_spec='MMD_AT_PLUS_A',
        diag_pivot_thresh=0.0,
        options={'SymmetricMode': True},
    )


def _scale_arrays(steps: Sequence[ScaleStep], index: dict[int, int]) -> Array:
    rows = [(index[s.here], index[s.there], s.log_ratio, s.sigma, s.kernel) for s in steps]
    return np.array(rows).reshape(-1, 5)


def _normal_equations(
    at: Estimate, motions: _Motions, steps: Array, fixes: Array, held: NDArray[np.intp]
) -> tuple[sparse.csc_matrix, Array]:
    count = len(at.log_scales)
    error, by_here, by_there = motions.linearised(at)
    square = np.einsum('ni,ni->n', error, error)
    weight = 1.0 / (1.0 + square / motions.kernel**2)
    blocks, pairs = [], []
    gradient = np.zeros((count, SIZE))
    for rows, left in ((motions.here, by_here), (motions.there, by_there)):
        turned = np.swapaxes(left * weight[:, None, None], 1, 2)
        np.add.at(gradient, rows, np.einsum('nij,nj->ni', turned, error))
        for columns, right in ((motions.here, by_here), (motions.there, by_there)):
            blocks.append(turned @ right)
            pairs.append(np.stack([rows, columns], axis=1))
    everyone = np.arange(count)
    own = np.tile(DAMPING * np.eye(SIZE), (count, 1, 1))
    own[:, 6, 6] += SCALE_SIGMA**-2
    own[0, range(6), range(6)] += GAUGE_SIGMA**-2
    own[held] += GAUGE_SIGMA**-2 * np.eye(SIZE)
    gradient[:, 6] += at.log_scales * SCALE_SIGMA**-2
    fixed = fixes[:, 0].astype(int)
    off = (at.log_scales[fixed] - fixes[:, 1]) / fixes[:, 2]
    firm = 1.0 / (1.0 + (off / fixes[:, 3]) ** 2) / fixes[:, 2] ** 2
    own[:, 6, 6] += np.bincount(fixed, firm, count)
    gradient[:, 6] += np.bincount(fixed, firm * off * fixes[:, 2], count)
    blocks.append(own)
    pairs.append(np.stack([everyone, everyone], axis=1))
    here, there = steps[:, :2].astype(int).T
    off = (at.log_scales[there] - at.log_scales[here] - steps[:, 2]) / steps[:, 3]
    firm = 1.0 / (1.0 + (off / steps[:, 4]) ** 2) / steps[:, 3] ** 2
    for rows, sign in ((here, -1.0), (there, 1.0)):
        gradient[:, 6] += np.bincount(rows, sign * firm * off * steps[:, 3], count)
        for columns, other in ((here, -1.0), (there, 1.0)):
            block = np.zeros((len(steps), SIZE, SIZE))
            block[:, 6, 6] = sign * other * firm
            blocks.append(block)
            pairs.append(np.stack([rows, columns], axis=1))
    matrix = _assembled(np.concatenate(pairs), np.concatenate(blocks), count)
    return matrix, gradient.ravel()


def _assembled(pairs: NDArray[np.intp], blocks: Array, count: int) -> sparse.csc_matrix:
    """Sum blocks that stand at the same place and put them into a sparse matrix."""
    place = pairs[:, 0] * count + pairs[:, 1]
    order = np.argsort(place, kind='stable')
    place = place[order]
    begin = np.flatnonzero(np.concatenate([[True], np.diff(place) > 0]))
    # Not np.add.reduceat: it takes ten times as long and keeps all other threads waiting.
    ends, ones = np.append(begin, len(place)), np.ones(len(place))
    sums = sparse.csr_matrix((ones, order, ends), shape=(len(begin), len(place)))
    summed = (sums @ blocks.reshape(len(place), -1)).reshape(-1, SIZE, SIZE)
    rows, columns = np.divmod(place[begin], count)
    starts = np.searchsorted(rows, np.arange(count + 1))
    side = count * SIZE
    # It is symmetric, so rows may stand for columns.
    return sparse.bsr_matrix((summed, columns, starts), shape=(side, side)).tocsr().T
