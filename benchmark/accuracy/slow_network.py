# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A network slower than the camera, on cached drives: live poses of all images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.accuracy.covariance import HANDS, live_errors, ROBOTS
from benchmark.accuracy.drives import drive_of, Front, IMAGE_RATE
from benchmark.accuracy.setup import Experiment, Report
from benchmark.accuracy.slam import ate, CACHE, front_of, seen_images
from ttt3r_ros.arrays import Array
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.graph.belief import Located
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.graph.wheels import NOISES
from ttt3r_ros.tracking.following import conclude, track_features
from ttt3r_ros.tracking.interim import follow_on, InterimState, rebased
from ttt3r_ros.tracking.tracked_pose import FollowState, TrackedFeatures, View

KINDS = (
    ('robot, camera alone', ROBOTS, None),
    ('robot, usual wheels', ROBOTS, 'usual'),
    ('hand, camera alone', HANDS, None),
)
EVERY = (1, 2, 5)  # images of the camera for one of the network, which takes as long
SEPARATE = 'only those of the network'
HEAD = [
    'drives',
    'network sees [Hz]',
    'located [%]',
    'live, all images [%]',
    f'live, {SEPARATE} [%]',
    'inside 2 sigma [%]',
]


@dataclass(frozen=True, eq=False)
class Live:
    """
    Live poses of a drive.

    number: (N,) of the images that were located. poses: (N, 4, 4). covariances: (N, 6, 6).
    """

    number: Array
    poses: Array
    covariances: Array


@dataclass(frozen=True, eq=False)
class _Taken:
    """An image that the network works on until another one comes."""

    until: int
    view: View
    found: TrackedFeatures
    before: InterimState | None


def measure(experiment: Experiment) -> Report:
    """Run all drives with a network of each speed; what is not cached is filmed first."""
    front, count = front_of(experiment), experiment.sequences
    rows = [
        row(front, label, names[:count], wheels, every)
        for label, names, wheels in KINDS
        for every in EVERY
    ]
    caption = 'Live poses of a camera of 10 Hz, ATE in %'
    return Report([Table(caption, HEAD, rows)], [])


def row(
    front: Front, label: str, names: Sequence[str], wheels: str | None, every: int
) -> list[str]:
    """
    Measure drives of one kind.

    :param label: of the row.
    :param names: of the drives.
    :param wheels: a preset, or None for the camera alone.
    :param every: images of the camera for one of the network.
    """
    shares, all_images, alone, errors = [], [], [], []
    for name in names:
        drive = drive_of(front, CACHE, name)
        _, kind, number = name.split('_')
        odom_T_base = drive.by_wheels(wheels, int(number))
        images = seen_images(drive, odom_T_base, kind == 'robot', True)
        truth = drive.world_T_camera
        live = slow = live_poses(images, wheels, every)
        if every > 1:
            slow = live_poses(images[::every], wheels, 1)
        shares.append(len(live.number) / len(images))
        all_images.append(ate(live.poses, truth[live.number]))
        alone.append(ate(slow.poses, truth[::every][slow.number]))
        errors.append(live_errors(live.poses, live.covariances, truth[live.number]))
    inside = np.concatenate([np.abs(one.errors) < 2 * one.sigmas for one in errors])
    return [
        label,
        f'{IMAGE_RATE / every:g}',
        f'{100 * np.mean(shares):.1f}',
        f'{np.mean(all_images):.2f}',
        f'{np.mean(alone):.2f}',
        f'{100 * np.mean(inside):.0f}',
    ]


def live_poses(images: Sequence[View], wheels: str | None, every: int) -> Live:
    """
    Locate images as they come, while the network works on one of them.

    :param wheels: a preset, or None for the camera alone.
    :param every: images of the camera for one of the network.
    """
    numbers, poses, covariances = [], [], []
    for number, located in _located(images, wheels, every):
        numbers.append(number)
        poses.append(located.map_T_camera)
        covariances.append(located.covariance)
    return Live(np.array(numbers), np.stack(poses), np.stack(covariances))


def _located(
    images: Sequence[View], wheels: str | None, every: int
) -> Iterator[tuple[int, Located]]:
    graph = KeyFrameGraph(NOISES[wheels or 'usual'])
    state: FollowState | None = None
    stamp_ns, taken, interim = 0, None, None
    for number, view in enumerate(images):
        if taken is not None and number >= taken.until:
            before = rebased(taken.before, state, stamp_ns)
            found = taken.found
            if before is not taken.before:
                found = _track_features(taken.view, before)
            origin = None if before is None else before.state
            tracked_pose, state = conclude(taken.view, found, origin)
            stamp_ns = taken.view.stamp_ns
            if number == every:  # of the first image nothing was known before
                yield 0, graph.locate(tracked_pose)
            if tracked_pose.new_key:
                graph.add(tracked_pose.key)
            taken = None
        interim = rebased(interim, state, stamp_ns)
        found = _track_features(view, interim)
        if taken is None:
            taken = _Taken(number + every, view, found, interim)
        if interim is not None:
            unseen = View(
                view.stamp_ns,
                view.image,
                view.camera,
                view.focal_known,
                odom_T_camera=view.odom_T_camera,
                base_T_camera=view.base_T_camera,
            )
            by_features, interim = follow_on(unseen, found, interim)
            if by_features is not None:
                yield number, graph.locate(by_features)


def _track_features(view: View, interim: InterimState | None) -> TrackedFeatures:
    return track_features(
        view.image, view.odom_T_camera, None if interim is None else interim.state
    )
