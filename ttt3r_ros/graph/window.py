# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Bundle adjustment of the last key frames: their poses and depths from the features they share.

Each feature is one unknown, the logarithm of its depth in the first key frame that has it. The
depth of the network is right but for a scale and two tilts over the image, unknowns of each key
frame, and noise. The depths are eliminated by the Schur complement, so the system that is solved
has nine unknowns a key frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
import scipy.linalg
from scipy.spatial.transform import Rotation

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import cross_matrices, transform
from ttt3r_ros.tracking.relative_pose import rays_at

ROUNDS = 4
HELD = 2  # the oldest key frames stay where the graph has them
PIXEL_SIGMA, PIXEL_KERNEL = 0.7, 1.5
DEPTH_SIGMA, DEPTH_KERNEL = 0.1, 2.0
SCALE_SIGMA = 0.6
TILT_SIGMA = 0.34
SIZE = 9  # unknowns of a key frame: rotation, translation, log scale, two tilts
FIRST_DAMPING = 1e-4
ENOUGH = 1e-3  # smaller gains, as a share of the cost, end the search
LARGEST_STEP = 0.5  # of a log depth
NEAREST = 0.05  # metres, of a point before a camera
# With less than this information on its log depth a feature has no parallax.
PARALLAX_ROUNDS, LEAST_PARALLAX = 4, 10.0


@dataclass(frozen=True, eq=False)
class WindowFrame:
    """
    What a key frame saw, and its estimated pose.

    map_T_camera: (4, 4). log_scale: of its depth, added to log_depth. tilt: (2,), slope of the
    log depth over the tangents. camera: (3, 3). number: (N,) of the features, rising. px: (N, 2).
    log_depth: (N,) of the network, NaN is unknown. floor: (N, 2) log depth in metres of features
    on the floor and its sigma, NaN where they are not; None where no floor is seen. noise: of its
    depth, a share of DEPTH_SIGMA and TILT_SIGMA.
    """

    map_T_camera: Array
    log_scale: float
    tilt: Array
    camera: Array
    number: NDArray[np.int64]
    px: NDArray[np.float32]
    log_depth: Array
    floor: Array | None = None
    noise: float = 1.0


@dataclass(frozen=True, eq=False)
class Parallax:
    """
    What the pixels of features say of the depth of one of the key frames that see them.

    tangents: (N, 2) of the features. log_ratio: (N,) of their depth to that of the network,
    which has its scale but no tilt. sigma: (N,) of it, with exact poses.
    """

    tangents: Array
    log_ratio: Array
    sigma: Array


@dataclass(frozen=True, eq=False)
class Adjusted:
    """
    The key frames after adjustment.

    frames: as they came, moved. information: (9 K, 9 K) of all unknowns, the depths eliminated,
    without what holds the oldest ones. parallax: what it says of the depth of each.
    """

    frames: tuple[WindowFrame, ...]
    information: Array
    parallax: tuple[Parallax, ...]


def adjust(frames: Sequence[WindowFrame], rounds: int = ROUNDS, held: int = HELD) -> Adjusted:
    """
    Adjust key frames that follow each other.

    :param frames: at least HELD of them, oldest first.
    :param rounds: of Levenberg and Marquardt.
    :param held: oldest ones that stay as they are.
    """
    problem = _Problem.of(frames)
    at = _Point(tuple(frames), problem.first_guess(frames))
    cost, damping = problem.cost(at), FIRST_DAMPING
    system = problem.linearised(at)
    for _ in range(rounds):
        tried = _stepped(at, system, damping, held)
        new_cost = problem.cost(tried)
        if new_cost < cost:
            done = cost - new_cost < ENOUGH * cost
            at, cost, damping = tried, new_cost, 0.1 * damping
            system = problem.linearised(at)
            if done:
                break
        else:
            damping *= 100.0
    return Adjusted(at.frames, system.matrix, problem.parallax(at))


@dataclass(frozen=True, eq=False)
class _Point:
    """Values of all unknowns; log_depth: (L,) of the features in their anchors."""

    frames: tuple[WindowFrame, ...]
    log_depth: Array


