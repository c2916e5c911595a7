# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What holds the key frames of several cameras of one robot together: they are mounted rigidly.

A tie leads from a key frame of one camera to one of another. It is the motion from the first key
frame, which the first camera tracked up to the stamp of the second one, and the mounts of both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
import itertools

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import adjoint, invert, scaled, transform
from ttt3r_ros.graph.nodes import Nodes
from ttt3r_ros.graph.solver.pose_graph import Estimate, Motion
from ttt3r_ros.graph.solver.rotations import exp_pose, log_pose
from ttt3r_ros.tracking.tracked_pose import KeyView, TrackedPose
from ttt3r_ros.units import NANOSECONDS

# Of each camera so many images are remembered: a second at 30 Hz.
REMEMBERED = 30
MOST_WAITING = 8  # key frames for which a camera has no image yet
MOST_GAP_S = 0.5  # between two images of a camera, so that it is known where it was between
# What a robot may accelerate between two images.
TURN_ACCELERATION, ACCELERATION = 3.0, 1.5
# What tracking errs beyond its covariance, which takes errors for independent, and the mounts.
INFLATION = 4.0
LEAST_TURN_SIGMA, LEAST_SHIFT_SIGMA = 0.003, 0.005

# Images of cameras that look along a wall err by many sigmas now and then.
FUSING_KERNEL, FUSING_ROUNDS = 1.5, 5


class Rig:
    """Find the ties between key frames of different cameras from the images of each camera."""

    def __init__(self) -> None:
        """Begin with no image."""
        self._images: dict[int, deque[TrackedPose]] = {}
        self._waiting: dict[int, deque[KeyView]] = {}

    def see(self, tracked_pose: TrackedPose) -> None:
        """
        Remember where an image was taken.

        :param tracked_pose: an image, unless a later one of its camera was remembered before.
        """
        images = self._images.setdefault(_camera_of(tracked_pose.key), deque(maxlen=REMEMBERED))
        if not images or images[-1].stamp_ns < tracked_pose.stamp_ns:
            images.append(tracked_pose)

    def ties(self, tracked_pose: TrackedPose) -> list[Motion]:
        """
        Remember an image, and return the ties that it completes.

        :param tracked_pose: an image that the network has seen.
        """
        self.see(tracked_pose)
        own, found = _camera_of(tracked_pose.key), []
        if tracked_pose.new_key:
            for other in self._images.keys() - {own}:
                waiting = self._waiting.setdefault(other, deque(maxlen=MOST_WAITING))
                waiting.append(tracked_pose.key)
        for camera, waiting in self._waiting.items():
            newest_ns = self._images[camera][-1].stamp_ns
            ready = [key for key in waiting if key.view.stamp_ns <= newest_ns]
            for key in ready:
                waiting.remove(key)
                tie = tie_to(key, self._images[camera])
                if tie is not None:
                    found.append(tie)
        return found

    def beside(self, tracked_pose: TrackedPose) -> list[TrackedPose]:
        """
        Return where the other cameras were when an image was taken, as far as they show it.

        They bring no wheels: those are the same for all cameras, and count with the image itself.

        :param tracked_pose: the image.
        """
        own = _camera_of(tracked_pose.key)
        found = [
            _moved_to(tracked_pose.stamp_ns, list(images))
            for camera, images in self._images.items()
            if camera != own
        ]
        return [one for one in found if one is not None]

    def has_others(self, tracked_pose: TrackedPose) -> bool:
        """
        Return whether another camera has seen something.

        :param tracked_pose: an image of the one.
        """
        return bool(self._images.keys() - {_camera_of(tracked_pose.key)})

    def before(self, tracked_pose: TrackedPose) -> TrackedPose | None:
        """
        Return the image before in the same track, None where there is none.

        :param tracked_pose: the image after it.
        """
        images = self._images.get(_camera_of(tracked_pose.key), ())
        older = [one for one in images if one.stamp_ns < tracked_pose.stamp_ns]
        return older[-1] if older and older[-1].key.track == tracked_pose.key.track else None

    def motions(
        self, since_ns: int, tracked_pose: TrackedPose
    ) -> list[tuple[TrackedPose, TrackedPose]]:
        """
        Return where each other camera was at a time and when an image was taken.

        :param since_ns: the time.
        :param tracked_pose: the image.
        """
        own, found = _camera_of(tracked_pose.key), []
        for camera, images in self._images.items():
            first, last = (_moved_to(ns, list(images)) for ns in (since_ns, tracked_pose.stamp_ns))
            if camera == own or first is None or last is None:
                continue
            if first.key.track == last.key.track:
                found.append((first, last))
        return found


def _camera_of(key: KeyView) -> int:
    return key.view.camera_index


