# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from cv_bridge import CvBridge, CvBridgeError
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

BRIDGE = CvBridge()
# One pixel a corner: red, green / blue, white.
RGB = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)


def image(encoding: str, pixels: np.ndarray, padding: int = 0) -> Image:
    """Build a message by hand; padding is in bytes a row."""
    rows = [row.tobytes() + b'\xaa' * padding for row in pixels]
    height, width = pixels.shape[:2]
    return Image(
        height=height, width=width, encoding=encoding, step=len(rows[0]), data=b''.join(rows)
    )


@pytest.mark.parametrize(
    ('encoding', 'pixels'),
    [
        ('rgb8', RGB),
        ('bgr8', RGB[..., ::-1]),
        ('rgba8', np.dstack([RGB, np.full((2, 2), 7, np.uint8)])),
        ('bgra8', np.dstack([RGB[..., ::-1], np.full((2, 2), 7, np.uint8)])),
        ('rgb16', RGB.astype(np.uint16) * 257),
        ('bgr16', RGB[..., ::-1].astype(np.uint16) * 257),
    ],
)
@pytest.mark.parametrize('padding', [0, 6])
def test_colours_arrive_whatever_their_order_depth_and_padding(encoding, pixels, padding):
    arrived = BRIDGE.imgmsg_to_cv2(image(encoding, pixels, padding), 'rgb8')
    np.testing.assert_array_equal(arrived, RGB)


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_a_bayer_pattern_of_one_colour_gives_that_colour(pattern):
    value = {'r': 200, 'g': 100, 'b': 50}
    cell = np.array([value[letter] for letter in pattern], np.uint8).reshape(2, 2)
    arrived = BRIDGE.imgmsg_to_cv2(image(f'bayer_{pattern}8', np.tile(cell, (4, 4))), 'rgb8')
    np.testing.assert_array_equal(arrived[2:-2, 2:-2], np.full((4, 4, 3), [200, 100, 50]))


def test_grey_becomes_three_equal_channels():
    grey = np.array([[0, 100], [200, 255]], np.uint8)
    arrived = BRIDGE.imgmsg_to_cv2(image('mono8', grey), 'rgb8')
    np.testing.assert_array_equal(arrived, np.dstack([grey] * 3))


def test_passthrough_changes_nothing():
    depth = np.array([[1.5, np.inf], [0.25, 3.0]], np.float32)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(image('32FC1', depth)), depth)


def test_big_endian_images_are_read():
    message = image('mono16', np.array([[1, 256]], '>u2'))
    message.is_bigendian = 1
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message), [[1, 256]])


@pytest.mark.parametrize(
    ('encoding', 'pixels', 'wanted'),
    [
        ('32FC1', np.zeros((2, 2), np.float32), 'rgb8'),
        ('8UC3', RGB, 'bgr8'),
        ('rgb8', RGB, '32FC1'),
        ('x', RGB, 'rgb8'),
    ],
)
def test_a_conversion_that_makes_no_sense_is_refused(encoding, pixels, wanted):
    with pytest.raises(CvBridgeError):
        BRIDGE.imgmsg_to_cv2(image(encoding, pixels), wanted)


def test_an_image_goes_out_and_comes_back():
    header = Header(frame_id='camera')
    message = BRIDGE.cv2_to_imgmsg(RGB, 'rgb8', header)
    assert (message.height, message.width, message.step) == (2, 2, 6)
    assert message.header.frame_id == 'camera'
    assert bytes(message.data) == RGB.tobytes()
    assert BRIDGE.cv2_to_imgmsg(np.zeros((2, 2), np.float32)).encoding == '32FC1'
    with pytest.raises(CvBridgeError):
        BRIDGE.cv2_to_imgmsg(RGB, 'mono8')


def test_a_compressed_image_goes_out_and_comes_back():
    smooth = np.dstack([np.tile(np.arange(32, dtype=np.uint8) * 4, (24, 1))] * 3)
    exact = BRIDGE.cv2_to_compressed_imgmsg(smooth, 'png')
    assert exact.format == 'png'
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(exact), smooth)
    about = BRIDGE.compressed_imgmsg_to_cv2(BRIDGE.cv2_to_compressed_imgmsg(smooth), 'rgb8')
    assert np.abs(about.astype(int) - smooth).max() < 8


def test_a_damaged_compressed_image_is_refused():
    with pytest.raises(CvBridgeError):
        BRIDGE.compressed_imgmsg_to_cv2(CompressedImage(format='jpeg', data=b'not a jpeg'))
