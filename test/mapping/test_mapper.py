# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import dataclass, replace

import numpy as np
import pytest

from ttt3r_ros.geometry import transform
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.mapping.storage import MapFileError
from ttt3r_ros.model.resize import resize_on_host
from ttt3r_ros.settings import MappingSettings, MapSettings
from ttt3r_ros.tracking.guard import RefusedImage
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.segmented_network import BadPrediction

WIDTH, HEIGHT, BROKEN = 64, 48, 250


@dataclass(frozen=True)
class Prediction:
    points_camera: np.ndarray
    confidence: np.ndarray
    world_T_camera: np.ndarray
    gains: tuple[float, ...] = (0.5,)


class WallPredictor:
    """Sees a wall 2 m ahead; image n has grey n in its corner and is n decimetres farther on."""

    patch = 16
    checkpoint_name, checkpoint_sha256, checkpoint_note = 'wall', '', ''
    resize = staticmethod(resize_on_host)

    def __init__(self, advice=0):
        self.advice = advice
        self.written = []

    def fit(self, width, height):
        return ImageFit.for_image(width, height, WIDTH, self.patch)

    def advise(self, settings):
        asked = settings.reset_interval
        return replace(settings, reset_interval=self.advice if asked < 0 else asked)

    def initial_state(self):
        return None

    def step(self, rgb, state, write=True):
        number = int(rgb[0, 0, 0])
        if write:
            self.written.append(number)
        rays = CameraIntrinsics.from_field_of_view(WIDTH, HEIGHT, 60.0).rays()
        points = rays * np.float32(np.nan if number == BROKEN else 2.0)
        pose = transform(np.eye(3), [0, 0, 0.1 * number])
        return Prediction(points, np.full((HEIGHT, WIDTH), 5, np.float32), pose), number


def seen(number):
    """Return an image of grey `number` with a pattern of its own in a corner."""
    rgb = np.full((HEIGHT, WIDTH, 3), number, np.uint8)
    rgb[-16:, :16] = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return Observation(rgb, round(number * 1e8))


def test_an_image_is_located_at_once_and_in_the_map_when_it_is_integrated():
    mapper = Mapper(WallPredictor(), MappingSettings())

    located = mapper.observe(seen(0))
    assert len(mapper.map.voxels) == 0
    mapper.integrate()

    points = mapper.map.voxels.points().points
    np.testing.assert_allclose(points[:, 0], 2.0, atol=1e-5)  # ahead is x in the map
    np.testing.assert_allclose(located.map_T_base[:3, 3], 0.0, atol=1e-12)
    before = mapper.map.voxels.points().confidence.sum()
    mapper.integrate()  # nothing is pending
    assert mapper.map.voxels.points().confidence.sum() == before


def test_unsure_and_far_points_stay_out_of_the_map_also_after_a_change():
    mapper = Mapper(WallPredictor(), MappingSettings(map=MapSettings(confidence_threshold=6.0)))
    mapper.observe(seen(0))
    mapper.integrate()
    assert len(mapper.map.voxels) == 0

    for number, bounds in enumerate(
        (MapSettings(max_range=1.9), MapSettings(confidence_threshold=4.0)), start=1
    ):
        mapper.change(MappingSettings(map=bounds))
        mapper.observe(seen(number))
        mapper.integrate()
        assert (len(mapper.map.voxels) > 0) == (number == 2)


def test_a_refused_image_leaves_no_trace_in_state_map_and_pose():
    with_it, without = (Mapper(WallPredictor(2), MappingSettings()) for _ in range(2))
    for mapper, numbers in ((with_it, [0, 1, BROKEN, 2, 3]), (without, [0, 1, 2, 3])):
        for number in numbers:
            if number == BROKEN:
                before = mapper.state
                with pytest.raises(BadPrediction):
                    mapper.observe(seen(number))
                assert mapper.state is before
            else:
                last = mapper.observe(seen(number))
            mapper.integrate()

    ours, theirs = (m.map.voxels.points() for m in (with_it, without))
    np.testing.assert_array_equal(ours.points, theirs.points)
    assert with_it.frames == without.frames == last.tracked.index + 1 == 4


