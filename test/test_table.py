# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest

from ttt3r_ros.table import is_number, split_row


@pytest.mark.parametrize(
    'row',
    [
        '1.5 2 -3',
        '1.5,2,-3',
        '1.5, 2, -3,',
        '1.5;2;-3',
        '1.5\t2\t-3\r',
        '1,5 2,0 -3',
        '1,5;2;-3',
        '"1.5","2","-3"',
        '"1,5","2","-3"',
        '"1,5";"2";"-3"',
        '1.5 2 -3 # as measured',
    ],
)
def test_a_row_has_the_same_numbers_however_they_are_separated(row):
    assert [float(word) for word in split_row(row)] == [1.5, 2.0, -3.0]


@pytest.mark.parametrize(
    'missing', ['', ' ', 'nan', '-nan(ind)', '1.#QNAN', 'NULL', 'None', 'n/a']
)
@pytest.mark.parametrize('separator', [',', ';'])
def test_a_missing_number_keeps_its_place_however_it_is_written(missing, separator):
    assert split_row(separator.join(['1', missing, '3'])) == ['1', 'nan', '3']


def test_a_comma_between_two_numbers_alone_separates():
    assert split_row('0,1') == ['0', '1']
    assert split_row('0 0,1') == ['0', '0.1']


def test_a_field_of_any_length_ends():
    assert split_row('"' + 200_000 * '1' + '","2"') == ['"']


def test_a_word_is_a_number_or_none():
    assert [is_number(word) for word in ('1e3', 'nan', 'qx', '')] == [True, True, False, False]
