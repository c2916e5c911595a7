# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import io
from pathlib import Path

import numpy as np
import pytest

from ttt3r_ros.geometry import rotation_about, transform
from ttt3r_ros.trajectory import (
    nanoseconds,
    read_trajectory,
    seconds_text,
    times_ns,
    Trajectory,
    TrajectoryError,
    write_trajectory,
)


@pytest.mark.parametrize(
    ('stamp_ns', 'text'),
    [
        (1305031229528748123, '1305031229.528748123'),
        (0, '0.000000000'),
        (5, '0.000000005'),
        (-1500000000, '-1.500000000'),
    ],
)
def test_stamps_keep_every_nanosecond(stamp_ns, text):
    assert seconds_text(stamp_ns) == text
    assert nanoseconds(text) == stamp_ns


def test_stamps_with_an_exponent_are_read():
    assert nanoseconds('1.305e9') == 1_305_000_000_000_000_000


@pytest.mark.parametrize('text', ['soon', 'nan', 'sNaN', 'inf', '', '5.1e999', '1e999999999'])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError):
        nanoseconds(text)


EPOCH = 1_403_636_580


@pytest.mark.parametrize(
    ('words', 'first_ns', 'step_ns'),
    [
        ([f'{EPOCH}.{i}' for i in range(4)], EPOCH * 10**9, 10**8),
        ([str(EPOCH * 10**9 + i) for i in range(4)], EPOCH * 10**9, 1),
        ([f'{EPOCH * 10**9 + i}.000000' for i in range(4)], EPOCH * 10**9, 1),
        ([str(EPOCH * 10**6 + i) for i in range(4)], EPOCH * 10**9, 1000),
        ([str(EPOCH * 10**3 + i) for i in range(4)], EPOCH * 10**9, 10**6),
        ([str(33_333_333 * i) for i in range(4)], 0, 33_333_333),  # since the start, ns
        ([str(33_333 * i) for i in range(4)], 0, 33_333_000),  # us
        (['0', '1', '2', '3'], 0, 10**9),
        (['0', '100', '200', '300'], 0, 10**11),
        (['0.0', '0.5', '1.0', '1.5'], 0, 5 * 10**8),
    ],
)
def test_the_unit_of_times_is_told_by_their_size_and_distance(words, first_ns, step_ns):
    assert times_ns(words) == [first_ns + i * step_ns for i in range(4)]


def test_one_odd_time_does_not_change_the_unit_of_the_others():
    words = ['0', *(str(EPOCH * 10**9 + i * 10**8) for i in range(5))]
    assert times_ns(words)[1] == EPOCH * 10**9


def test_a_written_trajectory_is_read_back():
    poses = transform([rotation_about([1, 0, 2], a) for a in (0.1, 3.0)], [[1, 2, 3], [4, 5, 6]])
    file = io.BytesIO()

    write_trajectory(file, Trajectory(np.array([7, 1305031229528748123]), poses))

    lines = file.getvalue().decode().splitlines()
    assert lines[2].split()[:4] == [
        '1305031229.528748123',
        '4.000000000',
        '5.000000000',
        '6.000000000',
    ]
    # x y z w of half the angle about the axis.
    half = np.array([np.sin(0.05) / 5**0.5, 0, 2 * np.sin(0.05) / 5**0.5, np.cos(0.05)])
    np.testing.assert_allclose([float(w) for w in lines[1].split()[4:]], half, atol=1e-9)


