# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A run in the formats of other programs: points have the colours of the pixels they fall on."""

import json
import shutil

import cv2
import laspy
import numpy as np
import pytest
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_typestore, Stores

from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.mapping.cloud_files import read_ply
from ttt3r_ros.tools.main import main
from ttt3r_ros.trajectory import read_trajectory

ALL = 'ply,pcd,las,tum,kitti,colmap,nerfstudio,depth-npz,depth-png'


@pytest.fixture(scope='module')
def mapped(tmp_path_factory):
    """Map a short drive with the checkpoint that ships; return its folder and that of the run."""
    folder = tmp_path_factory.mktemp('export')
    drive, run = folder / 'drive', folder / 'run'
    options = ['--seconds', '2', '--image-rate', '4', '--width', '224', '--height', '160']
    assert main(['simulate', '--output', str(drive), *options]) == 0
    assert main(['map', str(drive), '--output', str(run), '--depth', '--voxel-size', '0.02']) == 0
    return drive, run


@pytest.fixture(scope='module')
def exported(mapped):
    _, run = mapped
    assert main(['export', str(run), '--to', ALL]) == 0
    return run / 'export'


def cloud_of(path):
    with path.open('rb') as file:
        return read_ply(file)


def test_points_have_the_colours_of_the_images_of_colmap(exported):
    model = exported / 'colmap' / 'sparse' / '0'
    fx, fy, cx, cy = map(float, (model / 'cameras.txt').read_text().splitlines()[1].split()[4:])
    rows = [line.split() for line in (model / 'points3D.txt').read_text().splitlines()[1:]]
    points = np.array([row[1:4] for row in rows], float)
    colors = np.array([row[4:7] for row in rows], int)
    lines = [line for line in (model / 'images.txt').read_text().splitlines()[1:] if line]
    assert len(lines) == 8

    right, wrong = [], []
    for line in lines[::3]:
        words = line.split()
        qw, qx, qy, qz, *shift = map(float, words[1:8])
        image = cv2.imread(str(exported / 'colmap' / 'images' / words[9]))[..., ::-1]
        vector = np.array([qx, qy, qz])
        for sign, found in ((1, right), (-1, wrong)):  # the wrong one is the inverse rotation
            turned = np.cross(sign * vector, points)
            camera = points + 2 * qw * turned + 2 * np.cross(sign * vector, turned) + shift
            found.append(error_of(image, camera, colors, fx, fy, cx - 0.5, cy - 0.5))
    assert np.mean(right) < min(20.0, 0.6 * np.mean(wrong))


def error_of(image, camera, colors, fx, fy, cx, cy):
    """Return the colour error of the points that a camera sees, 255 where it sees none."""
    height, width = image.shape[:2]
    front = camera[:, 2] > 0.2
    x, y, z = camera[front].T
    u, v = np.rint(fx * x / z + cx).astype(int), np.rint(fy * y / z + cy).astype(int)
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    u, v, z, color = u[inside], v[inside], z[inside], colors[front][inside]
    nearest = np.full((height, width), np.inf)
    np.minimum.at(nearest, (v, u), z)
    seen = z < nearest[v, u] + 0.05
    if seen.sum() < 500:
        return 255.0
    return np.median(np.abs(image[v[seen], u[seen]].astype(int) - color[seen]))


def test_nerfstudio_has_the_same_cameras_as_colmap(exported):
    scene = exported / 'nerfstudio'
    record = json.loads((scene / 'transforms.json').read_text())
    cloud = cloud_of(scene / record['ply_file_path'])
    errors = {1: [], -1: []}
    for frame in record['frames'][::3]:
        image = cv2.imread(str(scene / frame['file_path']))[..., ::-1]
        here = np.array(frame['transform_matrix'])
        opengl = (cloud.points - here[:3, 3]) @ here[:3, :3]
        for sign, found in errors.items():  # the wrong one has y down, as OpenCV
            camera = opengl * [1, -sign, -1]
            pinhole = (record[key] for key in ('fl_x', 'fl_y'))
            centre = record['cx'] - 0.5, record['cy'] - 0.5
            found.append(error_of(image, camera, cloud.colors, *pinhole, *centre))
    assert np.mean(errors[1]) < min(20.0, 0.6 * np.mean(errors[-1]))


def test_clouds_and_paths_are_those_of_the_run(mapped, exported):
    _, run = mapped
    cloud, path = cloud_of(run / 'map.ply'), read_trajectory(run)
    np.testing.assert_array_equal(cloud_of(exported / 'map.ply').points, cloud.points)
    np.testing.assert_allclose(laspy.read(exported / 'map.las').xyz, cloud.points, atol=1e-4)
    assert (exported / 'map.pcd').stat().st_size > 20 * len(cloud.points)
    tum = read_trajectory(exported / 'poses_tum.txt')
    np.testing.assert_allclose(tum.poses, path.poses, atol=1e-7)
    kitti = np.loadtxt(exported / 'poses_kitti.txt')
    assert kitti.shape == (len(path), 12)
    np.testing.assert_allclose(kitti[0].reshape(3, 4), np.eye(4)[:3], atol=1e-9)


