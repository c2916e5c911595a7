# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What leads from each key frame of a camera to the next: features, wheels, network, floor."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, motion_between, rotation_angle, scaled
from ttt3r_ros.graph.bends import fit
from ttt3r_ros.graph.closure import verify
from ttt3r_ros.graph.depth_noise import DepthNoise
from ttt3r_ros.graph.floor import depth_on_floor
from ttt3r_ros.graph.keyframes import KeyFrame
from ttt3r_ros.graph.network_motion import NetworkMotion
from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.solver.pose_graph import Estimate, Motion, PoseGraph, ScaleFix, ScaleStep
from ttt3r_ros.graph.thinning import joined, joined_step
from ttt3r_ros.graph.wheels import camera_covariance, WheelNoise
from ttt3r_ros.graph.window import (
    adjust,
    Adjusted,
    Parallax,
    relative_covariance,
    WindowFrame,
)
from ttt3r_ros.tracking.feature_depth import depth_ratios
from ttt3r_ros.tracking.tracked_pose import KeyView

WINDOW = 8
# So many of them get the bend of their depth anew: what older ones share with those before them
# has left the window.
BENT_ANEW = 5

# Of the log scale of a key frame's depth against the one before, and by the floor.
STEP_SIGMA, ADJUSTED_STEP_SIGMA = 0.06, 0.04
FLOOR_SIGMA = 0.07
# A bed or a shelf that is taken for the floor makes the depth larger by more than this. What is
# lower than the floor was is the floor.
TABLE = 0.25
# The same after adjustment, with features that lie on the floor.
ON_FLOOR_SIGMA, LEAST_ON_FLOOR = 0.03, 10

# What adjusted key frames err beyond their covariance, which takes errors for independent.
INFLATION = 6.0
LEAST_TURN_SIGMA, LEAST_SHIFT_SIGMA = 0.002, 0.005

# Without calibration the focal length errs by this share, the same in so many key frames.
FOCAL_SIGMA, FOCAL_STEPS = 0.1, 10.0

LEAST_SHARED = 20  # features of two key frames, so that they are adjusted together

Link = tuple[Motion, ScaleStep | None]


@dataclass(frozen=True, eq=False)
class Measurements:
    """
    All that a chain has measured; each key frame has one of a kind at most.

    visual, by_wheels, by_network: what leads to the next key frame. fixes: of its own scale.
    """

    visual: tuple[Link, ...] = ()
    by_wheels: tuple[Motion, ...] = ()
    by_network: tuple[Motion, ...] = ()
    fixes: tuple[ScaleFix, ...] = ()

    def strands(self, numbers: Iterable[int]) -> dict[int, int]:
        """
        Return to which strand key frames belong: what was tracked without a break.

        :param numbers: of all key frames, rising.
        :returns: by number, that of the first key frame of its strand.
        """
        before = {motion.there: motion.here for motion, _ in self.visual}
        strands: dict[int, int] = {}
        for number in numbers:
            strands[number] = strands[before[number]] if number in before else number
        return strands

    def renumbered(self, by: int) -> Measurements:
        """
        Return the same between key frames with other numbers.

        :param by: what is added to them.
        """
        return Measurements(
            tuple(
                (motion.renumbered(by), None if step is None else step.renumbered(by))
                for motion, step in self.visual
            ),
            tuple(motion.renumbered(by) for motion in self.by_wheels),
            tuple(motion.renumbered(by) for motion in self.by_network),
            tuple(replace(fix, here=fix.here + by) for fix in self.fixes),
        )

    def beside(self, other: Measurements) -> Measurements:
        """
        Return these and others.

        :param other: between key frames with other numbers.
        """
        return Measurements(
            (*self.visual, *other.visual),
            (*self.by_wheels, *other.by_wheels),
            (*self.by_network, *other.by_network),
            (*self.fixes, *other.fixes),
        )


NOTHING = Measurements()


