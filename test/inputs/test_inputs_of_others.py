# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Files as other programs write them, which were once read wrongly without a word."""

import json
import os

import cv2
import numpy as np
import pytest

from ttt3r_ros.inputs.calibration_files import read_intrinsics
from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.inputs.source import InputError, InputFrame
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics
from ttt3r_ros.trajectory import read_trajectory, TrajectoryError

SIZE = {'width': 640, 'height': 480}
MATRIX = [[500, 0, 320], [0, 510, 240], [0, 0, 1]]
BENT = [0.1, -0.2, 0.01, 0.02, 0.0]
PINHOLE = CameraIntrinsics(640, 480, 500.0, 510.0, 320.0, 240.0)
BROWN = CameraIntrinsics(640, 480, 500.0, 510.0, 320.0, 240.0, 'plumb_bob', tuple(BENT))
OPENCV = {'image_width': 640, 'image_height': 480, 'camera_matrix': MATRIX}
COLUMNS = [500, 0, 0, 0, 510, 0, 320, 240, 1]
VINS = {
    'model_type': 'PINHOLE',
    'image_width': 640,
    'image_height': 480,
    'distortion_parameters': {'k1': 0.1, 'k2': -0.2, 'p1': 0.01, 'p2': 0.02},
    'projection_parameters': {'fx': 500, 'fy': 510, 'cx': 320, 'cy': 240},
}
REALSENSE = {**SIZE, 'fx': 500, 'fy': 510, 'ppx': 320, 'ppy': 240, 'coeffs': BENT}
PLAIN = {**SIZE, 'fx': 500, 'fy': 510, 'cx': 320, 'cy': 240}


FISHEYE = CameraIntrinsics(640, 480, 500, 510, 320, 240, 'equidistant', (0.1, 0.2, 0.3, 0.4))
ORB = {f'Camera.{name}': value for name, value in PLAIN.items()}
VSLAM = {'fx': 500, 'fy': 510, 'cx': 320, 'cy': 240, 'cols': 640, 'rows': 480}
FOUR = {f'k{i}': i / 10 for i in (1, 2, 3, 4)}
NERF = {'fl_x': 500, 'fl_y': 510, 'cx': 320.5, 'cy': 240.5, 'w': 640, 'h': 480}
KALIBR = {'camera_model': 'pinhole', 'intrinsics': [500, 510, 320, 240], 'resolution': [640, 480]}
OPEN3D = {'intrinsic': {**SIZE, 'intrinsic_matrix': COLUMNS}, 'extrinsic': [0] * 16}


def read(tmp_path, record):
    path = tmp_path / 'calibration.json'
    path.write_text(json.dumps(record))
    return read_intrinsics(path)


@pytest.mark.parametrize(
    ('record', 'expected'),
    [
        ({**OPENCV, 'dist_coeff': [BENT]}, BROWN),
        ({'mtx': MATRIX, 'dist': [BENT], 'image_size': [640, 480]}, BROWN),
        ({'K': MATRIX, 'D': BENT, 'image_width': 640, 'image_height': 480}, BROWN),
        ({**OPENCV, 'camera_matrix': COLUMNS, 'dist': BENT}, BROWN),
        ({**SIZE, 'intrinsic_matrix': COLUMNS}, PINHOLE),
        ({**SIZE, 'intrinsic_matrix': MATRIX}, PINHOLE),
        ({**REALSENSE, 'model': 'distortion.brown_conrady'}, BROWN),
        ({**REALSENSE, 'coeffs': [0.0] * 5, 'model': 'inverse_brown_conrady'}, PINHOLE),
        (
            {**VINS},
            CameraIntrinsics(640, 480, 500, 510, 320, 240, 'plumb_bob', (0.1, -0.2, 0.01, 0.02)),
        ),
        ({'Camera': {**VSLAM, 'model': 'fisheye', **FOUR}}, FISHEYE),
        (
            {f'Camera.{n}': v for n, v in (VSLAM | FOUR | {'model': 'fisheye'}).items()},
            FISHEYE,
        ),
        ({'Camera': {**VSLAM, 'model': 'perspective', 'k1': 0.0}}, PINHOLE),
        ({'cam0': KALIBR}, PINHOLE),
        ({**SIZE, 'K': COLUMNS}, PINHOLE),
        ({**SIZE, 'K': COLUMNS, 'distortion_model': 'plumb_bob', 'dist_coeffs': BENT}, BROWN),
        ({'frames': [{**NERF, 'file_path': '1.png'}, {**NERF, 'w': 640.0}]}, PINHOLE),
        ({'w': 640, 'h': 480.0, 'frames': [NERF]}, PINHOLE),
        ({'class_name': 'PinholeCameraTrajectory', 'parameters': [OPEN3D] * 2}, PINHOLE),
        # In the order of Nerfstudio: k1 k2 k3 k4 p1 p2.
        ({**NERF, 'frames': [{'distortion_params': [0.1, -0.2, 0, 0, 0.01, 0.02]}]}, BROWN),
        ({**NERF, 'distortion_params': [0.1, -0.2, 0, 0, 0.01, 0.02], 'frames': []}, BROWN),
    ],
)
def test_each_name_and_order_of_the_same_numbers_is_the_same_camera(tmp_path, record, expected):
    assert read(tmp_path, record) == expected