def zooming_bag(drive, path):
    """Write the images of a drive as a bag whose calibration changes at the fifth of them."""
    types = get_typestore(Stores.ROS2_HUMBLE)
    make = types.types
    image, info = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CameraInfo'
    with Writer(path, version=9) as bag:
        images = bag.add_connection('/camera/image_raw', image, typestore=types)
        infos = bag.add_connection('/camera/camera_info', info, typestore=types)
        for k, frame in enumerate(open_source(str(drive)).frames(1)):
            stamp = make['builtin_interfaces/msg/Time'](*divmod(frame.stamp_ns, 10**9))
            header = make['std_msgs/msg/Header'](stamp, 'camera')
            focal = 150.0 if k < 4 else 180.0
            matrix = np.array([focal, 0, 111.5, 0, focal, 79.5, 0, 0, 1.0])
            roi = make['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
            found = make[info](
                header,
                160,
                224,
                '',
                np.zeros(0),
                matrix,
                np.eye(3).ravel(),
                np.zeros(12),
                0,
                0,
                roi,
            )
            data = frame.rgb.ravel()
            shown = make[image](header, 160, 224, 'rgb8', 0, 3 * 224, data)
            bag.write(infos, frame.stamp_ns, types.serialize_cdr(found, info))
            bag.write(images, frame.stamp_ns + 1, types.serialize_cdr(shown, image))


def test_a_calibration_that_changes_on_the_way_is_that_of_each_image(mapped, tmp_path):
    drive, _ = mapped
    bag, run = tmp_path / 'bag', tmp_path / 'run'
    zooming_bag(drive, bag)
    assert main(['map', str(bag), '--output', str(run)]) == 0

    assert main(['export', str(run), '--to', 'colmap,nerfstudio']) == 0

    frames = json.loads((run / 'export' / 'nerfstudio' / 'transforms.json').read_text())['frames']
    assert [frame['fl_x'] for frame in frames] == [150.0] * 4 + [180.0] * 4
    model = run / 'export' / 'colmap' / 'sparse' / '0'
    cameras = [line.split() for line in (model / 'cameras.txt').read_text().splitlines()[1:]]
    assert [(words[0], words[4]) for words in cameras] == [('1', '150.0'), ('2', '180.0')]
    images = [line for line in (model / 'images.txt').read_text().splitlines()[1:] if line]
    assert [line.split()[8] for line in images] == ['1'] * 4 + ['2'] * 4


def test_depth_is_in_metres_or_millimetres(mapped, exported):
    drive, _ = mapped
    metres = np.load(exported / 'depth_npz' / '000005.npz')['depth']
    millimetres = cv2.imread(str(exported / 'depth_png' / '000005.png'), cv2.IMREAD_UNCHANGED)
    truth = cv2.imread(str(drive / 'depth' / '000005.png'), cv2.IMREAD_UNCHANGED)

    np.testing.assert_allclose(metres * 1000, millimetres, atol=0.51)
    known = (millimetres > 0) & (truth > 0)
    assert np.median(np.abs(millimetres[known] / truth[known] - 1)) < 0.5


def test_every_nth_image_is_written_from_another_place_of_the_recording(mapped, tmp_path):
    drive, run = mapped
    moved = tmp_path / 'moved'
    shutil.copytree(drive, moved)
    options = ['--to', 'colmap', '--every', '3', '--input', str(moved)]

    assert main(['export', str(run), '--output', str(tmp_path / 'out'), *options]) == 0

    names = {path.name for path in (tmp_path / 'out' / 'colmap' / 'images').iterdir()}
    assert names == {'000000.jpg', '000003.jpg', '000006.jpg'}


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (['--to', 'obj'], "'obj': there are ply"),
        (['--to', 'colmap', '--input', 'missing.mp4'], 'there is no missing.mp4'),
        (['--to', 'las', '--output', '.'], 'is not empty'),
    ],
)
def test_what_cannot_be_exported_is_one_clear_line(mapped, capsys, monkeypatch, options, said):
    _, run = mapped
    monkeypatch.chdir(run)
    output = [] if '--output' in options else ['--output', str(run / 'new')]
    assert main(['export', str(run), *options, *output]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert said in lines[-1]
    assert not (run / 'new').exists() or not any((run / 'new').glob('*.txt'))


def test_depth_that_was_not_written_is_missed_by_name(mapped, tmp_path, capsys):
    _, run = mapped
    bare = tmp_path / 'bare'
    shutil.copytree(run, bare, ignore=shutil.ignore_patterns('depth', 'export', 'new'))
    assert main(['export', str(bare), '--to', 'depth-npz']) == 1
    assert 'map with --depth' in capsys.readouterr().err


def test_a_format_that_cannot_be_written_costs_the_others_nothing(mapped, tmp_path, capsys):
    _, run = mapped
    bare = tmp_path / 'bare'
    shutil.copytree(run, bare, ignore=shutil.ignore_patterns('depth', 'export', 'new'))
    assert main(['export', str(bare), '--to', 'tum,depth-npz,ply']) == 1
    told = capsys.readouterr()
    assert told.err.splitlines()[-1].startswith('error: no depth-npz: ')
    assert {path.name for path in (bare / 'export').iterdir()} == {'poses_tum.txt', 'map.ply'}
    assert 'next: ' in told.out
