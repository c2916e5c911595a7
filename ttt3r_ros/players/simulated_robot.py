# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A ROS 2 node that simulates a robot with a camera."""

from __future__ import annotations

from collections.abc import Generator
import functools
import math
import sys
from typing import Any

from geometry_msgs.msg import PoseStamped, TwistWithCovariance
from nav_msgs.msg import Odometry
import numpy as np
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from ttt3r_ros.arrays import Pixels
from ttt3r_ros.geometry import invert
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.node import messages
from ttt3r_ros.node.parameters import declare_fixed
from ttt3r_ros.node.usage import printed_help
from ttt3r_ros.players.camera_topics import CameraTopics, Picture
from ttt3r_ros.players.replay import Item, Replay, ReplayNode, run_replay
from ttt3r_ros.settings import RobotSettings
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import body_T_camera, robot_path
from ttt3r_ros.simulation.odometry import noisy_odometry
from ttt3r_ros.simulation.renderer import render
from ttt3r_ros.simulation.sensor import Sensor
from ttt3r_ros.units import NANOSECONDS

NAME = 'simulated_robot'
WORLD_FRAME = 'world'

# The covariance that the odometry publishes; its drift is about this much after some metres.
COVARIANCE = np.diag([0.03**2] * 3 + [0.05**2] * 3)  # radians and metres


class SimulatedRobot(ReplayNode):
    """
    Drives through the simulated world; publishes images, wheel odometry and true poses.

    Images are rendered ahead of time, and only while they have a subscriber.
    """

    def __init__(self, **node_options: Any) -> None:
        """
        Build the world and plan the path.

        :param node_options: of rclpy's Node.
        :raises UserError: when a parameter is wrong.
        """
        super().__init__(NAME, **node_options)
        self._settings = settings = declare_fixed(self, RobotSettings)
        drive = settings.drive
        self._world = build_world(drive.family, drive.seed)
        path = robot_path(
            self._world,
            drive.seed,
            drive.seconds,
            drive.image_rate * settings.odometry_per_image,
            speed=drive.speed,
            camera_height=drive.camera_height,
            tilt=math.radians(drive.camera_tilt_degrees),
        )
        base_T_camera = body_T_camera(drive.camera_height, math.radians(drive.camera_tilt_degrees))
        self._times_ns = path.stamps_ns.tolist()
        self._world_T_camera = path.world_T_camera
        self._world_T_base = path.world_T_camera @ invert(base_T_camera)
        self._odom_T_base = noisy_odometry(self._world_T_base, drive.seed, settings.odometry_noise)
        self._intrinsics = CameraIntrinsics.from_field_of_view(
            drive.width, drive.height, drive.field_of_view
        )
        self._sensor = Sensor(noise=drive.image_noise)
        self._camera = CameraTopics(self, settings.camera_optical_frame, calibrated=True)
        self._odometry = self.create_publisher(Odometry, 'odometry', 10)
        self._truth = self.create_publisher(PoseStamped, 'ground_truth', 10)
        self._broadcaster = TransformBroadcaster(self)
        self._last: tuple[int, int] | None = None
        mount = messages.transform_message(
            base_T_camera, settings.base_frame, settings.camera_optical_frame, 0
        )
        self._static_broadcaster = StaticTransformBroadcaster(self)
        self._static_broadcaster.sendTransform(mount)
        self.replay = Replay(self, self._items, settings, self._camera.has_subscriber, self._truth)

    def _items(self) -> Generator[Item, None, None]:
        """Yield every time step of the drive; renders its image, ahead of time."""
        self._last = None
        for moment, time_ns in enumerate(self._times_ns):
            picture = None
            if moment % self._settings.odometry_per_image == 0 and self._camera.has_subscriber():
                picture = self._camera.picture(self._render(moment), self._intrinsics)
            yield Item(time_ns, functools.partial(self._publish, moment, picture))

    def _render(self, moment: int) -> Pixels:
        rgb, _ = render(
            self._world,
            self._intrinsics,
            self._world_T_camera[moment],
            smooth=self._settings.smooth,
            sensor=self._sensor,
            seed=self._settings.drive.seed + moment,
        )
        return rgb

    def _publish(self, moment: int, picture: Picture | None, stamp_ns: int) -> None:
        """Publish a time step, the transforms before the image that needs them."""
        self._broadcaster.sendTransform(
            messages.transform_message(
                self._odom_T_base[moment],
                self._settings.odom_frame,
                self._settings.base_frame,
                stamp_ns,
            )
        )
        if self._odometry.get_subscription_count():
            self._odometry.publish(self._odometry_message(moment, stamp_ns))
        if self._truth.get_subscription_count():
            header = messages.header(stamp_ns, WORLD_FRAME)
            pose = messages.pose_message(self._world_T_base[moment])
            self._truth.publish(PoseStamped(header=header, pose=pose))
        if picture is not None:
            self._camera.publish(picture, stamp_ns)
        self._last = moment, stamp_ns

    def _odometry_message(self, moment: int, stamp_ns: int) -> Odometry:
        twist = TwistWithCovariance()
        if self._last is not None:
            last, last_ns = self._last
            old_T_new = invert(self._odom_T_base[last]) @ self._odom_T_base[moment]
            twist.twist = messages.twist(old_T_new, (stamp_ns - last_ns) / NANOSECONDS)
        twist.covariance = messages.covariance(COVARIANCE)
        return Odometry(
            header=messages.header(stamp_ns, self._settings.odom_frame),
            child_frame_id=self._settings.base_frame,
            pose=messages.pose_with_covariance(self._odom_T_base[moment], COVARIANCE),
            twist=twist,
        )


def main(args: list[str] | None = None) -> int:
    """
    Run the node until the drive ends.

    :param args: command line arguments for ROS.
    :returns: the exit code of the process.
    """
    sentence = 'Drive a robot with a camera through a simulated building.'
    if printed_help(args, NAME, sentence, RobotSettings, 'demo.md'):
        return 0
    return run_replay(SimulatedRobot, NAME, args)


if __name__ == '__main__':
    sys.exit(main())
