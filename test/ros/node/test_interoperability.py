# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The node talks with an implementation of DDS that shares no code with its own."""

from dataclasses import dataclass, fields

from cyclonedds.core import Policy, Qos
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.idl import IdlStruct, types
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration
import numpy as np
import pytest

from ttt3r_ros.intrinsics import CameraIntrinsics

CAMERA = 'camera_optical_frame'
WIDTH, HEIGHT = 64, 48

# Over the loopback, as ROS 2 is told to; 1.15 is eProsima, whose descriptions of types Cyclone
# cannot read: it goes by the names of the types instead.
CONFIGURATION = """
<CycloneDDS><Domain id="any">
  <General>
    <Interfaces><NetworkInterface name="lo" multicast="false"/></Interfaces>
    <AllowMulticast>false</AllowMulticast>
  </General>
  <Discovery>
    <ParticipantIndex>auto</ParticipantIndex>
    <MaxAutoParticipantIndex>32</MaxAutoParticipantIndex>
    <Peers><Peer address="127.0.0.1"/></Peers>
  </Discovery>
  <Compatibility><IgnoreTypeInformation>1.15</IgnoreTypeInformation></Compatibility>
</Domain></CycloneDDS>
"""


@dataclass
class Time(IdlStruct, typename='builtin_interfaces::msg::dds_::Time_'):
    sec: types.int32
    nanosec: types.uint32


@dataclass
class Header(IdlStruct, typename='std_msgs::msg::dds_::Header_'):
    stamp: Time
    frame_id: str


@dataclass
class Image(IdlStruct, typename='sensor_msgs::msg::dds_::Image_'):
    header: Header
    height: types.uint32
    width: types.uint32
    encoding: str
    is_bigendian: types.uint8
    step: types.uint32
    data: types.sequence[types.uint8]


@dataclass
class PointField(IdlStruct, typename='sensor_msgs::msg::dds_::PointField_'):
    name: str
    offset: types.uint32
    datatype: types.uint8
    count: types.uint32


@dataclass
class PointCloud2(IdlStruct, typename='sensor_msgs::msg::dds_::PointCloud2_'):
    header: Header
    height: types.uint32
    width: types.uint32
    fields: types.sequence[PointField]
    is_bigendian: bool
    point_step: types.uint32
    row_step: types.uint32
    data: types.sequence[types.uint8]
    is_dense: bool


@dataclass
class Vector3(IdlStruct, typename='geometry_msgs::msg::dds_::Vector3_'):
    x: types.float64
    y: types.float64
    z: types.float64


@dataclass
class Quaternion(IdlStruct, typename='geometry_msgs::msg::dds_::Quaternion_'):
    x: types.float64
    y: types.float64
    z: types.float64
    w: types.float64


@dataclass
class Transform(IdlStruct, typename='geometry_msgs::msg::dds_::Transform_'):
    translation: Vector3
    rotation: Quaternion


@dataclass
class TransformStamped(IdlStruct, typename='geometry_msgs::msg::dds_::TransformStamped_'):
    header: Header
    child_frame_id: str
    transform: Transform


@dataclass
class TFMessage(IdlStruct, typename='tf2_msgs::msg::dds_::TFMessage_'):
    transforms: types.sequence[TransformStamped]


class CyclonePeer:
    """A camera, and ears for clouds and transforms, that know no ROS."""

    def __init__(self, domain):
        self._domain = Domain(domain, CONFIGURATION)
        self._participant = DomainParticipant(domain)
        best_effort = Qos(Policy.Reliability.BestEffort, Policy.History.KeepLast(5))
        reliable = Qos(
            Policy.Reliability.Reliable(duration(seconds=1)), Policy.History.KeepLast(100)
        )
        self._images = DataWriter(
            self._participant, Topic(self._participant, 'rt/image', Image), qos=reliable
        )
        self._clouds = self._reader('rt/ttt3r/points', PointCloud2, best_effort)
        self._transforms = self._reader('rt/tf', TFMessage, reliable)
        self.clouds, self.transforms = {}, {}

    def _reader(self, name, kind, qos):
        return DataReader(self._participant, Topic(self._participant, name, kind), qos=qos)

    def show(self, picture, stamp_ns):
        stamp = Time(*divmod(stamp_ns, 1_000_000_000))
        pixels = picture.tobytes()
        header = Header(stamp, CAMERA)
        self._images.write(Image(header, HEIGHT, WIDTH, 'rgb8', 0, 3 * WIDTH, pixels))

    def listen(self):
        """Sort what has come by its stamps."""
        for cloud in self._clouds.take(100):
            self.clouds[stamp_of(cloud)] = cloud
        for message in self._transforms.take(100):
            for transform in message.transforms:
                self.transforms[stamp_of(transform)] = transform


def stamp_of(message):
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


def values(struct):
    return [getattr(struct, field.name) for field in fields(struct)]


@pytest.mark.smoke
def test_cyclone_shows_images_and_hears_the_points_and_the_pose_of_each(rig, domain):
    rig.start(odom_frame='', base_frame='', **{'outputs.points_stride': 1})
    peer = CyclonePeer(domain)
    shown = {}

    def complete():
        """Return whether an image but the first one came back as a cloud and as a transform."""
        number, stamp_ns = len(shown), rig.now_ns()
        shown[stamp_ns] = number
        peer.show(rig.picture(number), stamp_ns)
        rig.spin_for(0.1)
        peer.listen()
        return [
            stamp
            for stamp in peer.clouds.keys() & peer.transforms.keys()
            if shown[stamp] > rig.predictor.seen[0]
        ]

    stamp = rig.spin_until(complete, 'points and pose of an image come back to Cyclone')[0]

    cloud, transform = peer.clouds[stamp], peer.transforms[stamp]
    assert cloud.header.frame_id == transform.child_frame_id == CAMERA
    assert (cloud.height, cloud.width, cloud.point_step) == (1, WIDTH * HEIGHT, 20)
    assert [values(field) for field in cloud.fields] == [
        [name, 4 * i, 7, 1] for i, name in enumerate(['x', 'y', 'z', 'rgb', 'confidence'])
    ]
    points = np.frombuffer(bytes(cloud.data), np.float32).reshape(-1, 5)[:, :3]
    wall = 2.0 * CameraIntrinsics.from_field_of_view(WIDTH, HEIGHT, 60.0).rays().reshape(-1, 3)
    np.testing.assert_allclose(points, wall, atol=1e-6)

    # A decimetre ahead for every image, upright: REP 103.
    ahead = 0.1 * (shown[stamp] - rig.predictor.seen[0])
    assert transform.header.frame_id == 'map'
    np.testing.assert_allclose(values(transform.transform.translation), [ahead, 0, 0], atol=1e-6)
    rotation = np.array(values(transform.transform.rotation))
    np.testing.assert_allclose(rotation / -rotation[0], [-1, 1, -1, 1], atol=1e-6)
