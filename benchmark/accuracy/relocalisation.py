# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A map that the back end made: does a robot find itself in it, and what is joined to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import functools

import numpy as np

from benchmark.accuracy.drives import Drive, drive_of, Front
from benchmark.accuracy.setup import Experiment, Report
from benchmark.accuracy.slam import CACHE, front_of, seen_images
from ttt3r_ros.arrays import Array
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.evaluation.errors import align
from ttt3r_ros.geometry import invert, rotation_angle, transform_points
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.graph.stored_graph import from_arrays, to_arrays
from ttt3r_ros.graph.wheels import NOISES
from ttt3r_ros.tracking.following import look
from ttt3r_ros.tracking.relative_pose import rays_at
from ttt3r_ros.tracking.tracked_pose import FollowState, KeyView

VIEWS = 200
MAPPED, OTHERS = 'S_robot_0', ('S_robot_1', 'S_robot_2', 'S_robot_3')  # S is one building
JOINED = (('S_robot_0', 'S_robot_1'), ('S_robot_1', 'S_robot_2'), ('S_robot_2', 'S_robot_0'))
# Drives of different buildings: each M is another one.
APART = (*(f'S_robot_{i}' for i in range(3)), *(f'M_robot_{i}' for i in range(3)))
PAIRS = 20
SOON, PATIENCE = 8, 16  # key frames after which a robot counts as not found
LEAST_OVERLAP = 0.3
NEAR_M, NEAR_RAD = 0.25, np.radians(5.0)
WRONG_M, WRONG_RAD = 0.5, np.radians(10.0)
STRIDE = 8  # of the pixels by which overlap is measured
SAME_DEPTH = 0.1


@dataclass(frozen=True, eq=False)
class Session:
    """
    A drive as followed.

    keys: its key frames. world_T_camera: (K, 4, 4) truth at each. images: (K,) their numbers.
    """

    drive: Drive
    keys: list[KeyView]
    world_T_camera: Array
    images: list[int]


def measure(experiment: Experiment) -> Report:
    """Run all drives; what is not cached is filmed first."""
    front, few = front_of(experiment), experiment.sequences is not None
    found = [_found_row(front, wheels, few) for wheels in ('usual', None)]
    joined = [
        _joined_row(front, names, wheels)
        for wheels in ('usual', None)
        for names in JOINED[: 1 if few else None]
    ]
    pairs = [(a, b) for a in APART for b in APART if a != b and (a[0], b[0]) != ('S', 'S')]
    apart = [_apart_row(front, pairs[: 1 if few else PAIRS], 'usual')]
    return Report(
        [
            Table(
                'Views of other drives in a saved map of S, found within 0.25 m and 5 degrees: '
                'at least 60 %, none wrong',
                [
                    'wheels',
                    'views',
                    f'overlap over {LEAST_OVERLAP}',
                    f'found in {SOON} key frames [%]',
                    f'in {PATIENCE} [%]',
                    'placed over 0.5 m or 10 degrees off',
                ],
                found,
            ),
            Table(
                'Drives through another building, of which none may be joined',
                ['wheels', 'pairs', 'key frames', 'joined'],
                apart,
            ),
        ],
        details=[
            Table(
                'Two drives of one building, ATE after SE(3) [m]; ratio at most 1.3',
                ['drives', 'wheels', 'first', 'second', 'joined', 'ratio', 'joined [%]'],
                joined,
            )
        ],
    )


@functools.lru_cache(maxsize=12)
def session_of(front: Front, name: str, wheels: str | None) -> Session:
    """
    Follow a drive; the wheels' seed is its number.

    :param name: of the drive.
    :param wheels: a preset, or None for the camera alone.
    """
    drive = drive_of(front, CACHE, name)
    odom_T_base = drive.by_wheels(wheels, int(name.split('_')[2]))
    state: FollowState | None = None
    keys, images = [], []
    for k, view in enumerate(seen_images(drive, odom_T_base, True, True)):
        tracked_pose, state = look(view, state)
        if tracked_pose.new_key:
            keys.append(tracked_pose.key)
            images.append(k)
    return Session(drive, keys, drive.world_T_camera[images], images)


def mapped(session: Session, wheels: str | None) -> KeyFrameGraph:
    """
    Return the graph of a drive.

    :param wheels: a preset, or None for the camera alone.
    """
    graph = KeyFrameGraph(NOISES[wheels or 'usual'])
    for key in session.keys:
        graph.add(key)
    return graph


def _gone_on(session: Session, first: int, number: int) -> list[KeyView]:
    """Return the key frames of a session from one on, as if it had begun there."""
    keys = session.keys[first:]
    begin = replace(keys[0], motion=None)
    return [
        replace(key, number=number + i, track=number) for i, key in enumerate([begin, *keys[1:]])
    ]


def _found_row(front: Front, wheels: str | None, few: bool) -> list[str]:
    """Begin at each key frame of other drives, in a map that is loaded."""
    session = session_of(front, MAPPED, wheels)
    graph = mapped(session, wheels)
    arrays = to_arrays(graph.stored())
    world_T_map = _world_T_map(graph, session)
    others = [session_of(front, name, wheels) for name in OTHERS[: 1 if few else None]]
    views = [(other, k) for other in others for k in range(len(other.keys) - PATIENCE)]
    views = views[: 2 if few else VIEWS]
    seen, soon, late, placed, wrong = [], [], [], 0, 0
    for other, k in views:
        again = KeyFrameGraph.resumed(from_arrays(arrays), NOISES[wheels or 'usual'])
        found, right = _find(again, other, k), False
        if found is not None:
            tried, map_T_camera = found
            rest = invert(other.world_T_camera[k + tried]) @ world_T_map @ map_T_camera
            right = _within(rest, NEAR_M, NEAR_RAD)
            placed, wrong = placed + 1, wrong + (not _within(rest, WRONG_M, WRONG_RAD))
        if _overlap(other, k, session) > LEAST_OVERLAP:
            seen.append((other, k))
            late.append(right)
            soon.append(right and found is not None and found[0] < SOON)
    return [
        wheels or 'none',
        f'{len(views)}',
        f'{len(seen)}',
        *(f'{100 * float(np.mean(some)):.0f}' if seen else '-' for some in (soon, late)),
        f'{wrong} of {placed}',
    ]


