# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The scene of what a mapping node publishes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import math
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Path
import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.geometry import transform_points
from ttt3r_ros.image_formats import UnsupportedImage
from ttt3r_ros.node import messages
from ttt3r_ros.node.interface import DiagnosticKey
from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.units import NANOSECONDS
from ttt3r_ros.viewer.colors import depth_picture
from ttt3r_ros.viewer.first_seen import FirstSeen
from ttt3r_ros.viewer.kept_views import KeptViews
from ttt3r_ros.viewer.scene import Cloud, KeyPlaces, Scene, truth_in_map, View
from ttt3r_ros.viewer.thumbnails import middle_of, small

# Images that wait for their depth; later ones than it have come meanwhile.
MOST_IMAGES = 16

FOV = math.radians(60)  # where no calibration has come

# Values of the diagnostics that are shown, by their names for the user.
SHOWN = {
    'images mapped': DiagnosticKey.MAPPED,
    'images per second': DiagnosticKey.MAP_RATE,
    'latency (s)': DiagnosticKey.LATENCY_MEDIAN,
    'key frames': DiagnosticKey.KEY_FRAMES,
    'loops': DiagnosticKey.LOOPS,
}

LookUp = Callable[[str, str, int], Array | None]


class NodeScenes:
    """
    Turns the newest messages into scenes; what has not changed is not converted again.

    `put` is for the thread of the subscriptions, `scene` for that of the viewer.
    """

    def __init__(self, look_up: LookUp, voxel_size: float) -> None:
        """
        Begin with no message.

        :param look_up: returns a_T_b, (4, 4), of two frames at a stamp, or None.
        :param voxel_size: of the map, metres.
        """
        self._look_up, self._voxel_size = look_up, voxel_size
        self._newest: dict[str, Any] = {}
        self._images: dict[int, Image | CompressedImage] = {}
        self._converted: dict[str, tuple[Any, Any]] = {}
        self._first_seen, self._views = FirstSeen(voxel_size), KeptViews()
        self._shown: View | None = None  # the newest image with a pose

    def put(self, topic: str, message: Any) -> None:
        """
        Take the newest message of a topic.

        :param topic: its name, see `scene`.
        """
        self._newest[topic] = message
        if topic == 'image':
            self._images[messages.nanoseconds(message.header.stamp)] = message
            while len(self._images) > MOST_IMAGES:
                del self._images[next(iter(self._images))]

    def scene(self) -> Scene:
        """Return what the newest messages show."""
        path = self._of('path', trajectory, Trajectory(np.empty(0, np.int64), np.empty((0, 4, 4))))
        newest = self._view()
        if newest is not None:
            self._views.add(newest, path)
        scene = Scene(voxel_size=self._voxel_size, path=path)
        return replace(
            scene,
            path=self._with_newest_pose(path),
            cloud=self._of('map_cloud', lambda message: self._cloud(message, path), scene.cloud),
            truth=self._of('ground_truth', lambda truth: truth_in_map(path, truth), None),
            keys=self._of('loop_closures', key_places, None),
            views=self._views.along(path),
            newest=newest,
            fresh=self._of('points', self._fresh, None),
            floor=self._of('map', messages.occupancy_from, None),
            status=self._of('diagnostics', status_values, {'state': 'no diagnostics yet'}),
        )

    def _pose_of(self, header: Header) -> Array | None:
        """Return map_T_frame of the frame of a message, in the frame that the map names."""
        named = self._newest.get('pose') or self._newest.get('map_cloud')
        if named is None:
            return None
        stamp_ns = messages.nanoseconds(header.stamp)
        return self._look_up(named.header.frame_id, header.frame_id, stamp_ns)

    def _of(self, topic: str, convert: Callable[[Any], Any], otherwise: Any) -> Any:
        message = self._newest.get(topic)
        return otherwise if message is None else self._once(topic, message, convert)

    def _once(self, topic: str, message: Any, convert: Callable[[Any], Any]) -> Any:
        """Convert a message, unless that was the last one of its topic."""
        if topic not in self._converted or self._converted[topic][0] is not message:
            self._converted[topic] = message, convert(message)
        return self._converted[topic][1]

    def _with_newest_pose(self, path: Trajectory) -> Trajectory:
        """Return a path that leads to the newest pose, which comes more often."""
        message = self._newest.get('pose')
        if message is None:
            return path
        stamp_ns = messages.nanoseconds(message.header.stamp)
        if not len(path.stamps_ns) or stamp_ns <= path.stamps_ns[-1]:
            return path
        pose = messages.matrix_from_pose(message.pose.pose)
        return Trajectory(
            np.append(path.stamps_ns, stamp_ns), np.concatenate([path.poses, pose[None]])
        )

    def _cloud(self, message: PointCloud2, path: Trajectory) -> Cloud:
        voxels = messages.voxel_cloud(message)
        began = int(path.stamps_ns[0]) if len(path.stamps_ns) else 0
        seconds = (messages.nanoseconds(message.header.stamp) - began) / NANOSECONDS
        seen = self._first_seen.of(voxels.points, seconds if began else 0.0)
        return Cloud(voxels.points, voxels.colors, voxels.confidence, seen)

    def _fresh(self, message: PointCloud2) -> Cloud | None:
        voxels = messages.voxel_cloud(message)
        pose = self._pose_of(message.header)
        if pose is None:
            return None
        points = transform_points(pose, voxels.points).astype(np.float32)
        return Cloud(points, voxels.colors, voxels.confidence)

    def _view(self) -> View | None:
        message = self._newest.get('depth')
        if message is None:
            return None
        pose = self._pose_of(message.header)
        if pose is None:  # TF comes a little later; until then the image before is shown
            return self._shown
        depth = self._of('depth', depth_of, None)
        fov = self._of('camera_info', fov_of, FOV)
        stamp_ns = messages.nanoseconds(message.header.stamp)
        rgb = self._rgb_near(message.header)
        # The network sees the middle of an image, in which both sides are multiples of its patch.
        rgb = depth_picture(depth) if rgb is None else middle_of(rgb, depth.shape)
        self._shown = View(stamp_ns, pose, rgb, depth, fov)
        return self._shown

    def _rgb_near(self, header: Header) -> Pixels | None:
        """Return the image of a depth; where that was lost on the way, the one nearest to it."""
        stamp_ns = messages.nanoseconds(header.stamp)
        kept = list(self._images.items())  # the other thread changes them
        # Depth comes from all cameras of a robot, images from one.
        of_camera = [each for each in kept if each[1].header.frame_id == header.frame_id]
        if not of_camera:
            return None
        _, nearest = min(of_camera, key=lambda each: abs(each[0] - stamp_ns))
        rgb: Pixels | None = self._once('image', nearest, rgb_of)
        return rgb


