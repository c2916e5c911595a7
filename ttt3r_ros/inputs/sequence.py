# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Recorded sequences: a folder with timestamps.txt beside video.mp4 or frames/.

timestamps.txt contains `frame_index seconds` lines, camera.json the intrinsics if known. It is
the layout that `ttt3r simulate` writes. The optional odometry.txt contains odom_T_base in the TUM
format, and camera.json may contain base_T_camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import re

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import BODY_T_OPTICAL, quaternion_from_rotation
from ttt3r_ros.inputs.calibration_files import read_intrinsics, read_mount
from ttt3r_ros.inputs.image_folder import image_files, ImageFolderSource
from ttt3r_ros.inputs.odometry import NoOdometry
from ttt3r_ros.inputs.pose_series import PoseSeries
from ttt3r_ros.inputs.source import IGNORED, InputError, NONE_GIVEN
from ttt3r_ros.inputs.transform_tree import TransformMissing
from ttt3r_ros.inputs.video import VideoSource
from ttt3r_ros.intrinsics import CameraIntrinsics, NotCalibrated
from ttt3r_ros.table import is_header, is_number, split_row
from ttt3r_ros.trajectory import nanoseconds, read_trajectory, seconds_text, times_ns

TUM_TABLE = 'rgb.txt'


def is_sequence(folder: Path) -> bool:
    """
    Return whether a folder has the layout of a sequence.

    :param folder: an existing folder.
    """
    has_images = (folder / 'video.mp4').is_file() or (folder / 'frames').is_dir()
    return has_images and (folder / 'timestamps.txt').is_file()


def open_sequence(folder: Path, with_intrinsics: bool = True) -> VideoSource | ImageFolderSource:
    """
    Open a sequence with its stamps and, where known, intrinsics.

    :param folder: a folder for which is_sequence is true.
    :param with_intrinsics: whether to read camera.json.
    :raises InputError: when a file of it is damaged.
    """
    stamps_ns = read_stamps(folder / 'timestamps.txt')
    intrinsics, note = read_camera(folder) if with_intrinsics else (None, IGNORED)
    if (folder / 'video.mp4').is_file():
        video = folder / 'video.mp4'
        if min(stamps_ns, default=0) == 1:  # a table that counts from 1; images have no numbers
            stamps_ns = {index - 1: stamp_ns for index, stamp_ns in stamps_ns.items()}
        return VideoSource(video, None, stamps_ns, intrinsics, note, name=str(folder))
    files = image_files(folder / 'frames')
    try:
        times = [stamps_ns[_index(path, i)] for i, path in enumerate(files)]
    except KeyError as error:
        raise InputError(f'{folder / "timestamps.txt"} has no time of frame {error}') from error
    return ImageFolderSource(folder, files, times, intrinsics, note)


def read_camera(folder: Path) -> tuple[CameraIntrinsics | None, str]:
    """
    Read the camera.json of a folder.

    :param folder: exists.
    :returns: the intrinsics or None, and in one sentence where they come from or why there are
        none.
    :raises CalibrationError: when it is not understood.
    """
    path = folder / 'camera.json'
    if not path.is_file():
        return None, NONE_GIVEN
    try:
        return read_intrinsics(path), f'read from {path}'
    except NotCalibrated as error:
        return None, str(error)


@dataclass(frozen=True, eq=False)
class SequenceOdometry:
    """
    The odometry of a sequence.

    summary: one sentence about its source. mount: (4, 4) base_T_camera, metres. poses:
    odom_T_base over time.
    """

    summary: str
    mount: Array
    poses: PoseSeries

    def base_T_camera(self, stamp_ns: int) -> Array:
        """
        Return the mount of the camera.

        :param stamp_ns: has no influence.
        :returns: (4, 4), metres.
        """
        del stamp_ns
        return self.mount

    def odom_T_base(self, stamp_ns: int) -> Array:
        """
        Return what the odometry measured.

        :param stamp_ns: nanoseconds.
        :returns: (4, 4), metres.
        :raises TransformMissing: when it measured nothing near this time.
        """
        odom_T_base = self.poses.at(stamp_ns)
        if odom_T_base is None:
            raise TransformMissing(f'no odometry near {seconds_text(stamp_ns)} s')
        return odom_T_base


