# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The images of all cameras of a robot, and what those of one say of where another one is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import adjoint, IDENTITY, invert, scaled, Similarity
from ttt3r_ros.graph.belief import Located
from ttt3r_ros.graph.between_images import moved_to
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.graph.located import LocatedCamera
from ttt3r_ros.graph.rig_motion import OtherMotions
from ttt3r_ros.graph.solver.fusion import fused
from ttt3r_ros.graph.solver.pose_graph import Motion
from ttt3r_ros.graph.ties import tie_to
from ttt3r_ros.tracking.tracked_pose import KeyView, TrackedPose

# Of each camera so many images are remembered: a second at 30 Hz.
REMEMBERED = 30
MOST_WAITING = 8  # key frames for which a camera has no image yet
# What the pose of an image errs from its key frame beyond its covariance: turns, then metres.
TRACKING_INFLATION = 4.0
UNTRACKED = np.diag([0.003**2] * 3 + [0.005**2] * 3)


class Rig:
    """Remember the last images of each camera; weigh them with those of the others."""

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

    def weighed(self, found: Located, tracked_pose: TrackedPose, graph: KeyFrameGraph) -> Located:
        """
        Weigh where an image was taken by itself with where the other cameras were then.

        They bring no wheels: those are the same for all cameras, and count with the image itself.

        :param found: by itself.
        :param tracked_pose: the image.
        :param graph: with the key frames of all cameras.
        """
        mount = tracked_pose.key.view.base_T_camera
        if mount is None:
            return found
        poses, covariances = [found.map_T_camera], [_weight(found.since_key, IDENTITY)]
        for images in self._of_others(tracked_pose):
            other = moved_to(tracked_pose.stamp_ns, images)
            beside = None if other is None else other.key.view.base_T_camera
            if other is None or beside is None:
                continue
            theirs = graph.locate(other)
            if theirs.in_map and found.in_map:
                across = invert(beside) @ mount
                poses.append(theirs.map_T_camera @ across)
                covariances.append(_weight(theirs.since_key, across))
        if len(poses) == 1:
            return found
        pose, covariance = fused(poses, covariances)
        key = found.map_T_key
        key_T_camera = scaled(invert(key.a_T_b) @ found.map_T_camera, 1 / key.scale)
        if tracked_pose.key.number in graph.belief.poses:  # else its key frame is off as much
            key_T_camera = key_T_camera @ scaled(invert(found.map_T_camera) @ pose, 1 / key.scale)
        return replace(
            found,
            map_T_camera=pose,
            covariance=found.covariance - found.since_key + covariance,
            map_T_key=Similarity.through(pose, key_T_camera, key.scale),
            by_wheels=True,
            since_key=covariance,
        )

    def motions(
        self, tracked_pose: TrackedPose, newest: LocatedCamera | None, graph: KeyFrameGraph
    ) -> OtherMotions | None:
        """
        Return how the other cameras have moved the robot since its newest image.

        :param tracked_pose: an image after that.
        :param newest: of any camera.
        :param graph: with the key frames of all cameras.
        :returns: None where there is no other camera, or no mount.
        """
        mount, series = tracked_pose.key.view.base_T_camera, list(self._of_others(tracked_pose))
        if newest is None or mount is None or not series:
            return None
        before, own = self._before(tracked_pose), None
        if before is not None:
            own = _of_motion(before, tracked_pose, mount)
        others = []
        for images in series:
            first, last = (moved_to(ns, images) for ns in (newest.stamp_ns, tracked_pose.stamp_ns))
            if first is None or last is None or first.key.track != last.key.track:
                continue
            theirs = last.key.view.base_T_camera
            if theirs is not None:
                scale = graph.locate(last).map_T_key.scale
                metres = scale / float(np.exp(last.key.log_scale))
                moved = scaled(invert(first.track_T_camera) @ last.track_T_camera, metres)
                step = theirs @ moved @ invert(theirs)
                others.append((step, _of_motion(first, last, theirs)))
        return OtherMotions(own, others)

    def _of_others(self, tracked_pose: TrackedPose) -> Iterator[list[TrackedPose]]:
        """Iterate over the images of each other camera, oldest first."""
        own = _camera_of(tracked_pose.key)
        return (list(images) for camera, images in self._images.items() if camera != own)

    def _before(self, tracked_pose: TrackedPose) -> TrackedPose | None:
        """Return the image before in the same track, None where there is none."""
        images = self._images.get(_camera_of(tracked_pose.key), ())
        older = [one for one in images if one.stamp_ns < tracked_pose.stamp_ns]
        return older[-1] if older and older[-1].key.track == tracked_pose.key.track else None


def _camera_of(key: KeyView) -> int:
    return key.view.camera_index


def _weight(since_key: Array, across: Array) -> Array:
    """Return the covariance of an image's pose among those of others, at another camera."""
    turned = adjoint(invert(across))
    covariance: Array = turned @ (TRACKING_INFLATION * since_key + UNTRACKED) @ turned.T
    return covariance


def _of_motion(first: TrackedPose, last: TrackedPose, base_T_camera: Array) -> Array:
    """Return the covariance of the robot's motion between two images of a camera."""
    since_key = 0.5 * (first.covariance + last.covariance)  # much of it is of both
    return _weight(since_key, invert(base_T_camera))
