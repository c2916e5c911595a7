# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
A graph of key frames as plain arrays, for a file: no code, and all of it is checked when read.

A key frame takes 160 bytes a feature, of which it has 300 at most, 2 kB for itself and what leads
to the next one, and 952 bytes a loop: 50 kB. What only the track needs that made it is left out:
wheels, floor and the features that are followed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.errors import UserError
from ttt3r_ros.graph.belief import LoopCounts
from ttt3r_ros.graph.chain import Link, Measurements
from ttt3r_ros.graph.closure import FeaturePoints
from ttt3r_ros.graph.keyframes import KeyFrame
from ttt3r_ros.graph.loops import Loop
from ttt3r_ros.graph.places import Vocabulary
from ttt3r_ros.graph.solver.pose_graph import Estimate, Motion, ScaleFix, ScaleStep
from ttt3r_ros.tracking.local_features import LocalFeatures

Arrays = dict[str, NDArray[Any]]

VERSION = 1
# Of each array its type and shape; letters stand for the same number everywhere.
PARTS: dict[str, tuple[type[np.generic], tuple[int | str, ...]]] = {
    'version': (np.int64, (1,)),
    'number': (np.int64, ('keys',)),
    'stamp_ns': (np.int64, ('keys',)),
    'track': (np.int64, ('keys',)),
    'track_T_camera': (np.float64, ('keys', 4, 4)),
    'track_log_scale': (np.float64, ('keys',)),
    'camera': (np.float64, ('keys', 3, 3)),
    'focal_known': (np.bool_, ('keys',)),
    'features': (np.int64, ('keys',)),
    'feature_px': (np.float32, ('all features', 2)),
    'feature_descriptor': (np.uint8, ('all features', 128)),
    'feature_point': (np.float64, ('all features', 3)),
    'pose': (np.float64, ('keys', 4, 4)),
    'log_scale': (np.float64, ('keys',)),
    'piece': (np.int64, ('keys',)),
    'motion_kind': (np.int64, ('motions',)),
    'motion_pair': (np.int64, ('motions', 2)),
    'motion_pose': (np.float64, ('motions', 4, 4)),
    'motion_covariance': (np.float64, ('motions', 6, 6)),
    'motion_scaled': (np.float64, ('motions',)),
    'motion_kernel': (np.float64, ('motions',)),
    'motion_arm': (np.float64, ('motions', 3)),
    'step_pair': (np.int64, ('steps', 2)),
    'step_log_ratio': (np.float64, ('steps',)),
    'step_sigma_kernel': (np.float64, ('steps', 2)),
    'fix_number': (np.int64, ('fixes',)),
    'fix_log_scale': (np.float64, ('fixes',)),
    'fix_sigma_kernel': (np.float64, ('fixes', 2)),
    'words': (np.float32, ('words', 128)),
    'loop_counts': (np.int64, (3,)),
    'start': (np.float64, (1, 4, 4)),
    'next_number': (np.int64, (1,)),
}
MAY_BE_UNKNOWN = 'feature_point'
POSES = ('track_T_camera', 'pose', 'motion_pose', 'start')
POSITIVE = ('motion_kernel', 'step_sigma_kernel', 'fix_sigma_kernel')
VISUAL, BY_WHEELS, BY_NETWORK, FORTH, BACK, TIE = range(6)
RIGID = 1e-6  # by which the product of a rotation and its inverse may differ from one


class StoredGraphError(UserError):
    """Arrays are no graph that can be used here."""


