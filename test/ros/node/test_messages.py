# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import io

from geometry_msgs.msg import Pose, Quaternion
import numpy as np
from PIL import Image as Picture
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

from ttt3r_ros.geometry import rotation_about, transform
from ttt3r_ros.image_formats import RAW_ENCODINGS, UnsupportedImage
from ttt3r_ros.intrinsics import CalibrationError
from ttt3r_ros.mapping.occupancy import Occupancy
from ttt3r_ros.node import messages

# One colour that survives the trip through YUV (a grey), in every encoding by hand.
GREY = 77
WIDTH, HEIGHT = 6, 4


def one_grey_image(encoding, padding, is_bigendian):
    kind, channels, _ = RAW_ENCODINGS[encoding]
    dtype = np.dtype(kind).newbyteorder('>' if is_bigendian else '<')
    pixels = np.full((HEIGHT, WIDTH, channels), GREY * 256 + 5 if dtype.itemsize == 2 else GREY)
    if 'yuv' in encoding or encoding in ('uyvy', 'yuyv'):
        luma = round(16 + GREY * 219 / 255)
        chroma_first = encoding in ('yuv422', 'uyvy')
        pixels[...] = (128, luma) if chroma_first else (luma, 128)
    rows = np.ascontiguousarray(pixels.astype(dtype)).view(np.uint8).reshape(HEIGHT, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    return Image(
        width=WIDTH,
        height=HEIGHT,
        encoding=encoding,
        step=rows.shape[1],
        is_bigendian=int(is_bigendian),
        data=rows.tobytes(),
    )


@pytest.mark.parametrize('is_bigendian', [False, True])
@pytest.mark.parametrize('padding', [0, 1, 7])
@pytest.mark.parametrize('encoding', RAW_ENCODINGS)
def test_every_encoding_gives_the_same_grey(encoding, padding, is_bigendian):
    rgb = messages.rgb_from_image(one_grey_image(encoding, padding, is_bigendian))

    assert rgb.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(rgb, GREY, atol=2 if 'yu' in encoding or 'uy' in encoding else 0)


@pytest.mark.parametrize(
    'wrong',
    [
        {'data': b''},
        {'data': bytes(HEIGHT * 3 * WIDTH - 1)},
        {'data': bytes(HEIGHT * 3 * WIDTH + 1)},
        {'width': 0},
        {'height': 0},
        {'width': 2**31, 'height': 2**31},
        {'width': 2**32 - 1},
        {'step': 1},
        {'step': 2**32 - 1},
        {'encoding': 'turquoise'},
        {'encoding': ''},
        {'encoding': '32FC1'},
    ],
)
def test_a_malformed_image_is_one_clear_error(wrong):
    fields = {
        'width': WIDTH,
        'height': HEIGHT,
        'encoding': 'rgb8',
        'step': 3 * WIDTH,
        'data': bytes(HEIGHT * 3 * WIDTH),
    }
    with pytest.raises(UnsupportedImage):
        messages.rgb_from_image(Image(**{**fields, **wrong}))


def test_a_compressed_image_stays_in_the_frame_of_its_sensor_whatever_exif_says():
    exif, file = Picture.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Picture.new('RGB', (48, 32)).save(file, 'JPEG', exif=exif)

    found = messages.rgb_from_compressed(CompressedImage(format='jpeg', data=file.getvalue()))

    assert found.shape == (32, 48, 3)


@pytest.mark.parametrize('form', ['JPEG', 'PNG'])
def test_a_compressed_image_has_its_colours(form):
    rgb = np.zeros((32, 48, 3), np.uint8)
    rgb[:] = (200, 100, 50)
    file = io.BytesIO()
    Picture.fromarray(rgb).save(file, form, quality=95)

    found = messages.rgb_from_compressed(CompressedImage(format='jpeg', data=file.getvalue()))

    np.testing.assert_allclose(found, rgb, atol=3)


def bomb():
    """Return a PNG whose header claims 60000x60000 pixels."""
    file = io.BytesIO()
    Picture.new('L', (8, 8)).save(file, 'PNG')
    data = bytearray(file.getvalue())
    data[16:24] = (60000).to_bytes(4, 'big') * 2
    return bytes(data)


def truncated_jpeg():
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Picture.fromarray(noise).save(file, 'JPEG')
    return file.getvalue()[:1500]


@pytest.mark.parametrize('data', [b'', b'GIF89a', b'\xff\xd8', truncated_jpeg(), bomb()])
def test_a_damaged_compressed_image_is_one_clear_error(data):
    with pytest.raises(UnsupportedImage):
        messages.rgb_from_compressed(CompressedImage(format='jpeg', data=data))


def calibration(**changes):
    fields = {
        'width': 640,
        'height': 480,
        'distortion_model': 'plumb_bob',
        'd': [0.1, 0.0, 0.0, 0.0, 0.0],
        'k': [500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0],
    }
    return CameraInfo(**{**fields, **changes})


def test_a_calibration_follows_its_region_and_binning():
    region = RegionOfInterest(x_offset=20, y_offset=40, width=600, height=400)
    camera = messages.intrinsics_from(calibration(roi=region, binning_x=2, binning_y=2))

    assert (camera.width, camera.height) == (300, 200)
    assert (camera.fx, camera.fy) == pytest.approx((250.0, 255.0), abs=1e-9)
    # The centre of pixel u of the full image lies at (u - 20 + 0.5) / 2 - 0.5.
    assert (camera.cx, camera.cy) == pytest.approx((149.75, 99.75), abs=1e-9)


def test_zeros_behind_a_rational_polynomial_are_left_out():
    d = [0.1] * 8 + [0.0] * 6
    camera = messages.intrinsics_from(calibration(distortion_model='rational_polynomial', d=d))
    assert len(camera.distortion) == 8


def test_a_calibration_without_a_size_takes_that_of_its_images():
    camera = messages.intrinsics_from(calibration(width=0, height=0), 640, 480)
    assert (camera.width, camera.height, camera.fx) == (640, 480, 500.0)


@pytest.mark.parametrize(
    'wrong', [{'k': [0.0] * 9}, {'distortion_model': 'fish'}, {'width': 0}, {'d': [np.nan]}]
)
def test_an_unusable_calibration_is_one_clear_error(wrong):
    with pytest.raises(CalibrationError):
        messages.intrinsics_from(calibration(**wrong))


def test_poses_go_there_and_back():
    a_T_b = transform(rotation_about([1, 2, 3], 2.5), [4, -5, 6])

    message = messages.transform_message(a_T_b, 'a', 'b', 1_500_000_000)

    assert (message.header.frame_id, message.child_frame_id) == ('a', 'b')
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1, 500_000_000)
    np.testing.assert_allclose(
        messages.matrix_from_transform(message.transform), a_T_b, atol=1e-12
    )
    np.testing.assert_allclose(
        messages.matrix_from_pose(messages.pose_message(a_T_b)), a_T_b, atol=1e-12
    )


