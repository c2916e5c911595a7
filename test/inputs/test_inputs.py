# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from pathlib import Path
import struct
import zlib

import cv2
import numpy as np
from PIL import Image
import pytest

from ttt3r_ros.inputs.live_camera import CameraSource
from ttt3r_ros.inputs.mp4 import shown_seconds
from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.inputs.source import (
    BadFrame,
    InputError,
    InputFrame,
    missing_frames,
)
from ttt3r_ros.intrinsics import CameraIntrinsics

CASES = Path(__file__).parents[1] / 'cases'
WIDTH, HEIGHT = 64, 48


def brightness(i):
    return 10 + 12 * i


def write_images(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        Image.new('RGB', (WIDTH, HEIGHT), (brightness(i),) * 3).save(folder / name)


def write_video(path, count, fps=10):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), fps, (WIDTH, HEIGHT))
    for i in range(count):
        writer.write(np.full((HEIGHT, WIDTH, 3), brightness(i), np.uint8))
    writer.release()
    return path


def shown(frames):
    """Return which of the written images each frame shows."""
    return [round((f.rgb.mean() - 10) / 12) for f in frames]


def test_a_folder_is_read_in_natural_order_with_stamps_of_its_rate(tmp_path):
    write_images(tmp_path, ['2.png', '10.png', '11.png'])
    (tmp_path / 'notes.txt').write_text('no image')
    (tmp_path / '.1.png').write_text('hidden')

    source = open_source(str(tmp_path), fps=4)
    frames = list(source.frames(1))

    assert source.length == 3
    assert shown(frames) == [0, 1, 2]
    assert [f.stamp_ns for f in frames] == [0, 250_000_000, 500_000_000]


def test_a_step_keeps_the_stamps_and_indices_of_the_images_it_takes(tmp_path):
    write_images(tmp_path, [f'{i}.png' for i in range(7)])

    frames = list(open_source(str(tmp_path)).frames(3))

    assert [f.index for f in frames] == [0, 3, 6]
    assert [f.stamp_ns for f in frames] == [0, 3_000_000_000, 6_000_000_000]


def test_an_unreadable_image_is_reported_in_its_place(tmp_path):
    write_images(tmp_path, ['0.png', '1.png', '2.png'])
    (tmp_path / '1.png').write_bytes(b'not a png')

    frames = list(open_source(str(tmp_path)).frames(1))

    assert [type(f) for f in frames] == [InputFrame, BadFrame, InputFrame]
    assert '1.png' in frames[1].reason


def test_a_video_gives_its_images_with_the_stamps_of_its_clock(tmp_path):
    source = open_source(str(write_video(tmp_path / 'v.mp4', 5, fps=10)))

    frames = list(source.frames(1))

    assert source.length == 5
    assert shown(frames) == [0, 1, 2, 3, 4]
    assert [f.stamp_ns for f in frames] == [100_000_000 * i for i in range(5)]
    assert frames[0].rgb.shape == (HEIGHT, WIDTH, 3)


def test_a_given_rate_replaces_the_clock_of_a_video(tmp_path):
    source = open_source(str(write_video(tmp_path / 'v.mp4', 5, fps=10)), fps=2)

    assert [f.stamp_ns for f in source.frames(2)] == [0, 1_000_000_000, 2_000_000_000]


def test_a_video_is_red_where_it_was_red(tmp_path):
    path = tmp_path / 'v.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, (WIDTH, HEIGHT))
    writer.write(np.full((HEIGHT, WIDTH, 3), (0, 0, 220), np.uint8))
    writer.release()

    rgb = next(open_source(str(path)).frames(1)).rgb

    red, green, blue = rgb.reshape(-1, 3).mean(axis=0)
    assert red > 180
    assert max(green, blue) < 40


def write_sequence(folder, stamps, camera=True):
    lines = ''.join(f'{i} {stamp}\n' for i, stamp in enumerate(stamps))
    (folder / 'timestamps.txt').write_text('# frame_index seconds\n' + lines)
    if camera:
        (folder / 'camera.json').write_text(
            '{"width": 64, "height": 48, "fx": 60, "fy": 60, "cx": 31.5, "cy": 23.5}'
        )


def test_a_sequence_of_a_video_has_its_own_stamps_and_intrinsics(tmp_path):
    write_video(tmp_path / 'video.mp4', 3)
    write_sequence(tmp_path, ['1305031229.528748', '1305031229.564425', '1305031230.000000001'])

    source = open_source(str(tmp_path))

    assert source.intrinsics == CameraIntrinsics(64, 48, 60.0, 60.0, 31.5, 23.5)
    assert [f.stamp_ns for f in source.frames(1)] == [
        1305031229528748000,
        1305031229564425000,
        1305031230000000001,
    ]


