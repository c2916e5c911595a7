# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Folders of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import suppress
from itertools import islice, pairwise
from pathlib import Path
import re

from ttt3r_ros.image_formats import (
    fitted_range,
    FULL_RANGE,
    images_in,
    upright_rgb,
    ValueRange,
    wide_values,
)
from ttt3r_ros.inputs.source import BadFrame, InputError, InputFrame, NONE_GIVEN
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.trajectory import times_ns

SUFFIXES = frozenset(
    ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm', '.gif')
)

# So many files below a folder without images are looked at, to name where they are.
MOST_LOOKED_AT = 10_000

# So many images, over the whole run, decide which of 16 bits are used.
IMAGES_TO_FIT_A_RANGE = 8

# Of depth and masks beside colour: frame-000001.depth.png (7-Scenes), depth000017.png, 3-mask.png.
DEPTH = re.compile(
    r'(?:^|[._ -])(depth|disp|disparity|mask|seg|segmentation|semantic)(?:$|[._ 0-9-])',
    re.IGNORECASE,
)
SIDES = re.compile(r'left|right', re.IGNORECASE)

# Of times as names of files; 4.12 may be page 12 of chapter 4.
SECONDS = re.compile(r'[0-9]+\.([0-9]|[0-9]+[1-9])')
TIME = re.compile(
    r'[0-9]{9,10}\.[0-9]+|[0-9]+\.[0-9]{3,9}'
    r'|1[0-9]{9}|[1-9][0-9]{12}|[1-9][0-9]{15}|[1-9][0-9]{18}'
)


class ImageFolderSource:
    """The images of a folder, in natural order: 2.jpg comes before 10.jpg."""

    live = False
    odometry = 'no odometry: a folder of images has none'
    images_without_odometry = 0

    def __init__(
        self,
        folder: Path,
        files: Sequence[Path],
        stamps_ns: Sequence[int],
        intrinsics: CameraIntrinsics | None = None,
        calibration: str = NONE_GIVEN,
        notes: Sequence[str] = (),
    ) -> None:
        """
        Construct the source.

        :param folder: for messages.
        :param files: the images, in order.
        :param stamps_ns: nanoseconds, one for each file.
        :param intrinsics: of all images.
        :param calibration: where they come from, or why there are none.
        :param notes: what its user should know, a line each.
        """
        self.name = str(folder)
        self.length = len(files)
        self.intrinsics = intrinsics
        self.calibration = calibration
        self._files = files
        self._range, notes_on_range = _range_of(files)
        self.notes = [*notes, *notes_on_range, *_notes_on_series(files)]
        self._stamps_ns = stamps_ns

    def frames(self, step: int) -> Generator[InputFrame | BadFrame, None, None]:
        """
        Read one file after the other.

        :param step: read every step-th image.
        """
        for index in range(0, len(self._files), step):
            path = self._files[index]
            try:
                with path.open('rb') as file:
                    rgb, orientation = upright_rgb(file, self._range)
            except (OSError, ValueError) as error:  # ValueError: a name that no file can have
                yield BadFrame(f'image {path.name}: {error}')
            else:
                yield InputFrame(index, self._stamps_ns[index], rgb, orientation=orientation)