def test_a_folder_is_searched_for_its_file_and_poses_are_sorted_by_time(tmp_path):
    (tmp_path / 'groundtruth.txt').write_text('# a\n2 0 0 2 0 0 0 1\n\n1.5 0 0 1 0 0 0 2\n')

    trajectory = read_trajectory(tmp_path, 'groundtruth.txt')

    assert trajectory.stamps_ns.tolist() == [1_500_000_000, 2_000_000_000]
    assert trajectory.poses[:, 2, 3].tolist() == [1, 2]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('1 2 3\n', 'line 1'),
        ('# fine\n1 0 0 0 0 0 0 one\n', 'line 2'),
        ('1 nan 0 0 0 0 0 1\n', 'line 1'),
        ('1 0 0 0 0 0 0 0\n', 'quaternion'),
        ('# nothing\n', 'no pose'),
    ],
)
def test_a_malformed_trajectory_is_refused_with_the_place(tmp_path, text, message):
    path = tmp_path / 'path.txt'
    path.write_text(text)

    with pytest.raises(TrajectoryError, match=message):
        read_trajectory(path)


def test_a_missing_trajectory_is_named(tmp_path):
    with pytest.raises(TrajectoryError, match=r'no file .*gone\.txt'):
        read_trajectory(tmp_path / 'gone.txt')


CASES = Path(__file__).parent / 'cases'
POSES = '1 2 3 4 0 0 0 1\n2 5 6 7 1 0 0 0\n'
EUROC = '#timestamp, p_x [m], p_y [m], p_z [m], q_RS_w [], q_RS_x [], q_RS_y [], q_RS_z []'
AS_OTHERS_WRITE = {
    'commas': POSES.replace(' ', ', '),
    'semicolons': POSES.replace(' ', ';'),
    'semicolons and decimal commas': POSES.replace(' ', ',0;'),
    'decimal commas': POSES.replace(' ', ',0 '),
    'tabs and Windows lines': POSES.replace(' ', '\t').replace('\n', '\r\n'),
    'a header': 'timestamp,x,y,z,qx,qy,qz,qw\n' + POSES.replace(' ', ','),
    'a header that puts w first': (
        'timestamp,tx,ty,tz,qw,qx,qy,qz\n1,2,3,4,1,0,0,0\n2,5,6,7,0,1,0,0\n'
    ),
    'EuRoC': (
        f'{EUROC}, v_x, v_y, v_z, b_w_x, b_w_y, b_w_z, b_a_x, b_a_y, b_a_z\n'
        '1000000000,2,3,4,1,0,0,0,9,9,9,9,9,9,9,9,9\n2000000000,5,6,7,0,1,0,0,9,9,9,9,9,9,9,9,9\n'
    ),
}


def check_poses(trajectory):
    assert trajectory.stamps_ns.tolist() == [10**9, 2 * 10**9]
    assert trajectory.poses[:, :3, 3].tolist() == [[2, 3, 4], [5, 6, 7]]
    turned = np.diag([1, -1, -1])  # half a turn about x
    expected = [np.eye(3), turned]
    np.testing.assert_allclose(trajectory.poses[:, :3, :3], expected, atol=1e-12)


@pytest.mark.parametrize('name', AS_OTHERS_WRITE)
@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
def test_a_trajectory_is_read_by_its_columns(tmp_path, name, encoding):
    path = tmp_path / 'path.csv'
    path.write_bytes(AS_OTHERS_WRITE[name].encode(encoding))

    check_poses(read_trajectory(path))


@pytest.mark.parametrize(
    ('text', 'name'),
    [
        ('1 0 0 0 0 1 0 0 0 0 1 0\n', 'KITTI'),
        ('# IMAGE_ID, QW, QX, ...\n1 1 0 0 0 1 2 3 1 a.jpg\n1.5 2.5 -1\n', 'COLMAP'),
        ('1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1\n', '4x4'),
        ('0 0 0 0 0 0 1\n', 'without its time'),
        ('1 0 0 0 0 0 0 1 5\n', '9 columns'),
    ],
)
def test_another_format_is_refused_by_name(tmp_path, text, name):
    path = tmp_path / 'path.txt'
    path.write_text(text)

    with pytest.raises(TrajectoryError, match=rf'path\.txt, line [12]: .*{name}'):
        read_trajectory(path)