def test_a_sequence_of_images_is_paired_with_its_stamps_by_number(tmp_path):
    write_images(tmp_path / 'frames', ['000000.png', '000002.png'])
    write_sequence(tmp_path, [5, 6, 7], camera=False)

    source = open_source(str(tmp_path))

    assert source.intrinsics is None
    assert [f.stamp_ns for f in source.frames(1)] == [5_000_000_000, 7_000_000_000]


def test_the_intrinsics_of_a_sequence_can_be_ignored(tmp_path):
    write_video(tmp_path / 'video.mp4', 2)
    write_sequence(tmp_path, [0, 1])

    assert open_source(str(tmp_path), with_intrinsics=False).intrinsics is None


def test_a_frame_without_a_time_is_reported_in_its_place(tmp_path):
    write_video(tmp_path / 'video.mp4', 3)
    (tmp_path / 'timestamps.txt').write_text('0 0.0\n2 0.2\n')

    frames = list(open_source(str(tmp_path)).frames(1))

    assert [type(f) for f in frames] == [InputFrame, BadFrame, InputFrame]
    assert frames[2].stamp_ns == 200_000_000


def test_a_video_that_ends_early_says_which_images_are_missing(tmp_path, monkeypatch):
    path = write_video(tmp_path / 'v.mp4', 4)
    source = open_source(str(path))
    source.length = 8  # as its header would say

    frames = list(source.frames(1))

    assert [type(f) for f in frames] == [InputFrame] * 4 + [BadFrame]
    assert frames[4].count == 4
    assert 'images 4 to 7' in frames[4].reason


@pytest.mark.parametrize(
    ('first', 'end', 'step', 'wanted'),
    [(3, 3, 1, 0), (3, 4, 1, 1), (3, 9, 1, 6), (3, 9, 3, 2), (4, 6, 3, 0), (0, 1, 5, 1)],
)
def test_a_gap_counts_the_images_that_were_wanted(first, end, step, wanted):
    by_hand = [i for i in range(first, end) if i % step == 0]

    reported = list(missing_frames(first, end, step, 'lost'))

    assert sum(f.count for f in reported) == len(by_hand) == wanted


@pytest.mark.parametrize('name', ['timestamps.txt', 'camera.json'])
def test_a_damaged_file_of_a_sequence_is_named(tmp_path, name):
    write_video(tmp_path / 'video.mp4', 2)
    write_sequence(tmp_path, [0, 1])
    (tmp_path / name).write_text('0 soon')

    with pytest.raises(ValueError, match=name):
        open_source(str(tmp_path))


class FakeCapture:
    """A camera that gives a few images at once and is then unplugged."""

    def __init__(self, number):
        self.left = 4 if number == 0 else 0
        self.released = False

    def isOpened(self):
        return self.left > 0

    def set(self, key, value):
        pass

    def read(self):
        self.left -= 1
        return self.left >= 0, np.full((HEIGHT, WIDTH, 3), (1, 2, 3), np.uint8)

    def release(self):
        self.released = True


def test_a_camera_gives_its_newest_image_until_it_is_unplugged(monkeypatch):
    monkeypatch.setattr(cv2, 'VideoCapture', FakeCapture)
    source = open_source('0')

    items = list(source.frames(1))

    assert isinstance(source, CameraSource)
    assert source.live
    *frames, last = items
    assert isinstance(last, BadFrame)
    # The opening took one image to see that there are any; three were left.
    assert len(frames) <= 3
    assert frames[-1].index == 2  # the newest one comes, whatever was left out
    assert all((f.rgb == (3, 2, 1)).all() for f in frames)
    assert source._capture.released


def test_a_camera_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(cv2, 'VideoCapture', FakeCapture)

    with pytest.raises(InputError, match='camera 7 cannot be opened'):
        open_source('7')


def test_a_video_goes_on_after_a_damaged_part(shared_data, tmp_path):
    # A real one: what the tests can encode has no frames that depend on each other.
    good = (shared_data / 'data/handheld_dog_nogt/video.mp4').read_bytes()
    start = 3 * len(good) // 10
    noise = np.random.default_rng(1).bytes(40_000)
    path = tmp_path / 'v.mp4'
    path.write_bytes(good[:start] + noise + good[start + len(noise) :])

    items = list(open_source(str(path)).frames(1))

    gaps = [item for item in items if isinstance(item, BadFrame)]
    frames = [item for item in items if isinstance(item, InputFrame)]
    assert gaps
    assert len(frames) > 100
    assert len(frames) + sum(gap.count for gap in gaps) == 122
    assert frames[-1].index == 121
    assert frames[-1].stamp_ns == pytest.approx(121e9 / 29.97, abs=1e6)


