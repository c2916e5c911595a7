# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where the robot is, by the newest images of its cameras, and where its odometry lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import IDENTITY, invert, scaled, Similarity
from ttt3r_ros.graph.anchor import Anchor, flattened, is_planar, longest_step, towards
from ttt3r_ros.graph.located import at_base, base_pose, camera_pose, LocatedCamera, Placed
from ttt3r_ros.graph.rig_motion import OtherMotions, RigMotion
from ttt3r_ros.graph.solver.rotations import exp_pose, log_pose
from ttt3r_ros.settings import OdometrySettings
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.tracked_pose import TrackedPose
from ttt3r_ros.units import NANOSECONDS

# So long the pose of the robot is that of its other cameras, where one of them is lost.
LOST_AFTER_NS = NANOSECONDS


class Robot:
    """
    Own where the robot is, and where the odometry lies in the map.

    Each camera moves the robot on from where another one had it. `map_T_odom`, `epoch`,
    `begin_epoch` and `is_current` may be used by other threads.
    """

    def __init__(self, settings: OdometrySettings) -> None:
        """Begin with no image."""
        self._settings = settings
        self._epoch = 0
        # Where the images have the robot in `odom`, where they are the odometry: it never jumps.
        self._odometry: Array | None = None
        self.reset()

    def reset(self) -> None:
        """Delete everything but the odometry, which goes on."""
        self._anchor = Anchor(self._epoch, IDENTITY)
        self._newest: LocatedCamera | None = None
        self._newest_of: dict[int, LocatedCamera] = {}
        self._motion = RigMotion()
        self._flat = True  # what came of the odometry so far is planar

    def lose(self) -> None:
        """Declare unknown where the odometry lies, until an image is located in the map."""
        self._anchor = Anchor(self._epoch, None)

    def change(self, settings: OdometrySettings) -> None:
        """
        Apply the settings that may change while mapping.

        :param settings: all of them.
        """
        self._settings = settings

    # ---- results

    @property
    def map_T_odom(self) -> Array | None:
        """Return where the odometry lies in the present map, (4, 4), or None while it is lost."""
        anchor = self._anchor
        return anchor.map_T_odom if anchor.epoch == self._epoch else IDENTITY

    @property
    def newest(self) -> LocatedCamera | None:
        """Return the newest image of all cameras, None before the first one."""
        return self._newest

    @property
    def mounts(self) -> dict[int, Array | None]:
        """Return where each camera is mounted, (4, 4), by its newest image; None: nowhere."""
        return {index: image.base_T_camera for index, image in self._newest_of.items()}

    @property
    def epoch(self) -> int:
        """Return the number of the present map."""
        return self._epoch

    def begin_epoch(self) -> None:
        """Invalidate all images in process: a reset follows."""
        self._epoch += 1

    def is_current(self, located: LocatedCamera) -> bool:
        """Return whether an image belongs to the present map."""
        return located.epoch == self._epoch

    # ---- one image

    def go_on_from(self, index: int, track_T_camera: Array) -> bool:
        """
        Express where a camera was at its newest image in the axes of its present track.

        :param index: of the camera.
        :param track_T_camera: (4, 4), metres.
        :returns: whether the camera has an image.
        """
        newest = self._newest_of.get(index)
        if newest is None:
            return False
        self._newest_of[index] = replace(newest, track_T_camera=track_T_camera)
        return True

    def advance(
        self,
        tracked_pose: TrackedPose,
        observation: Observation,
        placed: Placed,
        others: OtherMotions | None = None,
    ) -> LocatedCamera:
        """
        Follow the correction, and where there is no odometry go on by the images.

        :param tracked_pose: by the front end.
        :param observation: the same image as it came.
        :param placed: the same image by the newest estimate.
        :param others: what other cameras show of the motion since the newest image; None: there
            are none.
        """
        mount, found, newest = observation.base_T_camera, placed.found, self._newest
        before = self._newest_of.get(observation.camera_index)
        pose = base_pose(placed.map_T_camera, mount)
        if newest is None:
            own = pose if self._odometry is None else self._odometry
            odom_T_base = own if observation.odom_T_base is None else observation.odom_T_base
        else:
            step = _moved(newest, before, tracked_pose, observation, placed.map_T_key)
            odom_T_base, step = self._weighed_motion(
                newest, tracked_pose, observation, step, others
            )
            if observation.odom_T_base is not None:
                pose = self._in_plane(pose, odom_T_base)
            if found.in_map and newest.in_map:
                sure = at_base(found.since_key, mount) if observation.odom_T_base is None else None
                pose = self._corrected(newest.map_T_base @ step, pose, tracked_pose.stamp_ns, sure)
        camera = LocatedCamera(
            tracked_pose.stamp_ns,
            self._anchor.epoch,
            camera_pose(pose, mount),
            found.covariance,
            mount,
            odom_T_base,
            tracked_pose.track_T_camera,
            found.in_map,
        )
        if before is None or before.stamp_ns <= camera.stamp_ns:
            self._newest_of[observation.camera_index] = camera
        if self._leads(camera, observation.camera_index):
            self._odometry = odom_T_base if observation.odom_T_base is None else None
            map_T_odom = pose @ invert(odom_T_base) if found.in_map else None
            self._anchor = Anchor(camera.epoch, map_T_odom)
            self._newest = camera
        return camera

    def _weighed_motion(
        self,
        newest: LocatedCamera,
        tracked_pose: TrackedPose,
        observation: Observation,
        step: Array,
        others: OtherMotions | None,
    ) -> tuple[Array, Array]:
        """Return odom_T_base, and how the robot moved by all that shows it."""
        wheels = observation.odom_T_base
        if wheels is not None and not (tracked_pose.slips or tracked_pose.still):
            return wheels, invert(newest.odom_T_base) @ wheels
        if others is not None and newest.stamp_ns < tracked_pose.stamp_ns:
            step = self._motion.moved(
                newest.stamp_ns, tracked_pose.stamp_ns, others.measured(step)
            )
        return newest.odom_T_base @ step if wheels is None else wheels, step

    def _corrected(self, expected: Array, pose: Array, stamp_ns: int, sure: Array | None) -> Array:
        """
        Return what is published between where the motion and where the map has the robot.

        :param sure: (6, 6) covariance of where the map has it, where the images are the odometry.
        """
        assert self._newest is not None
        speed = self._settings.correction_speed
        if sure is not None and speed:
            pose = self._motion.weighed(stamp_ns, expected, pose, sure)
        elapsed_ns = max(0, stamp_ns - self._newest.stamp_ns)
        return towards(expected, pose, longest_step(speed, elapsed_ns))

    def _leads(self, camera: LocatedCamera, index: int) -> bool:
        """Return whether the robot is where one of its cameras has it."""
        newest = self._newest
        if newest is None:
            return True
        if newest.stamp_ns > camera.stamp_ns:  # later ones are published
            return False
        return camera.in_map or not any(
            other.in_map and camera.stamp_ns - other.stamp_ns < LOST_AFTER_NS
            for i, other in self._newest_of.items()
            if i != index
        )

    def _in_plane(self, map_T_base: Array, odom_T_base: Array) -> Array:
        """Keep height, roll and pitch of the odometry where that is planar."""
        self._flat &= is_planar(odom_T_base)
        if not self._flat or self._settings.planar == 'off':
            return map_T_base
        return flattened(map_T_base)

    def place(self, newest: LocatedCamera, map_T_base: Array) -> None:
        """
        Move the robot at its newest image.

        :param newest: that image.
        :param map_T_base: (4, 4), where it is.
        """
        self._anchor = Anchor(newest.epoch, map_T_base @ invert(newest.odom_T_base))
        self._newest = replace(newest, map_T_camera=camera_pose(map_T_base, newest.base_T_camera))


def _moved(
    newest: LocatedCamera,
    before: LocatedCamera | None,
    tracked_pose: TrackedPose,
    observation: Observation,
    map_T_key: Similarity,
) -> Array:
    """Return how the robot moved since its newest image, as one camera shows it."""
    if before is None:
        return IDENTITY
    metres = map_T_key.scale / float(np.exp(tracked_pose.key.log_scale))
    step = scaled(invert(before.track_T_camera) @ tracked_pose.track_T_camera, metres)
    step = base_pose(camera_pose(IDENTITY, before.base_T_camera) @ step, observation.base_T_camera)
    return _later_part(step, before.stamp_ns, newest.stamp_ns, tracked_pose.stamp_ns)


def _later_part(motion: Array, begin_ns: int, since_ns: int, end_ns: int) -> Array:
    """
    Return the part of a motion after a time, at even speed.

    :param motion: (4, 4), from begin to end.
    :param since_ns: the time.
    """
    if since_ns == begin_ns:
        return motion
    share = (end_ns - since_ns) / (end_ns - begin_ns) if end_ns > begin_ns else 0.0
    return exp_pose(min(max(share, 0.0), 1.0) * log_pose(motion))