@pytest.mark.parametrize('follows_only', [False, True])
def test_a_due_segment_begins_ahead_unless_nothing_is_written(follows_only):
    predictor = WallPredictor(advice=2)
    mapper = Mapper(predictor, MappingSettings())
    for number in range(2):
        mapper.observe(seen(number))
        mapper.follow_only(follows_only)
        mapper.integrate()

    assert mapper.state.network.segment.number == (0 if follows_only else 1)
    assert predictor.written == ([0] if follows_only else [0, 1, 1])


def test_following_needs_a_map_and_changes_nothing_in_it():
    predictor = WallPredictor()
    mapper = Mapper(predictor, MappingSettings())
    mapper.follow_only(True)  # nothing to follow in yet
    mapper.observe(seen(0))
    mapper.integrate()
    points = len(mapper.map.voxels)

    mapper.follow_only(True)
    located = mapper.observe(seen(30))
    mapper.integrate()

    assert located.map_T_base[0, 3] == pytest.approx(3.0, abs=1e-9)
    assert len(mapper.map.voxels) == points
    assert predictor.written == [0]


def test_after_a_reset_a_run_repeats_itself():
    mapper = Mapper(WallPredictor(2), MappingSettings())
    runs = []
    for _ in range(2):
        for number in range(5):
            mapper.observe(seen(number))
            mapper.integrate()
        runs.append(mapper.map.voxels.points())
        mapper.reset()
        assert mapper.frames == len(mapper.map.voxels) == 0

    np.testing.assert_array_equal(runs[0].points, runs[1].points)


def test_the_map_moves_with_the_key_frames_of_the_graph():
    mapper = Mapper(WallPredictor(), MappingSettings())
    located = mapper.observe(seen(0))
    mapper.integrate()
    before = mapper.map.voxels.points().points
    shift = transform(np.eye(3), [0.0, 5.0, 0.0])

    mapper.place_base(shift @ located.map_T_base)

    assert mapper.correct()
    after = mapper.map.voxels.points().points
    np.testing.assert_allclose(
        np.sort(after, axis=0), np.sort(before + [0, 5, 0], axis=0), atol=1e-4
    )


def test_a_map_of_other_weights_changes_nothing():
    mapper = Mapper(WallPredictor(), MappingSettings())
    mapper.observe(seen(0))
    mapper.integrate()
    before, points = mapper.state, len(mapper.map.voxels)

    with pytest.raises(MapFileError, match='other, in use are wall'):
        mapper.resume(replace(mapper.stored(), network='other'))

    assert mapper.state is before
    assert len(mapper.map.voxels) == points


def test_thirty_bad_images_in_the_middle_end_with_exactly_the_state_without_them():
    with_them, without = (Mapper(WallPredictor(3), MappingSettings()) for _ in range(2))
    bad = [np.zeros, np.ones, lambda shape: np.full(shape, 255)]
    for number in range(10):
        for mapper in (with_them, without):
            mapper.observe(seen(number))
            mapper.integrate()
        for i in range(30 if number == 5 else 0):
            rgb = bad[i % 3]((HEIGHT, WIDTH, 3)).astype(np.uint8)
            with pytest.raises(RefusedImage):
                with_them.observe(Observation(rgb, round(number * 1e8) + 1 + i))
            with_them.integrate()

    assert with_them.state.network.recurrent == without.state.network.recurrent
    assert with_them.state.network.segment.number == without.state.network.segment.number
    assert with_them.frames == without.frames == 10
    ours, theirs = (m.map.voxels.points() for m in (with_them, without))
    np.testing.assert_array_equal(ours.points, theirs.points)
    np.testing.assert_array_equal(ours.confidence, theirs.confidence)
