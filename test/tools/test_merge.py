# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace
import re

import numpy as np
from PIL import Image
import pytest
import torch

from ttt3r_ros.geometry import rotation_about, Similarity, transform
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.mapping.storage import read_map, write_map
from ttt3r_ros.model.predictor import Predictor, random_network
from ttt3r_ros.settings import MappingSettings
from ttt3r_ros.tools.main import main
from ttt3r_ros.tracking.observation import Observation

AWAY = Similarity(transform(rotation_about([0, 0, 1], np.pi / 2), [7.0, -3.0, 0.0]))


@pytest.fixture(scope='module')
def written(tmp_path_factory, drive_map):
    """Return the folder of three map files: two drives of one room, and one of another."""
    folder = tmp_path_factory.mktemp('maps')
    maps = {
        'monday.ttt3r': drive_map(range(18)),
        'tuesday.ttt3r': drive_map(range(8, 30), AWAY),
        'cellar.ttt3r': drive_map(range(20), room=1),
    }
    for name, stored in maps.items():
        with (folder / name).open('wb') as file:
            write_map(file, stored)
    return folder


def merged(folder, *names, output):
    return main(['merge', *(str(folder / name) for name in names), '--output', str(output)])


def test_two_maps_become_one_file_with_a_picture_and_a_report(written, tmp_path, capsys):
    output = tmp_path / 'house.ttt3r'

    assert merged(written, 'monday.ttt3r', 'tuesday.ttt3r', output=output) == 0

    said = capsys.readouterr().out
    assert 'tuesday.ttt3r: ' in said
    assert ' of 22 key frames recognise a place, 1 overlap\n' in said
    assert 'sure to 0.0' in said
    # The second frame is turned by 90 degrees to the first one, and back lies there.
    found = re.search(r'lies at x (\S+) y (\S+) z (\S+) m, turned by (\S+) degrees', said)
    assert [float(number) for number in found.groups()] == pytest.approx([3, 7, 0, -90], abs=0.05)
    stored = read_map(output)
    assert 18 < len(stored.graph.frames) <= 18 + 22  # less what others replace
    with Image.open(tmp_path / 'house.ttt3r.png') as picture:
        colors = np.array([color for _, color in picture.convert('RGB').getcolors(1 << 24)])
    for path in [0xD5, 0x5E, 0x00], [0x00, 0x72, 0xB2]:
        assert np.abs(colors - path).sum(axis=1).min() < 12


def test_maps_that_do_not_overlap_are_refused_and_nothing_is_written(written, tmp_path, capsys):
    output = tmp_path / 'house.ttt3r'

    assert merged(written, 'monday.ttt3r', 'cellar.ttt3r', output=output) == 1

    error = capsys.readouterr().err
    assert 'cellar.ttt3r shows no place of' in error
    assert 'monday.ttt3r for certain' in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('names', 'words'),
    [
        (['monday.ttt3r'], 'at least two maps'),
        (['monday.ttt3r', '../maps0/monday.ttt3r'], 'named twice'),
        (['monday.ttt3r', 'gone.ttt3r'], 'gone.ttt3r'),
    ],
)
def test_what_cannot_be_merged_is_named(written, tmp_path, capsys, names, words):
    again = [name.replace('maps0', written.name) for name in names]

    assert merged(written, *again, output=tmp_path / 'house.ttt3r') == 1

    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_output_may_be_one_of_the_maps(written, tmp_path):
    for name in ('monday.ttt3r', 'tuesday.ttt3r'):
        (tmp_path / name).write_bytes((written / name).read_bytes())

    output = tmp_path / 'monday.ttt3r'
    assert merged(tmp_path, 'monday.ttt3r', 'tuesday.ttt3r', output=output) == 0

    assert len(read_map(output).graph.frames) > 18


def test_a_robot_goes_on_in_a_merged_map_and_is_lost_until_it_recognises(
    written, tmp_path, drive_map
):
    mapper = Mapper(
        Predictor(random_network(torch.device('cpu'), 'strict').eval()), MappingSettings()
    )
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    mapper.observe(Observation(image, 0))
    mapper.integrate()
    own = mapper.stored()
    for name, steps in (('a', range(18)), ('b', range(8, 30))):
        drive = drive_map(steps, AWAY)
        stored = replace(own, cloud=drive.cloud, graph=drive.graph)
        with (tmp_path / name).open('wb') as file:
            write_map(file, stored)
    output = tmp_path / 'house.ttt3r'
    assert merged(tmp_path, 'a', 'b', output=output) == 0

    mapper.resume(read_map(output))

    assert len(mapper.key_frames().map_T_camera) > 18
    assert mapper.map_T_odom is None
    assert len(mapper.map.voxels) > 500