@dataclass(frozen=True, eq=False)
class StoredGraph:
    """
    What is kept of a graph.

    frames: all key frames, by rising numbers. estimate: of them. submaps: to which they belong.
    measured: between them. loops: that are accepted. vocabulary: by which places are described.
    counts: of loops. start: (4, 4) pose of the first key frame of a submap. next_number: of the
    next key frame, at least. ties: between key frames of different cameras.
    """

    frames: tuple[KeyFrame, ...]
    estimate: Estimate
    submaps: tuple[int, ...]
    measured: Measurements
    loops: tuple[Loop, ...]
    vocabulary: Vocabulary
    counts: LoopCounts
    start: Array
    next_number: int
    ties: tuple[Motion, ...] = ()

    def moved(self, a_T_b: Array) -> StoredGraph:
        """
        Return the same graph in another frame.

        :param a_T_b: (4, 4), to that frame.
        """
        at = Estimate(a_T_b @ self.estimate.poses, self.estimate.log_scales)
        return replace(self, estimate=at, start=a_T_b @ self.start)

    def paths(self, numbers: Collection[int]) -> list[Array]:
        """
        Return where the camera was, as far as that is in the map.

        :param numbers: of the key frames that count.
        :returns: (K, 3) metres of each row of key frames that was tracked without a break.
        """
        strands = self.measured.strands(frame.number for frame in self.frames)
        rows: dict[int, list[Array]] = {}
        for frame, pose, submap in zip(self.frames, self.estimate.poses, self.submaps):
            if frame.number in numbers and submap == self.submaps[0]:
                rows.setdefault(strands[frame.number], []).append(pose[:3, 3])
        return [np.stack(row) for row in rows.values()]

    def numbered_from(self, first: int) -> StoredGraph:
        """
        Return the same graph with other numbers of key frames.

        :param first: the least number of a key frame.
        """
        by = first - self.frames[0].number
        return replace(
            self,
            frames=tuple(
                replace(frame, number=frame.number + by, track=frame.track + by)
                for frame in self.frames
            ),
            submaps=tuple(submap + by for submap in self.submaps),
            measured=self.measured.renumbered(by),
            loops=tuple(loop.renumbered(by) for loop in self.loops),
            next_number=self.next_number + by,
            ties=tuple(tie.renumbered(by) for tie in self.ties),
        )

    def beside(self, other: StoredGraph) -> StoredGraph:
        """
        Return one graph with the key frames of two, those of the other in submaps of their own.

        :param other: with numbers from next_number on.
        """
        empty = np.empty(0, np.float32)  # their places are described by the other's words
        at, theirs, counts = self.estimate, other.estimate, other.counts
        return replace(
            self,
            frames=(*self.frames, *(replace(frame, place=empty) for frame in other.frames)),
            estimate=Estimate(
                np.concatenate([at.poses, theirs.poses]),
                np.concatenate([at.log_scales, theirs.log_scales]),
            ),
            submaps=(*self.submaps, *other.submaps),
            measured=self.measured.beside(other.measured),
            loops=(*self.loops, *other.loops),
            counts=LoopCounts(
                self.counts.tried + counts.tried,
                self.counts.accepted + counts.accepted,
                self.counts.rejected + counts.rejected,
            ),
            next_number=other.next_number,
            ties=(*self.ties, *other.ties),
        )


def to_arrays(stored: StoredGraph) -> Arrays:
    """
    Return a graph as arrays.

    :param stored: the graph.
    :returns: by name, see PARTS.
    """
    counts = stored.counts
    return {
        'version': np.array([VERSION]),
        **_frame_arrays(stored.frames),
        'pose': stored.estimate.poses,
        'log_scale': stored.estimate.log_scales,
        'piece': np.array(stored.submaps, dtype=np.int64),
        **_motion_arrays(stored),
        **_scale_arrays(stored.measured, stored.loops),
        'words': stored.vocabulary.words,
        'loop_counts': np.array([counts.tried, counts.accepted, counts.rejected]),
        'start': stored.start[None],
        'next_number': np.array([stored.next_number]),
    }


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> StoredGraph:
    """
    Return the graph of arrays.

    :param arrays: of to_arrays.
    :raises StoredGraphError: when something is missing, has a wrong type or shape, is no number,
        or cannot be: poses that are not rigid, covariances that are not positive definite, key
        frames that do not exist.
    """
    _check_version(arrays)
    arrays = _with_arms(arrays)
    _check_shapes(arrays)
    _check_numbers(arrays)
    vocabulary = Vocabulary(arrays['words'])
    measured, loops, ties = _measurements(arrays)
    return StoredGraph(
        tuple(_frames(arrays, vocabulary)),
        Estimate(arrays['pose'], arrays['log_scale']),
        tuple(arrays['piece'].tolist()),
        measured,
        loops,
        vocabulary,
        LoopCounts(*arrays['loop_counts'].tolist()),
        arrays['start'][0],
        int(arrays['next_number'][0]),
        ties,
    )


