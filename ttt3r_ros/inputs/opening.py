# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Opens an input by its name."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
import re
from shlex import quote
from typing import TYPE_CHECKING

from ttt3r_ros.inputs.image_folder import (
    has_images,
    ignored_files,
    image_files,
    ImageFolderSource,
    SUFFIXES,
    times_in_names,
)
from ttt3r_ros.inputs.odometry import (
    AUTO,
    NONE,
    OdometryChoice,
    SourceWithOdometry,
    WITHOUT_ODOMETRY,
)
from ttt3r_ros.inputs.sequence import (
    is_sequence,
    open_sequence,
    open_tum,
    read_odometry,
    TUM_TABLE,
)
from ttt3r_ros.inputs.source import ImageSource, InputError
from ttt3r_ros.inputs.video import VideoSource
from ttt3r_ros.units import NANOSECONDS

if TYPE_CHECKING:
    from ttt3r_ros.inputs.bag import BagSource

BAG_NAME = re.compile(r'.*\.(db3|mcap)(\.zstd?)?')
ROS_1 = b'#ROSBAG V'  # how its bags begin
DEFAULT_IMAGE_FPS = 1.0
MOST_NAMED = 5  # bags, where one has to be chosen


def open_source(
    name: str,
    topic: str = '',
    fps: float | None = None,
    with_intrinsics: bool = True,
    odometry: OdometryChoice = WITHOUT_ODOMETRY,
) -> ImageSource:
    """
    Open a video, a folder of images, a sequence, a rosbag2 or a camera.

    :param name: a path, or the number of a camera.
    :param topic: of the images in a bag; empty when there is only one.
    :param fps: images per second: of a folder, of a video in place of its clock, of a camera.
    :param with_intrinsics: whether to use the calibration in the input.
    :param odometry: which odometry to read with the images; bags and sequences may have one.
    :raises InputError: when it is none of these, cannot be read, or does not contain the chosen
        odometry topic.
    """
    if not name:
        raise InputError('the name of the input is empty')
    path = Path(name)
    camera = re.fullmatch(r'(?:/dev/video)?([0-9]+)', name)
    if camera and not path.is_file() and not path.is_dir():
        from ttt3r_ros.inputs.live_camera import CameraSource

        _refuse_odometry_topic(name, odometry)
        return CameraSource(int(camera[1]), fps)
    if not path.exists():
        raise InputError(
            f'there is no {name}: needed is a video, a folder of images, a rosbag2 or the '
            'number of a camera'
        )
    if not (path.is_file() or path.is_dir()):
        raise InputError(f'{name} is neither a file nor a folder: a pipe or device is not read')
    if is_bag(path):
        if fps is not None:
            raise InputError(f'--fps has no meaning for {name}: a bag has the times of its images')
        return _open_bag(path, topic, with_intrinsics, odometry)
    _refuse_ros_1(path)
    if topic:
        raise InputError(f'--topic is for bags, {name} is none')
    _refuse_odometry_topic(name, odometry)
    if path.is_dir():
        return _open_folder(path, fps, with_intrinsics, odometry)
    if path.suffix.lower() in SUFFIXES:
        raise InputError(f'{name} is a single image: use the folder, or a video')
    return VideoSource(path, fps)


def is_bag(path: Path) -> bool:
    """
    Return whether a path is a rosbag2, or a file of one.

    :param path: any path.
    """
    if path.is_dir():
        holds_bag = any(BAG_NAME.fullmatch(file.name) for file in path.iterdir())
        return (holds_bag and not is_sequence(path)) or (path / 'metadata.yaml').is_file()
    return BAG_NAME.fullmatch(path.name) is not None or path.name == 'metadata.yaml'


