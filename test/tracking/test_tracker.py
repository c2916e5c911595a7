# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
import gc
import math
import tracemalloc

import numpy as np
import pytest
import torch

from ttt3r_ros.geometry import invert, rotation_about, transform
from ttt3r_ros.image_fit import BadImage, ImageFit
from ttt3r_ros.intrinsics import CalibrationError, CameraIntrinsics
from ttt3r_ros.model.predictor import Predictor, random_network
from ttt3r_ros.model.resize import resize_on_host
from ttt3r_ros.settings import TrackingSettings
from ttt3r_ros.tracking.interim import interim_after
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.segmented_network import BadPrediction
from ttt3r_ros.tracking.tracker import BadStamp, Tracker
from ttt3r_ros.units import NANOSECONDS

WIDTH, HEIGHT, FOCAL = 32, 24, 28.0
BROKEN = 250
FIRST_POSE = transform(rotation_about([1, 2, 3], 0.2), [0.1, -0.05, 0.02])


@dataclass(frozen=True)
class Prediction:
    points_camera: np.ndarray
    confidence: np.ndarray
    world_T_camera: np.ndarray
    gains: tuple[float, ...] = (0.5,)


class ExactPredictor:
    """
    Knows where camera i stood, and takes image i, which is plainly of colour i, for it.

    The state is the number of the first image since it was fresh and how many came; a segment
    that began with image i has its own unit of length, `scales[i]` per metre.
    """

    patch = 8
    resize = staticmethod(resize_on_host)

    def __init__(self, scales=None, noise=0.0, broken_start=()):
        rng = np.random.default_rng(7)
        turns = [rotation_about(rng.normal(size=3), 0.1 * i) for i in range(256)]
        self.truth = transform(turns, 0.2 * np.cumsum(rng.normal(size=(256, 3)), axis=0))
        self.scales, self.noise, self.broken_start = scales or {}, noise, broken_start
        self.rng = np.random.default_rng(8)

    def fit(self, width, height):
        return ImageFit.for_image(width, height, WIDTH, self.patch)

    def depth(self, number, shape):
        v, u = np.indices(shape)
        return 2 + np.sin(number + u / 9) + 0.5 * np.cos(v / 7)

    def initial_state(self):
        return None

    def step(self, rgb_fitted, state, write=True):
        number = int(rgb_fitted[0, 0, 0])
        fresh = state is None
        if write:
            state = (number, 1) if fresh else (state[0], state[1] + 1)
        scale = self.scales.get(state[0], 1.0)
        shape = rgb_fitted.shape[:2]
        patches = self.rng.normal(0, self.noise, (shape[0] // 8, shape[1] // 8))
        depth = scale * self.depth(number, shape) * np.exp(np.kron(patches, np.ones((8, 8))))
        rays = CameraIntrinsics(shape[1], shape[0], FOCAL, FOCAL, shape[1] // 2, shape[0] // 2)
        pose = FIRST_POSE @ invert(self.truth[state[0]]) @ self.truth[number]
        pose[:3, 3] *= scale
        points = (rays.rays() * depth[..., None]).astype(np.float32)
        if number == BROKEN or (fresh and number in self.broken_start):
            points[3, 5, 1] = np.nan
        return Prediction(points, np.full(shape, 3, np.float32), pose), state

    def expected_pose(self, number, first=0):
        """Chain by hand: `track` is the frame in which the network put the first camera."""
        scale = self.scales.get(first, 1.0)
        start = FIRST_POSE.copy()
        relative = invert(self.truth[first]) @ self.truth[number]
        relative[:3, 3] *= scale
        start[:3, 3] *= scale
        return start @ relative


def picture(number, width=WIDTH, height=HEIGHT):
    return np.full((height, width, 3), number, np.uint8)


def follow(tracker, rgb, stamp_ns, intrinsics=None, write=True):
    frame, state = tracker.look(Observation(rgb, stamp_ns, intrinsics), write)
    tracker.keep(state)
    return frame


def run(tracker, numbers):
    return [follow(tracker, picture(n), 1000 + 10 * n) for n in numbers]


def assert_same(frames, others):
    assert len(frames) == len(others)
    for frame, other in zip(frames, others):
        for name in ('index', 'stamp_ns', 'segment', 'scale', 'camera', 'gain_mean'):
            assert getattr(frame, name) == getattr(other, name), name
        for name in ('network_T_camera', 'track_T_camera'):
            np.testing.assert_array_equal(getattr(frame, name), getattr(other, name), name)
        for field in dataclasses.fields(frame.pointmap):
            parts = (getattr(f.pointmap, field.name) for f in (frame, other))
            np.testing.assert_array_equal(*parts, field.name)


def test_the_first_frame_lies_where_the_network_has_it_and_track_begins_there():
    predictor = ExactPredictor()
    (frame,) = run(Tracker(predictor, TrackingSettings()), [4])

    np.testing.assert_allclose(frame.network_T_camera, FIRST_POSE, atol=1e-15)
    np.testing.assert_array_equal(frame.track_T_camera, np.eye(4))
    rays = CameraIntrinsics(WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH // 2, HEIGHT // 2).rays()
    points = rays * predictor.depth(4, (HEIGHT, WIDTH))[..., None]
    np.testing.assert_allclose(frame.pointmap.points_camera, points, atol=1e-6)
    homogeneous = np.concatenate([points, np.ones((HEIGHT, WIDTH, 1))], axis=-1)
    in_track = np.einsum('ij,hwj->hwi', frame.network_T_camera, homogeneous)[..., :3]
    found = frame.pointmap.points_in(frame.network_T_camera)
    np.testing.assert_allclose(found, in_track, atol=1e-5)
    assert (frame.index, frame.stamp_ns, frame.segment) == (0, 1040, 0)
    assert frame.scale == pytest.approx(1.0, abs=1e-9)
    assert frame.gain_mean == pytest.approx(0.5, abs=1e-6)
    np.testing.assert_array_equal(frame.pointmap.colors, picture(4))


@pytest.mark.parametrize(('interval', 'overlap'), [(0, 1), (5, 1), (5, 3), (1, 1), (2, 4)])
def test_a_chain_of_exact_segments_is_exact(interval, overlap):
    predictor = ExactPredictor()
    settings = TrackingSettings(reset_interval=interval, overlap_frames=overlap)

    frames = run(Tracker(predictor, settings), range(23))

    assert [f.index for f in frames] == list(range(23))
    assert [f.segment for f in frames] == [i // interval if interval else 0 for i in range(23)]
    assert {f.scale for f in frames} == {1.0}
    for number, frame in enumerate(frames):
        expected = predictor.expected_pose(number)
        np.testing.assert_allclose(frame.network_T_camera, expected, atol=1e-12)
        # Images without features move as the network does.
        moved = invert(predictor.expected_pose(0)) @ expected
        np.testing.assert_allclose(frame.track_T_camera, moved, atol=1e-12)


@pytest.mark.parametrize('overlap', [1, 3])
@pytest.mark.parametrize('first_scale', [1.0, 0.5])
def test_scaled_segments_are_brought_to_the_unit_of_the_first(overlap, first_scale):
    # Segments begin by repeating images 5 - overlap and 10 - overlap.
    scales = {0: first_scale, 5 - overlap: 0.8 * first_scale, 10 - overlap: 1.25 * first_scale}
    predictor = ExactPredictor(scales)
    settings = TrackingSettings(reset_interval=5, overlap_frames=overlap, segment_scale='sure')

    frames = run(Tracker(predictor, settings), range(15))

    np.testing.assert_allclose([frames[i].scale for i in (0, 5, 10)], [1, 1.25, 0.8], atol=1e-6)
    for number, frame in enumerate(frames):
        depth = first_scale * predictor.depth(number, (HEIGHT, WIDTH))
        np.testing.assert_allclose(frame.pointmap.points_camera[..., 2], depth, atol=1e-5)
        np.testing.assert_allclose(
            frame.network_T_camera, predictor.expected_pose(number), atol=1e-5
        )


@pytest.mark.parametrize('factor', [0.8, 1.25])
@pytest.mark.parametrize('segment_scale', ['sure', 'free'])
def test_scales_that_compound_over_segments_stay_within_a_factor_of_three(factor, segment_scale):
    # Each segment begins with the last image of the one before, in a unit of its own.
    units = {3 * segment - 1: factor**segment for segment in range(1, 40)}
    settings = TrackingSettings(reset_interval=3, segment_scale=segment_scale)
    tracker = Tracker(ExactPredictor(units), settings)

    frames = run(tracker, range(119))

    within = [factor**-segment for segment in range(5)]  # 0.8**-5 is more than 3
    np.testing.assert_allclose([frame.scale for frame in frames[:15:3]], within, atol=1e-4)
    assert frames[-1].segment == 39
    beyond = [frame.scale for frame in frames[15:]]
    np.testing.assert_allclose(beyond, 3.0 if factor < 1 else 1 / 3, atol=1e-12)

    tracker.reset()
    assert run(tracker, range(1))[0].scale == 1.0


@pytest.mark.parametrize(
    ('segment_scale', 'front_end', 'expected'),
    [
        ('fixed', 'network', 1.0),
        ('auto', 'features', 1.0),  # the graph finds it, for each key frame
        ('auto', 'network', 1.25),
        ('sure', 'features', 1.25),
    ],
)
def test_the_scale_of_a_segment_is_that_of_the_network_or_of_the_images(
    segment_scale, front_end, expected
):
    settings = TrackingSettings(reset_interval=5, segment_scale=segment_scale, front_end=front_end)

    frames = run(Tracker(ExactPredictor({4: 0.8}), settings), range(8))

    assert frames[-1].segment == 1
    assert {f.scale for f in frames[:5]} == {1.0}
    np.testing.assert_allclose([f.scale for f in frames[5:]], expected, atol=1e-6)


@pytest.mark.parametrize('overlap', [1, 4])
def test_noise_of_the_depth_starts_no_scale(overlap):
    settings = TrackingSettings(reset_interval=2, overlap_frames=overlap)
    predictor = ExactPredictor(noise=0.05)

    frames = run(Tracker(predictor, settings), range(200))

    assert frames[-1].segment == 99
    assert {f.scale for f in frames} == {1.0}


@pytest.mark.parametrize('moment', range(1, 9))
def test_restoring_a_snapshot_repeats_history_exactly(moment):
    settings = TrackingSettings(reset_interval=3, overlap_frames=2)
    tracker = Tracker(ExactPredictor({2: 0.8}), settings)

    run(tracker, range(moment))
    snapshot = tracker.state
    once = run(tracker, range(moment, 12))
    tracker.keep(snapshot)
    twice = run(tracker, range(moment, 12))
    other = Tracker(ExactPredictor({2: 0.8}), settings)
    other.keep(snapshot)

    assert_same(once, twice)
    assert_same(once, run(other, range(moment, 12)))


def test_reset_starts_from_nothing():
    settings = TrackingSettings(reset_interval=3)
    tracker = Tracker(ExactPredictor(), settings)
    once = run(tracker, range(8))

    tracker.reset()

    assert_same(once, run(tracker, range(8)))


@pytest.mark.parametrize('moment', [0, 2, 3, 4])
@pytest.mark.parametrize(
    ('offer', 'error'),
    [
        (lambda m: follow(m, picture(BROKEN), 10**6), BadPrediction),
        (lambda m: follow(m, picture(9).astype(float), 10**6), BadImage),
        (lambda m: follow(m, picture(9)[..., 0], 10**6), BadImage),
        (lambda m: follow(m, picture(9, 300, 4), 10**6), BadImage),
        (
            lambda m: follow(m, picture(9), 10**6, CameraIntrinsics(9, 9, 5.0, 5.0, 4.0, 4.0)),
            CalibrationError,
        ),
    ],
)
def test_a_refused_frame_leaves_no_trace(offer, error, moment):
    settings = TrackingSettings(reset_interval=3)
    tracker = Tracker(ExactPredictor(), settings)
    frames = run(tracker, range(moment))
    before = tracker.state

    with pytest.raises(error):
        offer(tracker)

    assert tracker.state is before
    frames += run(tracker, range(moment, 9))
    assert_same(frames, run(Tracker(ExactPredictor(), settings), range(9)))


@pytest.mark.parametrize('stamp', [1030, 1029, 0])
def test_a_stamp_that_does_not_increase_is_refused(stamp):
    tracker = Tracker(ExactPredictor(), TrackingSettings())
    run(tracker, range(4))
    before = tracker.state

    with pytest.raises(BadStamp, match='1030'):
        follow(tracker, picture(4), stamp)

    assert tracker.state is before


@pytest.mark.parametrize('name', ['confidence', 'world_T_camera'])
def test_every_part_of_a_prediction_must_be_finite(name):
    class Infinite(ExactPredictor):
        def step(self, rgb_fitted, state, write=True):
            prediction, state = super().step(rgb_fitted, state, write)
            broken = np.full_like(getattr(prediction, name), np.inf)
            return dataclasses.replace(prediction, **{name: broken}), state

    with pytest.raises(BadPrediction, match=name):
        run(Tracker(Infinite(), TrackingSettings()), [0])


@pytest.mark.parametrize(('interval', 'overlap'), [(1, 1), (3, 1), (4, 3)])
def test_a_segment_begun_ahead_gives_the_same_frames(interval, overlap):
    settings = TrackingSettings(reset_interval=interval, overlap_frames=overlap)
    ahead = Tracker(ExactPredictor(scales={3: 2.0}), settings)
    frames = []

    for number in range(9):
        frames += run(ahead, [number])
        ahead.look_ahead()
        started = ahead.state.network.segment.number > frames[-1].segment
        assert started == (frames[-1].segment < (number + 1) // interval)

    assert_same(frames, run(Tracker(ExactPredictor(scales={3: 2.0}), settings), range(9)))


def test_a_segment_that_cannot_start_waits_for_the_next_image():
    predictor = ExactPredictor(broken_start=(2, 3))

    frames = run(Tracker(predictor, TrackingSettings(reset_interval=3)), range(8))

    assert [f.segment for f in frames] == [0, 0, 0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(frames[-1].network_T_camera, predictor.expected_pose(7), atol=1e-12)


def test_looking_without_writing_gives_the_pose_and_changes_nothing():
    predictor = ExactPredictor()
    tracker = Tracker(predictor, TrackingSettings(reset_interval=3))
    run(tracker, range(3))
    state = tracker.state.network.recurrent

    frames = [follow(tracker, picture(n), 1000 + 10 * n, write=False) for n in range(3, 9)]

    assert tracker.state.network.recurrent is state
    assert {f.segment for f in frames} == {0}
    for number, frame in enumerate(frames, start=3):
        np.testing.assert_allclose(
            frame.network_T_camera, predictor.expected_pose(number), atol=1e-12
        )


def test_features_that_were_found_from_other_wheels_are_looked_for_again():
    tracker = Tracker(ExactPredictor(), TrackingSettings())
    start, later = (transform(np.eye(3), [x, 0, 0]) for x in (0.0, 1.0))
    _, state = tracker.look(Observation(picture(0), 0, odom_T_base=start))
    observation = Observation(picture(1), NANOSECONDS, odom_T_base=later)
    prepared = tracker.prepare(observation, interim_after(state.following))
    spun = transform(np.eye(3), [0.4, 0, 0])  # the wheels, while the camera stood still
    following = dataclasses.replace(state.following, odom_T_camera=spun)
    tracker.keep(dataclasses.replace(state, following=following))

    frame, _ = tracker.complete(prepared)

    assert frame.pose.by == 'wheels'
    np.testing.assert_allclose(frame.track_T_camera, transform(np.eye(3), [0.6, 0, 0]), atol=1e-9)


def test_the_size_of_the_images_may_change():
    predictor = ExactPredictor()
    tracker = Tracker(predictor, TrackingSettings(reset_interval=2))
    sizes = [(64, 48), (48, 64), (32, 24), (128, 64), (100, 100)]

    frames = [follow(tracker, picture(i, *size), i) for i, size in enumerate(sizes)]

    shapes = [(24, 32), (32, 24), (24, 32), (16, 32), (24, 32)]
    assert [f.pointmap.confidence.shape for f in frames] == shapes
    for number, frame in enumerate(frames):
        np.testing.assert_allclose(
            frame.network_T_camera, predictor.expected_pose(number), atol=1e-12
        )
        # The network's focal length, in pixels of the original image.
        factor = max(sizes[number]) / WIDTH
        assert frame.camera.fx == pytest.approx(FOCAL * factor, abs=0.01)


def test_with_intrinsics_points_lie_on_the_true_rays():
    camera = CameraIntrinsics(64, 48, 70.0, 71.0, 30.0, 25.0, 'plumb_bob', (-0.1, 0.0, 0.0, 0.0))
    predictor = ExactPredictor()
    frame = follow(Tracker(predictor, TrackingSettings()), picture(1, 64, 48), 1, camera)

    x, y, z = np.moveaxis(frame.pointmap.points_camera, -1, 0)
    v, u = np.indices((HEIGHT, WIDTH))
    # The network takes the camera for one of a shorter focal length, but knows sizes.
    focal = 0.5 * math.sqrt(70.0 * 71.0)
    expected = predictor.depth(1, (HEIGHT, WIDTH)) * focal / FOCAL
    np.testing.assert_allclose(z, expected, atol=1e-4)
    assert frame.scale == pytest.approx(focal / FOCAL, abs=1e-5)
    # Half the size: the centre of pixel u lies at 2 u + 0.5 of the original image.
    np.testing.assert_allclose(70.0 * x / z + 30.0, 2 * u + 0.5, atol=1e-4)
    np.testing.assert_allclose(71.0 * y / z + 25.0, 2 * v + 0.5, atol=1e-4)
    assert frame.camera.fx == 70.0


def test_the_tracker_is_not_fooled_by_a_buffer_that_is_used_again():
    predictor = ExactPredictor()
    tracker = Tracker(predictor, TrackingSettings(reset_interval=2))
    buffer = picture(0)

    for number in range(6):
        buffer[:] = number
        frame = follow(tracker, buffer, number)

    np.testing.assert_allclose(frame.network_T_camera, predictor.expected_pose(5), atol=1e-12)


def test_memory_does_not_grow_with_the_number_of_frames():
    tracker = Tracker(ExactPredictor(), TrackingSettings(reset_interval=7, overlap_frames=3))
    stamps = iter(range(10**6))

    def drive(count):
        for _ in range(count):
            stamp = next(stamps)
            follow(tracker, picture(stamp % BROKEN), stamp)

    def allocated_after(count):
        drive(count)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    early, late = allocated_after(100), allocated_after(400)
    tracemalloc.stop()

    # Python and numpy keep some tens of kilobytes ready; a pose of each frame would be 200 bytes.
    assert late - early < 100 * 400
    assert len(tracker.state.network.views) == 3


def test_the_memory_of_a_real_network_is_a_value_too():
    predictor = Predictor(random_network(torch.device('cpu'), 'strict'))
    tracker = Tracker(predictor, TrackingSettings(reset_interval=2))
    rgb = np.random.default_rng(0).integers(0, 256, (6, 120, 160, 3), dtype=np.uint8)

    for number in range(3):
        follow(tracker, rgb[number], number)
    snapshot = tracker.state
    once = [follow(tracker, rgb[number], number) for number in range(3, 6)]
    tracker.keep(snapshot)
    twice = [follow(tracker, rgb[number], number) for number in range(3, 6)]

    assert_same(once, twice)
    assert [f.segment for f in once] == [1, 2, 2]
    assert once[0].pointmap.points_camera.shape == (48, 64, 3)