def _frame_arrays(frames: Sequence[KeyFrame]) -> Arrays:
    views = [frame.feature_points for frame in frames]
    return {
        'number': np.array([frame.number for frame in frames]),
        'stamp_ns': np.array([frame.stamp_ns for frame in frames]),
        'track': np.array([frame.track for frame in frames]),
        'track_T_camera': np.stack([frame.track_T_camera for frame in frames]),
        'track_log_scale': np.array([frame.log_scale for frame in frames]),
        'camera': np.stack([view.camera for view in views]),
        'focal_known': np.array([frame.focal_known for frame in frames]),
        'features': np.array([len(view.points) for view in views]),
        'feature_px': np.concatenate([view.features.px for view in views]),
        'feature_descriptor': np.concatenate([view.features.descriptors for view in views]),
        'feature_point': np.concatenate([view.points for view in views]),
    }


def _motion_arrays(stored: StoredGraph) -> Arrays:
    measured, loops = stored.measured, stored.loops
    kinds = {
        VISUAL: [motion for motion, _ in measured.visual],
        BY_WHEELS: measured.by_wheels,
        BY_NETWORK: measured.by_network,
        FORTH: [loop.forth for loop in loops],
        BACK: [loop.back for loop in loops],
        TIE: stored.ties,
    }
    motions = [(kind, motion) for kind, some in kinds.items() for motion in some]
    return {
        'motion_kind': np.array([kind for kind, _ in motions], np.int64),
        'motion_pair': _pairs(motion for _, motion in motions),
        'motion_pose': np.array([m.here_T_there for _, m in motions]).reshape(-1, 4, 4),
        'motion_covariance': np.array([m.covariance for _, m in motions]).reshape(-1, 6, 6),
        'motion_scaled': np.array([m.scaled for _, m in motions], np.float64),
        'motion_kernel': np.array([m.kernel for _, m in motions], np.float64),
        'motion_arm': np.array([m.arm for _, m in motions], np.float64).reshape(-1, 3),
    }


def _scale_arrays(measured: Measurements, loops: Sequence[Loop]) -> Arrays:
    """Return the steps, those of loops last, and the fixes."""
    steps = [step for _, step in measured.visual if step is not None]
    steps += [loop.ratio for loop in loops]
    fixes = measured.fixes
    return {
        'step_pair': _pairs(steps),
        'step_log_ratio': np.array([step.log_ratio for step in steps], np.float64),
        'step_sigma_kernel': _sigmas(steps),
        'fix_number': np.array([fix.here for fix in fixes], np.int64),
        'fix_log_scale': np.array([fix.log_scale for fix in fixes], np.float64),
        'fix_sigma_kernel': _sigmas(fixes),
    }


def _pairs(measured: Iterable[Motion | ScaleStep]) -> NDArray[np.int64]:
    return np.array([(one.here, one.there) for one in measured], np.int64).reshape(-1, 2)


def _sigmas(measured: Iterable[ScaleStep | ScaleFix]) -> Array:
    return np.array([(one.sigma, one.kernel) for one in measured], np.float64).reshape(-1, 2)