def read_odometry(folder: Path) -> SequenceOdometry | NoOdometry:
    """
    Read odometry.txt, and the mount from camera.json.

    :param folder: a folder for which is_sequence is true.
    :returns: the odometry; that of the camera's body (x forward, y left, z up) where camera.json
        has no base_T_camera.
    :raises UserError: when a file is damaged.
    """
    path, camera = folder / 'odometry.txt', folder / 'camera.json'
    if not path.is_file():
        return NoOdometry(f'no odometry: {folder} has no odometry.txt')
    measured = read_trajectory(path)
    odom_T_base = measured.poses
    rotations = quaternion_from_rotation(odom_T_base[:, :3, :3])
    poses = PoseSeries(measured.stamps_ns, odom_T_base[:, :3, 3], rotations)
    mount = read_mount(camera) if camera.is_file() else None
    left_out = f'; {measured.left_out}' if measured.left_out else ''
    if mount is None:
        note = f"odometry: {path}, of the camera's body{left_out}"
        return SequenceOdometry(note, BODY_T_OPTICAL, poses)
    return SequenceOdometry(f'odometry: {path}{left_out}', mount, poses)


def _index(path: Path, position: int) -> int:
    return int(path.stem) if path.stem.isdecimal() else position


def read_stamps(path: Path) -> dict[int, int]:
    """
    Read the stamps of a sequence.

    :param path: timestamps.txt.
    :returns: nanoseconds by frame index.
    :raises InputError: naming the wrong line.
    """
    lines = read_lines(path)
    if lines and is_header(split_row(lines[0][1])):
        lines = lines[1:]  # a header
    times: list[str] = []
    indices: dict[int, None] = {}  # in their order
    for number, line in lines:
        try:
            first, time, *names = split_row(line)
            if any(map(is_number, names)):
                raise ValueError
            index = int(first)
            if time == 'nan':  # its image has none
                continue
            nanoseconds(time)
            times.append(time)
        except ValueError:
            raise InputError(
                f'{path}, line {number}: needed is `frame_index seconds`, not {line!r}'
            ) from None
        if index in indices:
            raise InputError(f'{path}, line {number}: frame {index} has a time already')
        indices[index] = None
    try:
        return dict(zip(indices, times_ns(times)))
    except ValueError as error:
        raise InputError(f'{path}: {error}') from error


def read_lines(path: Path) -> list[tuple[int, str]]:
    """
    Read the lines of a table that hold something; comments do not.

    :param path: a text file.
    :returns: of each line its number, from 1, and its text.
    :raises InputError: when it cannot be read.
    """
    try:
        lines = path.read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'cannot read {path}: {error}') from error
    return [
        (number, line)
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lstrip().startswith('#')
    ]


def open_tum(folder: Path, with_intrinsics: bool = True) -> ImageFolderSource:
    """
    Open a folder in the layout of TUM RGB-D: rgb.txt holds `seconds file` lines.

    :param folder: has rgb.txt.
    :param with_intrinsics: whether to read camera.json.
    :raises InputError: when a file of it is damaged.
    """
    table = folder / TUM_TABLE
    times, files = [], []
    for number, line in read_lines(table):
        words = re.split(r'\s+' if len(line.split()) > 1 else '[,;]', line.strip(), maxsplit=1)
        if len(words) != 2:
            raise InputError(f'{table}, line {number}: needed is `seconds file`, not {line!r}')
        times.append(words[0])
        name = words[1].strip()
        in_windows = folder / name.replace('\\', '/')
        files.append(in_windows if in_windows.is_file() else folder / name)
    if not files:
        raise InputError(f'{table} names no image')
    try:
        stamps_ns = times_ns(times)
    except ValueError as error:
        raise InputError(f'{table}: {error}') from error
    intrinsics, note = read_camera(folder) if with_intrinsics else (None, IGNORED)
    return ImageFolderSource(folder, files, stamps_ns, intrinsics, note)
