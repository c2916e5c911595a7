# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A ROS 2 node that simulates a robot with a camera, driven by cmd_vel, for example by Nav2."""

from __future__ import annotations

import math
import sys
from typing import Any

from geometry_msgs.msg import PoseStamped, Twist, TwistWithCovariance
from nav_msgs.msg import Odometry
import numpy as np
from rclpy.node import Node
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from ttt3r_ros.geometry import invert
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.node import messages
from ttt3r_ros.node.parameters import declare_fixed
from ttt3r_ros.node.running import run_node
from ttt3r_ros.node.usage import printed_help
from ttt3r_ros.players.camera_topics import CameraTopics
from ttt3r_ros.settings import DrivenRobotSettings
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import body_T_camera, robot_path
from ttt3r_ros.simulation.driving import DrivenBase
from ttt3r_ros.simulation.odometry import WheelMeter, WHEELS
from ttt3r_ros.simulation.renderer import compile_renderer, render
from ttt3r_ros.simulation.sensor import Sensor
from ttt3r_ros.units import NANOSECONDS

NAME = 'driven_robot'
WORLD_FRAME = 'world'
RATE_HZ = 40.0  # of odometry and transforms
COVARIANCE = np.diag([0.03**2] * 3 + [0.05**2] * 3)  # of the odometry, radians and metres


class DrivenRobot(Node):
    """Drives through the simulated world by `cmd_vel`, in the time of the system."""

    def __init__(self, **node_options: Any) -> None:
        """
        Build the world and put the robot where a simulated drive of this seed begins.

        :param node_options: of rclpy's Node.
        :raises UserError: when a parameter is wrong.
        """
        super().__init__(NAME, **node_options)
        self._settings = settings = declare_fixed(self, DrivenRobotSettings)
        self._world = build_world(settings.family, settings.seed)
        compile_renderer(self._world)
        tilt = math.radians(settings.camera_tilt_degrees)
        self._base_T_camera = body_T_camera(settings.camera_height, tilt)
        start = robot_path(self._world, settings.seed, 1.0, 2.0, camera_height=0.8, tilt=0.0)
        world_T_base = start.world_T_camera[0] @ invert(body_T_camera(0.8))
        self._base = DrivenBase(self._world.plan(), world_T_base, settings.speed)
        self._wheels = WheelMeter(WHEELS['usual'].worse(settings.odometry_noise), settings.seed)
        self._intrinsics = CameraIntrinsics.from_field_of_view(
            settings.width, settings.height, settings.field_of_view
        )
        self._sensor = Sensor(noise=settings.image_noise) if settings.image_noise > 0 else None
        self._images = 0
        self._camera = CameraTopics(self, settings.camera_optical_frame, calibrated=True)
        self._odometry = self.create_publisher(Odometry, 'odometry', 10)
        self._truth = self.create_publisher(PoseStamped, 'ground_truth', 10)
        self._broadcaster = TransformBroadcaster(self)
        self._static_broadcaster = StaticTransformBroadcaster(self)
        self._static_broadcaster.sendTransform(
            messages.transform_message(
                self._base_T_camera, settings.base_frame, settings.camera_optical_frame, 0
            )
        )
        self._moved_ns: int = self.get_clock().now().nanoseconds
        self.create_subscription(Twist, 'cmd_vel', self._on_command, 10)
        self.create_timer(1.0 / RATE_HZ, self._drive)
        self.create_timer(1.0 / settings.image_rate, self._take_image)

    def _on_command(self, message: Twist) -> None:
        self._base.command(message.linear.x, message.angular.z, self._now_ns() / NANOSECONDS)

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _drive(self) -> None:
        self._move()

    def _move(self) -> int:
        """Move up to now, publish the odometry and the truth, and return their stamp."""
        self._moved_ns = self._advance()
        self._publish_motion(self._moved_ns)
        return self._moved_ns

    def _advance(self) -> int:
        """Move the base up to now; return the time, nanoseconds."""
        now_ns = self._now_ns()
        # Small steps: rendering an image may have taken a while.
        left_s = min((now_ns - self._moved_ns) / NANOSECONDS, 1.0)
        while left_s > 0:
            step_s = min(left_s, 1.0 / RATE_HZ)
            left_s -= step_s
            motion = self._base.step(step_s, now_ns / NANOSECONDS - left_s)
            self._wheels.measure(motion)
        return now_ns

    def _publish_motion(self, stamp_ns: int) -> None:
        settings = self._settings
        odom_T_base = self._wheels.odom_T_base
        self._broadcaster.sendTransform(
            messages.transform_message(
                odom_T_base, settings.odom_frame, settings.base_frame, stamp_ns
            )
        )
        twist = TwistWithCovariance(covariance=messages.covariance(COVARIANCE))
        twist.twist.linear.x, twist.twist.angular.z = self._base.velocity
        self._odometry.publish(
            Odometry(
                header=messages.header(stamp_ns, settings.odom_frame),
                child_frame_id=settings.base_frame,
                pose=messages.pose_with_covariance(odom_T_base, COVARIANCE),
                twist=twist,
            )
        )
        pose = messages.pose_message(self._base.world_T_base)
        self._truth.publish(PoseStamped(header=messages.header(stamp_ns, WORLD_FRAME), pose=pose))

    def _take_image(self) -> None:
        """Publish an image, after the transform that it needs."""
        if not self._camera.has_subscriber():
            return
        stamp_ns = self._move()
        self._images += 1
        rgb, _ = render(
            self._world,
            self._intrinsics,
            self._base.world_T_base @ self._base_T_camera,
            sensor=self._sensor,
            seed=self._settings.seed + self._images,
        )
        self._camera.publish(self._camera.picture(rgb, self._intrinsics), stamp_ns)


def main(args: list[str] | None = None) -> int:
    """
    Run the node until a signal.

    :param args: command line arguments for ROS.
    :returns: the exit code of the process.
    """
    sentence = 'Simulate a robot with a camera that is driven by cmd_vel, and stops at walls.'
    if printed_help(args, NAME, sentence, DrivenRobotSettings, 'nav2.md'):
        return 0
    return run_node(DrivenRobot, NAME, args)


if __name__ == '__main__':
    sys.exit(main())
