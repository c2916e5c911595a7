# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import json

import numpy as np
from PIL import Image
import pytest

from ttt3r_ros.geometry import BODY_T_OPTICAL
from ttt3r_ros.inputs.odometry import NONE, OdometryChoice
from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.inputs.source import InputError

AUTO = OdometryChoice()
LINES = '# seconds tx ty tz qx qy qz qw\n100.0 0 0 0 0 0 0 1\n101.0 2.0 0 0 0 0 1 1\n'
MOUNT = [[0, 0, 1, 0.3], [-1, 0, 0, 0], [0, -1, 0, 0.8], [0, 0, 0, 1]]


def write_sequence(folder, odometry=LINES, mount=None):
    """Write three images, at 100, 100.5 and 102 s."""
    (folder / 'frames').mkdir()
    for i in range(3):
        Image.new('RGB', (8, 6)).save(folder / 'frames' / f'{i}.png')
    (folder / 'timestamps.txt').write_text('0 100.0\n1 100.5\n2 102.0\n')
    if odometry:
        (folder / 'odometry.txt').write_text(odometry)
    if mount is not None:
        (folder / 'camera.json').write_text(json.dumps({'base_T_camera': mount}))
    return str(folder)


def test_a_sequence_has_the_odometry_of_its_file_at_the_stamps_of_its_images(tmp_path):
    source = open_source(write_sequence(tmp_path, mount=MOUNT), odometry=AUTO)

    frames = list(source.frames(1))

    assert source.odometry == f'odometry: {tmp_path / "odometry.txt"}'
    # Half of the way and half of a turn of 90 degrees: the quaternion of the file is no unit.
    c = np.sqrt(0.5)
    half = [[c, -c, 0, 1], [c, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(frames[0].odom_T_base, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(frames[1].odom_T_base, half, atol=1e-12)
    assert frames[2].odom_T_base is None
    assert source.images_without_odometry == 1
    for frame in frames:
        np.testing.assert_array_equal(frame.base_T_camera, MOUNT)


def test_without_a_mount_it_is_the_odometry_of_the_body_of_the_camera(tmp_path):
    source = open_source(write_sequence(tmp_path), odometry=AUTO)

    assert source.odometry.endswith("odometry.txt, of the camera's body")
    np.testing.assert_array_equal(next(source.frames(1)).base_T_camera, BODY_T_OPTICAL)


def test_rows_of_the_odometry_that_are_no_poses_are_told(tmp_path):
    rows = LINES + '102.0 nan nan nan nan nan nan nan\n'

    source = open_source(write_sequence(tmp_path, rows, MOUNT), odometry=AUTO)

    assert '1 left out, not finite, cut or a zero quaternion (line 4)' in source.odometry


def test_a_sequence_without_odometry_says_so(tmp_path):
    source = open_source(write_sequence(tmp_path, odometry=''), odometry=AUTO)

    assert source.odometry == f'no odometry: {tmp_path} has no odometry.txt'
    assert [f.odom_T_base for f in source.frames(1)] == [None] * 3


def test_odometry_that_is_not_asked_for_is_left_out(tmp_path):
    path = write_sequence(tmp_path, mount=MOUNT)

    for source in (open_source(path), open_source(path, odometry=OdometryChoice(NONE))):
        assert source.odometry.startswith('no odometry: ')
        assert [f.base_T_camera for f in source.frames(1)] == [None] * 3


def test_a_folder_of_images_has_no_odometry(tmp_path):
    write_sequence(tmp_path)

    source = open_source(str(tmp_path / 'frames'), odometry=AUTO)

    assert source.odometry == 'no odometry: a folder of images has none'
    assert source.images_without_odometry == 0


def test_a_topic_is_refused_where_there_is_no_bag(tmp_path):
    with pytest.raises(InputError, match='odometry of a topic is for bags'):
        open_source(write_sequence(tmp_path), odometry=OdometryChoice('/odom'))


@pytest.mark.parametrize(
    ('lines', 'mount', 'named'),
    [
        ('100.0 0 0\n', None, 'odometry.txt, line 1'),
        (LINES, [[1, 2], [3, 4]], 'camera.json: base_T_camera'),
        (LINES, 'front', 'camera.json: base_T_camera'),
        (LINES, (2 * np.eye(4)).tolist(), 'camera.json: base_T_camera'),
        (LINES, np.diag([1.0, 1, -1, 1]).tolist(), 'camera.json: base_T_camera'),
    ],
)
def test_a_damaged_file_is_named(tmp_path, lines, mount, named):
    path = write_sequence(tmp_path, lines, mount)

    with pytest.raises(ValueError, match=named):
        open_source(path, odometry=AUTO)