@pytest.mark.parametrize('name', ['a $^x %d.mp4', 'caf\udce9 \udcff.mp4'])
def test_a_video_of_any_name_is_read(tmp_path, name):
    path = write_video(tmp_path / 'v.mp4', 3).rename(tmp_path / name)

    assert shown(open_source(str(path)).frames(1)) == [0, 1, 2]


def test_depth_beside_colour_and_files_of_other_kinds_are_told_apart_and_counted(tmp_path):
    write_images(tmp_path, ['frame-0.color.png', 'frame-1.color.png'])
    write_images(tmp_path, ['frame-0.depth.png', 'frame-1.depth.png'])
    for name in ('frame-0.pose.txt', 'IMG_3.HEIC', 'Thumbs.db'):
        (tmp_path / name).write_bytes(b'')

    source = open_source(str(tmp_path))

    assert source.length == 2
    assert 'ignored (2 depth.png' in source.notes[0]
    assert '1 .HEIC' in source.notes[0]
    assert ': 5 files' in source.notes[0]


@pytest.mark.parametrize(
    ('names', 'kind'),
    [
        (['frame000{}.png', 'depth000{}.png'], 'depth.png'),  # of Replica
        (['left_{}.png', 'disp_{}.png'], 'disp.png'),
        (['{}.png', '{}_Mask.png'], 'mask.png'),
        (['{}.png', '{}-semantic.png'], 'semantic.png'),
    ],
)
def test_depth_and_masks_are_told_by_their_names(tmp_path, names, kind):
    write_images(tmp_path, [name.format(i) for name in names for i in range(3)])

    source = open_source(str(tmp_path))

    assert [int(frame.rgb[0, 0, 0]) for frame in source.frames(1)] == [10, 22, 34]
    assert source.notes[0] == f'{tmp_path}: 3 files are ignored (3 {kind})'


@pytest.mark.parametrize(
    'names',
    [
        ['DJI_2026_00{}_V.JPG', 'DJI_2026_00{}_T.JPG'],  # visible and thermal
        ['left_{}.png', 'right_{}.png'],
        ['{}_left.png', '{}_right.png'],
        ['000{}_cam_a.jpg', '000{}_cam_b.jpg'],
    ],
)
def test_images_of_two_cameras_in_a_folder_are_refused_by_their_names(tmp_path, names):
    write_images(tmp_path, [name.format(i) for name in names for i in range(3)])

    with pytest.raises(InputError, match='holds several images of each number: ') as raised:
        open_source(str(tmp_path))

    for name in names:
        assert name.split('{}')[-1].split('.')[0] in str(raised.value)


@pytest.mark.parametrize('names', [['kitchen_{}.png', 'hall_{}.png'], ['{}.png', '{} (1).png']])
def test_two_walks_one_after_the_other_are_one_folder(tmp_path, names):
    write_images(tmp_path, [names[0].format(i) for i in range(3)] + [names[1].format(0)])

    assert open_source(str(tmp_path)).length == 4


@pytest.mark.parametrize(
    ('low', 'high'), [(28_500, 34_500), (60_000, 60_500), (36_000, 37_000), (7_000, 7_400)]
)
def test_a_narrow_band_of_a_thermal_camera_has_many_greys_wherever_it_lies(tmp_path, low, high):
    values = np.linspace(low, high, 64 * 48).astype(np.uint16).reshape(48, 64)
    cv2.imwrite(str(tmp_path / '0.png'), values)

    (frame,) = open_source(str(tmp_path)).frames(1)

    # The band with a quarter on each side: two thirds of 256 greys.
    assert len(np.unique(frame.rgb)) > 150


def test_a_folder_of_other_files_alone_is_told_by_their_kinds(tmp_path):
    for name in ('IMG_1.HEIC', 'IMG_2.HEIC', 'GX01.MP4'):
        (tmp_path / name).touch()

    with pytest.raises(InputError, match=r'holds no image .*; it holds 2 \.HEIC, 1 \.MP4'):
        open_source(str(tmp_path))


def test_a_folder_of_depth_alone_is_a_folder_of_images(tmp_path):
    write_images(tmp_path, ['depth_0.png'])

    assert open_source(str(tmp_path)).length == 1


