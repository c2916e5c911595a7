# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import load, save
import torch

from ttt3r_ros.geometry import Similarity
from ttt3r_ros.graph.belief import LoopCounts
from ttt3r_ros.graph.chain import Measurements
from ttt3r_ros.graph.closure import FeaturePoints
from ttt3r_ros.graph.keyframes import KeyFrame
from ttt3r_ros.graph.places import Vocabulary
from ttt3r_ros.graph.solver.pose_graph import Estimate, Motion, ScaleStep
from ttt3r_ros.graph.stored_graph import StoredGraph, to_arrays
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.mapping.occupancy import Occupancy
from ttt3r_ros.mapping.storage import (
    fitting_state,
    MapFileError,
    read_map,
    StoredMap,
    StoredTrack,
    write_map,
)
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.model.predictor import Predictor, random_network
from ttt3r_ros.model.state import RecurrentState
from ttt3r_ros.model.tensor_hash import hash_tensors
from ttt3r_ros.settings import MappingSettings, TrackingSettings
from ttt3r_ros.tracking.local_features import LocalFeatures
from ttt3r_ros.tracking.observation import Observation

SECOND = 1_000_000_000


def cloud(count):
    rng = np.random.default_rng(0)
    return VoxelCloud(
        rng.normal(size=(count, 3)).astype(np.float32),
        rng.integers(0, 256, (count, 3), dtype=np.uint8),
        rng.uniform(1, 9, count).astype(np.float32),
    )


def graph():
    """Return a graph of two key frames with a few features."""
    rng = np.random.default_rng(3)
    points = rng.uniform(1, 2, (5, 3))
    points[2] = np.nan
    px = rng.uniform(0, 100, (5, 2)).astype(np.float32)
    descriptors = rng.integers(0, 256, (5, 128), dtype=np.uint8)
    view = FeaturePoints(LocalFeatures(px, descriptors), points, np.diag([100.0, 100.0, 1.0]))
    vocabulary = Vocabulary(rng.uniform(0, 255, (4, 128)).astype(np.float32))
    place = vocabulary.describe(descriptors)
    frames = [
        KeyFrame(n, n * SECOND, np.eye(4), 0.1, None, None, view, place, None, True)
        for n in (3, 5)
    ]
    link = Motion(3, 5, np.eye(4), np.eye(6)), ScaleStep(3, 5, 0.1, 0.05)
    return StoredGraph(
        tuple(frames),
        Estimate(np.tile(np.eye(4), (2, 1, 1)), np.array([0.1, 0.2])),
        (3, 3),
        Measurements(visual=(link,)),
        (),
        vocabulary,
        LoopCounts(7, 2, 1),
        np.eye(4),
        9,
    )


def stored_in(path, stored):
    with path.open('wb') as file:
        write_map(file, stored)
    return path


@pytest.mark.parametrize('count', [0, 1, 1000])
def test_the_voxels_come_back_as_they_were(tmp_path, count):
    written = cloud(count)

    read = read_map(stored_in(tmp_path / 'map', StoredMap(written, 'some weights')))

    for name in ('points', 'colors', 'confidence'):
        np.testing.assert_array_equal(getattr(read.cloud, name), getattr(written, name))
    assert read.network == 'some weights'
    assert read.track is None
    assert read.occupancy is None  # as in all maps that were saved before there were plans


def test_the_plan_of_the_floor_comes_back_as_it_was(tmp_path):
    cells = np.random.default_rng(2).choice(np.array([-1, 0, 100], np.int8), (30, 20))
    plan = Occupancy(cells, 0.05, -4.0, 8.0)

    read = read_map(stored_in(tmp_path / 'map', StoredMap(cloud(1), 'weights', None, plan)))

    np.testing.assert_array_equal(read.occupancy.cells, cells)
    assert (read.occupancy.resolution, read.occupancy.x, read.occupancy.y) == (0.05, -4.0, 8.0)


@pytest.mark.parametrize(
    ('cells', 'x'), [(torch.zeros(4), 0.0), (torch.zeros(4, 4, dtype=torch.int8), np.nan)]
)
def test_a_plan_of_the_floor_that_is_none_is_refused(tmp_path, cells, x):
    written = cloud(3)
    parts = ('points', 'colors', 'confidence')
    tensors = {name: torch.from_numpy(getattr(written, name)) for name in parts}
    tensors |= {'occupancy': cells, 'occupancy_place': torch.tensor([0.05, x, 0.0]).double()}
    metadata = {'format': 'ttt3r_map', 'version': '1', 'network': 'x'}
    path = tmp_path / 'map'
    path.write_bytes(save(tensors, {**metadata, 'sha256': hash_tensors(tensors)}))

    with pytest.raises(MapFileError, match='its occupancy'):
        read_map(path)


def test_the_graph_comes_back_as_it_was(tmp_path):
    written = graph()

    read = read_map(stored_in(tmp_path / 'map', StoredMap(cloud(1), 'weights', graph=written)))

    arrays, again = to_arrays(written), to_arrays(read.graph)
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)


