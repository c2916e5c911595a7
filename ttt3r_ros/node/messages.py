# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Messages to arrays and back; functions without state."""

from __future__ import annotations

import array
import io
import sys
from typing import Any, TYPE_CHECKING

from builtin_interfaces.msg import Time
import cv2
from cv_bridge import CvBridge
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseStamped,
    PoseWithCovariance,
    Quaternion,
    Transform,
    TransformStamped,
    Twist,
    Vector3,
)
from nav_msgs.msg import MapMetaData, OccupancyGrid, Path
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import ColorRGBA, Header
import tf_transformations
from visualization_msgs.msg import Marker, MarkerArray

from ttt3r_ros import intrinsics
from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.geometry import invert, quaternion_from_rotation
from ttt3r_ros.image_formats import (
    check_raw,
    FULL_RANGE,
    RAW_ENCODINGS,
    rgb_from_encoded,
    rgb_from_values,
    tight_rows,
    UnsupportedImage,
    ValueRange,
)
from ttt3r_ros.image_formats import (
    wide_values as encoded_values,
)
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.occupancy import Occupancy
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.units import NANOSECONDS

if TYPE_CHECKING:  # the recorder reads messages without loading torch
    from ttt3r_ros.graph.additions import KeyFrames

CLOUD_FIELDS = [
    PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
    for i, name in enumerate(('x', 'y', 'z', 'rgb', 'confidence'))
]
CLOUD_POINT = np.dtype([(field.name, np.float32) for field in CLOUD_FIELDS])

KEY_FRAME_COLOR = ColorRGBA(r=0.2, g=0.5, b=1.0, a=1.0)
LOOP_COLOR = ColorRGBA(r=1.0, g=0.3, b=0.1, a=1.0)

COMPRESSED_MAGIC = {'jpeg': b'\xff\xd8', 'png': b'\x89PNG'}

_bridge = CvBridge()


def nanoseconds(stamp: Time) -> int:
    """Return a stamp as nanoseconds."""
    return int(stamp.sec * NANOSECONDS + stamp.nanosec)


