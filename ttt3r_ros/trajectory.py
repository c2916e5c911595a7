# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Trajectories as text: one pose a line, written as TUM does, read by their columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import isfinite
from pathlib import Path
import re
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import (
    invert,
    quaternion_from_rotation,
    rotation_from_quaternion,
    transform,
)
from ttt3r_ros.table import is_header, split_row
from ttt3r_ros.units import NANOSECONDS

TUM_COLUMNS = 'seconds tx ty tz qx qy qz qw'
EUROC_COLUMNS = 17  # ns, position, quaternion with w first, velocity and biases
POSE_COLUMNS = (8, EUROC_COLUMNS)
OTHER_FORMATS = {
    7: 'a pose without its time',
    10: "COLMAP's images.txt, whose poses have no times",
    12: 'the format of KITTI, whose poses have no times',
    13: 'a time with a 3x4 matrix',
    16: 'a 4x4 matrix without its time',
}
# Of each column of TUM, in its order, the names that a header may give it.
COLUMN_NAMES = (
    r'time.*|t|stamp.*|n?sec.*',
    *(rf'((t|p|pos|position|translation|p_\w+|pose[._]position)[._]?)?{axis}' for axis in 'xyz'),
    *(rf'(q|q_\w+|rot\w*|quat\w*|(pose[._])?ori\w*)[._]?{axis}' for axis in 'xyzw'),
)
LEAST_NAMES = 4  # of columns, in a comment that is a header
TUM_ORDER, EUROC_ORDER = (0, 1, 2, 3, 4, 5, 6, 7), (0, 1, 2, 3, 5, 6, 7, 4)
UNITS = re.compile(r'\[[^]]*\]|\([^)]*\)')
ANGLES = re.compile(r'roll|pitch|yaw')
UTF_16 = (b'\xff\xfe', b'\xfe\xff')
SMALLEST_QUATERNION, LARGEST_NUMBER = 1e-9, 1e9
USUAL_QUATERNION = 0.5, 2.0  # length; it may be written by hand, such as 0 0 1 1
MOST_ALIKE = 3  # times of a file that may all be the same
MOST_SECONDS = Decimal(10) ** 20  # more than nanoseconds since 1970, taken for seconds


class TrajectoryError(UserError):
    """A trajectory cannot be read."""


@dataclass(frozen=True)
class Trajectory:
    """
    Poses over time.

    stamps_ns: (N,) int64, nanoseconds, rising. poses: (N, 4, 4) float64, metres, all between the
    same two frames, for example map_T_camera, world_T_camera or odom_T_base. left_out: in one
    sentence, which rows of the file are no poses; empty where all are.
    """

    stamps_ns: NDArray[np.int64]
    poses: Array
    left_out: str = ''

    def __len__(self) -> int:
        """Return the number of poses."""
        return len(self.stamps_ns)

    def save(self, path: str | Path, form: str = 'tum') -> None:
        """
        Write a file.

        :param path: its folder exists.
        :param form: tum, or kitti: 12 numbers a line, in the frame of the first pose, no times.
        :raises TrajectoryError: when the format is neither.
        :raises OutputError: when it cannot be written.
        """
        if form not in WRITERS:
            raise TrajectoryError(f'the format {form!r} is not one of {", ".join(WRITERS)}')
        with atomic_file(Path(path)) as file:
            WRITERS[form](file, self)


def nanoseconds(seconds: str) -> int:
    """
    Convert a decimal number of seconds into nanoseconds, exactly.

    :param seconds: decimal text, for example '1305031229.528748'; a float would lose digits.
    :returns: integer nanoseconds, rounded half to even.
    :raises ValueError: when the text is no finite number.
    """
    try:
        number = Decimal(seconds)
        if not abs(number) < MOST_SECONDS:
            raise OverflowError
        return int((number * NANOSECONDS).to_integral_value())
    except ArithmeticError as error:  # of decimal: overflow, or no number
        raise ValueError(f'{seconds!r} is no time in seconds') from error