def _frames(arrays: Mapping[str, NDArray[Any]], vocabulary: Vocabulary) -> Iterable[KeyFrame]:
    ends = np.cumsum(arrays['features'])
    for i, (end, count) in enumerate(zip(ends, arrays['features'])):
        mine = slice(end - count, end)
        descriptors = arrays['feature_descriptor'][mine]
        features = LocalFeatures(arrays['feature_px'][mine], descriptors)
        yield KeyFrame(
            number=int(arrays['number'][i]),
            stamp_ns=int(arrays['stamp_ns'][i]),
            track_T_camera=arrays['track_T_camera'][i],
            log_scale=float(arrays['track_log_scale'][i]),
            base_T_camera=None,
            odom_T_camera=None,
            feature_points=FeaturePoints(
                features, arrays['feature_point'][mine], arrays['camera'][i]
            ),
            place=vocabulary.describe(descriptors),
            floor=None,
            focal_known=bool(arrays['focal_known'][i]),
            track=int(arrays['track'][i]),
        )


def _measurements(
    arrays: Mapping[str, NDArray[Any]],
) -> tuple[Measurements, tuple[Loop, ...], tuple[Motion, ...]]:
    motions = _motions(arrays)
    columns = 'step_pair', 'step_log_ratio', 'step_sigma_kernel'
    steps = [
        ScaleStep(here, there, ratio, sigma, kernel)
        for (here, there), ratio, (sigma, kernel) in zip(*(arrays[c].tolist() for c in columns))
    ]
    columns = 'fix_number', 'fix_log_scale', 'fix_sigma_kernel'
    fixes = [
        ScaleFix(here, scale, sigma, kernel)
        for here, scale, (sigma, kernel) in zip(*(arrays[c].tolist() for c in columns))
    ]
    looped = max(len(steps) - len(motions[FORTH]), 0)
    between = {(step.here, step.there): step for step in steps[:looped]}
    visual: list[Link] = [(m, between.get((m.here, m.there))) for m in motions[VISUAL]]
    measured = Measurements(
        tuple(visual), tuple(motions[BY_WHEELS]), tuple(motions[BY_NETWORK]), tuple(fixes)
    )
    loops = _loops(motions[FORTH], motions[BACK], steps[looped:])
    return measured, loops, tuple(motions[TIE])


def _motions(arrays: Mapping[str, NDArray[Any]]) -> list[list[Motion]]:
    """Return the motions of each kind."""
    motions: list[list[Motion]] = [[] for _ in range(TIE + 1)]
    for i, (here, there) in enumerate(arrays['motion_pair'].tolist()):
        motions[arrays['motion_kind'][i]].append(
            Motion(
                here,
                there,
                arrays['motion_pose'][i],
                arrays['motion_covariance'][i],
                float(arrays['motion_scaled'][i]),
                float(arrays['motion_kernel'][i]),
                tuple(arrays['motion_arm'][i].tolist()),
            )
        )
    return motions


def _loops(
    forth: Sequence[Motion], back: Sequence[Motion], ratios: Sequence[ScaleStep]
) -> tuple[Loop, ...]:
    pairs = [(motion.here, motion.there) for motion in forth]
    if (
        pairs != [(motion.there, motion.here) for motion in back]
        or pairs != [(step.here, step.there) for step in ratios]
        or len(set(pairs)) < len(pairs)
    ):
        raise StoredGraphError('its loops are not complete')
    return tuple(Loop(*parts) for parts in zip(forth, back, ratios))


def _check_version(arrays: Mapping[str, NDArray[Any]]) -> None:
    version = arrays.get('version')
    if version is None or version.shape != (1,) or int(version[0]) != VERSION:
        found = 'none' if version is None else version.tolist()
        raise StoredGraphError(f'its graph has version {found}, this program reads {VERSION}')