def time_message(stamp_ns: int) -> Time:
    """Return a stamp in nanoseconds as a message."""
    return Time(sec=stamp_ns // NANOSECONDS, nanosec=stamp_ns % NANOSECONDS)


def header(stamp_ns: int, frame: str) -> Header:
    """
    Write a header.

    :param stamp_ns: nanoseconds.
    :param frame: name of the frame.
    """
    return Header(stamp=time_message(stamp_ns), frame_id=frame)


def rgb_from_image(message: Image, value_range: ValueRange = FULL_RANGE) -> Pixels:
    """
    Decode a raw image.

    cv_bridge receives only what all its versions read correctly: checked images without odd
    padding, in the byte order of this machine.

    :param value_range: of 16 bit values.

    :returns: (H, W, 3) uint8.
    :raises UnsupportedImage: when the message is malformed or of an unknown encoding.
    """
    width, height, step, encoding = message.width, message.height, message.step, message.encoding
    check_raw(len(message.data), width, height, step, encoding)
    kind, channels, _ = RAW_ENCODINGS[encoding]
    bits, row_bytes = 8 * np.dtype(kind).itemsize, width * channels * np.dtype(kind).itemsize
    foreign = bits > 8 and bool(message.is_bigendian) != (sys.byteorder == 'big')
    if foreign or step != row_bytes:
        swapped = bool(message.is_bigendian)
        values = tight_rows(message.data, width, height, step, encoding, swapped)
        return rgb_from_values(values, encoding, value_range)
    plain = Image(
        width=width,
        height=height,
        step=step,
        encoding=f'{bits}UC{channels}',
        is_bigendian=int(sys.byteorder == 'big'),
    )
    plain.data = message.data  # the constructor would copy it
    return rgb_from_values(_bridge.imgmsg_to_cv2(plain), encoding, value_range)


def wide_values(message: Image | CompressedImage) -> NDArray[np.unsignedinteger[Any]] | None:
    """
    Return the values of an image of 16 bits, or None for any other.

    :raises UnsupportedImage: when the message is malformed.
    """
    if isinstance(message, CompressedImage):
        data = bytes(message.data)
        is_png = data.startswith(COMPRESSED_MAGIC['png'])
        return encoded_values(io.BytesIO(data)) if is_png else None
    if message.encoding not in RAW_ENCODINGS or RAW_ENCODINGS[message.encoding][0] is np.uint8:
        return None
    shape = message.width, message.height, message.step, message.encoding
    check_raw(len(message.data), *shape)
    return tight_rows(message.data, *shape, bool(message.is_bigendian))


def rgb_from_compressed(message: CompressedImage, value_range: ValueRange = FULL_RANGE) -> Pixels:
    """
    Decode a compressed image; its size is checked before its pixels are touched.

    :param value_range: of 16 bit values.
    :returns: (H, W, 3) uint8.
    :raises UnsupportedImage: when it is no valid JPEG or PNG.
    """
    data = bytes(message.data)
    if not data.startswith(tuple(COMPRESSED_MAGIC.values())):
        raise UnsupportedImage(
            f'{len(data)} bytes with the format {message.format!r} are neither JPEG nor PNG'
        )
    return rgb_from_encoded(io.BytesIO(data), value_range)


def intrinsics_from(
    message: CameraInfo, width: int = 0, height: int = 0, rectified: bool = False
) -> CameraIntrinsics:
    """
    Read a calibration; binning and region of interest are applied.

    :param width: of its images, pixels; used where the message has the size 0x0.
    :param height: of its images, pixels.
    :param rectified: whether they are without distortion, so that P counts.
    :raises CalibrationError: when it is empty or of an unknown model.
    """
    info = intrinsics.CameraInfo.of_message(message, rectified)
    return info.sized(width, height).intrinsics()


def point_cloud(
    points: Array32,
    colors: Pixels,
    confidence: Array32,
    header: Header,
) -> PointCloud2:
    """
    Return a cloud with float32 x y z, packed rgb and confidence.

    :param points: (N, 3), finite, metres, in the frame of the header.
    :param colors: (N, 3) uint8.
    :param confidence: (N,) of each point, 1 or more.
    """
    records = np.empty(len(points), CLOUD_POINT)
    for name, column in zip('xyz', points.T):
        records[name] = column
    records['rgb'] = packed_colors(colors)
    records['confidence'] = confidence
    cloud = point_cloud2.create_cloud(header, CLOUD_FIELDS, records)
    cloud.is_dense = True
    return cloud


def packed_colors(colors: Pixels) -> Array32:
    """
    Return colours as the field rgb of a cloud has them.

    :param colors: (N, 3) uint8.
    :returns: (N,) float32 of which the bits count.
    """
    red, green, blue = colors.T.astype(np.uint32)
    packed: Array32 = (red << 16 | green << 8 | blue).view(np.float32)
    return packed


def voxel_cloud(message: PointCloud2) -> VoxelCloud:
    """
    Read a cloud that `point_cloud` made.

    :raises AssertionError: when it lacks a field.
    """
    records = point_cloud2.read_points(message, [field.name for field in CLOUD_FIELDS])
    packed = np.ascontiguousarray(records['rgb']).view(np.uint32)
    return VoxelCloud(
        np.stack([records[name] for name in 'xyz'], axis=1),
        np.stack([packed >> 16, packed >> 8, packed], axis=1).astype(np.uint8),
        np.ascontiguousarray(records['confidence']),
    )


def occupancy_grid(occupancy: Occupancy, header: Header) -> OccupancyGrid:
    """
    Return a grid of free, occupied and unknown cells.

    :param occupancy: in the frame of the header.
    """
    rows, columns = occupancy.cells.shape
    info = MapMetaData(
        map_load_time=header.stamp,
        resolution=occupancy.resolution,
        width=columns,
        height=rows,
        origin=Pose(position=Point(x=occupancy.x, y=occupancy.y)),
    )
    message = OccupancyGrid(header=header, info=info)
    message.data = array.array('b', occupancy.cells.tobytes())
    return message


def occupancy_from(message: OccupancyGrid) -> Occupancy:
    """
    Read a grid that `occupancy_grid` made.

    :raises ValueError: when the number of cells is not width times height.
    """
    info = message.info
    cells = np.array(message.data, np.int8).reshape(info.height, info.width)
    # As a float32 it is 0.05000000074505806.
    resolution = round(info.resolution, 6)
    return Occupancy(cells, resolution, info.origin.position.x, info.origin.position.y)


def depth_image(depth: Array32, header: Header) -> Image:
    """
    Return a 32FC1 image.

    :param depth: (H, W) float32, metres along z.
    """
    return _bridge.cv2_to_imgmsg(np.ascontiguousarray(depth), '32FC1', header)


def rgb_image(rgb: Pixels, header: Header) -> Image:
    """
    Return an rgb8 image.

    :param rgb: (H, W, 3) uint8.
    """
    return _bridge.cv2_to_imgmsg(np.ascontiguousarray(rgb), 'rgb8', header)


def jpeg_image(rgb: Pixels, header: Header, quality: int) -> CompressedImage:
    """
    Return a JPEG image.

    :param rgb: (H, W, 3) uint8.
    :param quality: 1 to 100.
    """
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, encoded = cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), parameters)
    data = array.array('B', encoded.tobytes())
    return CompressedImage(header=header, format='rgb8; jpeg compressed bgr8', data=data)


