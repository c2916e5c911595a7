# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The subscriptions of the node to images and their calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ttt3r_ros.arrays import Pixels
from ttt3r_ros.image_formats import FULL_RANGE, ValueRange
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics, is_same_shape
from ttt3r_ros.node import interface, messages
from ttt3r_ros.node.cameras import NamedCamera
from ttt3r_ros.node.diagnostics import Health, Reporter
from ttt3r_ros.node.distributions import SubscriptionEventCallbacks
from ttt3r_ros.node.interface import Cause, Topic
from ttt3r_ros.node.stamps import StampGate, Verdict
from ttt3r_ros.settings import NodeSettings
from ttt3r_ros.units import NANOSECONDS

# So long the first images are dropped while a publisher of their calibration has sent none.
CAMERA_INFO_WAIT_S = 2.0


@dataclass(frozen=True, eq=False)
class ReceivedImage:
    """
    An image as it arrived.

    message: not decoded yet. stamp_ns: the one to use. info: the newest calibration, or None.
    arrived: monotonic seconds. base_frame, camera_frame: names of the robot's frame and of the
    optical one; the same for a camera alone. rectified: whether it is without distortion.
    camera_index: of the camera on the robot.
    """

    message: Image | CompressedImage
    stamp_ns: int
    info: CameraInfo | None
    arrived: float
    base_frame: str
    camera_frame: str
    rectified: bool = False
    camera_index: int = 0

    @property
    def frame_id(self) -> str:
        """Return the name of the optical frame in the message."""
        return str(self.message.header.frame_id)

    def decode(self, value_range: ValueRange = FULL_RANGE) -> Pixels:
        """
        Return the pixels.

        :param value_range: of 16 bit values.
        :returns: (H, W, 3) uint8.
        :raises UnsupportedImage: when the message is malformed.
        """
        if isinstance(self.message, CompressedImage):
            return messages.rgb_from_compressed(self.message, value_range)
        return messages.rgb_from_image(self.message, value_range)

    def intrinsics(self, width: int, height: int) -> CameraIntrinsics:
        """
        Return the calibration of this image.

        :param width: of the image, pixels.
        :param height: of the image, pixels.
        :raises CalibrationError: when there is none, or it is not for this image.
        """
        if self.info is None:
            raise CalibrationError('no camera_info has come')
        # Some drivers leave one of them empty.
        frames = {str(self.info.header.frame_id).lstrip('/'), self.frame_id.lstrip('/'), ''}
        if len(frames) > 2:
            raise CalibrationError(
                f'camera_info is of the frame {self.info.header.frame_id!r}, '
                f'the images are of {self.frame_id!r}'
            )
        camera = messages.intrinsics_from(self.info, width, height, self.rectified)
        if not is_same_shape(width, height, camera.width, camera.height):
            raise CalibrationError(
                f'camera_info is for {camera.width}x{camera.height}, '
                f'the images have {width}x{height}'
            )
        return camera.resized(width, height)