def _find(graph: KeyFrameGraph, session: Session, first: int) -> tuple[int, Array] | None:
    """Return after how many key frames a robot is found, and where."""
    keys = _gone_on(session, first, graph.next_number)
    for i, key in enumerate(keys[:PATIENCE]):
        if graph.add(key).joined:
            return i, graph.belief.poses[key.number]
    return None


def _within(rest: Array, metres: float, radians: float) -> bool:
    near = float(np.linalg.norm(rest[:3, 3])) < metres
    return near and float(rotation_angle(rest[:3, :3])) < radians


def _world_T_map(graph: KeyFrameGraph, session: Session) -> Array:
    """Return where the map lies in the world, by its key frames."""
    poses = graph.belief.poses
    kept = [(key.number, k) for k, key in enumerate(session.keys) if key.number in poses]
    places = np.stack([poses[number][:3, 3] for number, _ in kept])
    found = align(places, session.world_T_camera[[k for _, k in kept], :3, 3], 'se3')
    return found.a_T_b


def _overlap(session: Session, k: int, mapped: Session) -> float:
    """Return the share of a view that the best key frame of the map saw too."""
    depth = session.drive.truth_depth[session.images[k], ::STRIDE, ::STRIDE].astype(np.float64)
    v, u = np.nonzero(depth)
    px = STRIDE * np.stack([u, v], axis=1).astype(np.float64)
    points = rays_at(px, session.drive.camera) * depth[v, u][:, None]
    points_world = transform_points(session.world_T_camera[k], points).astype(np.float64)
    return max(
        _share_seen(points_world, pose, mapped.drive, image)
        for pose, image in zip(mapped.world_T_camera, mapped.images)
    )


def _share_seen(points_world: Array, world_T_camera: Array, drive: Drive, image: int) -> float:
    local = transform_points(invert(world_T_camera), points_world)
    z = np.maximum(local[:, 2], 1e-3)
    px = np.rint(local[:, :2] / z[:, None] * drive.camera[[0, 1], [0, 1]] + drive.camera[:2, 2])
    height, width = drive.truth_depth.shape[1:]
    inside = (local[:, 2] > 0.1) & ((px >= 0) & (px < [width, height])).all(axis=1)
    u, v = px[inside].astype(int).T
    depth = np.asarray(drive.truth_depth[image], np.float64)[v, u]
    return float((np.abs(depth - z[inside]) < SAME_DEPTH * z[inside]).sum() / max(len(z), 1))


def _joined_row(front: Front, names: tuple[str, str], wheels: str | None) -> list[str]:
    """Compare two drives of one building, each for itself, with both in one map."""
    first, second = (session_of(front, name, wheels) for name in names)
    alone = [_ate(mapped(one, wheels), [(one, 0)]) for one in (first, second)]
    graph = KeyFrameGraph.resumed(
        from_arrays(to_arrays(mapped(first, wheels).stored())), NOISES[wheels or 'usual']
    )
    begin = graph.next_number
    for key in _gone_on(second, 0, begin):
        graph.add(key)
    share = np.mean(
        [number not in graph.belief.apart for number in range(begin, graph.next_number)]
    )
    both = _ate(graph, [(first, 0), (second, begin)])
    return [
        ', '.join(name.replace('_', ' ') for name in names),
        wheels or 'none',
        *(f'{ate:.3f}' for ate in (*alone, both)),
        f'{both / max(alone):.2f}',
        f'{100 * float(share):.0f}',
    ]


def _ate(graph: KeyFrameGraph, sessions: Sequence[tuple[Session, int]]) -> float:
    """Return the rms error of all key frames in the map, each session with its first number."""
    found, truth = [], []
    for session, begin in sessions:
        for i, world_T_camera in enumerate(session.world_T_camera):
            if (pose := graph.belief.poses.get(begin + i)) is not None:
                found.append(pose)
                truth.append(world_T_camera[:3, 3])
    poses, places = np.stack(found), np.stack(truth)
    aligned = align(poses[:, :3, 3], places, 'se3').pose(poses)
    return float(np.sqrt(np.mean(np.sum((aligned[:, :3, 3] - places) ** 2, axis=1))))


def _apart_row(front: Front, pairs: Sequence[tuple[str, str]], wheels: str | None) -> list[str]:
    """Drive through one building with the map of another."""
    joined, tried = 0, 0
    names = dict.fromkeys(name for pair in pairs for name in pair)
    drives = {name: session_of(front, name, wheels) for name in names}
    maps = {
        name: to_arrays(mapped(drives[name], wheels).stored())
        for name in {first for first, _ in pairs}
    }
    for first, second in pairs:
        graph = KeyFrameGraph.resumed(from_arrays(maps[first]), NOISES[wheels or 'usual'])
        changes = [graph.add(key) for key in _gone_on(drives[second], 0, graph.next_number)]
        joined += any(change.joined for change in changes)
        tried += len(changes)
    return [wheels or 'none', f'{len(pairs)}', f'{tried}', f'{joined}']
