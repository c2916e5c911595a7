# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from pathlib import Path

import cv2
import numpy as np
from PIL import Image
import pytest

from ttt3r_ros.inputs.clock import in_order
from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.inputs.sequence import read_stamps
from ttt3r_ros.inputs.source import BadFrame, InputError, InputFrame, TimeJump

CASES = Path(__file__).parents[1] / 'cases'
PIXELS = np.zeros((2, 2, 3), np.uint8)


def sorted_out(*stamps):
    """Return the verdict on each image: its stamp, 'odd' or ('back', by how much)."""
    frames = (InputFrame(i, stamp, PIXELS) for i, stamp in enumerate(stamps))
    said = []
    for item in in_order(frames):
        if isinstance(item, TimeJump):
            said.append(('back', item.back_ns))
        else:
            said.append('odd' if isinstance(item, BadFrame) else item.stamp_ns)
    return said


@pytest.mark.parametrize(
    ('stamps', 'said'),
    [
        ((1, 2, 3), [1, 2, 3]),
        ((1,), [1]),
        ((), []),
        # A lone odd stamp costs its image, wherever it stands.
        ((1, 2, 0, 3, 4), [1, 2, 'odd', 3, 4]),
        ((1, 2, 99, 3, 4), [1, 2, 'odd', 3, 4]),
        ((99, 1, 2, 3), ['odd', 1, 2, 3]),
        ((1, 2, 3, 0), [1, 2, 3, 'odd']),
        ((1, 1, 2), ['odd', 1, 2]),
        ((1, 2, 2, 2, 3), [1, 'odd', 'odd', 2, 3]),
        ((1, 2, 3, 3 + 10**15), [1, 2, 3, 'odd']),
        ((1, 10**15), [1, 10**15]),
        # So does a first one, or some, before a clock was set.
        ((0, 10**15, 10**15 + 1, 10**15 + 2), ['odd', 10**15, 10**15 + 1, 10**15 + 2]),
        ((0, 0, 0, 10**15, 10**15 + 1), ['odd', 'odd', 'odd', 10**15, 10**15 + 1]),
        ((0, 10**15, 0, 10**15 + 1, 10**15 + 2), ['odd', 10**15, 'odd', 10**15 + 1, 10**15 + 2]),
        # A lasting jump begins anew, once.
        ((51, 52, 1, 2, 3), [51, 52, ('back', 51), 1, 2, 3]),
        ((51, 52, 1, 2, 53), [51, 52, ('back', 51), 1, 2, 53]),
        ((101, 102, 51, 52, 1, 2), [101, 102, ('back', 51), 51, 52, ('back', 51), 1, 2]),
        # A clock that was set forward is a pause.
        ((1, 2, 51, 52), [1, 2, 51, 52]),
    ],
)
def test_a_lone_odd_stamp_costs_one_image_and_a_lasting_jump_begins_anew(stamps, said):
    assert sorted_out(*stamps) == said


def stamps_of(path, **options):
    items = list(open_source(str(path), **options).frames(1))
    assert [item for item in items if isinstance(item, BadFrame)] == []
    return [item.stamp_ns for item in items]


def test_a_clock_that_begins_at_zero_is_kept():
    assert stamps_of(CASES / 'simzero/bag') == [i * 100_000_000 for i in range(6)]


def test_nanoseconds_in_a_table_are_recognised():
    first = 1403636579763555584
    assert stamps_of(CASES / 'seqns') == [first + i * 50_000_000 for i in range(4)]


@pytest.mark.parametrize(
    'text',
    [
        '0 0,0\n1 0,033\n2 0,066\n',
        '0;0,0\n1;0,033\n2;0,066\n',
        'frame_index,seconds\n0,0.0\n1,0.033\n2,0.066\n',
        '"0","0.0"\n"1","0.033"\n"2","0.066"\n',
        '0 0.0 a.png\n1 0.033 b.png\n2 0.066 c.png\n',
    ],
)
def test_a_table_of_stamps_is_read_as_spreadsheets_write_it(tmp_path, text):
    (tmp_path / 'timestamps.txt').write_text(text)

    assert read_stamps(tmp_path / 'timestamps.txt') == {0: 0, 1: 33_000_000, 2: 66_000_000}


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('0 1 2 3\n', 'needed is `frame_index seconds`'),
        (''.join(f'{i} 1.30503e+09\n' for i in range(5)), 'only 1 of 5 times differ'),
    ],
)
def test_a_table_whose_stamps_mean_nothing_is_refused(tmp_path, text, said):
    (tmp_path / 'timestamps.txt').write_text(text)

    with pytest.raises(InputError, match=said):
        read_stamps(tmp_path / 'timestamps.txt')


def test_a_video_of_variable_rate_has_each_line_of_its_table():
    lines = (CASES / 'seqvfr2/timestamps.txt').read_text().split()
    expected = [int(word.replace('.', '')) * 1000 for word in lines[1::2]]

    assert len(expected) == 90
    assert stamps_of(CASES / 'seqvfr2') == expected


def test_names_that_are_times_are_the_stamps():
    first = 1305031102_000_000_000
    steps = (10, 15, 20, 25, 30, 35)
    assert stamps_of(CASES / 'decnames') == [first + s * 10_000_000 for s in steps]


