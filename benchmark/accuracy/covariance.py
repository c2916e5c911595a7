# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The covariance of live poses against their errors: predicted sigmas, shares inside, a plot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

import numpy as np

from benchmark.accuracy.drives import drive_of, Front
from benchmark.accuracy.pictures import COLORS, lighten, new_figure, save_figure, TRUTH
from benchmark.accuracy.setup import Experiment, Report
from benchmark.accuracy.slam import CACHE, front_of, seen_images
from ttt3r_ros.arrays import Array
from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.geometry import invert
from ttt3r_ros.graph.belief import GRAPH_INFLATION
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.graph.solver.rotations import log_pose
from ttt3r_ros.graph.wheels import NOISES
from ttt3r_ros.tracking.following import look
from ttt3r_ros.tracking.tracked_pose import FollowState

ROBOTS = tuple(f'{family}_robot_{i}' for family in 'SM' for i in range(3))
ROBOTS_APART = ('S_robot_3', 'M_robot_3')
HANDS, HANDS_APART = ('S_hand_0', 'M_hand_0', 'S_hand_1'), ('M_hand_1', 'S_hand_2', 'M_hand_2')
# Label, drives, wheels; the inflation was chosen on the first three.
KINDS = (
    ('robot, camera alone', ROBOTS, None),
    ('robot, usual wheels', ROBOTS, 'usual'),
    ('hand, camera alone', HANDS, None),
    ('robot, camera alone, held out', ROBOTS_APART, None),
    ('robot, usual wheels, held out', ROBOTS_APART, 'usual'),
    ('hand, camera alone, held out', HANDS_APART, None),
)
# Unit as it is printed, and how many of it make a metre or a radian.
PARTS = {'position': ('cm', 100.0), 'rotation': ('deg', float(np.degrees(1.0)))}
INSIDE = (1, 2, 3)  # sigmas
EXPECTED = ('68', '95', '99.7')  # %, of a normal distribution
HEAD = ['drives', 'of', 'error', 'sigma', *(f'inside {n} [%]' for n in INSIDE)]
PICTURE = 'covariance.png'
HELD_OUT = 'held out'
POINTS = 400  # of a kind in the plot


@dataclass(frozen=True, eq=False)
class Errors:
    """
    Live poses in the frame of the first camera, of which the first pose alone is aligned.

    errors: (T, 6) of rotation, radians, and position, metres, along the axes of the camera.
    sigmas: (T, 6) as predicted.
    """

    errors: Array
    sigmas: Array

    def part(self, of: str) -> Errors:
        """
        Return one half of the six numbers.

        :param of: rotation or position.
        """
        chosen = slice(0, 3) if of == 'rotation' else slice(3, 6)
        return Errors(self.errors[:, chosen], self.sigmas[:, chosen])


def measure(experiment: Experiment) -> Report:
    """Run all drives; what is not cached is filmed first."""
    front, count = front_of(experiment), experiment.sequences
    found = {}
    for label, names, wheels in KINDS:
        runs = [errors_of(front, name, wheels) for name in names[:count]]
        found[label] = Errors(
            np.concatenate([run.errors for run in runs]),
            np.concatenate([run.sigmas for run in runs]),
        )
    with atomic_file(experiment.out / PICTURE) as file:
        draw(file, found)
    rows = [row(label, of, one.part(of)) for label, one in found.items() for of in PARTS]
    expected = ['a normal distribution', '', '', '', *EXPECTED]
    caption = (
        'Errors of live poses along one axis, and their predicted sigmas '
        f'(covariance of the graph x {GRAPH_INFLATION:g})'
    )
    return Report(
        [Table(caption, HEAD, [*rows, expected])],
        pictures={PICTURE: 'Predicted sigmas and errors of live poses'},
    )


def errors_of(front: Front, name: str, wheels: str | None) -> Errors:
    """
    Run tracker and back end over a drive.

    :param name: of the drive, which also is the seed of its wheels.
    :param wheels: a preset, or None for the camera alone.
    """
    drive = drive_of(front, CACHE, name)
    _, kind, number = name.split('_')
    odom_T_base = drive.by_wheels(wheels, int(number))
    graph = KeyFrameGraph(NOISES[wheels or 'usual'])
    state: FollowState | None = None
    poses, covariances = [], []
    for view in seen_images(drive, odom_T_base, kind == 'robot', True):
        tracked_pose, state = look(view, state)
        located = graph.locate(tracked_pose)
        poses.append(located.map_T_camera)
        covariances.append(located.covariance)
        if tracked_pose.new_key:
            graph.add(tracked_pose.key)
    return live_errors(np.stack(poses), np.stack(covariances), drive.world_T_camera)


def live_errors(poses: Array, covariances: Array, truth: Array) -> Errors:
    """
    Compare live poses with the truth.

    :param poses: (T, 4, 4).
    :param covariances: (T, 6, 6) of them.
    :param truth: (T, 4, 4).
    """
    truth_first = invert(truth[0]) @ truth
    first_T_camera = invert(poses[0]) @ poses
    # The covariance is of a small motion to the right of the pose.
    errors = np.stack([log_pose(rest) for rest in invert(first_T_camera) @ truth_first])
    sigmas = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    return Errors(errors[1:], sigmas[1:])


def row(label: str, of: str, found: Errors) -> list[str]:
    """
    Return a row of the table: rms of errors and sigmas, shares inside.

    :param label: of the drives.
    :param of: rotation or position.
    :param found: errors and sigmas of it.
    """
    unit, factor = PARTS[of]
    ratio = np.abs(found.errors) / found.sigmas
    return [
        label,
        f'{of} [{unit}]',
        *(f'{factor * np.sqrt(np.mean(one**2)):.2f}' for one in (found.errors, found.sigmas)),
        *(f'{100 * np.mean(ratio < sigmas):.0f}' for sigmas in INSIDE),
    ]


def draw(file: IO[bytes], found: dict[str, Errors]) -> None:
    """
    Plot the predicted sigma of each live pose against its error, both over three axes.

    :param file: open for binary writing; gets a PNG.
    :param found: errors by the label of the drives; what is held out is hollow.
    """
    figure = new_figure(10, 4.6)
    for axes, (of, (unit, factor)) in zip(figure.subplots(1, 2), PARTS.items()):
        for number, (label, one) in enumerate(found.items()):
            half = one.part(of)
            step = max(1, len(half.errors) // POINTS)
            error, sigma = (
                factor * np.linalg.norm(values[::step], axis=1) / np.sqrt(3)
                for values in (half.errors, half.sigmas)
            )
            color = COLORS[number % (len(KINDS) // 2)]
            face = 'none' if HELD_OUT in label else color
            axes.plot(sigma, error, 'o', ms=2.5, mec=color, mfc=face, mew=0.5, label=label)
        ends = np.array(axes.get_xlim())
        ends[0] = max(ends[0], 1e-2)
        axes.set(xscale='log', yscale='log')
        for sigmas, style in ((1, '-'), (2, '--')):
            label = f'error of {sigmas} sigma'
            axes.plot(ends, sigmas * ends, style, color=TRUTH, lw=1.0, label=label)
        axes.set_xlabel(f'predicted sigma of {of} along one axis [{unit}]', fontsize=8)
        axes.set_ylabel(f'error [{unit}], rms of the axes', fontsize=8)
        axes.tick_params(labelsize=8)
        lighten(axes)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=2, fontsize=8, frameon=False)
    save_figure(figure, file)