def test_the_angles_and_the_fisheye_of_instant_ngp_count(tmp_path):
    angles = {'camera_angle_x': np.pi / 2, 'camera_angle_y': 2 * np.arctan(0.5)}
    camera = read(tmp_path, {'w': 640, 'h': 480, **angles, 'is_fisheye': True, 'k1': 0.1})

    assert (camera.fx, camera.fy) == pytest.approx((320.0, 480.0), abs=1e-9)
    assert camera.distortion_model == 'equidistant'


@pytest.mark.parametrize(
    ('record', 'said'),
    [
        (OPENCV, 'does not have the distortion'),
        ({**OPENCV, 'dist': BENT, 'camera_matrix': [[500, 9, 320], *MATRIX[1:]]}, 'a skew, 9'),
        ({**PLAIN, 'k1': 0.1}, 'the distortion k1 is not understood'),
        ({**PLAIN, 'distortion_model': 'radtan', 'distortion_params': BENT}, 'distortion_params'),
        ({**PLAIN, 'lens_distortion': BENT}, 'the distortion lens_distortion'),
        ({**PLAIN, 'kc': BENT}, 'the distortion kc'),
        ({**PLAIN, 'distortion_model': 'plumb_bob'}, 'the distortion distortion_model'),
        ({**SIZE, 'K': COLUMNS, 'distortion_model': 'plumb_bob'}, 'does not have the distortion'),
        ({'cam0': {**KALIBR, 'distortion_model': 'radtan'}}, 'no distortion_coeffs'),
        ({**PLAIN, 'coeffs': BENT}, 'the distortion coeffs is not understood'),
        ({**PLAIN, 'distortion': BENT}, 'no distortion_model'),
        ({**PLAIN, 'fx': 0.78, 'fy': 1.06}, 'needed are pixels'),
        ({**PLAIN, 'cx': 3200}, 'far outside'),
        ({**PLAIN, 'width': 10**400}, 'over a million'),
        (
            {**REALSENSE, 'model': 'inverse_brown_conrady'},
            "'inverse_brown_conrady' of librealsense",
        ),
        ({**VINS, 'model_type': 'MEI'}, "'MEI' of VINS is not PINHOLE"),
        ({**ORB, 'Camera.k4': 0.1}, 'Camera.k4 is no coefficient'),
        ({'Camera': {**VSLAM, 'model': 'equirectangular'}}, "type 'equirectangular'"),
        ({**PLAIN, 'fx': 24, 'fy': 24}, 'needed are pixels, not millimetres'),
        ({**OPENCV, 'dist': BENT, 'camera_matrix': [*MATRIX[:2], [0, 0, 2]]}, 'ends in 2'),
        ({**PLAIN, 'fy': 50}, 'fx 500 and fy 50 are of no lens'),
        ({**NERF, 'k5': 0.1, 'frames': []}, 'the distortion k5 is not understood'),
        ({**NERF, 'k4': 0.1, 'frames': []}, "k4 of the camera model 'OPENCV'"),
        ({'frames': [NERF, {**NERF, 'fl_x': 600}]}, 'different intrinsics (fl_x)'),
        ({'frames': [NERF, {'file_path': '2.png', 'w': 640}]}, 'different intrinsics (h)'),
        ({**NERF, 'frames': [{'fl_x': 600}]}, 'different intrinsics (fl_x)'),
        (
            {
                'parameters': [
                    OPEN3D,
                    {'intrinsic': {**SIZE, 'intrinsic_matrix': [9, *COLUMNS[1:]]}},
                ]
            },
            'PinholeCameraTrajectory differ',
        ),
        ({'imu0': {'update_rate': 200}}, "Kalibr's imu.yaml is not read"),
        ({'camera_angle_x': 0.69, 'frames': []}, 'has no w and h'),
        ({'fx_color': 1, 'fy_color': 1}, "no 'width' among fx_color, fy_color"),
    ],
)
def test_what_would_be_dropped_or_is_in_no_pixels_is_refused_by_name(tmp_path, record, said):
    with pytest.raises(CalibrationError) as raised:
        read(tmp_path, record)
    assert said in str(raised.value)