@dataclass(frozen=True, eq=False)
class _System:
    """
    The normal equations, the depths eliminated.

    matrix: (9 K, 9 K), gradient: (9 K,). cross: (9 K, L), own: (L,), depth_gradient: (L,), from
    which the depths follow.
    """

    matrix: Array
    gradient: Array
    cross: Array
    own: Array
    depth_gradient: Array


def relative_covariance(information: Array, here: int, there: int) -> Array:
    """
    Compute the covariance of one key frame's pose as seen from another.

    :param information: (9 K, 9 K) of Adjusted.
    :param here: index of the key frame that holds still.
    :param there: index of the other.
    :returns: (7, 7) of rotation, translation and log scale of the other.
    """
    count = len(information)
    held = here * SIZE + np.arange(7)
    free = np.setdiff1d(np.arange(count), held)
    damped = information[np.ix_(free, free)]
    damped = damped + 1e-9 * np.trace(damped) / len(damped) * np.eye(len(damped))
    wanted = np.searchsorted(free, there * SIZE + np.arange(7))
    sides = np.zeros((len(free), 7))
    sides[wanted, np.arange(7)] = 1.0
    columns = scipy.linalg.solve(damped, sides, assume_a='pos')
    covariance: Array = columns[wanted]
    symmetric: Array = 0.5 * (covariance + covariance.T)
    return symmetric


def _stepped(at: _Point, system: _System, damping: float, held: int) -> _Point:
    """Return the unknowns after one step; the oldest key frames stay."""
    step = np.zeros(len(system.gradient))
    free = slice(held * SIZE, None)
    matrix = system.matrix[free, free]
    matrix = matrix + np.diag(damping * np.diag(matrix) + 1e-9)
    step[free] = -scipy.linalg.solve(matrix, system.gradient[free], assume_a='pos')
    deeper = -(system.depth_gradient + system.cross.T @ step) / system.own
    frames = tuple(_moved(s, d) for s, d in zip(at.frames, step.reshape(-1, SIZE)))
    return _Point(frames, at.log_depth + np.clip(deeper, -LARGEST_STEP, LARGEST_STEP))


def _moved(frame: WindowFrame, step: Array) -> WindowFrame:
    pose = frame.map_T_camera
    rotation = pose[:3, :3] @ Rotation.from_rotvec(step[:3]).as_matrix()
    position = pose[:3, 3] + pose[:3, :3] @ step[3:6]
    return replace(
        frame,
        map_T_camera=transform(rotation, position),
        log_scale=frame.log_scale + float(step[6]),
        tilt=frame.tilt + step[7:9],
    )


