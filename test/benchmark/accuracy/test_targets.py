# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Targets and choices follow from records as they should."""

from types import SimpleNamespace

import pytest

from benchmark.accuracy.errors import PathErrors, Record, SceneErrors
from benchmark.accuracy.estimates import Method
from benchmark.accuracy.frame_rates import best_method
from benchmark.accuracy.targets import long_targets, short_targets

RULES = [Method('cut3r'), Method('brake')]
SEGMENTED = [Method('cut3r', 3), Method('brake', 3)]
BENCH = SimpleNamespace(methods=[*RULES, *SEGMENTED], rate_hz=15.0)


def record(method, ate, setting=500, group='M', kind='robot', turn=1.0, scene=None):
    """Return a record of a path of 10 m."""
    errors = PathErrors(path=10.0, ate=ate, drift=ate, step=0.0, turn=turn)
    return Record('sequence', group, kind, method, setting, errors, scene)


def test_the_best_method_has_the_least_error_over_all_its_paths():
    # The mean counts, not the best sequence: 1.2 m against 1.0 m.
    records = [record('cut3r', ate) for ate in (0.4, 2.0)]
    records += [record('brake', ate) for ate in (0.9, 1.1)]
    assert best_method(records, RULES) == Method('brake')


def test_a_method_chosen_on_other_paths_is_reported_as_it_is_on_these():
    reported = [record('cut3r', 1.0), record('brake', 0.8)]
    choice = [record('cut3r', 0.1, 15.0), record('brake', 0.2, 15.0)]
    (target,) = long_targets(reported, choice, BENCH)
    assert target.reached == pytest.approx(1.0, abs=1e-9)
    assert target.name == "M robot, 500 frames, cut3r: ATE over cut3r's"


def test_only_the_longest_sequences_and_segments_count_for_the_target_of_s():
    reported = [record(m.name, 0.4, group='S') for m in SEGMENTED]
    reported += [record('cut3r', 0.0, group='S'), record('cut3r, segments of 3', 0.0, 100, 'S')]
    choice = [record(m.name, 0.4, 15.0, 'S') for m in SEGMENTED]
    (target,) = long_targets(reported, choice, BENCH)
    assert target.reached == pytest.approx(0.04, abs=1e-9)
    assert target.wanted == 0.05


def test_a_method_is_chosen_at_the_rate_of_the_long_sequences():
    reported = [record('cut3r', 1.0), record('brake', 0.8)]
    choice = [record('cut3r', 0.2, 15.0), record('brake', 0.1, 15.0)]
    other_rate = [record('cut3r', 0.0, 2.0), record('brake', 5.0, 2.0)]
    (target,) = long_targets(reported, choice + other_rate, BENCH)
    assert target.reached == pytest.approx(0.8, abs=1e-12)


def test_eight_frames_are_judged_by_the_rule_of_the_training_and_against_no_motion():
    scene = SceneErrors(metric=0.3, scaled=0.2, world=0.3)
    ours = record('network (cut3r)', 0.1, 8, turn=0.5, scene=scene)
    records = [ours, record('constant pose', 3.0, 8, turn=2.0, scene=scene)]
    depth, turn = short_targets(records)
    assert depth.reached == pytest.approx(0.2, abs=1e-9)
    assert turn.reached == pytest.approx(0.25, abs=1e-9)
    assert turn.row()[-1] == 'yes'