@pytest.mark.parametrize('encoding', ['latin-1', 'utf-16', 'utf-8'])
def test_a_calibration_in_another_encoding_is_read(tmp_path, encoding):
    path = tmp_path / 'camera.yaml'
    lines = ['# Gerät 7', *(f'{name}: {value}' for name, value in PLAIN.items())]
    path.write_bytes('\n'.join(lines).encode(encoding))

    assert read_intrinsics(path) == PINHOLE


@pytest.mark.parametrize(
    ('name', 'data', 'said'),
    [
        ('cameras.bin', b'\x01' + bytes(30), 'model_converter --output_type TXT'),
        ('calib.npz', b'PK\x03\x04', 'an archive, as numpy.savez writes'),
        ('mtx.npy', b'\x93NUMPY\x01', 'an array of NumPy'),
        ('calib.pkl', b'\x80\x04\x95', 'a pickle, which is not read'),
        ('ost.txt', b'# oST version 5.0 parameters\n\n[image]\n\nwidth\n640\n', 'as ost.yaml'),
        ('images.txt', b'1 1 0 0 0 0 0 0 1 a.jpg\n', 'COLMAP (cameras.txt)'),
        ('trajectory.log', b'0 0 1\n1 0 0 0\n', 'needed is camera.json, the YAML of ROS'),
    ],
)
def test_a_file_that_is_no_calibration_is_told_by_what_it_is(tmp_path, name, data, said):
    path = tmp_path / name
    path.write_bytes(data)

    with pytest.raises(CalibrationError) as raised:
        read_intrinsics(path)

    assert said in str(raised.value)
    assert str(raised.value).startswith(str(path))


POSES = ['1305031102.1 1 2 3 0 0 0.6 0.8', '1305031102.2 4 5 6 0 0 0.6 0.8']


@pytest.mark.parametrize(
    'order',
    ['time x y z qx qy qz qw', 'qx qy qz qw tx ty tz timestamp', 'stamp qw qx qy qz px py pz'],
)
@pytest.mark.parametrize('quote', ['', '"'])
def test_the_header_of_a_trajectory_names_the_order_of_its_columns(tmp_path, order, quote):
    number_of = {'x': 1, 'y': 2, 'z': 3}
    places = [
        0
        if name[0] in 'ts' and name[-1] in 'ep'
        else number_of.get(name[-1], 4) + 3 * ('q' in name)
        for name in order.split()
    ]
    places = [7 if name == 'qw' else place for name, place in zip(order.split(), places)]
    rows = [[row.split()[place] for place in places] for row in POSES]
    table = [order.split(), *rows]
    path = tmp_path / 'poses.csv'
    path.write_text('\n'.join(','.join(f'{quote}{w}{quote}' for w in row) for row in table))

    found = read_trajectory(path)

    (tmp_path / 'tum.txt').write_text('\n'.join(POSES))
    expected = read_trajectory(tmp_path / 'tum.txt')
    np.testing.assert_array_equal(found.stamps_ns, expected.stamps_ns)
    np.testing.assert_allclose(found.poses, expected.poses, atol=1e-12)


@pytest.mark.parametrize('name', ['drive.mp4', 'drive.mcap', 'drive.db3', 'drive/drive_0.db3'])
def test_a_pointer_of_git_lfs_is_told_with_the_way_to_its_file(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n')
    given = path.parent if '/' in name else path

    with pytest.raises(InputError, match='a pointer of Git LFS: `git lfs pull` fetches'):
        open_source(str(given))


def test_the_metadata_of_a_bag_alone_is_no_video(tmp_path):
    (tmp_path / 'metadata.yaml').write_text('rosbag2_bagfile_information: {}\n')

    with pytest.raises(InputError, match=r'metadata\.yaml is neither \.db3 nor \.mcap'):
        open_source(str(tmp_path / 'metadata.yaml'))


def test_an_index_of_pandas_is_the_time_and_has_no_name(tmp_path):
    rows = [row.replace(' ', ',') for row in POSES]
    (tmp_path / 'poses.csv').write_text('\n'.join([',x,y,z,qx,qy,qz,qw', *rows]))
    (tmp_path / 'tum.txt').write_text('\n'.join(POSES))

    found = read_trajectory(tmp_path / 'poses.csv')

    assert found.left_out == ''
    expected = read_trajectory(tmp_path / 'tum.txt')
    np.testing.assert_array_equal(found.stamps_ns, expected.stamps_ns)
    np.testing.assert_allclose(found.poses, expected.poses, atol=1e-12)


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('timestamp,x,y,z,roll,pitch,yaw,ok\n1,0,0,0,0,0,0,1\n', 'names angles'),
        ('1 0 0 0 10 20 90 1\n2 0 0 0 10 20 95 1\n', 'no unit quaternions'),
    ],
)
def test_angles_are_not_taken_for_quaternions(tmp_path, text, said):
    (tmp_path / 'poses.csv').write_text(text)
    with pytest.raises(TrajectoryError, match=said):
        read_trajectory(tmp_path / 'poses.csv')