@dataclass(frozen=True, eq=False)
class _Problem:
    """
    Which key frame sees which feature where.

    feature: (M,) index of the feature of each observation; seer, anchor: (M,) indices of key
    frames. px: (M, 2). camera: (M, 4) fx, fy, cx, cy of the seer. log_depth: (M,) by the network
    in the seer, sigma: (M,) its own. prior: (K, 3) information of scale and tilts. floor: (M, 2)
    by the seer's floor, and its sigma. ray: (L, 3) in the anchor. first: (M,) bool, where seer and
    anchor are one.
    """

    feature: NDArray[np.intp]
    seer: NDArray[np.intp]
    anchor: NDArray[np.intp]
    px: Array
    camera: Array
    tangent: Array
    log_depth: Array
    sigma: Array
    prior: Array
    floor: Array
    ray: Array
    first: NDArray[np.bool_]
    frames: int
    by_pair: NDArray[np.intp]
    pair_begins: NDArray[np.intp]
    pairs: list[tuple[int, int]]

    @classmethod
    def of(cls, frames: Sequence[WindowFrame]) -> _Problem:
        """Collect the features that at least two key frames have."""
        numbers = np.concatenate([s.number for s in frames])
        seer = np.repeat(np.arange(len(frames)), [len(s.number) for s in frames])
        _, feature, count = np.unique(numbers, return_inverse=True, return_counts=True)
        shared = count[feature] > 1
        _, feature = np.unique(feature[shared], return_inverse=True)
        order = np.argsort(feature, kind='stable')  # oldest seer first, the anchor
        feature, seer = feature[order], seer[shared][order]
        chosen = np.flatnonzero(shared)[order]
        px = np.concatenate([s.px for s in frames])[chosen].astype(np.float64)
        tangent = np.concatenate([rays_at(s.px, s.camera)[:, :2] for s in frames])[chosen]
        log_depth = np.concatenate([s.log_depth for s in frames])[chosen]
        noise = np.array([s.noise for s in frames])
        tilt = TILT_SIGMA * noise
        prior = np.stack([np.full(len(frames), SCALE_SIGMA), tilt, tilt], axis=1) ** -2.0
        floor = np.concatenate([_floor(s) for s in frames])[chosen]
        camera = np.stack([s.camera[[0, 1, 0, 1], [0, 1, 2, 2]] for s in frames])[seer]
        _, begin = np.unique(feature, return_index=True)
        first = np.zeros(len(feature), np.bool_)
        first[begin] = True
        ray = np.concatenate([tangent[begin], np.ones((len(begin), 1))], axis=1)
        anchor = seer[begin][feature]
        pair = seer * len(frames) + anchor
        by_pair = np.argsort(pair, kind='stable')
        pairs, begins = np.unique(pair[by_pair], return_index=True)
        return cls(
            feature,
            seer,
            anchor,
            px,
            camera,
            tangent,
            log_depth,
            DEPTH_SIGMA * noise[seer],
            prior,
            floor,
            ray,
            first,
            len(frames),
            by_pair,
            begins,
            [divmod(int(p), len(frames)) for p in pairs],
        )

    def first_guess(self, frames: Sequence[WindowFrame]) -> Array:
        """Return the log depth of each feature in its anchor, or their median, (L,)."""
        scale = np.array([s.log_scale for s in frames])
        at_anchor = self.first & np.isfinite(self.log_depth)
        count = len(self.ray)
        own = np.full(count, np.nan)
        own[self.feature[at_anchor]] = (self.log_depth + scale[self.seer])[at_anchor]
        middle = np.nanmedian(own) if np.isfinite(own).any() else 0.0
        return np.where(np.isfinite(own), own, middle)

    def cost(self, at: _Point) -> float:
        """Return the sum of all squared errors, robust."""
        point, _, _ = self._points(at)
        error, known = self._errors(at.frames, point)
        square = error[:, 0] ** 2 + error[:, 1] ** 2
        pixel = PIXEL_KERNEL**2 * np.log1p(square / PIXEL_KERNEL**2)[~self.first].sum()
        depth = DEPTH_KERNEL**2 * np.log1p(error[:, 2:][known] ** 2 / DEPTH_KERNEL**2).sum()
        before = (self.prior * _shapes(at.frames) ** 2).sum()
        return float(pixel + depth + before)

    def parallax(self, at: _Point) -> tuple[Parallax, ...]:
        """
        Triangulate the features by pixels alone.

        :param at: key frames, which stay, and depths, from which the search begins.
        """
        own = np.zeros(len(self.ray))
        for _ in range(PARALLAX_ROUNDS):
            point, at_anchor, j_R_a = self._points(at)
            error, known = self._errors(at.frames, point)
            weight = self._weights(error, known)[:, :2]
            by_depth = self._by_point(point)[:, :2] @ (j_R_a @ at_anchor[..., None])
            pull = weight * by_depth[..., 0]
            own = _per_feature(self.feature, (pull * by_depth[..., 0]).sum(axis=1), len(own))
            gradient = _per_feature(self.feature, (pull * error[:, :2]).sum(axis=1), len(own))
            step = np.clip(gradient / (own + LEAST_PARALLAX), -LARGEST_STEP, LARGEST_STEP)
            at = replace(at, log_depth=at.log_depth - step)
        depth = self._points(at)[0][:, 2]
        scale = np.array([s.log_scale for s in at.frames])[self.seer]
        log_ratio = np.log(depth) - self.log_depth - scale
        information = own[self.feature]
        known = np.isfinite(log_ratio) & (information > LEAST_PARALLAX)
        chosen = (known & (self.seer == k) for k in range(self.frames))
        return tuple(
            Parallax(self.tangent[c], log_ratio[c], information[c] ** -0.5) for c in chosen
        )

    def _points(self, at: _Point) -> tuple[Array, Array, Array]:
        """Return the points as seers see them, (M, 3), as anchors do, and how those turn."""
        poses = np.stack([s.map_T_camera for s in at.frames])
        turn, place = poses[:, :3, :3], poses[:, :3, 3]
        j, a, f = self.seer, self.anchor, self.feature
        at_anchor = self.ray[f] * np.exp(at.log_depth[f])[:, None]
        j_R_a = np.swapaxes(turn[j], 1, 2) @ turn[a]
        shift = ((place[a] - place[j])[:, None] @ turn[j])[:, 0]
        point = (j_R_a @ at_anchor[..., None])[..., 0] + shift
        point[:, 2] = np.maximum(point[:, 2], NEAREST)
        return point, at_anchor, j_R_a

    def _errors(
        self, frames: Sequence[WindowFrame], point: Array
    ) -> tuple[Array, NDArray[np.bool_]]:
        """
        Return errors in sigmas.

        :returns: (M, 4) column, row, log depth by the network and by the floor; (M, 2) where
            the latter two are known.
        """
        scale = np.array([s.log_scale for s in frames])
        tilt = np.stack([s.tilt for s in frames])
        x, y, z = point.T
        fx, fy, cx, cy = self.camera.T
        known = np.stack([np.isfinite(self.log_depth), np.isfinite(self.floor[:, 0])], axis=1)
        log_depth = np.where(known[:, 0], self.log_depth, 0.0) + scale[self.seer]
        log_depth += np.einsum('ni,ni->n', self.tangent, tilt[self.seer])
        error = np.stack(
            [
                (fx * x / z + cx - self.px[:, 0]) / PIXEL_SIGMA,
                (fy * y / z + cy - self.px[:, 1]) / PIXEL_SIGMA,
                (np.log(z) - log_depth) / self.sigma,
                np.where(known[:, 1], (np.log(z) - self.floor[:, 0]) / self.floor[:, 1], 0.0),
            ],
            axis=1,
        )
        return error, known

    def _by_point(self, point: Array) -> Array:
        """Differentiate the errors by the point, (M, 4, 3)."""
        x, y, z = point.T
        fx, fy = self.camera[:, 0], self.camera[:, 1]
        by_point = np.zeros((len(x), 4, 3))
        by_point[:, 0, 0] = fx / z / PIXEL_SIGMA
        by_point[:, 0, 2] = -fx * x / z**2 / PIXEL_SIGMA
        by_point[:, 1, 1] = fy / z / PIXEL_SIGMA
        by_point[:, 1, 2] = -fy * y / z**2 / PIXEL_SIGMA
        by_point[:, 2, 2] = 1.0 / z / self.sigma
        by_point[:, 3, 2] = np.nan_to_num(1.0 / z / self.floor[:, 1])
        return by_point

    def _weights(self, error: Array, known: NDArray[np.bool_]) -> Array:
        weight = np.empty((len(error), 4))
        square = error[:, 0] ** 2 + error[:, 1] ** 2
        weight[:, :2] = (1.0 / (1.0 + square / PIXEL_KERNEL**2))[:, None]
        weight[:, 2:] = known / (1.0 + error[:, 2:] ** 2 / DEPTH_KERNEL**2)
        weight[self.first, :2] = 0.0
        return weight

    def linearised(self, at: _Point) -> _System:
        """Linearise all errors and eliminate the depths."""
        point, at_anchor, j_R_a = self._points(at)
        error, known = self._errors(at.frames, point)
        weight, by_point = self._weights(error, known), self._by_point(point)
        # Seer, then anchor; in the anchor itself the pose moves nothing.
        jacobian = np.zeros((len(error), 4, 2 * SIZE))
        moves = by_point * ~self.first[:, None, None]
        jacobian[:, :, :3] = moves @ cross_matrices(point)
        jacobian[:, :, 3:6] = -moves
        turned = moves @ j_R_a
        jacobian[:, :, SIZE : SIZE + 3] = -turned @ cross_matrices(at_anchor)
        jacobian[:, :, SIZE + 3 : SIZE + 6] = turned
        jacobian[:, 2, 6] = -1.0 / self.sigma
        jacobian[:, 2, 7:9] = -self.tangent / self.sigma[:, None]
        by_depth = (by_point @ (j_R_a @ at_anchor[..., None]))[..., 0]
        return self._reduced(at.frames, error, weight, jacobian, by_depth)

    def _reduced(
        self,
        frames: Sequence[WindowFrame],
        error: Array,
        weight: Array,
        jacobian: Array,
        by_depth: Array,
    ) -> _System:
        count, features = self.frames, len(self.ray)
        weighted = np.swapaxes(jacobian * weight[..., None], 1, 2)  # (M, 18, 4)
        blocks = _grouped(weighted @ jacobian, self.by_pair, self.pair_begins)
        pulls = _grouped((weighted @ error[..., None])[..., 0], self.by_pair, self.pair_begins)
        crosses = (weighted @ by_depth[..., None])[..., 0]  # (M, 18)
        matrix = np.zeros((count, SIZE, count, SIZE))
        gradient = np.zeros((count, SIZE))
        for (j, a), block, pull in zip(self.pairs, blocks, pulls):
            for row, rows in ((j, slice(0, SIZE)), (a, slice(SIZE, None))):
                gradient[row] += pull[rows]
                for column, columns in ((j, slice(0, SIZE)), (a, slice(SIZE, None))):
                    matrix[row, :, column] += block[rows, columns]
        cross = np.zeros((count, features, SIZE))
        cross[self.seer, self.feature] = crosses[:, :SIZE]
        cross[self.anchor[self.first], self.feature[self.first]] += _grouped(
            crosses[:, SIZE:], np.arange(len(crosses)), np.flatnonzero(self.first)
        )
        flat_cross = np.swapaxes(cross, 1, 2).reshape(count * SIZE, features)
        pull_depth = weight * by_depth
        own = _per_feature(self.feature, (pull_depth * by_depth).sum(axis=1), features)
        own += 1e-6  # of features of which nothing is known
        depth_gradient = _per_feature(self.feature, (pull_depth * error).sum(axis=1), features)
        for k, prior in enumerate(self.prior):  # what is known of scales and tilts before
            matrix[k, [6, 7, 8], k, [6, 7, 8]] += prior
        gradient[:, 6:] += self.prior * _shapes(frames)
        scaled = flat_cross / own
        flat = matrix.reshape(count * SIZE, count * SIZE)
        return _System(
            flat - scaled @ flat_cross.T,
            gradient.ravel() - scaled @ depth_gradient,
            flat_cross,
            own,
            depth_gradient,
        )


def _shapes(frames: Sequence[WindowFrame]) -> Array:
    """Return log scale and tilts of the depth of each, (K, 3)."""
    return np.stack([np.array([s.log_scale, *s.tilt]) for s in frames])


def _floor(frame: WindowFrame) -> Array:
    return np.full((len(frame.px), 2), np.nan) if frame.floor is None else frame.floor


def _grouped(values: Array, order: NDArray[np.intp], begins: NDArray[np.intp]) -> Array:
    """Sum the values of each group, which begin at these places of the order."""
    sums: Array = np.add.reduceat(values[order], begins, axis=0)
    return sums


def _per_feature(feature: NDArray[np.intp], values: Array, count: int) -> Array:
    """Sum the values of each feature."""
    return np.asarray(np.bincount(feature, values, count), dtype=np.float64)