def _range_of(files: Sequence[Path]) -> tuple[ValueRange, list[str]]:
    """Fit one range to images of 16 bits, by some of them, and return a note about it."""
    step = max(1, len(files) // IMAGES_TO_FIT_A_RANGE)
    wide = []
    for path in files[::step][:IMAGES_TO_FIT_A_RANGE]:
        with suppress(OSError, ValueError), path.open('rb') as file:
            if (values := wide_values(file)) is not None:
                wide.append(values)
    if not wide:
        return FULL_RANGE, []
    fitted = fitted_range(wide)
    return fitted, [f'16 bit images: {fitted.low} to {fitted.high} become 0 to 255 in all of them']


def _notes_on_series(files: Sequence[Path]) -> list[str]:
    """Return a note where the first file holds several images, of which one is read."""
    with suppress(OSError, ValueError), files[0].open('rb') as file:
        if (count := images_in(file)) > 1:
            return [f'{files[0].name} holds {count} images: of such a file the first is read']
    return []


def has_images(folder: Path) -> bool:
    """
    Return whether a folder holds images, or their table or subfolder.

    :param folder: an existing folder.
    """
    return any(_is_image(path) or path.is_dir() for path in folder.iterdir())


def image_files(folder: Path) -> list[Path]:
    """
    List the images of a folder in natural order; depth beside colour is none.

    :param folder: the folder; subfolders are not searched.
    :raises InputError: when it contains no image.
    """
    files = [path for path in folder.iterdir() if _is_image(path)]
    files = [path for path in files if not DEPTH.search(path.stem)] or files
    if not files:
        below = sorted(
            path.parent.relative_to(folder).as_posix()
            for pattern in ('*/*', '*/*/*')
            for path in islice(folder.glob(pattern), MOST_LOOKED_AT)
            if _is_image(path)
        )
        where = ', '.join(list(dict.fromkeys(below))[:5])
        raise InputError(
            f'the folder {folder} holds no image (looked for {", ".join(sorted(SUFFIXES))})'
            + (f'; choose one of those below it that do: {where}' if where else '')
            + (f'; it holds {kinds}' if (kinds := _kinds_beside(folder, ())[0]) else '')
        )
    _refuse_pairs(folder, files)
    files.sort(key=_natural)
    _refuse_two_cameras(folder, files)
    return files


def _is_image(path: Path) -> bool:
    """Return whether a path looks like an image; a pipe would keep its reader waiting for ever."""
    is_named = path.suffix.lower() in SUFFIXES and not path.name.startswith('.')
    return is_named and (path.is_file() or not path.exists())  # a broken link is reported later


def _refuse_pairs(folder: Path, files: Sequence[Path]) -> None:
    """Refuse images of which each is there twice, or has a mask beside it."""
    stems = Counter(path.stem for path in files)
    if len(files) > 1 and all(count > 1 for count in stems.values()):
        kinds = ' and '.join(sorted({path.suffix for path in files}))
        raise InputError(
            f'the folder {folder} holds each image as {kinds}: move those away that are copies or '
            'masks'
        )


def _refuse_two_cameras(folder: Path, files: Sequence[Path]) -> None:
    """
    Refuse images of two cameras, such as 1_V.jpg and 1_T.jpg, or left_1.png and right_1.png.

    :param files: in natural order, in which two cameras mostly take turns; left and right do not.
    """
    found = [(re.sub('[0-9]+', '*', f.stem), re.findall('[0-9]+', f.stem)) for f in files]
    turns = [a[0] != b[0] for a, b in pairwise(found) if a[1] and a[1] == b[1]]
    names = Counter(name for name, _ in found)
    sides = Counter(SIDES.sub('', name) for name in names if SIDES.search(name))
    stereo = len(names) == 2 and set(sides.values()) == {2}
    if stereo or (len(files) > 2 and 2 * sum(turns) >= len(files) - 1):
        raise InputError(
            f'the folder {folder} holds several images of each number: '
            f'{", ".join(name for name, _ in names.most_common(4))}; move those of one camera '
            'into a folder of their own'
        )


def ignored_files(folder: Path, files: Sequence[Path]) -> list[str]:
    """
    Count what a folder holds beside its images.

    :param folder: was searched.
    :param files: its images.
    :returns: at most one line.
    """
    listed, count = _kinds_beside(folder, files)
    return [f'{folder}: {count} files are ignored ({listed})'] if count else []


def _kinds_beside(folder: Path, files: Sequence[Path]) -> tuple[str, int]:
    """Return how many files of which kinds there are beside some others, and of all kinds."""
    taken = set(files)
    kinds = Counter(
        found[1].lower() + path.suffix
        if (found := DEPTH.search(path.stem))
        else path.suffix or path.name
        for path in folder.iterdir()
        if path.is_file() and path not in taken and not path.name.startswith('.')
    )
    listed = ', '.join(f'{count} {kind}' for kind, count in kinds.most_common())
    return listed, kinds.total()


def times_in_names(files: Sequence[Path]) -> list[int] | None:
    """
    Return the times that the names of files are.

    :param files: whose names may be seconds, milli-, micro- or nanoseconds since 1970, or seconds
        with at least three decimals or without zeros at their ends; all may begin with one word.
    :returns: nanoseconds of each file, or None where not every name is a time of its own.
    """
    stems = [path.stem for path in files]
    words = {re.split('[0-9]', stem)[0] for stem in stems}
    if len(words) == 1:
        stems = [stem.removeprefix(*words) for stem in stems]
    if not (all(TIME.fullmatch(stem) for stem in stems) or _are_seconds(stems)):
        return None
    stamps_ns = times_ns(stems)
    return stamps_ns if len(set(stamps_ns)) == len(stamps_ns) else None


def _are_seconds(stems: Sequence[str]) -> bool:
    """
    Return whether names are seconds since the start, such as 0.1, 0.15 and 0.2.

    They have lost the zeros at their ends, which 4.9, 4.10 and 4.11 have not.
    """
    found = [SECONDS.fullmatch(stem) for stem in stems]
    lengths = {len(name[1]) for name in found if name}
    return all(found) and len(lengths) > 1


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r'([0-9]+)', path.name.lower())
    return [(int(part), '') if i % 2 else (0, part) for i, part in enumerate(parts)]