class Chain:
    """
    Measurements between key frames that follow each other, and of each for itself.

    Each camera of a robot has a chain of its own.
    """

    def __init__(self, wheels: WheelNoise, measured: Measurements = NOTHING) -> None:
        """
        Begin with a submap that has no link to what was measured before.

        :param wheels: how good they are.
        :param measured: before.
        """
        self._wheels = wheels
        self._network = NetworkMotion()
        self._recent: dict[int, list[KeyView]] = {}  # by camera
        self._sights: dict[int, WindowFrame] = {}
        self._noise: dict[int, DepthNoise] = {}  # by camera
        self._bends: dict[int, Array] = {}
        # Each by the key frame from which it leads to the next.
        self._visual = {link[0].here: link for link in measured.visual}
        self._by_wheels = {motion.here: motion for motion in measured.by_wheels}
        self._by_network = {motion.here: motion for motion in measured.by_network}
        self._fixes = {fix.here: fix for fix in measured.fixes}

    @property
    def measured(self) -> Measurements:
        """Return all that was measured."""
        return Measurements(
            tuple(self._visual.values()),
            tuple(self._by_wheels.values()),
            tuple(self._by_network.values()),
            tuple(self._fixes.values()),
        )

    @property
    def bends(self) -> dict[int, Array]:
        """Return the bends of depths of key frames that were adjusted, by their numbers."""
        return dict(self._bends)

    @property
    def ends(self) -> dict[int, KeyView]:
        """Return the newest key frame of each camera."""
        return {camera: views[-1] for camera, views in self._recent.items()}

    def begin(self, camera: int) -> None:
        """
        Leave the next key frame without a link to the one before.

        :param camera: its index.
        """
        self._recent.pop(camera, None)

    def graph(self, nodes: Nodes, numbers: tuple[int, ...]) -> PoseGraph:
        """
        Return the graph of some submaps without loops.

        :param nodes: the key frames.
        :param numbers: of all that belong to the submaps.
        """
        known = set(numbers)
        motions = [m for m, _ in self._visual.values()]
        motions += [*self._by_wheels.values(), *self._by_network.values()]
        steps = [s for _, s in self._visual.values() if s is not None]
        return PoseGraph(
            numbers,
            nodes.part(numbers),
            tuple(motion for motion in motions if motion.here in known),
            tuple(step for step in steps if step.here in known),
            tuple(fix for fix in self._fixes.values() if fix.here in known),
        )

    def append(self, key: KeyView, frame: KeyFrame, nodes: Nodes, start: Array) -> None:
        """
        Put a key frame where it was measured from the one before, and measure again.

        :param frame: what is kept of it.
        :param nodes: to which it is added.
        :param start: (4, 4) pose where it begins a submap.
        """
        submap, camera = frame.number, frame.camera_index
        recent = self._recent.get(camera, [])
        if recent and key.motion is not None:
            before = nodes.frames[recent[-1].number]
            submap = nodes.submaps[before.number]
            at = nodes.part([before.number])
            pose, log_scale = self._measured(recent[-1], key, before, frame, at)
            frame = _without_table(frame, log_scale)
            self._add_network(recent[-1], key, float(at.log_scales[0]))
            self._add_wheels(before, frame)
        else:
            pose, log_scale = start, 0.0 if frame.floor is None else frame.floor.log_scale
        if frame.floor is not None:
            sigma = FLOOR_SIGMA * self._share(camera)
            self._fixes[key.number] = ScaleFix(key.number, frame.floor.log_scale, sigma)
        self._sights[key.number] = _window_frame(key, frame, pose, log_scale)
        nodes.add(frame, pose, log_scale, submap)
        self._recent[camera] = [*recent, key][-WINDOW:]
        self._sights = {number: self._sights[number] for number in self._held()}
        self._adjust_window(self._recent[camera], nodes)

    def _share(self, camera: int) -> float:
        """Return by what all sigmas of the depth of a camera are multiplied."""
        return self._noise.setdefault(camera, DepthNoise()).share

    def _held(self) -> set[int]:
        """Return the numbers of the key frames that are measured again with the next one."""
        return {view.number for views in self._recent.values() for view in views}

    def _measured(
        self, old: KeyView, key: KeyView, before: KeyFrame, frame: KeyFrame, at: Estimate
    ) -> tuple[Array, float]:
        """Link a key frame to the one before, which is estimated; return where it is then."""
        old_scale = float(at.log_scales[0])
        again = (
            None if key.by == 'features' else verify(before.feature_points, frame.feature_points)
        )
        if again is None:
            assert key.motion is not None
            measured = key.motion.key_T_camera
            covariance = key.motion.covariance + _least() + _unknown_focal(frame, measured)
            ratio = self._compared(old, key, measured)
        else:
            measured, covariance = again.here_T_there.key_T_camera, again.here_T_there.covariance
            ratio = again.log_ratio
        step = None
        if ratio is not None:
            sigma = STEP_SIGMA * self._share(frame.camera_index)
            step = ScaleStep(old.number, key.number, ratio, sigma)
        self._visual[old.number] = Motion(old.number, key.number, measured, covariance), step
        log_scale = 0.9 * old_scale if ratio is None else old_scale + ratio
        pose: Array = at.poses[0] @ scaled(measured, float(np.exp(old_scale)))
        return pose, log_scale

    def _compared(self, old: KeyView, key: KeyView, old_T_new: Array) -> float | None:
        """Return the log ratio of the scales of two key frames, and learn how well they agree."""
        ratios = depth_ratios(old, key.tracks, key.log_depth, old_T_new)
        if ratios is None:
            return None
        self._noise.setdefault(key.view.camera_index, DepthNoise()).add(ratios)
        return float(np.median(ratios))

    def _add_network(self, old: KeyView, new: KeyView, old_scale: float) -> None:
        then, now = old.view.network_T_camera, new.view.network_T_camera
        if then is None or now is None:
            return
        by_network = invert(then) @ now
        if new.motion is not None and new.motion.inliers.any():
            measured = self._visual[old.number][0].here_T_there
            self._network.compare(by_network, scaled(measured, float(np.exp(old_scale))))
        self._by_network[old.number] = self._network.between(old.number, new.number, by_network)

    def _add_wheels(self, before: KeyFrame, frame: KeyFrame) -> None:
        by_wheels = motion_between(before.odom_T_camera, frame.odom_T_camera)
        if by_wheels is None or frame.slipped:
            return
        covariance = camera_covariance(by_wheels, self._wheels, frame.base_T_camera)
        self._by_wheels[before.number] = Motion(
            before.number, frame.number, by_wheels, covariance, scaled=0.0
        )

    def _adjust_window(self, recent: Sequence[KeyView], nodes: Nodes) -> None:
        """Measure the motions between key frames again, all features together."""
        numbers = _sharing(recent)
        count = len(numbers)
        if count < 4:
            return
        at = nodes.part(numbers)
        share = self._share(recent[-1].view.camera_index)
        window_frames = [
            replace(self._sights[number], map_T_camera=pose, log_scale=log_scale, noise=share)
            for number, pose, log_scale in zip(numbers, at.poses, at.log_scales.tolist())
        ]
        adjusted = adjust(window_frames)
        self._sights.update(zip(numbers, adjusted.frames))
        for number, parallax in [*zip(numbers, adjusted.parallax)][-BENT_ANEW:]:
            self._bends[number] = _bend(parallax, share)
        # Depths that agree are taken from the floor itself: adjusted ones depend on where the
        # graph had the oldest key frames.
        surer = adjusted.frames if FLOOR_SIGMA * share > ON_FLOOR_SIGMA else ()
        for number, window_frame in zip(numbers, surer):
            if (
                window_frame.floor is not None
                and np.isfinite(window_frame.floor[:, 0]).sum() > LEAST_ON_FLOOR
            ):
                self._fixes[number] = ScaleFix(number, window_frame.log_scale, ON_FLOOR_SIGMA)
        first = 0 if nodes.submaps[numbers[0]] == numbers[0] else 1
        for i in range(first, count - 1):
            frame = nodes.frames[numbers[i + 1]]
            self._visual[numbers[i]] = _adjusted_link(adjusted, i, numbers[i], frame, share)
        poses = np.stack([s.map_T_camera for s in adjusted.frames])
        scales = np.array([s.log_scale for s in adjusted.frames])
        nodes.update(numbers, Estimate(poses, scales))

    def inner(self) -> set[int]:
        """Return the numbers of the key frames that have neighbours on both sides, and may go."""
        later = {motion.there for motion, _ in self._visual.values()}
        return (self._visual.keys() & later) - self._held()

    def strands(self, numbers: Iterable[int]) -> dict[int, int]:
        """Return to which strand key frames belong; see Measurements.strands."""
        return self.measured.strands(numbers)

    def link(self, number: int) -> Link:
        """
        Return what leads from a key frame to the next.

        :param number: of the key frame.
        """
        return self._visual[number]

    def link_to(self, number: int) -> Motion | None:
        """
        Return the motion that leads to a key frame from the one before, None where none does.

        :param number: of the key frame.
        """
        links = (motion for motion, _ in self._visual.values() if motion.there == number)
        return next(links, None)

    def remove(self, number: int, nodes: Nodes) -> None:
        """
        Remove a key frame, and join its two neighbours in time.

        :param number: of the key frame; it has both.
        :param nodes: with it.
        """
        link = self.link_to(number)
        assert link is not None
        before = link.here
        at = nodes.part([before, number])
        for table in (self._by_wheels, self._by_network):
            first, second = table.pop(before, None), table.pop(number, None)
            if first is not None and second is not None:
                table[before] = joined(first, second, at, 0, 1)
        (motion, step), (onward, onward_step) = self._visual[before], self._visual.pop(number)
        if step is not None:
            step = None if onward_step is None else joined_step(step, onward_step)
        self._visual[before] = joined(motion, onward, at, 0, 1), step
        self._fixes.pop(number, None)
        self._bends.pop(number, None)

    def forget(self, numbers: Collection[int]) -> None:
        """
        Forget all that was measured in a submap.

        :param numbers: of its key frames.
        """
        for number in numbers:
            self._visual.pop(number, None)
            self._fixes.pop(number, None)
            self._by_wheels.pop(number, None)
            self._by_network.pop(number, None)
            self._bends.pop(number, None)


