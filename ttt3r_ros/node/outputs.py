# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The publishers of the node; what has no subscriber is not computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import threading
import time
from typing import Any

from geometry_msgs.msg import PoseWithCovarianceStamped, TwistWithCovariance
from nav_msgs.msg import Odometry, Path
import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle.publisher import LifecyclePublisher
from rclpy.qos import qos_policy_name_from_kind
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert
from ttt3r_ros.graph.located import LocatedCamera, LocatedFrame
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.mapping.occupancy import Occupancy, OccupancyGrid, UNKNOWN
from ttt3r_ros.node import interface, messages
from ttt3r_ros.node.clouds import CloudPublisher
from ttt3r_ros.node.diagnostics import Reporter
from ttt3r_ros.node.distributions import PublisherEventCallbacks
from ttt3r_ros.node.interface import Topic
from ttt3r_ros.node.latched_topic import LatchedTopic, MapAge
from ttt3r_ros.node.parameters import Settings
from ttt3r_ros.node.transforms import FrameTree
from ttt3r_ros.tracking.image_rotation import ImageRotation
from ttt3r_ros.units import NANOSECONDS

PATH_PERIOD_S = 1.0
LOOPS_PERIOD_S = 1.0


class Outputs:
    """
    Publish the results of images and the maps.

    Two threads publish poses, in the order of their stamps; the rest is the worker's alone.
    """

    def __init__(
        self,
        node: LifecycleNode,
        settings: Callable[[], Settings],
        frames: FrameTree,
        reporter: Reporter,
        on_error: Callable[[Exception], None],
        image_rotation: ImageRotation,
    ) -> None:
        """
        Make the publishers.

        :param node: has the publishers.
        :param settings: returns the present ones.
        :param frames: broadcasts the transforms that move with the robot.
        :param reporter: receives faults of subscribers and of the calibration.
        :param on_error: called with what went wrong in the thread of the clouds.
        :param image_rotation: of the pictures; what is published is in the frame of the images as
            they come.
        """
        self._node, self._settings = node, settings
        self._frames, self._reporter, self._image_rotation = frames, reporter, image_rotation
        self._publishers: list[LifecyclePublisher[Any]] = []
        self.points = self._make(interface.POINTS)
        self._clouds = CloudPublisher(
            LatchedTopic(self._make(interface.MAP_CLOUD)),
            LatchedTopic(self._make(interface.MAP_UPDATES)),
            on_error,
        )
        self.depth = self._make(interface.DEPTH)
        self.camera_info = self._make(interface.DEPTH_CALIBRATION)
        self.pose = self._make(interface.POSE)
        self.path = self._make(interface.PATH)
        self.occupancy = None
        if settings().mapping.occupancy.enabled:
            self.occupancy = LatchedTopic(self._make(interface.OCCUPANCY))
        self.odometry = None
        if settings().node.publish_odom_to_base_tf:
            self.odometry = self._make(interface.ODOMETRY)
        self.loop_closures = LatchedTopic(self._make(interface.LOOP_CLOSURES))
        self._shown: Occupancy | None = None  # to subscribers, at last
        self._in_order = threading.Lock()
        self._path = Path()
        self.restart()

    def _make(self, topic: Topic) -> LifecyclePublisher[Any]:
        qos = topic.profile(self._settings().node)

        def on_incompatible_qos(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            self._reporter.warn(
                f'incompatible QoS of {topic.name}',
                f'a subscriber of {publisher.topic_name} asks for another {policy} than it has: '
                f'{qos.reliability.name}, {qos.durability.name}; it receives nothing',
            )

        publisher = self._node.create_lifecycle_publisher(
            topic.kind,
            topic.name,
            qos,
            event_callbacks=PublisherEventCallbacks(incompatible_qos=on_incompatible_qos),
        )
        self._publishers.append(publisher)
        return publisher

    def close(self) -> None:
        """Destroy the publishers."""
        self._clouds.close()
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)

    def restart(self) -> None:
        """Make everything due that shows a map."""
        with self._in_order:
            self._last_odometry: tuple[int, Array] | None = None
            self._published_ns = 0  # stamp of the newest pose
        self._clouds.restart()
        for topic in (self.occupancy, self.loop_closures):
            if topic is not None:
                topic.restart()
        self._path_due, self._path_changes = 0.0, 0

    def publish_pose(self, located: LocatedCamera, base: str) -> bool:
        """
        Publish where one image was taken, with its stamp, unless it or a later one was already.

        :param located: result for the image.
        :param base: name of the robot's frame.
        :returns: whether it is published now.
        """
        with self._in_order:
            if located.stamp_ns <= self._published_ns:
                return False
            self._published_ns = located.stamp_ns
            located = self._as_mounted(located)
            self._broadcast(located, base)
            if located.in_map:
                self._publish_pose(located)
            self._publish_odometry(located, base)
        return True

    def publish_points(self, located: LocatedFrame, camera: str) -> None:
        """
        Publish what the network made of one image, with its stamp.

        :param located: result for the image.
        :param camera: name of the optical frame.
        """
        in_camera = messages.header(located.stamp_ns, camera)
        if self.points.get_subscription_count():
            self.points.publish(self._points(located, in_camera))
        if self.depth.get_subscription_count():
            depth = self._image_rotation.picture_back(located.pointmap.depth)
            self.depth.publish(messages.depth_image(depth, in_camera))
        if self.camera_info.get_subscription_count():
            tracked = located.tracked
            fitted = self._image_rotation.camera_back(tracked.fit.intrinsics(tracked.camera))
            self.camera_info.publish(messages.camera_info(fitted, in_camera))

    def _as_mounted(self, located: LocatedCamera) -> LocatedCamera:
        """Return an image of a camera alone with the frame of the images as its base."""
        if located.base_T_camera is not None or not self._image_rotation.degrees:
            return located
        return replace(
            located,
            base_T_camera=self._image_rotation.stored_T_upright,
            odom_T_base=located.odom_T_base @ self._image_rotation.upright_T_stored,
        )

    def _broadcast(self, located: LocatedCamera, base: str) -> None:
        """Send what moves with the robot; map to odom is sent by the timer of the node."""
        node, stamp_ns = self._settings().node, located.stamp_ns
        if node.publish_odom_to_base_tf:
            self._frames.send(node.odom_frame, base, located.odom_T_base, stamp_ns)
        elif located.in_map and not node.odom_frame and node.publish_map_to_odom_tf:
            self._frames.send(node.map_frame, base, located.map_T_base, stamp_ns)

    def _points(self, located: LocatedFrame, header: Header) -> PointCloud2:
        bounds = self._settings().mapping.map
        points = located.pointmap.subsampled(self._settings().node.outputs.points_stride)
        good = np.flatnonzero(points.reliable(bounds.confidence_threshold, bounds.max_range))
        # Rows of points are turned by the transpose: stored_T_upright.
        upright_T_stored = self._image_rotation.upright_T_stored[:3, :3].astype(np.float32)
        return messages.point_cloud(
            points.points_camera.reshape(-1, 3).take(good, axis=0) @ upright_T_stored,
            points.colors.reshape(-1, 3).take(good, axis=0),
            points.confidence.reshape(-1).take(good),
            header,
        )

    def _publish_pose(self, located: LocatedCamera) -> None:
        if self.pose.get_subscription_count():
            header = messages.header(located.stamp_ns, self._settings().node.map_frame)
            pose, covariance = located.map_T_base, located.base_covariance()
            self.pose.publish(
                PoseWithCovarianceStamped(
                    header=header, pose=messages.pose_with_covariance(pose, covariance)
                )
            )

    def _publish_odometry(self, located: LocatedCamera, base: str) -> None:
        if self.odometry is None:
            return
        stamp_ns, odom_T_base = located.stamp_ns, located.odom_T_base
        last, self._last_odometry = self._last_odometry, (stamp_ns, odom_T_base)
        if last is None or not self.odometry.get_subscription_count():
            return
        seconds = (stamp_ns - last[0]) / NANOSECONDS
        covariance = located.base_covariance()
        # Of the difference of two poses, in the axes of the robot.
        turned = np.kron(np.eye(2), located.map_T_base[:3, :3].T)
        moved = 2 / seconds**2 * turned @ covariance @ turned.T
        self.odometry.publish(
            Odometry(
                header=messages.header(stamp_ns, self._settings().node.odom_frame),
                child_frame_id=base,
                pose=messages.pose_with_covariance(odom_T_base, covariance),
                twist=TwistWithCovariance(
                    twist=messages.twist(invert(last[1]) @ odom_T_base, seconds),
                    covariance=messages.covariance(moved),
                ),
            )
        )

    def publish_maps(self, mapper: Mapper, stamp_ns: int, age: MapAge) -> None:
        """
        Publish what is due and has subscribers; a new subscriber need not wait.

        :param stamp_ns: of the newest image in the map, nanoseconds; 0 where the map is of no
            image of this session, so that it is stamped with the time of the clock.
        :param age: of the map.
        """
        stamp_ns = stamp_ns or self._node.get_clock().now().nanoseconds
        header = messages.header(stamp_ns, self._settings().node.map_frame)
        self._publish_path(mapper, header, age)
        self._publish_loop_closures(mapper, header, age)
        self._clouds.offer(mapper.map, header, age, self._settings().node.outputs)
        self._publish_occupancy(mapper.map.grid, header, age)

    def _publish_path(self, mapper: Mapper, header: Header, age: MapAge) -> None:
        now = time.monotonic()
        has_changed = age.settled and age.changes != self._path_changes
        if (has_changed or now >= self._path_due) and self.path.get_subscription_count():
            self._path_due, self._path_changes = now + PATH_PERIOD_S, age.changes
            path = mapper.path_of_base()
            if mapper.base_T_camera is None:
                path = replace(path, poses=path.poses @ self._image_rotation.upright_T_stored)
            messages.fill_path(self._path, path, header)
            self.path.publish(self._path)

    def _publish_loop_closures(self, mapper: Mapper, header: Header, age: MapAge) -> None:
        if self.loop_closures.take_turn(LOOPS_PERIOD_S, age):
            self.loop_closures.publish(messages.loop_closures(mapper.key_frames(), header))

    def _publish_occupancy(self, grid: OccupancyGrid, header: Header, age: MapAge) -> None:
        period = self._settings().node.outputs.occupancy_period
        if self.occupancy is None or not self.occupancy.take_turn(period, age):
            return
        if not len(grid) and self._shown is not None:
            # Nav2 keeps the last grid: what a reset deleted is unknown again.
            unknown = replace(self._shown, cells=np.full_like(self._shown.cells, UNKNOWN))
            self.occupancy.publish(messages.occupancy_grid(unknown, header))
            return
        if not len(grid):
            self._reporter.note(
                'no occupancy grid',
                'no occupancy grid yet: nothing near was seen, or the camera is alone, sees no '
                'floor, and camera.height is not set',
            )
            return
        if grid.overflowed:
            self._reporter.note(
                'occupancy grid full',
                'the occupancy grid has its largest size, occupancy.max_side: the side far from '
                'the robot is dropped',
            )
        self._shown = grid.occupancy()
        self.occupancy.publish(messages.occupancy_grid(self._shown, header))
