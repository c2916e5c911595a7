# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Trajectories in the TUM format: `seconds tx ty tz qx qy qz qw`, one pose a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import (
    quaternion_from_rotation,
    rotation_from_quaternion,
    transform,
)
from ttt3r_ros.units import NANOSECONDS


class TrajectoryError(UserError):
    """A trajectory cannot be read."""


@dataclass(frozen=True)
class Trajectory:
    """
    Poses over time.

    stamps_ns: (N,) int64, nanoseconds, rising. poses: (N, 4, 4) float64, metres, all between the
    same two frames, for example map_T_camera, world_T_camera or odom_T_base.
    """

    stamps_ns: NDArray[np.int64]
    poses: Array


def nanoseconds(seconds: str) -> int:
    """
    Convert a decimal number of seconds into nanoseconds, exactly.

    :param seconds: decimal text, for example '1305031229.528748'; a float would lose digits.
    :returns: integer nanoseconds, rounded half to even.
    :raises ValueError: when the text is no finite number.
    """
    try:
        return int((Decimal(seconds) * NANOSECONDS).to_integral_value())
    except (InvalidOperation, OverflowError) as error:
        raise ValueError(f'{seconds!r} is no time in seconds') from error


def times_ns(words: Sequence[str]) -> list[int]:
    """
    Read the times of one file, whose unit their size and their distance tell.

    Seconds since 1970 have 10 digits before the point, nanoseconds 19; whole numbers that are
    millions apart are nanoseconds since something else.

    :param words: as written, in any order.
    :returns: nanoseconds.
    :raises ValueError: when one is no time, or of no year that a camera may see.
    """
    seconds_ns = [nanoseconds(word) for word in words]
    if not seconds_ns:
        return []
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


def read_trajectory(path: Path, folder_file: str = 'trajectory.txt') -> Trajectory:
    """
    Read a trajectory, sorted by time.

    :param path: the file, or a folder that contains it.
    :param folder_file: name of the file where path is a folder.
    :returns: at least one pose; equal stamps stay in the order of the file.
    :raises TrajectoryError: when the file is missing, empty or wrong; names the line.
    """
    path = path / folder_file if path.is_dir() else path
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except FileNotFoundError:
        raise TrajectoryError(f'there is no file {path}') from None
    except (OSError, UnicodeDecodeError) as error:
        raise TrajectoryError(f'cannot read {path} as a trajectory: {error}') from error
    stamps: list[int] = []
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        words = line.replace(',', ' ').split()
        if not words or words[0].startswith('#'):
            continue
        try:
            row = [float(word) for word in words[1:8]]
            if len(words) < 8 or not np.isfinite(row).all():
                raise ValueError
            stamps.append(nanoseconds(words[0]))
        except ValueError:
            raise TrajectoryError(
                f'{path}, line {number}: a pose is `seconds tx ty tz qx qy qz qw`, not {line!r}'
            ) from None
        rows.append(row)
    if not rows:
        raise TrajectoryError(f'{path} contains no pose')
    numbers = np.array(rows)
    try:
        poses = transform(rotation_from_quaternion(numbers[:, 3:]), numbers[:, :3])
    except ValueError as error:
        raise TrajectoryError(f'{path}: {error}') from error
    order = np.argsort(stamps, kind='stable')
    return Trajectory(np.array(stamps, dtype=np.int64)[order], poses[order])


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