def _sharing(recent: Sequence[KeyView]) -> list[int]:
    """Return the numbers of the last key frames that share features one with the next."""
    numbers = [key.number for key in recent]
    for i in range(len(numbers) - 1, 0, -1):
        before, after = recent[i - 1].tracks, recent[i].tracks
        if np.isin(before.number, after.number).sum() < LEAST_SHARED:
            return numbers[i:]
    return numbers


def _without_table(frame: KeyFrame, log_scale: float) -> KeyFrame:
    """Remove a floor that lies clearly higher than both the network and the chain have it."""
    floor = frame.floor
    if floor is None or floor.log_scale - max(log_scale, 0.0) < TABLE:
        return frame
    return replace(frame, floor=None)


def _window_frame(
    key: KeyView, frame: KeyFrame, map_T_camera: Array, log_scale: float
) -> WindowFrame:
    floor = None
    if frame.floor is not None and frame.base_T_camera is not None and frame.focal_known:
        floor = depth_on_floor(
            frame.floor, key.tracks.px, key.log_depth, key.view.camera, frame.base_T_camera
        )
    return WindowFrame(
        map_T_camera,
        log_scale,
        np.zeros(2),
        key.view.camera,
        key.tracks.number,
        key.tracks.px,
        key.log_depth,
        floor,
    )