def test_numbers_that_no_pose_has_are_left_out_by_their_lines(tmp_path):
    odd = ['1 1e308 0 0 0 0 0 1', '2 0 0 0 1e200 0 0 1e200', '3 0 0 0 0 0 0 1']
    (tmp_path / 'poses.txt').write_text('\n'.join(odd))

    found = read_trajectory(tmp_path / 'poses.txt')

    assert len(found) == 1
    assert 'lines 1, 2' in found.left_out


def images(folder, names):
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / name), np.full((8, 8, 3), 100, np.uint8))
    return folder


def test_colours_of_12_bits_in_a_tiff_have_one_range(tmp_path):
    for k in range(2):
        values = np.random.default_rng(k).integers(0, 4096, (8, 8, 3)).astype(np.uint16)
        cv2.imwrite(str(tmp_path / f'{k}.tiff'), values)
    source = open_source(str(tmp_path))

    first = next(iter(source.frames(1)))

    assert source.notes[-1] == '16 bit images: 0 to 4095 become 0 to 255 in all of them'
    values = cv2.imread(str(tmp_path / '0.tiff'), cv2.IMREAD_UNCHANGED)[..., ::-1]
    np.testing.assert_allclose(first.rgb, values / 4095 * 255, atol=0.51)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    folder = images(tmp_path / 'images', ['1.png'])
    os.mkfifo(folder / '2.png')
    (folder / '3.png').mkdir()
    assert sum(isinstance(f, InputFrame) for f in open_source(str(folder)).frames(1)) == 1

    with pytest.raises(InputError, match='neither a file nor a folder'):
        open_source(str(folder / '2.png'))


def test_bags_in_folders_below_are_told(tmp_path):
    def add_bag(name):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'metadata.yaml').touch()

    images(tmp_path / 'depth', ['1.png'])
    add_bag('bag')
    with pytest.raises(InputError, match='no image but a bag: choose bag in it'):
        open_source(str(tmp_path))
    for number in range(6):
        add_bag(str(number))
    with pytest.raises(InputError, match='bags: choose 0 or 1 or 2 or 3 or 4 or one of 2 more in'):
        open_source(str(tmp_path))


def test_images_in_folders_below_and_pairs_are_told(tmp_path):
    below = images(tmp_path / 'below', ['left/1.png', 'right/1.png'])
    with pytest.raises(InputError, match='choose one of those below it that do: left, right'):
        open_source(str(below))
    pairs = images(tmp_path / 'pairs', ['1.png', '1.jpg', '2.png', '2.jpg'])
    with pytest.raises(InputError, match=r'each image as \.jpg and \.png'):
        open_source(str(pairs))


@pytest.mark.parametrize('row', ['5.{} {}', '5.{},{}', '5.{};{}', '5.{}\t{}'])
def test_a_table_of_images_may_be_separated_by_anything(tmp_path, row):
    images(tmp_path / 'in', ['rgb/a1.png' if row[4] in ',;' else 'rgb/a 1.png'])
    name = next((tmp_path / 'in/rgb').iterdir()).name
    (tmp_path / 'in/rgb.txt').write_text(row.format(25, f'rgb/{name}'))

    (frame,) = open_source(str(tmp_path / 'in')).frames(1)

    assert isinstance(frame, InputFrame)
    assert frame.stamp_ns == 5_250_000_000


def test_a_table_of_windows_names_its_images_and_each_frame_has_one_time(tmp_path):
    tum = images(tmp_path / 'tum', ['rgb/1.png'])
    (tum / 'rgb.txt').write_text('1305031102.1 rgb\\1.png\r\n')
    assert isinstance(next(iter(open_source(str(tum)).frames(1))), InputFrame)

    sequence = images(tmp_path / 'sequence', ['frames/0.png', 'frames/1.png'])
    (sequence / 'timestamps.txt').write_text('0 0.0\n0 0.1\n1 0.2\n')
    with pytest.raises(InputError, match='line 2: frame 0 has a time already'):
        open_source(str(sequence))
