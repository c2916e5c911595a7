# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import pytest

from ttt3r_ros.doctor.finding import Level
from ttt3r_ros.doctor.observed import Clock


@pytest.mark.parametrize(
    ('changes', 'seen', 'advice'),
    [
        ({'node.use_sim_time': True}, 'nothing is published on /clock', 'use_sim_time:=false'),
        ({'clock': Clock(('/bag', '/sim'), 100)}, '2 publishers', 'stop all but one'),
        ({'image.arrivals.age_s': 3600.0}, '3600.000 s old', 'clocks'),
        ({'image.arrivals.age_s': -60.0}, '60.000 s ahead', 'clocks'),
        ({'image.arrivals.zero_stamps': 150}, '150 of 150 are 0', 'bad_stamps'),
        (
            {'image.arrivals.age_s': 1e9, 'image.arrivals.clock_age_s': 0.1},
            'they fit /clock',
            'use_sim_time:=true',
        ),
    ],
)
def test_a_time_that_does_not_fit_is_named(find, changes, seen, advice):
    find(changes, Level.FAIL, seen, advice)


@pytest.mark.parametrize(
    ('changes', 'seen'),
    [
        ({'clock': Clock(('/bag',), 50)}, 'use_sim_time false'),
        ({'image.arrivals.disordered': 3}, '3 repeated or out of order'),
        ({'image.arrivals.age_s': 2.5}, '2.500 s old'),
    ],
)
def test_a_doubtful_time_is_a_warning(judge, find, changes, seen):
    find(changes, Level.WARN, seen)

    assert Level.FAIL not in {one.level for one in judge(changes)}


def test_ages_count_by_the_simulated_clock_of_the_node(judge, healthy):
    simulated = replace(healthy.image.arrivals, age_s=1e9, clock_age_s=0.05)

    found = judge(
        {
            'node.use_sim_time': True,
            'clock': Clock(('/bag',), 50),
            'image.arrivals': simulated,
            'links': tuple(replace(link, arrivals=simulated) for link in healthy.links),
        }
    )

    assert {one.level for one in found} == {Level.OK}
