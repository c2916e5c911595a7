# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The topics that the node speaks on; what nobody hears is not computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
import math
import time
from typing import Any

from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped, TwistWithCovariance
from nav_msgs.msg import OccupancyGrid as OccupancyGridMessage
from nav_msgs.msg import Odometry, Path
import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle.publisher import LifecyclePublisher
from rclpy.qos import qos_policy_name_from_kind, QoSProfile
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert
from ttt3r_ros.graph.back_end import LocatedFrame
from ttt3r_ros.intrinsics import CalibrationError
from ttt3r_ros.mapping.occupancy import OccupancyGrid
from ttt3r_ros.mapping.voxels import VoxelMap
from ttt3r_ros.node import messages
from ttt3r_ros.node.diagnostics import Reporter
from ttt3r_ros.node.distributions import PublisherEventCallbacks
from ttt3r_ros.node.parameters import Settings
from ttt3r_ros.node.qos import LATCHED, NEWEST, RELIABLE
from ttt3r_ros.units import NANOSECONDS

PATH_PERIOD_S = 1.0


class LatchedTopic:
    """A topic of a whole map: published now and then, while somebody hears it."""

    def __init__(self, publisher: LifecyclePublisher[Any]) -> None:
        """
        Begin with nothing published.

        :param publisher: of the topic.
        """
        self._publisher = publisher
        self.restart()

    def restart(self) -> None:
        """Forget what was published when."""
        self._due = 0.0
        self._hearers = 0

    def has_newcomer(self) -> bool:
        """Tell whether somebody began to hear it since it was published last."""
        return int(self._publisher.get_subscription_count()) > self._hearers

    def take_turn(self, period: float) -> bool:
        """
        Tell whether to publish now; a new hearer need not wait.

        :param period: least time between two turns, seconds.
        """
        hearers, now = int(self._publisher.get_subscription_count()), time.monotonic()
        newcomer, self._hearers = hearers > self._hearers, hearers
        if not hearers or not (newcomer or now >= self._due):
            return False
        self._due = now + period
        return True

    def publish(self, message: Any) -> None:
        """Publish."""
        self._publisher.publish(message)


