# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest

from ttt3r_ros.doctor.finding import Level


@pytest.mark.parametrize(
    ('changes', 'seen', 'advice'),
    [
        ({'node.state': 'unconfigured'}, '/ttt3r is unconfigured', 'lifecycle set /ttt3r conf'),
        ({'node.state': 'inactive'}, '/ttt3r is inactive', 'lifecycle set /ttt3r activate'),
        ({'node.answers': False}, 'its services do not answer', 'log'),
        ({'node.report': 'LOST: the network cannot be loaded'}, 'cannot be loaded', ''),
        ({'node.report': 'STALE: paused by its service'}, 'paused by its service', ''),
        ({'node': None}, 'there is no node /ttt3r', 'mapping.launch.py'),
        (
            {'node': None, 'nodes': ('/robot/ttt3r',)},
            'there is no node /ttt3r',
            '--namespace /robot/ttt3r',
        ),
    ],
)
def test_a_node_that_does_not_map_is_named_with_the_cause(find, changes, seen, advice):
    find(changes, Level.FAIL, seen, advice)


@pytest.mark.parametrize(
    ('report', 'seen'), [('DEGRADED: rate', 'DEGRADED: rate'), ('', 'none came')]
)
def test_diagnostics_that_are_not_well_are_a_warning(judge, find, report, seen):
    find({'node.report': report}, Level.WARN, seen)

    assert Level.FAIL not in {one.level for one in judge({'node.report': report})}
