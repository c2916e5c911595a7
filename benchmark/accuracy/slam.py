# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The back end on cached drives: paths final and live, parked robots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
import time

import numpy as np

from benchmark.accuracy.drives import Drive, drive_of, Front, office_of
from benchmark.accuracy.setup import Experiment, Report
from ttt3r_ros.arrays import Array
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.evaluation.errors import evaluate_trajectory
from ttt3r_ros.geometry import invert, rotation_angle, Similarity
from ttt3r_ros.graph.additions import Correction
from ttt3r_ros.graph.belief import Belief, Located
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.graph.thinning import RemovedKeyFrame
from ttt3r_ros.graph.wheels import NOISES
from ttt3r_ros.mapping.trail import AttachedPose, Trail
from ttt3r_ros.model.predictor import Predictor
from ttt3r_ros.model.state_update import update_rule
from ttt3r_ros.tracking.focal import NO_BELIEF, UNKNOWN_FOCAL
from ttt3r_ros.tracking.following import look
from ttt3r_ros.tracking.tracked_pose import FollowState, View

CACHE = Path('runs/slam')  # large, and the same for every --out
EACH = 3  # drives of a kind
OFFICE = 'indoor_hololens_office'
HEAD = ['drives', 'network [%]', 'wheels [%]', 'final [%]', 'live [%]', 'bar']
BARS = {
    ('robot', None): '0.7 / 2.0',
    ('robot', 'bad'): '0.4 / 0.7',
    ('robot', 'usual'): '0.25 and half of the wheels / 0.5',
    ('robot', 'good'): '1.1 of the wheels, both',
    ('hand', None): '1.2 / 4.0',
    ('office', None): '1.0',
    ('uncalibrated', 'usual'): 'the wheels',
}
PLACES = ((0, 'S'), (1, 'M'), (2, 'S'), (3, 'M'), (4, 'S'), (5, 'M'))


@dataclass(frozen=True)
class PathScore:
    """ATE after SE(3) in % of the path; scaled: after Sim(3). wheels: NaN where there are none."""

    network: float
    wheels: float
    final: float
    live: float
    scaled: float
    loops: str
    track_ms: float
    key_ms: float


def measure(experiment: Experiment) -> Report:
    """Run the back end over all drives; what is not cached is filmed first."""
    front = front_of(experiment)
    cache = CACHE
    count = experiment.sequences or EACH
    robots = [
        drive_of(front, cache, f'{family}_robot_{i}') for family in 'SM' for i in range(count)
    ]
    hands = [drive_of(front, cache, name) for name in ('S_hand_0', 'M_hand_0', 'S_hand_1')[:count]]
    rows = [_path_row('robot', robots, wheels) for wheels in (None, 'bad', 'usual', 'good')]
    rows.append(_path_row('hand', hands, None))
    folder = experiment.shared / 'data' / OFFICE
    if folder.is_dir():
        rows.append(_path_row('office', [office_of(front, cache, folder)], None))
    rows.append(_path_row('uncalibrated', robots, 'usual'))
    return Report(
        [
            Table('ATE after SE(3), % of the path, mean of the drives', HEAD, rows),
            Table(
                'Parked for 30 s: at most 0.01 m and 0.2 degrees',
                ['drives', 'number', 'farthest [m]', 'widest [deg]', 'held [%]'],
                _parked_rows(front, cache, count),
            ),
        ],
        [],
    )


def front_of(experiment: Experiment) -> Front:
    """Return the network as the product runs it."""
    rule, _, gain = experiment.shipped.rule.partition(' x ')
    chosen = update_rule(rule, float(gain) if gain else 1.0)
    predictor = Predictor(experiment.network, rule=chosen)
    return Front(predictor, experiment.weights, experiment.shipped.interval)


def _path_row(kind: str, drives: Sequence[Drive], wheels: str | None) -> list[str]:
    scores = [
        score(drive, wheels, kind in ('robot', 'uncalibrated'), kind != 'uncalibrated', seed)
        for seed, drive in enumerate(drives)
    ]
    means = [
        float(np.mean([getattr(s, name) for s in scores]))
        for name in ('network', 'wheels', 'final', 'live')
    ]
    label = f'{kind}, {wheels} wheels' if wheels else f'{kind}, camera alone'
    cells = ['-' if np.isnan(mean) else f'{mean:.2f}' for mean in means]
    each = ' '.join(f'{s.final:.2f}' for s in scores)
    print(f'{label}: final {each}; loops tried/accepted/rejected {scores[-1].loops}; '
          f'{np.mean([s.track_ms for s in scores]):.1f} ms an image, '
          f'{np.mean([s.key_ms for s in scores]):.0f} ms a key frame')  # fmt: skip
    return [label, *cells, BARS[kind, wheels]]