@pytest.mark.parametrize(
    ('names', 'stamps'),
    [
        (['1305031102', '1305031103'], [0, 1000]),
        (['frame_1305031102.1', 'frame_1305031102.3'], [100, 300]),
        (['left1305031102123456789', 'left1305031102223456789'], [123, 223]),
    ],
)
def test_times_after_one_word_and_in_whole_seconds_are_the_stamps(tmp_path, names, stamps):
    for name in names:
        Image.new('RGB', (8, 8)).save(tmp_path / f'{name}.png')

    found = [stamp_ns // 10**6 for stamp_ns in stamps_of(tmp_path)]

    assert found == [1305031102_000 + stamp for stamp in stamps]


@pytest.mark.parametrize('digits', [10, 13, 16, 19])
def test_numbers_with_zeros_before_them_are_no_times(tmp_path, digits):
    for i in range(3):
        Image.new('RGB', (8, 8)).save(tmp_path / f'{i:0{digits}d}.png')

    source = open_source(str(tmp_path))

    assert 'has no times: 1 image a second is assumed' in source.notes[0]


@pytest.mark.parametrize(
    ('names', 'stamps'),
    [
        (['0.1', '0.15', '0.2', '1.0'], [100, 150, 200, 1000]),  # as Python prints seconds
        (['4.9', '4.10', '4.11'], [0, 1000, 2000]),  # pages of chapter 4
        (['0.1', '0.2', '0.3'], [0, 1000, 2000]),  # either
    ],
)
def test_names_without_zeros_at_their_ends_are_seconds(tmp_path, names, stamps):
    for i, name in enumerate(names):
        Image.new('RGB', (8, 8), (i, i, i)).save(tmp_path / f'{name}.png')

    frames = list(open_source(str(tmp_path)).frames(1))

    assert [frame.rgb[0, 0, 0] for frame in frames] == list(range(len(names)))
    assert [frame.stamp_ns // 10**6 for frame in frames] == stamps


def video_with(folder, lines):
    """Write a video of ten images beside a table of its times."""
    writer = cv2.VideoWriter(
        str(folder / 'video.mp4'), cv2.VideoWriter.fourcc(*'mp4v'), 10, (64, 48)
    )
    for i in range(10):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()
    (folder / 'timestamps.txt').write_text('\n'.join(lines))


def test_a_table_of_a_video_may_count_from_one(tmp_path):
    video_with(tmp_path, [f'{i + 1} {5 + i}' for i in range(10)])

    assert [stamp_ns // 10**9 for stamp_ns in stamps_of(tmp_path)] == list(range(5, 15))


def test_an_image_whose_time_is_no_number_costs_itself(tmp_path):
    video_with(tmp_path, [f'{i} {5 + i if i != 4 else "NaN"}' for i in range(10)])

    frames = list(open_source(str(tmp_path)).frames(1))

    assert [frame.index for frame in frames if isinstance(frame, InputFrame)] == [
        i for i in range(10) if i != 4
    ]
    assert frames[4].reason == 'image 4: has no time in timestamps.txt'


def test_a_rate_that_is_assumed_is_said_and_one_that_is_given_is_not(tmp_path):
    for i in range(3):
        Image.new('RGB', (8, 8)).save(tmp_path / f'{i}.png')

    assert stamps_of(tmp_path) == [0, 10**9, 2 * 10**9]
    (note,) = open_source(str(tmp_path)).notes
    assert note.endswith('has no times: 1 image a second is assumed, --fps gives another rate')
    assert open_source(str(tmp_path), fps=30.0).notes == []


def test_names_that_are_times_give_way_to_a_rate():
    assert stamps_of(CASES / 'decnames', fps=2.0)[:2] == [0, 500_000_000]


def test_the_layout_of_tum_is_read_with_its_stamps():
    lines = (CASES / 'tumlike/rgb.txt').read_text().splitlines()[1:]
    expected = [int(line.split()[0].replace('.', '')) * 1000 for line in lines]

    assert stamps_of(CASES / 'tumlike') == expected


def test_a_stream_without_times_uses_its_rate_and_says_so():
    source = open_source(str(CASES / 'video/raspivid.h264'))

    assert [f.stamp_ns for f in source.frames(1)] == [i * 40_000_000 for i in range(20)]
    assert '--fps' in source.notes[0]


def test_images_that_an_edit_list_leaves_out_are_not_missing():
    assert len(stamps_of(CASES / 'video/cut.mp4')) == 10


def test_a_name_that_no_file_can_have_costs_its_image(tmp_path):
    (tmp_path / 'rgb.txt').write_text('5.0 a.png\n5.1 b\0.png\n')
    Image.new('RGB', (4, 4)).save(tmp_path / 'a.png')

    frames = list(open_source(str(tmp_path)).frames(1))

    assert [type(frame) for frame in frames] == [InputFrame, BadFrame]


@pytest.mark.parametrize('name', ['simzero/bag', 'seqns', 'tumlike'])
def test_a_rate_is_refused_where_the_images_have_times(name):
    with pytest.raises(InputError, match='--fps has no meaning'):
        open_source(str(CASES / name), fps=5.0)