class ImageInput:
    """Subscribe to the images of one camera, and pass on those whose stamps are in order."""

    def __init__(
        self,
        node: Node,
        camera: NamedCamera,
        settings: Callable[[], NodeSettings],
        health: Health,
        reporter: Reporter,
        on_image: Callable[[ReceivedImage], None],
        on_time_back: Callable[[str], None],
    ) -> None:
        """
        Subscribe.

        :param node: has the subscriptions.
        :param camera: whose images they are.
        :param settings: returns the present ones.
        :param health: counts the images.
        :param reporter: receives faults.
        :param on_image: called with each image that may be mapped.
        :param on_time_back: called with a sentence for the log when the stamps went back.
        """
        self.gate = StampGate()
        self._node, self._camera, self._settings = node, camera, settings
        self._health, self._reporter = health, reporter
        self._on_image, self._on_time_back = on_image, on_time_back
        self._info: CameraInfo | None = None
        self._first_arrival: float | None = None
        # The newest image and its arrival, while it waits for the first calibration.
        self._waiting: tuple[Image | CompressedImage, float] | None = None
        compressed = settings().image_transport == 'compressed'
        images = interface.COMPRESSED_IMAGE if compressed else interface.IMAGE
        # First: a camera that sees a subscriber of its images has one of its calibration.
        self._infos = self._subscribe(interface.CALIBRATION, self._on_info)
        self._images = self._subscribe(
            images,
            self._on_message,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible_qos),
        )

    def _subscribe(
        self, topic: Topic, callback: Callable[[Any], None], **options: Any
    ) -> Subscription[Any]:
        qos = topic.profile(self._settings())
        name = self._name_of(topic)
        return self._node.create_subscription(topic.kind, name, callback, qos, **options)

    def _name_of(self, topic: Topic) -> str:
        """Return the name of a topic; where only `image` is remapped, of the one beside it."""
        resolve = self._node.resolve_topic_name
        own, images = self._camera.topic(topic.name), self._camera.topic(interface.IMAGE.name)
        image = resolve(images)
        follows = image != resolve(images, only_expand=True)
        if not follows or resolve(own) != resolve(own, only_expand=True):
            return own
        if topic is interface.COMPRESSED_IMAGE:
            return f'{image}/compressed'
        return f'{image.rpartition("/")[0]}/{topic.name}'

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._images)
        self._node.destroy_subscription(self._infos)

    @property
    def topic(self) -> str:
        """Return the resolved name of the image topic."""
        return str(self._images.topic_name)

    def publishers(self) -> int:
        """Return how many publishers the image topic has."""
        return int(self._node.count_publishers(self.topic))

    def incompatible_qos(self) -> str:
        """Return why images of a publisher are not received; empty when all are."""
        if self._images.qos_profile.reliability != ReliabilityPolicy.RELIABLE:
            return ''
        for publisher in self._node.get_publishers_info_by_topic(self.topic):
            if publisher.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT:
                return (
                    f'{publisher.node_name} offers reliability BEST_EFFORT, this node asks for '
                    'RELIABLE; set image_qos:=sensor_data'
                )
        return ''

    def _on_incompatible_qos(self, _event: object) -> None:
        why = self.incompatible_qos() or 'their quality of service does not fit'
        self._reporter.warn('incompatible QoS', f'images of {self.topic} are not received: {why}')

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._judge(*waiting)

    def _on_message(self, message: Image | CompressedImage) -> None:
        """Pass on an image, or keep it until its calibration comes; nothing is decoded here."""
        arrived, now_ns = time.monotonic(), self._node.get_clock().now().nanoseconds
        given_ns = messages.nanoseconds(message.header.stamp)
        age_s = (now_ns - given_ns) / NANOSECONDS
        self._health.received(given_ns, age_s, self._camera.index)
        if self._waiting is not None:
            self._health.dropped(Cause.AWAITS_CALIBRATION)
            self._waiting = None
        if self._awaits_info(arrived):
            self._waiting = message, arrived
        else:
            self._judge(message, arrived)

    def _judge(self, message: Image | CompressedImage, arrived: float) -> None:
        """Pass on an image whose stamp is in order."""
        now_ns = self._node.get_clock().now().nanoseconds
        given_ns = messages.nanoseconds(message.header.stamp)
        verdict, stamp_ns = self.gate.judge(given_ns, now_ns, self._settings().inputs)
        if verdict is Verdict.WENT_BACK:
            self._on_time_back('the stamps of the images went back')
        elif verdict.cause is not None:
            times_ns = given_ns, self.gate.newest_ns or 0, now_ns
            given, newest, now = (time_ns / NANOSECONDS for time_ns in times_ns)
            self._reporter.drop(
                verdict.cause,
                f'{verdict.cause.text}: image of {given:.6f} s, the newest is of {newest:.6f} s, '
                f'the clock shows {now:.6f} s'
                ' (parameters inputs.bad_stamps, inputs.stamp_tolerance, use_sim_time)',
            )
            return
        node = self._settings()
        camera_frame = self._camera.optical_frame or str(message.header.frame_id).lstrip('/')
        base_frame = node.base_frame or camera_frame
        if camera_frame in ('', node.map_frame, node.odom_frame):
            self._reporter.drop(
                Cause.NO_FRAME,
                f'the frame_id of the images is {camera_frame!r}, which is no frame of a camera: '
                'set it in the driver, or the parameter camera_optical_frame',
            )
            return
        self._on_image(
            ReceivedImage(
                message,
                stamp_ns,
                self._info,
                arrived,
                base_frame,
                camera_frame,
                self._rectified,
                self._camera.index,
            )
        )

    @property
    def _rectified(self) -> bool:
        """Return whether the images are without distortion, by the name of their topic."""
        return self.topic.removesuffix('/compressed').rpartition('/')[2].startswith('image_rect')

    def _awaits_info(self, now: float) -> bool:
        if self._info is not None:
            return False
        if self._first_arrival is None:
            self._first_arrival = now
        waited = now - self._first_arrival
        return (
            waited < CAMERA_INFO_WAIT_S and self._node.count_publishers(self._infos.topic_name) > 0
        )