def _refuse_ros_1(path: Path) -> None:
    """Refuse a bag of ROS 1, or a folder that holds some and no images."""
    bags = sorted(path.glob('*.bag')) if path.is_dir() and not has_images(path) else []
    if path.is_file() and (path.suffix == '.bag' or _begins(path, ROS_1)):
        bags = [path]
    if not bags:
        return
    if bags[0].suffix == '.active':
        raise InputError(
            f'{bags[0]} is a bag of ROS 1 whose recorder was killed: `rosbag reindex` repairs it'
        )
    target = bags[0].with_name(f'{bags[0].stem}_ros2')
    raise InputError(
        f'{bags[0]} is a bag of ROS 1: convert it with '
        f'`rosbags-convert --src {quote(str(bags[0]))} --dst {quote(str(target))}`'
    )


def _refuse_folder_of_bags(folder: Path) -> None:
    """Refuse a folder that holds no image itself, but folders with bags."""
    entries = list(folder.iterdir())
    bags = sorted(path.name for path in entries if path.is_dir() and is_bag(path))
    if bags and not any(path.suffix.lower() in SUFFIXES for path in entries):
        named, more = bags[:MOST_NAMED], len(bags) - MOST_NAMED
        if more > 0:
            named.append(f'one of {more} more')
        raise InputError(
            f'{folder} holds no image but {"a bag" if len(bags) == 1 else "bags"}: choose '
            f'{" or ".join(named)} in it'
        )


def _begins(path: Path, content: bytes) -> bool:
    try:
        with path.open('rb') as file:
            return file.read(len(content)) == content
    except OSError:
        return False  # reported where it is opened


def open_bag(path: Path, topic: str, with_intrinsics: bool = True) -> BagSource:
    """
    Open the images of a rosbag2.

    :param path: its folder, or one of its files.
    :param topic: of the images; empty when there is only one.
    :param with_intrinsics: whether to look for the CameraInfo.
    :raises InputError: when it cannot be read, or the package rosbags is missing.
    """
    try:
        from ttt3r_ros.inputs.bag import BagSource
    except ModuleNotFoundError as error:
        raise InputError(
            f'reading bags needs the Python package {error.name}: pip install rosbags'
        ) from error
    return BagSource(path, topic, with_intrinsics)


def _refuse_odometry_topic(name: str, odometry: OdometryChoice) -> None:
    if odometry.wanted not in (AUTO, NONE):
        raise InputError(f'the odometry of a topic is for bags, {name} is none')


def _open_bag(
    path: Path, topic: str, with_intrinsics: bool, odometry: OdometryChoice
) -> ImageSource:
    images = open_bag(path, topic, with_intrinsics)
    if odometry.wanted == NONE:
        return images
    # Here, not at the top: it needs the package rosbags.
    from ttt3r_ros.inputs.bag_odometry import with_odometry

    return with_odometry(path, images, odometry)


def _open_folder(
    path: Path, fps: float | None, with_intrinsics: bool, odometry: OdometryChoice
) -> ImageSource:
    if fps is not None and (is_sequence(path) or (path / TUM_TABLE).is_file()):
        raise InputError(f'--fps has no meaning for {path}: a table has the times of its images')
    if (path / TUM_TABLE).is_file():
        return open_tum(path, with_intrinsics)
    if is_sequence(path):
        images = open_sequence(path, with_intrinsics)
        if odometry.wanted == NONE:
            return images
        return SourceWithOdometry(images, read_odometry(path))
    _refuse_folder_of_bags(path)
    files = image_files(path)
    notes = ignored_files(path, files)
    times = None if fps else times_in_names(files)
    if times is None:
        if not fps and len(files) > 1:
            notes.append(
                f'{path} has no times: {DEFAULT_IMAGE_FPS:g} image a second is assumed, --fps '
                'gives another rate'
            )
        times = [round(i * NANOSECONDS / (fps or DEFAULT_IMAGE_FPS)) for i in range(len(files))]
    ordered = sorted(zip(times, files), key=itemgetter(0))
    return ImageFolderSource(path, [f for _, f in ordered], [t for t, _ in ordered], notes=notes)