def test_rows_that_are_no_poses_are_left_out_and_named(tmp_path):
    path = tmp_path / 'path.txt'
    path.write_text(f'0 nan nan nan nan nan nan nan\n{POSES}3 0 0 0 0 0 0 0\n4 inf 0 0 0 0 0 1\n')

    trajectory = read_trajectory(path)

    check_poses(trajectory)
    assert '3 left out' in trajectory.left_out
    assert 'lines 1, 4, 5' in trajectory.left_out


@pytest.mark.parametrize('column', range(8))
@pytest.mark.parametrize('missing', ['nan', '', '-nan(ind)', 'null'])
def test_a_row_that_lacks_any_one_number_is_left_out(tmp_path, column, missing):
    row = ['9', '8', '7', '6', '0', '0', '0', '1']
    row[column] = missing
    path = tmp_path / 'path.csv'
    path.write_text(POSES.replace(' ', ',') + ','.join(row) + ',\n')

    trajectory = read_trajectory(path)

    check_poses(trajectory)
    assert '1 left out' in trajectory.left_out
    assert 'line 3' in trajectory.left_out


def test_the_last_row_of_a_writer_that_was_stopped_is_left_out(tmp_path):
    path = tmp_path / 'path.txt'
    path.write_text(POSES + '3 8 7 6 0 0')

    trajectory = read_trajectory(path)

    check_poses(trajectory)
    assert 'cut' in trajectory.left_out
    path.write_text(POSES + '3 8 7 6 0 0\n')  # not stopped: another kind of row
    with pytest.raises(TrajectoryError, match='line 3'):
        read_trajectory(path)


@pytest.mark.parametrize(
    'header',
    [
        't,px,py,pz,q0,q1,q2,q3',
        '# timestamp x y z q1 q2 q3 q4',
        'timestamp tx ty tz w x y z',
        'a b c d e f g h',
    ],
)
def test_columns_whose_names_are_not_understood_are_refused_not_guessed(tmp_path, header):
    path = tmp_path / 'path.txt'
    path.write_text(f'{header}\n{POSES}')

    with pytest.raises(TrajectoryError, match=r'the header .* is not understood'):
        read_trajectory(path)


@pytest.mark.parametrize(
    'header',
    [
        '# the path of a robot in x y',
        '// as TUM writes it',
        'Zeit;X;Y;Z;QX;QY;QZ;QW',  # the one column that is left is the time
        '# Übung',
    ],
)
def test_other_words_above_the_poses_cost_nothing(tmp_path, header):
    path = tmp_path / 'path.txt'
    path.write_bytes(f'{header}\n{POSES}'.encode('latin-1'))

    check_poses(read_trajectory(path))


def test_times_that_lost_their_digits_are_refused(tmp_path):
    path = tmp_path / 'path.txt'
    path.write_text('1.30503e+09 2 3 4 0 0 0 1\n' * 9)  # as C++ prints it unless told otherwise

    with pytest.raises(TrajectoryError, match='only 1 of 9 times differ'):
        read_trajectory(path)


def test_the_cases_of_trajectories_are_read_or_refused():
    with pytest.raises(TrajectoryError, match='KITTI'):
        read_trajectory(CASES / 'traj/kitti_turn.txt')
    commas = read_trajectory(CASES / 'traj/comma2.txt')
    assert commas.stamps_ns[:2].tolist() == [10**9, 11 * 10**8]
    np.testing.assert_allclose(commas.poses[0, :3, 3], [0.306287, 0.293395, 0.332021], atol=1e-9)
    assert len(read_trajectory(CASES / 'traj/gt_nan.txt').stamps_ns) == 59
    in_ns = read_trajectory(CASES / 'traj/gt_ns.txt')
    truth = read_trajectory(CASES / 'traj/gt.txt')
    np.testing.assert_allclose(in_ns.stamps_ns, truth.stamps_ns, atol=256, rtol=0)
