# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest
from scipy.spatial import cKDTree

from benchmark.speed.map_cost import Drive, main, SortedVoxels, stay
from ttt3r_ros.mapping.key_frame_support import KeyFrameSupport
from ttt3r_ros.mapping.key_points import KeyPoints
from ttt3r_ros.mapping.voxels import unpacked
from ttt3r_ros.mapping.world_map import WorldMap
from ttt3r_ros.settings import MappingSettings


@pytest.fixture(scope='module')
def drive():
    return Drive.through_a_building(64, 48, 15)


def test_both_ways_have_the_same_voxels(drive, monkeypatch):
    # All points are shown, whatever images and key frames agree on.
    monkeypatch.setattr(KeyPoints, 'supported', lambda key, points: points)
    monkeypatch.setattr(
        KeyFrameSupport, 'confirmed', lambda support, cells: np.ones(len(cells), bool)
    )
    world, by_sorting = WorldMap(MappingSettings()), SortedVoxels(MappingSettings().map.voxel_size)
    for image in drive.images():
        world.add(image)
        pointmap, map_T_camera = image.pointmap, image.map_T_key.after(image.key_T_camera).a_T_b
        by_sorting.add(
            pointmap.points_in(map_T_camera).reshape(-1, 3),
            pointmap.colors.reshape(-1, 3),
            pointmap.confidence.reshape(-1),
        )

    cells = np.concatenate([part.voxels.cells for part in world.voxels.parts.values()])
    # Points at the border of two voxels may be rounded into either.
    apart, _ = cKDTree(unpacked(by_sorting.keys).T).query(unpacked(cells).T, p=np.inf)
    assert apart.max() <= 1
    assert len(cells) == pytest.approx(len(by_sorting.keys), abs=0.1 * len(cells))


def test_a_map_of_one_building_does_not_grow_with_time(drive):
    rows = stay(drive, 60 * 15)

    voxels, points = ([int(row[column]) for row in rows] for column in (1, 2))
    # All key frames there may be are there after the third of five rows.
    assert voxels[-1] < 1.1 * voxels[2]
    assert points[-1] < 1.1 * points[2]


def test_the_table_is_printed(capsys):
    assert main(['--resolution', '64x48', '--images', '10']) == 0

    assert '2 key frames that move' in capsys.readouterr().out
