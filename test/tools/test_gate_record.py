# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The gain of each image as a file and a picture."""

import io

import cv2
import numpy as np

from ttt3r_ros.tools import gate_record
from ttt3r_ros.tools.gate_record import GateRecord


def archive_of(record):
    file = io.BytesIO()
    record.write(file, 'ttt3r')
    file.seek(0)
    return dict(np.load(file, allow_pickle=False))


def test_every_image_has_its_gain_and_its_segment(located_frame):
    record = GateRecord()
    for index in range(5):
        record.add(located_frame(index=index, segment=index // 2))

    archive = archive_of(record)

    np.testing.assert_array_equal(archive['stamps_ns'], 10**9 + np.arange(5))
    np.testing.assert_allclose(archive['mean'], 0.5, atol=1e-6)
    np.testing.assert_array_equal(archive['segment'], [0, 0, 1, 1, 2])
    assert archive['gains'].shape == (5, 4)
    assert str(archive['update_rule']) == 'ttt3r'


def test_where_there_is_no_room_for_tokens_the_means_go_on(located_frame, monkeypatch):
    monkeypatch.setattr(gate_record, 'MOST_NUMBERS', 12)
    record = GateRecord()
    for index in range(5):
        record.add(located_frame(index=index))

    archive = archive_of(record)

    assert archive['gains'].shape == (3, 4)
    assert archive['mean'].shape == (5,)


def test_samples_are_spread_over_all_images(located_frame):
    record = GateRecord()
    for index in range(40):
        chosen = record.is_sample
        frame = located_frame(index=index)
        record.add(frame)
        if chosen:
            record.add_sample(frame, np.full((1, 1), index / 40, np.float32))

    shown = np.array([sample.match[0, 0] for sample in record.samples])
    assert gate_record.SAMPLES <= len(shown) < 2 * gate_record.SAMPLES
    assert shown.max() > 0.7
    np.testing.assert_allclose(np.diff(shown), np.diff(shown)[0], atol=1e-6)


def test_the_picture_shows_a_strong_match_bright(located_frame):
    pictures = []
    for match in (0.0, 1.0):
        record = GateRecord()
        for index in range(2):
            frame = located_frame(index=index)
            record.add(frame)
        record.add_sample(frame, np.full((2, 2), match, np.float32))
        file = io.BytesIO()
        record.draw(file, 'a $title')
        pictures.append(cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR))

    dark, bright = pictures
    assert bright[500:].mean() > dark[500:].mean()
    np.testing.assert_array_equal(bright[60:400], dark[60:400])