class Outputs:
    """Publish what an image gave; used by one thread, after it was made."""

    def __init__(
        self, node: LifecycleNode, settings: Callable[[], Settings], reporter: Reporter
    ) -> None:
        """
        Make the publishers.

        :param node: whose they are.
        :param settings: gives the present ones.
        :param reporter: hears about subscribers that cannot be served.
        """
        self._node, self._settings, self._reporter = node, settings, reporter
        self._publishers: list[LifecyclePublisher[Any]] = []
        self.points = self._make(PointCloud2, '~/points', NEWEST)
        self.map_cloud = LatchedTopic(self._make(PointCloud2, '~/map_cloud', LATCHED))
        self.depth = self._make(Image, '~/depth', NEWEST)
        self.camera_info = self._make(CameraInfo, '~/camera_info', NEWEST)
        self.pose = self._make(PoseWithCovarianceStamped, '~/pose', RELIABLE)
        self.path = self._make(Path, '~/path', RELIABLE)
        self.occupancy = None
        if settings().mapping.occupancy.enabled:
            self.occupancy = LatchedTopic(self._make(OccupancyGridMessage, 'map', LATCHED))
        self.odometry = None
        if settings().node.publish_odom_to_base_tf:
            self.odometry = self._make(Odometry, '~/odometry', RELIABLE)
        self._poses: deque[PoseStamped] = deque(maxlen=settings().node.outputs.path_max_poses)
        self.restart()

    def _make(self, kind: type[Any], topic: str, qos: QoSProfile) -> LifecyclePublisher[Any]:
        def on_incompatible_qos(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            self._reporter.warn(
                f'incompatible QoS of {topic}',
                f'a subscriber of {publisher.topic_name} asks for another {policy} than it has: '
                f'{qos.reliability.name}, {qos.durability.name}; it hears nothing',
            )

        publisher = self._node.create_lifecycle_publisher(
            kind,
            topic,
            qos,
            event_callbacks=PublisherEventCallbacks(incompatible_qos=on_incompatible_qos),
        )
        self._publishers.append(publisher)
        return publisher

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)

    def restart(self) -> None:
        """Forget the path and what was published when."""
        self._poses.clear()
        self._last_odometry: tuple[int, Array] | None = None
        for topic in self._maps():
            topic.restart()
        self._path_due = 0.0

    def publish(self, located: LocatedFrame, base: str, camera: str) -> None:
        """
        Publish what belongs to one image, with the stamp of the image.

        :param located: what the image gave.
        :param base: name of the robot's frame.
        :param camera: name of the optical frame.
        """
        stamp_ns = located.tracked.stamp_ns
        in_camera = messages.header(stamp_ns, camera)
        in_map = messages.header(stamp_ns, self._settings().node.map_frame)
        self._publish_pose(located, in_map)
        self._publish_odometry(located, base)
        if self.points.get_subscription_count():
            self.points.publish(self._points(located, in_camera))
        if self.depth.get_subscription_count():
            self.depth.publish(messages.depth_image(located.pointmap.depth, in_camera))
        if self.camera_info.get_subscription_count():
            try:
                self.camera_info.publish(messages.camera_info(located.tracked.camera(), in_camera))
            except CalibrationError as error:
                self._reporter.warn('focal length', f'the estimated focal length: {error}')
        self._publish_path(located, in_map)

    def _points(self, located: LocatedFrame, header: Header) -> PointCloud2:
        bounds = self._settings().mapping.map
        points = located.pointmap.thinned(self._settings().node.outputs.points_stride)
        good = np.flatnonzero(points.reliable(bounds.confidence_threshold, bounds.max_range))
        return messages.point_cloud(
            points.points_camera.reshape(-1, 3).take(good, axis=0),
            points.colors.reshape(-1, 3).take(good, axis=0),
            points.confidence.reshape(-1).take(good),
            header,
        )

    def _publish_pose(self, located: LocatedFrame, header: Header) -> None:
        if self.pose.get_subscription_count():
            self.pose.publish(
                PoseWithCovarianceStamped(
                    header=header,
                    pose=messages.with_covariance(
                        messages.pose_message(located.map_T_base), *self._deviations()
                    ),
                )
            )

    def _publish_odometry(self, located: LocatedFrame, base: str) -> None:
        if self.odometry is None:
            return
        stamp_ns, odom_T_base = located.tracked.stamp_ns, located.odom_T_base
        last, self._last_odometry = self._last_odometry, (stamp_ns, odom_T_base)
        if last is None or not self.odometry.get_subscription_count():
            return
        seconds = (stamp_ns - last[0]) / NANOSECONDS
        position_deviation, rotation_deviation = self._deviations()
        spread = 2**0.5 / seconds  # of the difference of two poses
        self.odometry.publish(
            Odometry(
                header=messages.header(stamp_ns, self._settings().node.odom_frame),
                child_frame_id=base,
                pose=messages.with_covariance(
                    messages.pose_message(odom_T_base), position_deviation, rotation_deviation
                ),
                twist=TwistWithCovariance(
                    twist=messages.twist(invert(last[1]) @ odom_T_base, seconds),
                    covariance=messages.covariance(
                        spread * position_deviation, spread * rotation_deviation
                    ),
                ),
            )
        )

    def _publish_path(self, located: LocatedFrame, header: Header) -> None:
        pose = PoseStamped(header=header, pose=messages.pose_message(located.map_T_base))
        if not self._poses or self._distance(pose) >= self._settings().node.outputs.path_step:
            self._poses.append(pose)
        now = time.monotonic()
        if now >= self._path_due and self.path.get_subscription_count():
            self._path_due = now + PATH_PERIOD_S
            self.path.publish(Path(header=header, poses=list(self._poses)))

    def _distance(self, pose: PoseStamped) -> float:
        """Give how far a pose lies from the last one of the path, metres."""
        old, new = self._poses[-1].pose.position, pose.pose.position
        return math.dist((old.x, old.y, old.z), (new.x, new.y, new.z))

    def publish_map_cloud(self, voxels: VoxelMap, stamp_ns: int) -> None:
        """
        Publish the map if somebody hears it and it is due; a new hearer need not wait.

        :param voxels: the map.
        :param stamp_ns: of the newest image in it.
        """
        node = self._settings().node
        if not self.map_cloud.take_turn(node.outputs.map_cloud_period):
            return
        cloud = voxels.points()
        stride = -(-len(cloud.points) // node.outputs.map_cloud_max_points) or 1
        header = messages.header(stamp_ns, node.map_frame)
        self.map_cloud.publish(
            messages.point_cloud(
                cloud.points[::stride], cloud.colors[::stride], cloud.confidence[::stride], header
            )
        )

    def publish_occupancy(self, grid: OccupancyGrid, stamp_ns: int) -> None:
        """
        Publish the plan of the floor if somebody hears it and it is due.

        :param grid: the plan.
        :param stamp_ns: of the newest image in it.
        """
        node = self._settings().node
        if self.occupancy is None or not self.occupancy.take_turn(node.outputs.occupancy_period):
            return
        if not len(grid):
            self._reporter.note(
                'no occupancy grid',
                'no occupancy grid yet: nothing near was seen, or the camera is alone and its '
                'camera.height is not given',
            )
            return
        if grid.overflowed:
            self._reporter.note(
                'occupancy grid full',
                'the occupancy grid has its largest size, occupancy.max_side: the side that the '
                'robot left is forgotten',
            )
        header = messages.header(stamp_ns, node.map_frame)
        self.occupancy.publish(messages.occupancy_grid(grid.occupancy(), header))

    def has_new_map_hearer(self) -> bool:
        """Tell whether somebody began to hear a map since it was published last."""
        return any(topic.has_newcomer() for topic in self._maps())

    def _maps(self) -> list[LatchedTopic]:
        return [topic for topic in (self.map_cloud, self.occupancy) if topic is not None]

    def _deviations(self) -> tuple[float, float]:
        node = self._settings().node
        return node.outputs.position_deviation, node.outputs.rotation_deviation