def tie_to(key: KeyView, images: Sequence[TrackedPose]) -> Motion | None:
    """
    Return what leads to a key frame from one of another camera.

    :param key: of one camera.
    :param images: of the other camera, rising stamps.
    :returns: None where the other camera was not followed at the stamp, or a mount is unknown.
    """
    between = _around(key.view.stamp_ns, images)
    if between is None:
        return None
    before, after = between
    here, there = before.key.view.base_T_camera, key.view.base_T_camera
    if here is None or there is None:
        return None
    key_T_camera, covariance = _at(key.view.stamp_ns, before, after)
    across = invert(here) @ there
    turned = adjoint(invert(across))
    covariance = turned @ (INFLATION * covariance + _least()) @ turned.T
    pose = transform(key_T_camera[:3, :3] @ across[:3, :3], key_T_camera[:3, 3])
    arm = key_T_camera[:3, :3] @ across[:3, 3]
    return Motion(before.key.number, key.number, pose, covariance, arm=_numbers(arm))


def _around(
    stamp_ns: int, images: Sequence[TrackedPose]
) -> tuple[TrackedPose, TrackedPose] | None:
    """Return the images before and after a stamp, the same one twice where it is of that stamp."""
    before = [one for one in images if one.stamp_ns <= stamp_ns]
    after = [one for one in images if one.stamp_ns >= stamp_ns]
    if not before or not after:
        return None
    first, second = before[-1], after[0]
    seconds = (second.stamp_ns - first.stamp_ns) / NANOSECONDS
    if seconds > MOST_GAP_S or first.key.track != second.key.track:
        return None
    return first, second


def _at(stamp_ns: int, before: TrackedPose, after: TrackedPose) -> tuple[Array, Array]:
    """Return where a camera was between two images, from the key frame of the first one."""
    if before is after:
        return before.key_T_camera, before.covariance
    since = (stamp_ns - before.stamp_ns) / NANOSECONDS
    until = (after.stamp_ns - stamp_ns) / NANOSECONDS
    unit = float(np.exp(-before.key.log_scale))
    motion = scaled(invert(before.track_T_camera) @ after.track_T_camera, unit)
    pose = before.key_T_camera @ exp_pose(log_pose(motion) * since / (since + until))
    return pose, before.covariance + _accelerated(since * until)


def unknown_motion(since: float, period: float) -> Array:
    """
    Return the covariance of a motion that is taken to go on as before, (6, 6).

    :param since: seconds for which it goes on.
    :param period: seconds over which it was measured.
    """
    return _accelerated(since * (since + period))


def _accelerated(square_s: float) -> Array:
    """Return the covariance of what an acceleration may add in a time, seconds squared."""
    return np.diag((0.5 * square_s * np.repeat([TURN_ACCELERATION, ACCELERATION], 3)) ** 2)


def _moved_to(stamp_ns: int, images: Sequence[TrackedPose]) -> TrackedPose | None:
    """
    Return where a camera was at a time: between two images, or if it goes on as before.

    The wheels of its image, which was taken at another time, are left out.
    """
    around = _around(stamp_ns, images)
    if around is not None:
        pose, covariance = _at(stamp_ns, *around)
        return _carried_to(stamp_ns, around[0], pose, covariance)
    if len(images) < 2 or images[-1].stamp_ns > stamp_ns:
        return None
    last, newest = images[-2:]
    since = (stamp_ns - newest.stamp_ns) / NANOSECONDS
    period = (newest.stamp_ns - last.stamp_ns) / NANOSECONDS
    if since + period > MOST_GAP_S or last.key.track != newest.key.track:
        return None
    unit = float(np.exp(-newest.key.log_scale))
    motion = scaled(invert(last.track_T_camera) @ newest.track_T_camera, unit)
    pose = newest.key_T_camera @ exp_pose(log_pose(motion) * since / period)
    covariance = newest.covariance + unknown_motion(since, period)
    return _carried_to(stamp_ns, newest, pose, covariance)


def _carried_to(
    stamp_ns: int, one: TrackedPose, key_T_camera: Array, covariance: Array
) -> TrackedPose:
    return replace(
        one,
        stamp_ns=stamp_ns,
        key_T_camera=key_T_camera,
        covariance=covariance,
        odom_T_camera=None,
    )


def fused(poses: Sequence[Array], covariances: Sequence[Array]) -> tuple[Array, Array]:
    """
    Weigh what is known of one pose; what the others contradict counts less.

    :param poses: (4, 4) each, metres, near each other.
    :param covariances: (6, 6) each, of rotation and translation, to the right of the pose.
    :returns: the pose, and its covariance if all of them are independent.
    """
    infos = [np.linalg.inv(one) for one in covariances]
    pose = poses[_most_central(poses, covariances)]
    for _ in range(FUSING_ROUNDS):
        errors = [log_pose(invert(pose) @ one) for one in poses]
        trusts = [_trust(float(e @ info @ e)) for e, info in zip(errors, infos)]
        weights = np.stack([trust * info for trust, info in zip(trusts, infos)])
        covariance = np.linalg.inv(weights.sum(axis=0))
        pose = pose @ exp_pose(covariance @ np.einsum('nij,nj->i', weights, np.stack(errors)))
    return pose, covariance