def trajectory(message: Path) -> Trajectory:
    """Return a path as poses over time."""
    stamps = [messages.nanoseconds(pose.header.stamp) for pose in message.poses]
    poses = [messages.matrix_from_pose(pose.pose) for pose in message.poses]
    return Trajectory(np.array(stamps, np.int64), np.array(poses).reshape(-1, 4, 4))


def key_places(message: MarkerArray) -> KeyPlaces:
    """Return the key frames and loops of the markers of a mapping node."""
    points = {
        marker.ns: np.array([(p.x, p.y, p.z) for p in marker.points], np.float32)
        for marker in message.markers
    }
    return KeyPlaces(
        points.get('key frames', np.empty(0, np.float32)).reshape(-1, 3),
        points.get('loops', np.empty(0, np.float32)).reshape(-1, 2, 3),
    )


def status_values(status: DiagnosticStatus) -> dict[str, str]:
    """Return what is shown of the diagnostics of a mapping node."""
    values = {value.key: value.value for value in status.values}
    found = {name: values[key.text] for name, key in SHOWN.items() if values.get(key.text)}
    return {'state': status.message, **found}


def depth_of(message: Image) -> Array32:
    """Return a small picture of depth, metres, of a 32FC1 image."""
    depth = np.frombuffer(message.data, np.float32).reshape(message.height, message.width)
    return small(depth)


def rgb_of(message: Image | CompressedImage) -> Pixels | None:
    """Return a small picture of an image, None where it cannot be decoded."""
    is_raw = isinstance(message, Image)
    decode = messages.rgb_from_image if is_raw else messages.rgb_from_compressed
    try:
        return small(decode(message))
    except UnsupportedImage:
        return None


def fov_of(message: CameraInfo) -> float:
    """Return the vertical field of view of a calibration, radians."""
    return 2.0 * math.atan(0.5 * message.height / message.k[4]) if message.k[4] else FOV