@pytest.mark.parametrize('x', [0.0, np.nan, np.inf])
def test_a_pose_without_a_rotation_is_refused(x):
    with pytest.raises(ValueError):
        messages.matrix_from_pose(Pose(orientation=Quaternion(x=x, y=0.0, z=0.0, w=0.0)))


@pytest.mark.parametrize('angle', [0.0, 1e-9, 0.3, -2.0])
def test_a_twist_is_what_moved_the_body(angle):
    # Turning by w and moving by v (in its own axes at the end) for a tenth of a second.
    old_T_new = transform(rotation_about([0, 0, 1], angle), [0.0, 0.0, 0.0])
    old_T_new[:3, 3] = old_T_new[:3, :3] @ [0.05, 0.0, 0.0]

    twist = messages.twist(old_T_new, 0.1)

    assert twist.angular.z == pytest.approx(10 * angle, abs=1e-9)
    assert (twist.linear.x, twist.linear.y) == pytest.approx((0.5, 0.0), abs=1e-9)


def test_a_plan_of_the_floor_goes_there_and_back():
    cells = np.array([[0, 100, -1], [-1, -1, 0]], np.int8)
    header = Header(stamp=messages.time_message(7_000_000_009), frame_id='map')

    message = messages.occupancy_grid(Occupancy(cells, 0.05, -4.0, 8.0), header)

    assert (message.info.width, message.info.height) == (3, 2)
    assert list(message.data) == [0, 100, -1, -1, -1, 0]
    origin = message.info.origin
    assert (origin.position.x, origin.position.y, origin.orientation.w) == (-4.0, 8.0, 1.0)
    read = messages.occupancy_from(message)
    np.testing.assert_array_equal(read.cells, cells)
    assert (read.resolution, read.x, read.y) == (0.05, -4.0, 8.0)


def test_an_empty_cloud_is_a_cloud():
    cloud = messages.point_cloud(
        np.empty((0, 3), np.float32), np.empty((0, 3), np.uint8), np.empty(0), Header()
    )
    assert (cloud.width, cloud.height, cloud.point_step, cloud.row_step) == (0, 1, 20, 0)
    assert len(point_cloud2.read_points(cloud)) == 0
