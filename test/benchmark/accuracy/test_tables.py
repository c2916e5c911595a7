# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Tables look as they shall, in the source too."""

from benchmark.accuracy.errors import Mean
from benchmark.accuracy.tables import number, with_best
from benchmark.accuracy.targets import Target
from ttt3r_ros.bench.tables import Table

NAN = float('nan')


def test_a_table_is_aligned_markdown_under_its_caption():
    table = Table('Errors', ['method', 'ATE [m]'], [['cut3r', '1.20'], ['a longer name', '0.5']])
    assert table.markdown().splitlines() == [
        '**Errors**',
        '',
        '| method        | ATE [m] |',
        '|---------------|--------:|',
        '| cut3r         |    1.20 |',
        '| a longer name |     0.5 |',
    ]


def test_a_number_has_its_error_and_unit():
    assert number(Mean(0.1234, 0.0056), 1, 100) == '12.3±0.6'


def test_a_number_of_one_sequence_has_no_error():
    assert number(Mean(1.0, NAN), 2) == '1.00'


def test_what_is_not_known_is_a_dash():
    assert number(Mean(NAN, NAN), 2) == '-'


def test_the_lowest_of_those_compared_is_bold():
    means = [Mean(2.0, NAN), Mean(1.0, NAN), Mean(0.5, NAN)]
    assert with_best(means, 2, 1) == ['2.0', '**1.0**', '0.5']


def test_a_target_is_reached_up_to_its_figure():
    assert [Target('a', 0.05, reached).row()[-1] for reached in (0.05, 0.0501)] == ['yes', 'no']
