# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0


import cv2
import numpy as np
import pytest

from ttt3r_ros.geometry import rotation_about, transform
from ttt3r_ros.image_fit import BadImage
from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.inputs.source import InputFrame
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.settings import TrackingSettings
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import robot_path
from ttt3r_ros.simulation.renderer import render_clip
from ttt3r_ros.tracking.features import begin
from ttt3r_ros.tracking.frame import Pointmap, TrackedFrame
from ttt3r_ros.tracking.guard import Guard, RefusedImage, RefusedPrediction
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.tracked_pose import KeyView, TrackedPose, View

SIZE = 320, 240
RECORDINGS = (
    'driving_kitti07',
    'handheld_dog_nogt',
    'images_fountain_p11',
    'images_lund_door',
    'indoor_hololens_office',
    'indoor_tum_fr1_rpy',
)


@pytest.fixture(scope='module')
def views():
    """Return images of a robot's drive through a building, with the noise of a sensor."""
    camera = CameraIntrinsics.from_field_of_view(*SIZE, 70.0)
    world = build_world('S', 11)
    path = robot_path(world, 5, 10.0, 2.0)
    rgb, _ = render_clip(world, camera, path.world_T_camera)
    noise = np.random.default_rng(0).normal(0, 2, rgb.shape)
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


def tracked(number, pose=None, confidence=5.0, depth=2.0):
    points = np.full((4, 6, 3), depth, np.float32)
    colors = np.zeros((4, 6, 3), np.uint8)
    pointmap = Pointmap(points, np.full((4, 6), confidence, np.float32), colors)
    known = View(round(number * 1e8), colors, np.eye(3))
    key = KeyView(0, known, begin(colors[..., 0]), np.empty(0), None, 'nothing', np.eye(4), 0.0)
    pose = np.eye(4) if pose is None else pose
    tracked_pose = TrackedPose(known.stamp_ns, key, pose, np.eye(6), 'network', False, False, 0)
    return TrackedFrame(number, 0, known, tracked_pose, 1.0, pointmap, None, None, 0.5)


def seen(rgb, number=0, odom_T_base=None):
    return Observation(rgb, round(number * 1e8), odom_T_base=odom_T_base)


def blurred(rgb, part):
    """Blur by a part of the width; the noise of the sensor comes after it."""
    soft = cv2.GaussianBlur(rgb, (0, 0), part * rgb.shape[1]).astype(float)
    soft += np.random.default_rng(1).normal(0, 2, rgb.shape)
    return np.clip(soft, 0, 255).astype(np.uint8)


def covered(rgb):
    """Return what a finger on the lens gives: smooth, dark and reddish, with noise."""
    ramp = np.linspace(20, 60, rgb.shape[1])[None, :, None] * np.array([1.0, 0.4, 0.3])
    noise = np.random.default_rng(2).normal(0, 2, rgb.shape)
    return np.clip(ramp + noise, 0, 255).astype(np.uint8)


def test_every_view_of_a_drive_is_accepted(views):
    guard = Guard(TrackingSettings())
    for number, rgb in enumerate(views):
        guard.before(seen(rgb, number))
        guard.after(tracked(number), seen(rgb, number))


@pytest.mark.parametrize('shape', [(1, 20000), (20000, 1), (2, 2000), (1, 1), (3, 3)])
def test_an_image_of_a_row_or_a_column_is_refused_by_its_size(shape):
    rgb = np.random.default_rng(3).integers(0, 256, (*shape, 3), np.uint8)

    with pytest.raises(RefusedImage, match=f'{shape[1]}x{shape[0]} is too narrow'):
        Guard(TrackingSettings()).before(seen(rgb))


@pytest.mark.parametrize('name', RECORDINGS)
def test_every_image_of_a_real_recording_is_accepted(shared_data, name):
    guard = Guard(TrackingSettings())
    frames = open_source(str(shared_data / 'data' / name)).frames(3)
    accepted = 0
    for frame in frames:
        if isinstance(frame, InputFrame):
            guard.before(Observation(frame.rgb, frame.stamp_ns))
            accepted += 1
    assert accepted >= 4


@pytest.mark.parametrize(
    ('spoil', 'reason'),
    [
        (lambda rgb: rgb // 25, 'black'),
        (lambda rgb: 255 - rgb // 25, 'white'),
        (covered, 'no detail'),
        (lambda rgb: blurred(rgb, 0.01), 'blurred'),
        (lambda rgb: blurred(rgb, 0.05), 'blurred|no detail'),
    ],
)
def test_images_that_show_nothing_are_refused_with_the_reason(views, spoil, reason):
    guard = Guard(TrackingSettings())
    for rgb in views:
        with pytest.raises(RefusedImage, match=reason):
            guard.before(seen(spoil(rgb)))


def test_most_images_of_a_camera_that_turns_very_fast_are_refused(views):
    guard = Guard(TrackingSettings())

    def is_refused(rgb):
        try:
            guard.before(seen(cv2.blur(rgb, (SIZE[0] // 20, 1))))
        except RefusedImage:
            return True
        return False

    assert sum(map(is_refused, views)) > 0.6 * len(views)


@pytest.mark.parametrize('size', [(32, 24), (64, 48), (1280, 720)])
def test_the_size_of_an_image_hardly_matters(views, size):
    guard = Guard(TrackingSettings())
    for rgb in views[::5]:
        guard.before(seen(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)))


@pytest.mark.parametrize('rgb', [np.zeros((9, 9)), np.zeros((9, 9), np.uint8), None])
def test_what_is_no_image_is_refused(rgb):
    with pytest.raises(BadImage):
        Guard(TrackingSettings()).before(Observation(rgb, 0))


def test_a_frozen_camera_is_noticed_unless_the_robot_stands(views):
    guard = Guard(TrackingSettings())
    here, there = (transform(np.eye(3), [x, 0, 0]) for x in (1.0, 1.05))
    first = seen(views[0], 0, here)
    guard.before(first)
    guard.after(tracked(0), first)

    guard.before(seen(views[0], 1, here))
    for odom_T_base in (there, None):
        with pytest.raises(RefusedImage, match='froze'):
            guard.before(seen(views[0], 1, odom_T_base))


@pytest.mark.parametrize(
    ('frame', 'reason'),
    [
        (tracked(1, confidence=1.0), 'no confidence'),
        (tracked(1, depth=-1.0), 'no confidence'),
        (tracked(1, transform(np.eye(3), [2.6, 0, 0])), r'impossible motion: 2.6 m in 0.10 s'),
        (tracked(1, transform(rotation_about([0, 1, 0], 1.1), [0, 0, 0])), '63 degrees in 0.10 s'),
    ],
)
def test_predictions_that_cannot_be_true_are_refused(views, frame, reason):
    guard = Guard(TrackingSettings())
    guard.after(tracked(0), seen(views[0], 0))

    with pytest.raises(RefusedPrediction, match=reason):
        guard.after(frame, seen(views[1], 1))

    # Ten times the time, and the same way is possible: the last accepted image counts.
    later = tracked(10, frame.track_T_camera)
    guard.after(later, seen(views[1], 10))


def test_after_a_reset_nothing_is_compared_with_before(views):
    guard = Guard(TrackingSettings())
    guard.after(tracked(0), seen(views[0]))
    guard.reset()
    guard.before(seen(views[0]))
    guard.after(tracked(0, transform(np.eye(3), [90, 0, 0])), seen(views[0]))