def _most_central(poses: Sequence[Array], covariances: Sequence[Array]) -> int:
    """Return which pose the others contradict least; of two the surer one."""
    if len(poses) < 3:
        return int(np.argmin([np.trace(one) for one in covariances]))
    doubts = np.zeros(len(poses))
    for i, j in itertools.combinations(range(len(poses)), 2):
        error = log_pose(invert(poses[i]) @ poses[j])
        square = error @ np.linalg.solve(covariances[i] + covariances[j], error)
        doubts[[i, j]] -= np.log(_trust(float(square)))
    return int(doubts.argmin())


def _trust(square: float) -> float:
    """Return the weight of an error of so many sigmas, squared, by a Cauchy kernel."""
    return 1.0 / (1.0 + square / FUSING_KERNEL**2)


def _least() -> Array:
    return np.diag([LEAST_TURN_SIGMA**2] * 3 + [LEAST_SHIFT_SIGMA**2] * 3)


def _numbers(arm: Array) -> tuple[float, float, float]:
    x, y, z = arm.tolist()
    return x, y, z


class Ties:
    """All ties of a graph, by the key frames that they hold together."""

    def __init__(self, ties: Iterable[Motion] = ()) -> None:
        """
        Begin with some.

        :param ties: between key frames of different cameras.
        """
        self._ties = {(tie.here, tie.there): tie for tie in ties}

    @property
    def all(self) -> tuple[Motion, ...]:
        """Return all ties."""
        return tuple(self._ties.values())

    def within(self, numbers: Iterable[int]) -> tuple[Motion, ...]:
        """
        Return the ties between some key frames.

        :param numbers: of them.
        """
        known = set(numbers)
        return tuple(tie for pair, tie in self._ties.items() if known.issuperset(pair))

    def add(self, tie: Motion) -> None:
        """
        Add a tie.

        :param tie: between two key frames.
        """
        self._ties[tie.here, tie.there] = tie

    def bundled(self, strands: Mapping[int, int]) -> dict[int, int]:
        """
        Return to which strand key frames belong, strands that are tied being one.

        :param strands: number of the strand of each key frame.
        :returns: by number, the least number of all strands that are tied to its own.
        """
        first = {strand: strand for strand in strands.values()}

        def root(strand: int) -> int:
            while first[strand] != strand:
                strand = first[strand]
            return strand

        for here, there in self._ties:
            one, other = sorted((root(strands[here]), root(strands[there])))
            first[other] = one
        return {number: root(strand) for number, strand in strands.items()}

    def hand_over(self, link: Motion, nodes: Nodes) -> None:
        """
        Move the ties of a key frame that goes to the next one of its camera.

        :param link: from the one that goes to the next one.
        :param nodes: with both.
        """
        gone = link.here
        mine = [tie for pair, tie in self._ties.items() if gone in pair]
        self.forget([gone])
        for tie in mine:
            other = tie.here if tie.there == gone else tie.there
            if other == link.there or (other, link.there) in self._ties:
                continue
            at = nodes.part([other, gone])
            if tie.here == gone:
                tie = _reversed(tie, float(at.log_scales[1]))
            self.add(_carried(tie, link, at))

    def forget(self, numbers: Collection[int]) -> None:
        """
        Forget the ties of some key frames.

        :param numbers: of them.
        """
        gone = set(numbers)
        self._ties = {pair: tie for pair, tie in self._ties.items() if gone.isdisjoint(pair)}


def metric(tie: Motion, log_scale: float) -> Array:
    """
    Return the motion of a tie, (4, 4), metres.

    :param log_scale: of the depth of the key frame where it begins.
    """
    pose = scaled(tie.here_T_there, float(np.exp(tie.scaled * log_scale)))
    pose[:3, 3] += tie.arm
    return pose


def _reversed(tie: Motion, log_scale: float) -> Motion:
    """Return the same from its other end, its length as it is estimated now."""
    pose = metric(tie, log_scale)
    back, turned = invert(pose), adjoint(pose)
    return replace(
        tie,
        here=tie.there,
        there=tie.here,
        here_T_there=transform(back[:3, :3], np.zeros(3)),
        covariance=turned @ tie.covariance @ turned.T,
        arm=_numbers(back[:3, 3]),
    )


def _carried(tie: Motion, link: Motion, at: Estimate) -> Motion:
    """Return a tie to the key frame after the one where it ends, which is the second of two."""
    onward = scaled(link.here_T_there, float(np.exp(link.scaled * at.log_scales[1])))
    turn, moved = tie.here_T_there[:3, :3], adjoint(invert(onward))
    return replace(
        tie,
        there=link.there,
        here_T_there=transform(turn @ onward[:3, :3], tie.here_T_there[:3, 3]),
        covariance=moved @ tie.covariance @ moved.T + link.covariance,
        arm=_numbers(tie.arm + turn @ onward[:3, 3]),
    )