def _with_arms(arrays: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
    """Return the arrays of a map of one camera as it was saved before there were rigs."""
    if 'motion_arm' in arrays or 'motion_kind' not in arrays:
        return arrays
    return {**arrays, 'motion_arm': np.zeros((len(arrays['motion_kind']), 3))}


def _check_shapes(arrays: Mapping[str, NDArray[Any]]) -> None:
    if missing := PARTS.keys() - arrays.keys():
        raise StoredGraphError(f'its graph lacks {", ".join(sorted(missing))}')
    sizes: dict[str, int] = {}
    for name, (kind, shape) in PARTS.items():
        array = arrays[name]
        if array.dtype != kind or array.ndim != len(shape):
            raise StoredGraphError(f'its {name} is {array.shape} {array.dtype}')
        for size, expected in zip(array.shape, shape):
            if isinstance(expected, str):
                expected = sizes.setdefault(expected, size)
            if size != expected:
                raise StoredGraphError(f'its {name} has {size} rows or columns, not {expected}')
    if not sizes['keys'] or not sizes['words']:
        raise StoredGraphError('its graph has no key frame or no vocabulary')
    features = arrays['features']
    if (features < 0).any() or features.sum() != sizes['all features']:
        raise StoredGraphError('its features are not those of its key frames')


def _check_numbers(arrays: Mapping[str, NDArray[Any]]) -> None:
    for name in PARTS.keys() - {MAY_BE_UNKNOWN, *POSITIVE}:
        if not np.isfinite(arrays[name]).all():
            raise StoredGraphError(f'its {name} is not finite')
    for name in POSITIVE:
        if not (arrays[name] > 0).all():  # infinite is a kernel that trusts all
            raise StoredGraphError(f'its {name} is not positive')
    for name in POSES:
        if not _rigid(arrays[name]):
            raise StoredGraphError(f'its {name} is no rigid motion')
    points = arrays['feature_point']
    known = np.isfinite(points).all(axis=1)
    if not (known | np.isnan(points).all(axis=1)).all() or (points[known, 2] <= 0).any():
        raise StoredGraphError('its feature_point is neither before the camera nor unknown')
    focal = arrays['camera'][:, [0, 1], [0, 1]]
    if not (focal > 0).all():
        raise StoredGraphError('its camera has no focal length')
    if not _positive_definite(arrays['motion_covariance']):
        raise StoredGraphError('its motion_covariance is not positive definite')
    if not np.isin(arrays['motion_kind'], range(TIE + 1)).all():
        raise StoredGraphError('its motion_kind is none')
    _check_references(arrays)


def _check_references(arrays: Mapping[str, NDArray[Any]]) -> None:
    numbers, submaps = arrays['number'], arrays['piece']
    if (np.diff(numbers, prepend=-1) <= 0).any() or arrays['next_number'][0] <= numbers[-1]:
        raise StoredGraphError('the numbers of its key frames do not rise')
    for name in ('motion_pair', 'step_pair', 'fix_number', 'piece'):
        if not np.isin(arrays[name], numbers).all():
            raise StoredGraphError(f'its {name} names a key frame that it does not have')
    first = submaps[np.searchsorted(numbers, submaps)]
    if (submaps > numbers).any() or (first != submaps).any() or submaps[0] != numbers[0]:
        raise StoredGraphError('its submaps do not begin with their first key frames')
    kind, pair = arrays['motion_kind'], arrays['motion_pair']
    apart = submaps[np.searchsorted(numbers, pair)]
    if (pair[:, 0] == pair[:, 1]).any() or (apart[:, 0] != apart[:, 1]).any():
        raise StoredGraphError('its motion_pair leads from one submap to another or nowhere')
    for one in (VISUAL, BY_WHEELS, BY_NETWORK):
        here, there = pair[kind == one].T
        if len(np.unique(here)) < len(here) or (here >= there).any():
            raise StoredGraphError('its key frames do not follow each other')


def _rigid(poses: Array) -> bool:
    turn = poses[:, :3, :3]
    if np.abs(turn).max(initial=0.0) > 1 + RIGID:  # whose product may overflow
        return False
    rest = np.swapaxes(turn, 1, 2) @ turn - np.eye(3)
    good = np.abs(rest).max(initial=0.0) < RIGID and (np.linalg.det(turn) > 0).all()
    return bool(good and (poses[:, 3] == [0, 0, 0, 1]).all())


def _positive_definite(covariances: Array) -> bool:
    try:
        np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError:
        return False
    off = np.abs(covariances - np.swapaxes(covariances, 1, 2)).max(initial=0.0)
    return bool(off <= 1e-6 * np.abs(covariances).max(initial=1.0))
