# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Trajectories in the TUM format: `seconds tx ty tz qx qy qz qw`, one pose a line."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
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

    stamps_ns: (N,) int64, nanoseconds, rising. world_T_camera: (N, 4, 4) float64, metres.
    """

    stamps_ns: NDArray[np.int64]
    world_T_camera: Array


def nanoseconds(seconds: str) -> int:
    """
    Turn a decimal number of seconds into nanoseconds, exactly.

    :param seconds: as written, for example '1305031229.528748'; floats would lose digits.
    :raises ValueError: when it is no finite number.
    """
    try:
        return int((Decimal(seconds) * NANOSECONDS).to_integral_value())
    except (InvalidOperation, OverflowError) as error:
        raise ValueError(f'{seconds!r} is no time in seconds') from error


def seconds_text(stamp_ns: int) -> str:
    """
    Write nanoseconds as decimal seconds, exactly.

    :param stamp_ns: integer nanoseconds, of any sign.
    """
    sign = '-' if stamp_ns < 0 else ''
    return f'{sign}{abs(stamp_ns) // NANOSECONDS}.{abs(stamp_ns) % NANOSECONDS:09d}'


def read_trajectory(path: Path, folder_file: str = 'trajectory.txt') -> Trajectory:
    """
    Read a trajectory, sorted by time.

    :param path: the file, or a folder that holds it.
    :param folder_file: the name of the file where path is a folder.
    :raises TrajectoryError: naming the file and the line that is wrong.
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
        raise TrajectoryError(f'{path} holds no pose')
    poses = np.array(rows)
    try:
        world_T_camera = transform(rotation_from_quaternion(poses[:, 3:]), poses[:, :3])
    except ValueError as error:
        raise TrajectoryError(f'{path}: {error}') from error
    order = np.argsort(stamps, kind='stable')
    return Trajectory(np.array(stamps, dtype=np.int64)[order], world_T_camera[order])


def write_trajectory(
    file: IO[bytes], trajectory: Trajectory, meaning: str = 'map_T_camera, optical frame'
) -> None:
    """
    Write a trajectory.

    :param file: open for binary writing.
    :param trajectory: may be empty.
    :param meaning: of the poses, for people; goes into the first line.
    """
    file.write(f'# seconds tx ty tz qx qy qz qw ({meaning}, metres)\n'.encode())
    quaternions = quaternion_from_rotation(trajectory.world_T_camera[:, :3, :3])
    poses = np.concatenate([trajectory.world_T_camera[:, :3, 3], quaternions], axis=1)
    for stamp_ns, pose in zip(trajectory.stamps_ns.tolist(), poses.tolist()):
        numbers = ' '.join(f'{value:.9f}' for value in pose)
        file.write(f'{seconds_text(stamp_ns)} {numbers}\n'.encode())