def test_a_graph_that_cannot_be_is_refused_with_its_file(tmp_path):
    wrong = replace(graph(), submaps=(3, 4))
    with pytest.raises(MapFileError, match='map is no complete map: its piece names a key frame'):
        read_map(stored_in(tmp_path / 'map', StoredMap(cloud(1), 'weights', graph=wrong)))


@pytest.mark.parametrize('version', ['1', '2', '3'])
def test_older_maps_are_read_and_newer_ones_refused(tmp_path, version):
    written = cloud(3)
    tensors = {
        name: torch.from_numpy(getattr(written, name))
        for name in ('points', 'colors', 'confidence')
    }
    metadata = {'format': 'ttt3r_map', 'version': version, 'network': 'x'}
    path = tmp_path / 'map'
    path.write_bytes(save(tensors, {**metadata, 'sha256': hash_tensors(tensors)}))

    if version == '3':
        with pytest.raises(MapFileError, match="version '3', this program reads '1' and '2'"):
            read_map(path)
    else:
        read = read_map(path)
        np.testing.assert_array_equal(read.cloud.points, written.points)
        assert read.graph is None


def test_a_mapper_goes_on_from_a_file_as_if_nothing_had_happened(tmp_path):
    predictor = Predictor(random_network(torch.device('cpu'), 'strict'))
    mapper, other = (
        Mapper(predictor, MappingSettings(TrackingSettings(reset_interval=2))) for _ in range(2)
    )
    images = np.random.default_rng(1).integers(0, 256, (5, 48, 64, 3), dtype=np.uint8)
    for stamp in range(3):
        mapper.observe(Observation(images[stamp], stamp * SECOND))
        mapper.integrate()
    path = stored_in(tmp_path / 'map', mapper.stored())
    expected = [mapper.observe(Observation(images[stamp], stamp * SECOND)) for stamp in (3, 4)]

    other.resume(read_map(path))

    # A new session may begin at an earlier time; only its first segment is a longer one.
    again = other.observe(Observation(images[3], 0))
    np.testing.assert_allclose(again.map_T_camera, expected[0].map_T_camera, atol=1e-12)
    ours, theirs = (f.pointmap.points_camera for f in (again, expected[0]))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
    assert again.tracked.index == expected[0].tracked.index
    assert again.tracked.segment == expected[0].tracked.segment


def test_every_flipped_byte_of_the_numbers_is_noticed(tmp_path):
    path = stored_in(tmp_path / 'map', StoredMap(cloud(20), 'weights'))
    good = path.read_bytes()
    begin = 8 + int.from_bytes(good[:8], 'little')
    for position in range(begin, len(good), 7):
        bad = bytearray(good)
        bad[position] ^= 1
        path.write_bytes(bytes(bad))
        with pytest.raises(MapFileError, match='checksum'):
            read_map(path)


def test_a_file_that_lacks_a_part_is_refused_though_its_checksum_is_right(tmp_path):
    tensors = {'points': torch.zeros(3, 3), 'colors': torch.zeros(3, 3, dtype=torch.uint8)}
    metadata = {'format': 'ttt3r_map', 'version': '1', 'network': 'x'}
    path = tmp_path / 'map'
    path.write_bytes(save(tensors, {**metadata, 'sha256': hash_tensors(tensors)}))
    with pytest.raises(MapFileError, match='no complete map'):
        read_map(path)


@pytest.mark.parametrize(
    ('name', 'tensor'),
    [
        ('points', torch.tensor(1.0)),
        ('points', torch.full((3, 3), torch.nan)),
        ('numbers', torch.tensor(1)),
        ('map_T_world', torch.eye(3, dtype=torch.float64)),
        ('map_T_world', torch.full((4, 4), torch.inf, dtype=torch.float64)),
        ('scale', torch.tensor(-1.0, dtype=torch.float64)),
        ('state.frames_seen', torch.tensor(torch.inf)),
        ('occupancy_place', torch.tensor(1.0, dtype=torch.float64)),
        ('occupancy_place', torch.zeros(3, dtype=torch.float64)),
    ],
)
def test_a_part_without_sense_is_refused_though_its_checksum_is_right(tmp_path, name, tensor):
    state = RecurrentState(torch.zeros(1, 4, 8), torch.zeros(1, 0, 16))
    track = StoredTrack(state, Similarity(np.eye(4), 1.0), 0, 3)
    plan = Occupancy(np.zeros((2, 3), np.int8), 0.05, 0.0, 0.0)
    path = stored_in(tmp_path / 'map', StoredMap(cloud(3), 'weights', track, plan))
    read_map(path)
    tensors = {**load(path.read_bytes()), name: tensor}
    metadata = {'format': 'ttt3r_map', 'version': '1', 'network': 'x'}
    path.write_bytes(save(tensors, {**metadata, 'sha256': hash_tensors(tensors)}))

    with pytest.raises(MapFileError, match='no complete map: its'):
        read_map(path)


def test_the_state_of_a_network_of_other_sizes_is_refused():
    def state(width):
        return RecurrentState(torch.zeros(1, 4, width), torch.zeros(1, 0, 2 * width))

    with pytest.raises(MapFileError, match='other sizes'):
        fitting_state(state(8), state(16))
