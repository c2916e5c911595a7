# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from ttt3r_ros.node.stamps import StampGate, Verdict
from ttt3r_ros.settings import InputSettings

SECOND = 1_000_000_000


def verdicts(gate, clock_s, *stamps_s):
    settings = InputSettings()
    judged = [gate.judge(round(s * SECOND), round(clock_s * SECOND), settings) for s in stamps_s]
    return [verdict for verdict, _ in judged]


def test_an_image_that_was_under_way_when_the_clock_went_back_is_late():
    gate = StampGate()
    assert verdicts(gate, 100.8, 100.7, 100.8) == [Verdict.USE] * 2
    assert gate.clock_went_back(100 * SECOND)

    assert verdicts(gate, 100.0, 100.9, 100.0, 100.1) == [Verdict.LATE, Verdict.USE, Verdict.USE]
    assert verdicts(gate, 100.9, 100.8, 100.9, 101.0) == [Verdict.USE] * 3


def test_images_that_come_before_the_clock_that_went_back_begin_one_map_not_two():
    gate = StampGate()
    assert verdicts(gate, 102.9, 102.9, 100.0, 100.1) == [
        Verdict.USE,
        Verdict.WENT_BACK,
        Verdict.USE,
    ]
    assert not gate.clock_went_back(100 * SECOND)

    assert verdicts(gate, 102.9, 100.2, 102.9) == [Verdict.USE] * 2
    assert gate.clock_went_back(100 * SECOND)  # the next loop, where the clock comes first