def camera_info(camera: CameraIntrinsics, header: Header) -> CameraInfo:
    """Return a calibration as a message."""
    fx, fy, cx, cy = camera.fx, camera.fy, camera.cx, camera.cy
    model, coefficients = camera.distortion_model, camera.distortion
    if model == 'none':
        model, coefficients = 'plumb_bob', (0.0,) * 5
    return CameraInfo(
        header=header,
        width=camera.width,
        height=camera.height,
        distortion_model=model,
        d=list(coefficients),
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def matrix_from_pose(pose: Pose) -> Array:
    """
    Return a_T_b of the pose of b in a.

    :returns: (4, 4), metres.
    :raises ValueError: when it is not finite or its quaternion is zero.
    """
    return _matrix(pose.position, pose.orientation)


def matrix_from_transform(message: Transform) -> Array:
    """
    Return a transform as a matrix.

    :returns: (4, 4), metres.
    :raises ValueError: when it is not finite or its quaternion is zero.
    """
    return _matrix(message.translation, message.rotation)


def _matrix(position: Point | Vector3, rotation: Quaternion) -> Array:
    place = np.array([position.x, position.y, position.z])
    quaternion = np.array([rotation.x, rotation.y, rotation.z, rotation.w])
    if not (np.isfinite(place).all() and np.isfinite(quaternion).all() and quaternion.any()):
        raise ValueError('a pose is not finite, or its quaternion is zero')
    matrix: Array = tf_transformations.quaternion_matrix(quaternion)
    matrix[:3, 3] = place
    return matrix


def _quaternion(a_T_b: Array) -> Quaternion:
    x, y, z, w = (float(value) for value in tf_transformations.quaternion_from_matrix(a_T_b))
    return Quaternion(x=x, y=y, z=z, w=w)


def pose_message(a_T_b: Array) -> Pose:
    """
    Return a transform as the pose of b in a.

    :param a_T_b: (4, 4), metres.
    """
    x, y, z = (float(value) for value in a_T_b[:3, 3])
    return Pose(position=Point(x=x, y=y, z=z), orientation=_quaternion(a_T_b))


def fill_path(message: Path, path: Trajectory, header: Header) -> None:
    """
    Write a path into a message; its poses are used again, which costs a tenth of new ones.

    :param path: poses in the frame of the header.
    """
    message.header = header
    count = len(path.stamps_ns)
    del message.poses[count:]
    while len(message.poses) < count:
        message.poses.append(PoseStamped(header=Header(frame_id=header.frame_id)))
    seconds, rest = (part.tolist() for part in np.divmod(path.stamps_ns, NANOSECONDS))
    places = path.poses[:, :3, 3].tolist()
    turns = quaternion_from_rotation(path.poses[:, :3, :3]).tolist()
    for one, second, nanosecond, (x, y, z), turn in zip(
        message.poses, seconds, rest, places, turns
    ):
        stamp, point, q = one.header.stamp, one.pose.position, one.pose.orientation
        stamp.sec, stamp.nanosec = second, nanosecond
        point.x, point.y, point.z = x, y, z
        q.x, q.y, q.z, q.w = turn


def loop_closures(key_frames: KeyFrames, header: Header) -> MarkerArray:
    """
    Return key frames as points, the way between them as a line, and loops as lines.

    :param key_frames: in the frame of the header.
    """
    places = {
        number: Point(**dict(zip('xyz', pose[:3, 3].tolist())))
        for number, pose in key_frames.map_T_camera.items()
    }
    in_order = [places[number] for number in sorted(places)]
    loops = [places[number] for pair in key_frames.loops for number in pair]
    kinds = [
        ('key frames', Marker.POINTS, in_order, KEY_FRAME_COLOR, 0.08),
        ('way', Marker.LINE_STRIP, in_order if len(in_order) > 1 else [], KEY_FRAME_COLOR, 0.02),
        ('loops', Marker.LINE_LIST, loops, LOOP_COLOR, 0.03),
    ]
    markers = [
        Marker(
            header=header,
            ns=name,
            type=kind,
            # RViz refuses lines without points.
            action=Marker.ADD if points else Marker.DELETE,
            scale=Vector3(x=size, y=size, z=size),
            color=color,
            points=points,
        )
        for name, kind, points, color, size in kinds
    ]
    return MarkerArray(markers=markers)


def transform_message(a_T_b: Array, a: str, b: str, stamp_ns: int) -> TransformStamped:
    """
    Return a transform for TF.

    :param a_T_b: (4, 4), metres.
    :param a: name of the parent frame.
    :param b: name of the child frame.
    :param stamp_ns: nanoseconds.
    """
    x, y, z = (float(value) for value in a_T_b[:3, 3])
    return TransformStamped(
        header=header(stamp_ns, a),
        child_frame_id=b,
        transform=Transform(translation=Vector3(x=x, y=y, z=z), rotation=_quaternion(a_T_b)),
    )


def pose_with_covariance(a_T_b: Array, rotation_first: Array) -> PoseWithCovariance:
    """
    Return a pose and its uncertainty.

    :param a_T_b: (4, 4), metres.
    :param rotation_first: (6, 6) of rotation and translation along the axes of a.
    """
    return PoseWithCovariance(pose=pose_message(a_T_b), covariance=covariance(rotation_first))


def covariance(rotation_first: Array) -> Array:
    """
    Return a covariance in the order of ROS, (36,): translation, then rotation.

    :param rotation_first: (6, 6) of rotation and translation.
    """
    order = [3, 4, 5, 0, 1, 2]
    return rotation_first[np.ix_(order, order)].reshape(-1)


def twist(old_T_new: Array, seconds: float) -> Twist:
    """
    Return the velocity of a body between two moments, in its own axes.

    :param old_T_new: (4, 4), metres: the body at the new moment, in its frame at the old one.
    :param seconds: between them, > 0.
    """
    x, y, z, w = tf_transformations.quaternion_from_matrix(old_T_new)
    sine = float(np.linalg.norm([x, y, z]))
    angle = 2.0 * np.arctan2(np.copysign(sine, w), abs(w))
    angular = angle / seconds * np.array([x, y, z]) / max(sine, 1e-12)
    linear = -invert(old_T_new)[:3, 3] / seconds
    return Twist(
        linear=Vector3(**dict(zip('xyz', map(float, linear)))),
        angular=Vector3(**dict(zip('xyz', map(float, angular)))),
    )