def _bend(parallax: Parallax, share: float) -> Array:
    """Find the bend of a key frame's depth, of which all sigmas have a share."""
    log_ratio, sigma = parallax.log_ratio / share, parallax.sigma / share
    return share * fit(parallax.tangents, log_ratio, sigma)


def _adjusted_link(adjusted: Adjusted, i: int, number: int, frame: KeyFrame, share: float) -> Link:
    """Return what leads from an adjusted key frame to the next, which is given."""
    here, there = adjusted.frames[i], adjusted.frames[i + 1]
    motion = scaled(invert(here.map_T_camera) @ there.map_T_camera, float(np.exp(-here.log_scale)))
    covariance = relative_covariance(adjusted.information, i, i + 1)[:6, :6]
    covariance = INFLATION * covariance + _least() + _unknown_focal(frame, motion)
    ratio = there.log_scale - here.log_scale
    return (
        Motion(number, frame.number, motion, covariance),
        ScaleStep(number, frame.number, ratio, share * ADJUSTED_STEP_SIGMA),
    )


def _unknown_focal(frame: KeyFrame, motion: Array) -> Array:
    """Return what is to be added to a covariance when the focal length is an estimate."""
    if frame.focal_known:
        return np.zeros((6, 6))
    turn = FOCAL_SIGMA * float(rotation_angle(motion[:3, :3]))
    shift = FOCAL_SIGMA * float(np.linalg.norm(motion[:3, 3]))
    # Turns and shifts of one sign are wrong by one factor, so they do not average out.
    return FOCAL_STEPS * np.diag([turn**2] * 3 + [shift**2] * 3)


def _least() -> Array:
    return np.diag([LEAST_TURN_SIGMA**2] * 3 + [LEAST_SHIFT_SIGMA**2] * 3)
