# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Writes the topics of a robot with one camera into a rosbag2, without ROS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import sqlite3
from types import TracebackType
from typing import Any

import numpy as np
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores

from ttt3r_ros.arrays import Array, Pixels
from ttt3r_ros.atomic import OutputError
from ttt3r_ros.geometry import quaternion_from_rotation
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.units import NANOSECONDS

ODOM, BASE, CAMERA = 'odom', 'base_link', 'camera_optical_frame'
STORAGES = {'sqlite3': StoragePlugin.SQLITE3, 'mcap': StoragePlugin.MCAP}
POSE_VARIANCE = 0.01
FOREVER = QosTime(2147483647, 4294967295)


class BagFile:
    """A bag with /camera/image_raw, /camera/camera_info, /odom, /tf and /tf_static."""

    def __init__(
        self, folder: Path, storage: str, intrinsics: CameraIntrinsics, base_T_camera: Array
    ) -> None:
        """
        Construct the bag; it is open within a `with` block.

        :param folder: created by the block, must not exist.
        :param storage: one of STORAGES.
        :param intrinsics: of all images.
        :param base_T_camera: (4, 4), metres.
        :raises OutputError: when the storage cannot be in a folder of this name.
        """
        if storage == 'sqlite3' and any(letter in str(folder.absolute()) for letter in '#?%'):
            raise OutputError(
                f'a bag in sqlite3 cannot be written to {folder}: choose a folder without # ? %, '
                'or --storage mcap'
            )
        self._folder = folder
        self._types = get_typestore(Stores.ROS2_HUMBLE)
        self._writer = Writer(folder, version=8, storage_plugin=STORAGES[storage])
        self._intrinsics = intrinsics
        self._base_T_camera = base_T_camera
        self._connections: dict[str, Any] = {}

    def __enter__(self) -> BagFile:
        """Open the bag."""
        with self._errors_named():
            self._writer.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the bag."""
        with self._errors_named():
            self._writer.close()

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        """Turn what a disk refuses into one line for the user."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise OutputError(f'cannot write the bag {self._folder}: {error}') from error

    def write(self, stamp_ns: int, rgb: Pixels, odom_T_base: Array, velocity: Array) -> None:
        """
        Write all messages of one time step.

        :param stamp_ns: nanoseconds.
        :param rgb: (H, W, 3) uint8.
        :param odom_T_base: (4, 4) measured pose, metres.
        :param velocity: (6,) measured twist in the base frame, metres and radians per second.
        :raises OutputError: when the disk refuses them.
        """
        if not self._connections:
            static = self._transform(stamp_ns, BASE, CAMERA, self._base_T_camera)
            self._put('/tf_static', stamp_ns, 'tf2_msgs/msg/TFMessage', transforms=[static])
        moved = self._transform(stamp_ns, ODOM, BASE, odom_T_base)
        self._put('/tf', stamp_ns, 'tf2_msgs/msg/TFMessage', transforms=[moved])
        self._put_odometry(stamp_ns, odom_T_base, velocity)
        self._put_camera_info(stamp_ns)
        height, width, _ = rgb.shape
        self._put(
            '/camera/image_raw',
            stamp_ns,
            'sensor_msgs/msg/Image',
            header=self._header(stamp_ns, CAMERA),
            height=height,
            width=width,
            encoding='rgb8',
            is_bigendian=0,
            step=3 * width,
            data=np.ascontiguousarray(rgb).reshape(-1),
        )

    def _put_odometry(self, stamp_ns: int, odom_T_base: Array, velocity: Array) -> None:
        covariance = (POSE_VARIANCE * np.eye(6)).reshape(-1)
        translation, rotation = self._position(odom_T_base)
        pose = self._make('geometry_msgs/msg/Pose', position=translation, orientation=rotation)
        linear, angular = (self._vector(velocity[k : k + 3]) for k in (0, 3))
        twist = self._make('geometry_msgs/msg/Twist', linear=linear, angular=angular)
        self._put(
            '/odom',
            stamp_ns,
            'nav_msgs/msg/Odometry',
            header=self._header(stamp_ns, ODOM),
            child_frame_id=BASE,
            pose=self._make(
                'geometry_msgs/msg/PoseWithCovariance', pose=pose, covariance=covariance
            ),
            twist=self._make(
                'geometry_msgs/msg/TwistWithCovariance', twist=twist, covariance=covariance
            ),
        )

    def _put_camera_info(self, stamp_ns: int) -> None:
        camera = self._intrinsics
        projection = np.hstack([camera.matrix, np.zeros((3, 1))])
        everything = self._make(
            'sensor_msgs/msg/RegionOfInterest',
            x_offset=0,
            y_offset=0,
            height=0,
            width=0,
            do_rectify=False,
        )
        self._put(
            '/camera/camera_info',
            stamp_ns,
            'sensor_msgs/msg/CameraInfo',
            header=self._header(stamp_ns, CAMERA),
            height=camera.height,
            width=camera.width,
            distortion_model='plumb_bob',
            d=np.zeros(5),
            k=camera.matrix.reshape(-1),
            r=np.eye(3).reshape(-1),
            p=projection.reshape(-1),
            binning_x=0,
            binning_y=0,
            roi=everything,
        )

    def _put(self, topic: str, stamp_ns: int, kind: str, **fields: Any) -> None:
        """Serialise a message and write it."""
        if topic not in self._connections:
            static = topic == '/tf_static'
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self._types, offered_qos_profiles=[_quality(static)]
            )
        message = self._make(kind, **fields)
        with self._errors_named():
            self._writer.write(
                self._connections[topic], stamp_ns, self._types.serialize_cdr(message, kind)
            )

    def _make(self, kind: str, **fields: Any) -> Any:
        return self._types.types[kind](**fields)

    def _header(self, stamp_ns: int, frame: str) -> Any:
        seconds, rest = divmod(stamp_ns, NANOSECONDS)
        stamp = self._make('builtin_interfaces/msg/Time', sec=seconds, nanosec=rest)
        return self._make('std_msgs/msg/Header', stamp=stamp, frame_id=frame)

    def _vector(self, xyz: Array) -> Any:
        x, y, z = (float(value) for value in xyz)
        return self._make('geometry_msgs/msg/Vector3', x=x, y=y, z=z)

    def _position(self, pose: Array) -> tuple[Any, Any]:
        """Return the Point and the Quaternion of a pose."""
        x, y, z = (float(value) for value in pose[:3, 3])
        qx, qy, qz, qw = (float(value) for value in quaternion_from_rotation(pose[:3, :3]))
        point = self._make('geometry_msgs/msg/Point', x=x, y=y, z=z)
        return point, self._make('geometry_msgs/msg/Quaternion', x=qx, y=qy, z=qz, w=qw)

    def _transform(self, stamp_ns: int, parent: str, child: str, pose: Array) -> Any:
        moved = self._make(
            'geometry_msgs/msg/Transform',
            translation=self._vector(pose[:3, 3]),
            rotation=self._position(pose)[1],
        )
        return self._make(
            'geometry_msgs/msg/TransformStamped',
            header=self._header(stamp_ns, parent),
            child_frame_id=child,
            transform=moved,
        )


def _quality(static: bool) -> Qos:
    """Return reliable QoS; transient local for static transforms, for late subscribers."""
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if static else 10,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if static else QosDurability.VOLATILE,
        deadline=FOREVER,
        lifespan=FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=FOREVER,
        avoid_ros_namespace_conventions=False,
    )