def times_ns(words: Sequence[str]) -> list[int]:
    """
    Read the times of one file; their size and distance determine the unit.

    Seconds since 1970 have 10 digits before the point, nanoseconds 19; whole numbers that are
    millions apart are nanoseconds since something else.

    :param words: as written, in any order.
    :returns: nanoseconds.
    :raises ValueError: when one is no time, or of no year that a camera may see; or when most of
        them are the same.
    """
    seconds_ns = [nanoseconds(word) for word in words]
    if not seconds_ns:
        return []
    different = len(set(seconds_ns))
    if len(words) > MOST_ALIKE and different * 2 < len(words):
        raise ValueError(
            f'only {different} of {len(words)} times differ, such as {words[0]}: they were '
            'written with too few digits'
        )
    values = sorted(abs(value) for value in seconds_ns)
    typical = values[len(values) // 2] / 1e9
    steps = sorted(b - a for a, b in pairwise(sorted(set(seconds_ns))))
    step = steps[len(steps) // 2] / 1e9 if steps else 0.0
    whole = all(value % 1_000_000_000 == 0 for value in values)
    if typical >= 1e17 or (whole and step >= 1e6):
        unit = 1_000_000_000
    elif typical >= 1e14 or (whole and step >= 1e4):
        unit = 1_000_000
    elif typical >= 1e11:
        unit = 1_000
    else:
        unit = 1
    stamps = [round(Fraction(value, unit)) for value in seconds_ns]
    if any(abs(stamp) >= 2**63 for stamp in stamps):
        raise ValueError('a time is too far from 1970')
    return stamps


def seconds_text(stamp_ns: int) -> str:
    """
    Return nanoseconds as decimal seconds, exactly.

    :param stamp_ns: nanoseconds, of any sign.
    :returns: the text, with nine digits after the point.
    """
    sign = '-' if stamp_ns < 0 else ''
    return f'{sign}{abs(stamp_ns) // NANOSECONDS}.{abs(stamp_ns) % NANOSECONDS:09d}'


def read_trajectory(path: str | Path, folder_file: str = 'trajectory.txt') -> Trajectory:
    """
    Read a trajectory in the format of TUM or EuRoC, sorted by time.

    Words are separated by spaces, commas or semicolons, numbers may have decimal commas, and the
    times any unit of `times_ns`. Rows that are not finite, or whose quaternion is zero, are left
    out.

    :param path: the file, or a folder that holds it.
    :param folder_file: the name of the file where path is a folder.
    :raises TrajectoryError: naming the file, and the line that is wrong or the format that is
        not read.
    """
    path = Path(path)
    path = path / folder_file if path.is_dir() else path
    text = _text(path)
    try:
        rows, columns = _rows(text)
        poses, wrong = _poses(rows, columns)
        if not poses:
            raise TrajectoryError('holds no pose' + (f': {wrong}' if wrong else ''))
        stamps_ns = np.array(times_ns([time for time, _ in poses]), dtype=np.int64)
    except ValueError as error:
        place = ', ' if str(error).startswith('line') else ': '
        raise TrajectoryError(f'{path}{place}{error}') from error
    numbers = np.array([pose for _, pose in poses])
    a_T_b = transform(rotation_from_quaternion(numbers[:, 3:]), numbers[:, :3])
    order = np.argsort(stamps_ns, kind='stable')
    return Trajectory(stamps_ns[order], a_T_b[order], wrong)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        # A comment in an old encoding costs nothing, a number in it is reported with its line.
        return data.decode('utf-16' if data[:2] in UTF_16 else 'utf-8-sig', errors='replace')
    except FileNotFoundError:
        raise TrajectoryError(f'there is no file {path}') from None
    except OSError as error:
        raise TrajectoryError(f'cannot read {path} as a trajectory: {error}') from error


def _rows(text: str) -> tuple[list[tuple[int, list[str]]], Sequence[int]]:
    """Split a table; return its rows with their line numbers, and which columns are TUM's."""
    rows: list[tuple[int, list[str]]] = []
    header, named = '', False
    for number, line in enumerate(text.splitlines(), start=1):
        words = split_row(line)
        if not words:
            continue
        comment = line.lstrip().startswith(('#', '%', '//'))
        if comment or (not rows and is_header(words)):
            if not rows:
                header, named = line.lower(), not comment
            continue
        rows.append((number, words))
    columns = len(rows[0][1]) if rows else 0
    if columns in OTHER_FORMATS or (rows and columns not in POSE_COLUMNS):
        found = OTHER_FORMATS.get(columns, f'a table of {columns} columns')
        raise TrajectoryError(
            f'line {rows[0][0]}: this is {found}: needed is `{TUM_COLUMNS}` (TUM), or the CSV of '
            'EuRoC'
        )
    if len(rows) > 1 and len(rows[-1][1]) < columns and not text.endswith(('\n', '\r')):
        rows[-1] = rows[-1][0], ['nan'] * columns  # its writer was stopped in it
    return rows, _order(header, columns, named)


def _order(header: str, columns: int, named: bool) -> Sequence[int]:
    """
    Return where the columns of TUM are in a table.

    :param header: the line above the first row, in small letters, or any comment.
    :param columns: of the rows.
    :param named: whether the header is no comment.
    :raises TrajectoryError: when the header names angles, or columns that are not understood.
    """
    text = UNITS.sub('', header).replace('"', '').lstrip('#%/ ')
    separator = next((mark for mark in ',;' if mark in text), None)
    names = [name.strip() for name in text.split(separator)]
    if any(ANGLES.fullmatch(name) for name in names):
        raise TrajectoryError(f'the header names angles: needed is `{TUM_COLUMNS}` (TUM)')
    found = [
        [place for place, name in enumerate(names[:columns]) if re.fullmatch(known, name)]
        for known in COLUMN_NAMES
    ]
    left = sorted(set(range(columns)) - {place for places in found for place in places})
    if len(names) == columns == len(found) and len(left) == 1:
        found = [places or left for places in found]  # the one that has another name
    if all(len(places) == 1 for places in found):
        return [place for (place,) in found]
    if len(names) == columns and (named or columns - len(left) >= LEAST_NAMES):
        raise TrajectoryError(
            f'the header {header.strip()!r} is not understood: needed is `{TUM_COLUMNS}` (TUM)'
        )
    return EUROC_ORDER if columns == EUROC_COLUMNS else TUM_ORDER


def _poses(
    rows: list[tuple[int, list[str]]], order: Sequence[int]
) -> tuple[list[tuple[str, list[float]]], str]:
    """Return the time and the seven numbers of each pose, and what was left out."""
    poses: list[tuple[str, list[float]]] = []
    wrong: list[int] = []
    for number, words in rows:
        try:
            if len(words) != len(rows[0][1]):
                raise ValueError
            time, *pose_words = (words[place] for place in order)
            pose = [float(word) for word in pose_words]
            finite = isfinite(float(time)) and all(abs(n) < LARGEST_NUMBER for n in pose)
        except ValueError:
            raise TrajectoryError(
                f'line {number}: a pose is `{TUM_COLUMNS}`, not {" ".join(words)!r}'
            ) from None
        if finite and max(abs(q) for q in pose[3:]) > SMALLEST_QUATERNION:
            poses.append((time, pose))
        else:
            wrong.append(number)
    _check_quaternions([pose[3:] for _, pose in poses])
    if not wrong:
        return poses, ''
    named = ', '.join(map(str, wrong[:5])) + (', ...' if len(wrong) > 5 else '')
    lines = 'line' if len(wrong) == 1 else 'lines'
    return poses, f'{len(wrong)} left out, not finite, cut or a zero quaternion ({lines} {named})'


def _check_quaternions(quaternions: Sequence[Sequence[float]]) -> None:
    """Refuse columns that are something else, such as angles and a flag."""
    if not quaternions:
        return
    usual = float(np.median(np.linalg.norm(quaternions, axis=1)))
    low, high = USUAL_QUATERNION
    if not low <= usual <= high:
        raise TrajectoryError(
            f'the columns qx qy qz qw are no unit quaternions, their length is {usual:.3g}: '
            f'needed is `{TUM_COLUMNS}` (TUM)'
        )


def write_trajectory(
    file: IO[bytes], trajectory: Trajectory, meaning: str = 'map_T_camera, optical frame'
) -> None:
    """
    Write a trajectory.

    :param file: open for binary writing.
    :param trajectory: N poses, N may be 0.
    :param meaning: of the poses, a_T_b; written into the comment on the first line.
    """
    file.write(f'# seconds tx ty tz qx qy qz qw ({meaning}, metres)\n'.encode())
    quaternions = quaternion_from_rotation(trajectory.poses[:, :3, :3])
    rows = np.concatenate([trajectory.poses[:, :3, 3], quaternions], axis=1)
    for stamp_ns, row in zip(trajectory.stamps_ns.tolist(), rows.tolist()):
        numbers = ' '.join(f'{value:.9f}' for value in row)
        file.write(f'{seconds_text(stamp_ns)} {numbers}\n'.encode())


def write_kitti(file: IO[bytes], trajectory: Trajectory) -> None:
    """
    Write a trajectory as KITTI does: the first three rows of each pose in a line, no times.

    The poses of KITTI are those of the camera in the frame of the first camera.

    :param file: open for binary writing.
    :param trajectory: N poses, N may be 0.
    """
    if not len(trajectory):
        return
    relative = invert(trajectory.poses[0]) @ trajectory.poses
    for row in relative[:, :3].reshape(-1, 12).tolist():
        file.write((' '.join(f'{value:.9e}' for value in row) + '\n').encode())


WRITERS: dict[str, Callable[[IO[bytes], Trajectory], None]] = {
    'tum': write_trajectory,
    'kitti': write_kitti,
}
