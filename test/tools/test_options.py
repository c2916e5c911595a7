# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import argparse
from pathlib import Path

import pytest

from ttt3r_ros.settings import knobs, MappingSettings, ModelSettings, SettingsError
from ttt3r_ros.tools.options import (
    add_settings,
    named_path,
    positive_float,
    positive_int,
    read_settings,
)


def parser_of(kind):
    parser = argparse.ArgumentParser()
    add_settings(parser, kind)
    return parser


@pytest.mark.parametrize('kind', [ModelSettings, MappingSettings])
def test_without_options_the_settings_are_the_defaults(kind):
    assert read_settings(parser_of(kind).parse_args([]), kind) == kind()


@pytest.mark.parametrize('kind', [ModelSettings, MappingSettings])
def test_the_help_explains_every_setting(kind):
    text = ' '.join(parser_of(kind).format_help().split())

    for name, field in knobs(kind).items():
        alone = '--' + field.name.replace('_', '-')
        with_room = '--' + name.replace('_', '-').replace('.', '-')
        assert f'{alone} ' in text or f'{with_room} ' in text
        assert ' '.join(field.metadata['sentence'].split()) in text


def test_the_help_names_unit_range_and_default():
    text = ' '.join(parser_of(MappingSettings).format_help().split())

    assert 'Edge of a voxel of the map. [0.001 to 10 m, default 0.05]' in text
    assert '[1000 to 100000000 voxels, default 2000000]' in text
    assert '[default true]' in text


def test_options_keep_the_type_of_their_setting():
    arguments = parser_of(MappingSettings).parse_args(
        ['--voxel-size', '1', '--max-voxels', '5000']
    )

    settings = read_settings(arguments, MappingSettings)

    assert (settings.map.voxel_size, settings.map.max_voxels) == (1.0, 5000)


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (['--max-range', '-3'], '--max-range is -3.0, allowed is 0.1 to 10000.0 m'),
        (['--max-range', 'nan'], '--max-range is nan, allowed is 0.1 to 10000.0 m'),
        (['--occupancy-range', '0'], '--occupancy-range is 0.0, allowed is 0.5 to 20.0 m'),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_option(options, said):
    arguments = parser_of(MappingSettings).parse_args(options)

    with pytest.raises(SettingsError) as caught:
        read_settings(arguments, MappingSettings)

    assert str(caught.value) == said


@pytest.mark.parametrize(
    ('option', 'enabled'), [('--occupancy-enabled', True), ('--no-occupancy-enabled', False)]
)
def test_what_is_true_or_false_has_two_options(option, enabled):
    arguments = parser_of(MappingSettings).parse_args([option])

    assert read_settings(arguments, MappingSettings).occupancy.enabled is enabled


@pytest.mark.parametrize(
    ('read', 'text'),
    [
        (positive_int, '0'),
        (positive_int, '-2'),
        (positive_float, '0'),
        (positive_float, 'nan'),
        (positive_float, 'inf'),
    ],
)
def test_numbers_that_must_be_above_zero_are(read, text):
    with pytest.raises(argparse.ArgumentTypeError):
        read(text)


def test_an_empty_name_is_not_the_present_folder():
    with pytest.raises(argparse.ArgumentTypeError, match='the name is empty'):
        named_path('')
    assert named_path('out') == Path('out')
