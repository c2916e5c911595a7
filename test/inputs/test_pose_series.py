# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import numpy as np
import pytest

from ttt3r_ros.inputs.pose_series import PoseRecorder, PoseSeries

SECOND = 1_000_000_000
RADIUS, TURN = 2.0, 0.5  # metres, radians a second


def on_circle(seconds):
    """Return x y z of a robot that drives in a circle, and its heading."""
    heading = TURN * seconds
    return np.array([RADIUS * math.sin(heading), RADIUS * (1 - math.cos(heading)), 0.0]), heading


def circle(stamps_ns):
    translations, rotations = [], []
    for stamp_ns in stamps_ns:
        position, heading = on_circle(stamp_ns / SECOND)
        translations.append(position)
        rotations.append([0.0, 0.0, math.sin(heading / 2), math.cos(heading / 2)])
    return PoseSeries(np.array(stamps_ns), np.array(translations), np.array(rotations))


def heading_of(pose):
    return math.atan2(pose[1, 0], pose[0, 0])


@pytest.mark.parametrize('step_ns', [SECOND // 100, SECOND // 10, SECOND])
def test_between_the_stamps_of_a_circle_only_the_height_of_the_arc_is_missing(step_ns):
    series = circle([k * step_ns for k in range(11)])
    # What a chord leaves of its arc, most in its middle.
    height = RADIUS * (1 - math.cos(TURN * step_ns / SECOND / 2))

    for part in (0.0, 0.1, 0.5, 0.75):
        stamp_ns = int((3 + part) * step_ns)
        position, heading = on_circle(stamp_ns / SECOND)
        pose = series.at(stamp_ns)
        error = float(np.linalg.norm(pose[:3, 3] - position))
        assert heading_of(pose) == pytest.approx(heading, abs=1e-9)
        assert error <= height + 1e-9
        if part == 0.5:
            assert error == pytest.approx(height, abs=1e-9)


def test_a_circle_across_the_half_turn_turns_the_short_way():
    # Headings of 3.0 and 3.5 radians: the quaternions of the second may have either sign.
    rotations = np.array([[0, 0, math.sin(h / 2), math.cos(h / 2)] for h in (3.0, 3.5)])
    series = PoseSeries(np.array([0, SECOND]), np.zeros((2, 3)), rotations * [[1], [-1]])

    assert heading_of(series.at(SECOND // 2)) == pytest.approx(3.25 - 2 * math.pi, abs=1e-9)


def test_the_nearest_pose_holds_for_a_tenth_of_a_second_beyond_either_end_and_no_longer():
    series = circle([10 * SECOND, 11 * SECOND])

    for end, sign in ((10, -1), (11, 1)):
        held = series.at(end * SECOND + sign * 100_000_000)
        np.testing.assert_allclose(held[:3, 3], on_circle(end)[0], atol=1e-9)
        assert series.at(end * SECOND + sign * 100_000_001) is None


def test_a_gap_of_more_than_one_and_a_half_seconds_is_not_bridged():
    just, too_long = circle([0, 1_500_000_000]), circle([0, 1_500_000_001])

    assert just.at(SECOND) is not None
    assert too_long.at(SECOND) is None
    assert too_long.at(50_000_000) is not None


def test_a_single_pose_holds_at_its_stamp_only():
    series = circle([5 * SECOND])

    assert series.at(5 * SECOND) is not None
    assert series.at(6 * SECOND) is None


def test_poses_in_any_order_are_sorted_and_of_equal_stamps_the_last_counts():
    recorder = PoseRecorder()
    stamps_ns = np.random.default_rng(2).integers(0, 50, 1000).tolist()
    for place, stamp_ns in enumerate(stamps_ns):
        recorder.add(stamp_ns, [place, 0, 0, 0, 0, 0, 1])
    series = recorder.series()

    last = {stamp_ns: place for place, stamp_ns in enumerate(stamps_ns)}
    for stamp_ns, place in last.items():
        assert series.at(stamp_ns)[0, 3] == pytest.approx(place, abs=1e-9)


def test_a_halved_recorder_keeps_poses_of_one_distance_before_and_after():
    recorder = PoseRecorder()
    for k in range(100):
        recorder.add(k, [k, 0, 0, 0, 0, 0, 1])
        if k in (9, 30):
            recorder.halve()
    kept = recorder.series()

    assert len(recorder) == 25
    # Every fourth is there: between them x is interpolated, which is exact here.
    assert kept._stamps_ns.tolist() == list(range(0, 100, 4))
    assert kept.at(41)[0, 3] == pytest.approx(41, abs=1e-9)


def test_stamps_of_today_keep_their_nanoseconds():
    base = 1_700_000_000 * SECOND
    rotations = np.array([[0, 0, 0, 1.0]] * 2)
    series = PoseSeries(
        np.array([base, base + 1000]), np.array([[0, 0, 0], [1.0, 0, 0]]), rotations
    )

    assert series.at(base + 250)[0, 3] == pytest.approx(0.25, abs=1e-12)