def seen_images(
    drive: Drive, odom_T_base: Array | None, mounted: bool, calibrated: bool
) -> list[View]:
    """
    Return the images of a drive as the tracker sees them.

    :param odom_T_base: (T, 4, 4) of the wheels, or None.
    :param mounted: whether the height of the camera is known.
    :param calibrated: whether its focal length is.
    """
    images, focal, believed = [], UNKNOWN_FOCAL, NO_BELIEF
    side = max(drive.images.shape[1:3])
    for k in range(len(drive)):
        camera = drive.camera.copy()
        if not calibrated:
            focal = focal.after(drive.focal_px[k] / side)
            camera[0, 0] = camera[1, 1] = side * focal.value
        else:
            believed = believed.after(camera[0, 0], drive.focal_px[k])
        depth = np.array(drive.depth[k] * np.float16(believed.depth_factor))
        known = bool(depth.any())
        images.append(
            View(
                int(drive.stamps_ns[k]),
                np.array(drive.images[k]),
                camera,
                calibrated,
                depth if known else None,
                np.array(drive.confidence[k]) if known else None,
                drive.track_T_camera[k],
                None if odom_T_base is None else odom_T_base[k] @ drive.base_T_camera,
                drive.base_T_camera if mounted else None,
            )
        )
    return images


def score(
    drive: Drive, wheels: str | None, mounted: bool, calibrated: bool, seed: int
) -> PathScore:
    """
    Run tracker and back end over a drive.

    :param wheels: a preset, or None for the camera alone.
    :param mounted: whether the height of the camera is known.
    :param calibrated: whether its focal length is.
    :param seed: of the wheels.
    """
    odom_T_base = drive.by_wheels(wheels, seed)
    graph = KeyFrameGraph(NOISES[wheels or 'usual'])
    state: FollowState | None = None
    path, live, track_s, key_s = Trail(), [], 0.0, []
    for view in seen_images(drive, odom_T_base, mounted, calibrated):
        begin = time.thread_time()
        tracked_pose, state = look(view, state)
        located = graph.locate(tracked_pose)
        track_s += time.thread_time() - begin
        live.append(located.map_T_camera)
        path.attach(tracked_pose.key.number, _attached(located, view.stamp_ns))
        if tracked_pose.new_key:
            begin = time.thread_time()
            change = graph.add(tracked_pose.key)
            key_s.append(time.thread_time() - begin)
            path.move(_newest(graph.belief, change.removed))
    final = path.trajectory().poses
    truth = drive.world_T_camera
    counts = graph.belief.counts
    by_wheels = np.nan
    if odom_T_base is not None:
        by_wheels = ate(odom_T_base @ drive.base_T_camera, truth)
    return PathScore(
        ate(drive.track_T_camera, truth),
        by_wheels,
        ate(final, truth),
        ate(np.stack(live), truth),
        ate(final, truth, 'sim3'),
        f'{counts.tried}/{counts.accepted}/{counts.rejected}',
        1e3 * track_s / len(drive),
        1e3 * float(np.mean(key_s)),
    )


def _attached(located: Located, stamp_ns: int) -> AttachedPose:
    key, unit = located.map_T_key, located.map_T_key.scale
    key_T_camera = (invert(key.a_T_b) @ located.map_T_camera)[:3]
    return AttachedPose(stamp_ns, key_T_camera, 0.0 if located.by_wheels else unit)


def _newest(belief: Belief, removed: RemovedKeyFrame | None) -> Correction:
    """Return where the key frames are, as the back end has it."""
    places = {
        key: Similarity(pose, float(np.exp(belief.log_scales[key])))
        for key, pose in (*belief.poses.items(), *belief.apart.items())
    }
    return Correction(places, () if removed is None else (removed,))


def ate(estimate: Array, truth: Array, kind: str = 'se3') -> float:
    """
    Return the ATE in % of the path.

    :param estimate: (T, 4, 4).
    :param truth: (T, 4, 4).
    :param kind: of the alignment, se3 or sim3.
    """
    errors = evaluate_trajectory(estimate, truth, kind)
    return 100 * errors.ate.rmse / errors.truth_path


def _parked_rows(front: Front, cache: Path, count: int) -> list[list[str]]:
    """Return the worst of all places, parked alone and with a person who walks by."""
    rows = []
    for kind, label in (('parked', 'parked'), ('person', 'a person walks by')):
        names = [f'{place}_{kind}_{i}' for i, place in PLACES]
        found = _parked(front, cache, names if count >= EACH else names[:1])
        shift, turn = found[:, :2].max(axis=0)
        still = 100 * found[:, 2].min()
        rows.append([label, f'{len(found)}', f'{shift:.4f}', f'{turn:.3f}', f'{still:.0f}'])
    return rows


def _parked(front: Front, cache: Path, names: Sequence[str]) -> Array:
    """Return for each place how far [m] and wide [deg] the pose went, and the share held."""
    found = []
    for name in names:
        drive = drive_of(front, cache, name)
        state: FollowState | None = None
        graph, poses, still = KeyFrameGraph(), [], 0
        for view in seen_images(drive, None, True, True):
            tracked_pose, state = look(view, state)
            poses.append(graph.locate(tracked_pose).map_T_camera)
            still += tracked_pose.still
            if tracked_pose.new_key:
                graph.add(tracked_pose.key)
        moved = invert(poses[0]) @ np.stack(poses)
        found.append(
            (
                float(np.linalg.norm(moved[:, :3, 3], axis=1).max()),
                float(np.degrees(rotation_angle(moved[:, :3, :3])).max()),
                still / len(drive),
            )
        )
    return np.array(found)