def test_one_range_holds_for_all_thermal_images():
    source = open_source(str(CASES / 'mono14thermal'))

    rgb = [frame.rgb for frame in source.frames(1)]

    stored = [np.asarray(Image.open(CASES / f'mono14thermal/{i}.png')) for i in range(6)]
    values, shown_as = (
        np.concatenate([a.ravel() for a in stored]),
        np.concatenate([image[..., 0].ravel() for image in rgb]),
    )
    # The same value has the same grey in every image, and many greys are used.
    for value in np.unique(values)[::20]:
        assert len(np.unique(shown_as[values == value])) == 1
    assert len(np.unique(shown_as)) > 100
    assert '16 bit images' in source.notes[-1]


@pytest.mark.parametrize('channels', [3, 4])
def test_colours_of_12_bits_in_16_get_the_range_of_their_camera(tmp_path, channels):
    values = np.random.default_rng(0).integers(0, 4096, (3, 8, 12, channels), dtype=np.uint16)
    for i, bgr in enumerate(values):
        cv2.imwrite(str(tmp_path / f'{i}.png'), bgr)

    source = open_source(str(tmp_path))

    assert '16 bit images: 0 to 4095' in source.notes[-1]
    for frame, bgr in zip(source.frames(1), values, strict=True):
        expected = bgr[..., 2::-1] * (255 / 4095)
        np.testing.assert_allclose(frame.rgb, expected, atol=0.51)


# The matrix of an MP4 track: identity, and turned clockwise by 90, 180 and 270 degrees.
ONE, MINUS, NONE = b'\0\1\0\0', b'\xff\xff\0\0', bytes(4)
END = NONE * 3 + b'\x40\0\0\0'


@pytest.mark.parametrize(
    ('matrix', 'orientation', 'bright'),
    [
        (ONE + NONE * 3 + ONE, 1, (0, 0)),
        (NONE + ONE + NONE + MINUS + NONE, 6, (0, -1)),
        (MINUS + NONE * 3 + MINUS, 3, (-1, -1)),
        (NONE + MINUS + NONE + ONE + NONE, 8, (-1, 0)),
    ],
)
def test_a_video_that_is_stored_turned_says_how(tmp_path, matrix, orientation, bright):
    path = tmp_path / 'v.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, (WIDTH, HEIGHT))
    stored = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    stored[:16, :16] = 255
    writer.write(stored)
    writer.release()
    content = path.read_bytes()
    at = content.rindex(ONE + NONE * 3 + ONE + END)
    path.write_bytes(content[:at] + matrix + content[at + len(matrix) :])

    frame = next(open_source(str(path)).frames(1))

    assert frame.rgb[bright].mean() > 200
    assert frame.orientation == orientation


def test_a_damaged_index_of_a_video_has_no_duration(tmp_path):
    good = (CASES / 'video/cut.mp4').read_bytes()
    rng = np.random.default_rng(3)
    for _ in range(200):
        bad = bytearray(good)
        bad[rng.integers(len(bad) - 1000, len(bad))] = rng.integers(256)
        (tmp_path / 'v.mp4').write_bytes(bad[: rng.integers(len(bad) - 900, len(bad))])

        seconds = shown_seconds(tmp_path / 'v.mp4')

        assert seconds is None or seconds > 0


@pytest.mark.parametrize('suffix', ['gif', 'webp', 'png', 'tiff'])
def test_an_animation_or_stack_says_that_its_first_image_is_read(tmp_path, suffix):
    first, *others = (Image.new('RGB', (16, 12), (60 * k, 0, 0)) for k in (1, 2, 3))
    first.save(tmp_path / f'a.{suffix}', save_all=True, append_images=others)

    source = open_source(str(tmp_path))

    assert [int(frame.rgb[0, 0, 0]) for frame in source.frames(1)] == pytest.approx([60], abs=3)
    assert source.notes == [f'a.{suffix} holds 3 images: of such a file the first is read']


def test_grey_with_alpha_of_16_bits_gets_the_range_of_its_camera(tmp_path):
    def chunk(kind, data):
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    values = np.zeros((12, 16, 2), '>u2')
    values[..., 0], values[..., 1] = np.linspace(0, 4095, 16), 65535
    rows = b''.join(b'\0' + row.tobytes() for row in values)
    head = chunk(b'IHDR', struct.pack('>IIBBBBB', 16, 12, 16, 4, 0, 0, 0))
    body = chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')
    (tmp_path / '0.png').write_bytes(b'\x89PNG\r\n\x1a\n' + head + body)

    source = open_source(str(tmp_path))
    (frame,) = source.frames(1)

    expected = np.linspace(0, 4095, 16).astype(int) / 4095 * 255
    np.testing.assert_allclose(frame.rgb[0, :, 1], expected, atol=0.51)
