# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A robot with two cameras moves sideways along a wall; each sees another part of it."""

import itertools

import cv2
import numpy as np
import pytest

from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import BODY_T_OPTICAL, invert, transform
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.model.resize import resize_on_host
from ttt3r_ros.settings import MappingSettings, OdometrySettings
from ttt3r_ros.tracking.guard import RefusedImage
from ttt3r_ros.tracking.observation import Observation

WIDTH, HEIGHT, PER_METRE = 224, 160, 120.0
WALL, TABLE = 2.0, 1.4
DEPTH = np.where(np.arange(HEIGHT)[:, None, None] < HEIGHT // 2, WALL, TABLE)
CAMERA = CameraIntrinsics(WIDTH, HEIGHT, 160.0, 160.0, 111.5, 79.5)
BESIDE = 3.0  # metres to the right: no point is seen by both
MOUNTS = (BODY_T_OPTICAL, transform(np.eye(3), [0.0, -BESIDE, 0.0]) @ BODY_T_OPTICAL)
STEP, TENTH, LATER = 0.04, 10**8, 0.25
GLITCH = 0.3  # metres along the wall, which show elsewhere than the camera was


class Prediction:
    def __init__(self, pose):
        self.points_camera = (CAMERA.rays() * DEPTH).astype(np.float32)
        self.confidence = np.full((HEIGHT, WIDTH), 5, np.float32)
        self.world_T_camera, self.gains = pose, (0.5,)


class Network:
    """It knows the depth, and counts the images of each state; its poses are 5 % short."""

    patch = 16
    checkpoint_name, checkpoint_sha256, checkpoint_note = 'rig', '', ''
    resize = staticmethod(resize_on_host)

    def fit(self, width, height):
        return ImageFit.for_image(width, height, WIDTH, self.patch)

    def advise(self, settings):
        return settings

    def initial_state(self):
        return 0

    def step(self, rgb_fitted, state, write=True):
        pose = transform(np.eye(3), [0.95 * STEP * state, 0.0, 0.0])
        return Prediction(pose), state + write


@pytest.fixture(scope='module')
def wall():
    small = np.random.default_rng(0).uniform(20, 235, (180, 800, 3)).astype(np.float32)
    return cv2.resize(small, (4000, 900), interpolation=cv2.INTER_CUBIC).clip(0, 255)


def view(wall, x, noise):
    """Return the image of a camera x metres along the wall."""
    u, v, _ = np.moveaxis(CAMERA.rays() * DEPTH * PER_METRE, -1, 0)
    places = (u + x * PER_METRE + 600).astype(np.float32), (v + 450).astype(np.float32)
    image = cv2.remap(wall, *places, cv2.INTER_LINEAR)
    image = image + np.random.default_rng(noise).normal(0, 1.5, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def drive(mapper, wall, images, cameras=(0, 1), covered=(), wheels=False, displaced=()):
    """Show images of some cameras; return what is located, by image and camera."""
    found = {}
    for k in images:
        for i in cameras:
            now = k + LATER * i  # they take turns
            place = STEP * now + BESIDE * i + (GLITCH if (k, i) in displaced else 0.0)
            rgb = view(wall, place, 2 * k + i)
            rgb = np.zeros_like(rgb) if (k, i) in covered else rgb
            odom_T_base = transform(np.eye(3), [0.0, -STEP * now, 0.0]) if wheels else None
            seen = Observation(
                rgb, round(now * TENTH), CAMERA, MOUNTS[i], odom_T_base, camera_index=i
            )
            try:
                found[k, i] = mapper.observe(seen)
            except UserError as error:
                found[k, i] = error
                continue
            mapper.integrate()
    return found


def error(located, k):
    """Return how far the robot is from where it is: metres, or as a share of the way so far."""
    wrong = float(np.linalg.norm(located.map_T_base[:3, 3] - [0.0, -STEP * k, 0.0]))
    return wrong / max(1.0, STEP * k)


def a_mapper():
    return Mapper(Network(), MappingSettings(odometry=OdometrySettings(correction_speed=0.5)))


def test_two_cameras_share_one_map_and_one_odometry(wall):
    mapper = a_mapper()
    found = drive(mapper, wall, range(26))

    assert all(located.in_map for (k, _), located in found.items() if k > 1)
    errors = [error(located, k + LATER * i) for (k, i), located in found.items() if k > 1]
    assert max(errors) < 0.05
    last = found[25, 1].odom_T_base  # of the images, where each camera goes on from the other
    np.testing.assert_allclose(last[:3, 3], [0.0, -STEP * (25 + LATER), 0.0], atol=0.06)
    numbers = [one.tracked.pose.key.number for one in found.values()]
    keys = {i: {found[k, i].key for k in range(26)} for i in (0, 1)}
    assert not keys[0] & keys[1]
    assert numbers[-1] >= 3
    assert not mapper.key_frames().map_T_camera.keys() - set(numbers)


def test_one_camera_alone_is_the_rig_of_one(wall):
    alone, second = (drive(a_mapper(), wall, range(14), cameras=(i,)) for i in (0, 1))

    for k in range(14):
        assert error(alone[k, 0], k) < 0.05
        assert error(second[k, 1], k) < 0.05  # the map begins with its first image


@pytest.mark.parametrize(('lens', 'wheels'), [(0, False), (1, False), (0, True)])
def test_a_covered_lens_does_not_lose_the_robot(wall, lens, wheels):
    mapper, dark = a_mapper(), range(9, 18)
    covered = {(k, lens) for k in dark}
    found = drive(mapper, wall, range(27), covered=covered, wheels=wheels)

    assert all(isinstance(found[key], RefusedImage) for key in covered)
    seen = [
        (k + LATER * i, located)
        for (k, i), located in found.items()
        if (k, i) not in covered and k > 1 and located.in_map
    ]
    steps = [
        np.linalg.norm((invert(a.map_T_base) @ b.map_T_base)[:3, 3] - [0.0, -STEP * (j - i), 0.0])
        for (i, a), (j, b) in itertools.pairwise(seen)
    ]
    assert max(steps) < 0.05
    assert max(error(located, k) for k, located in seen) < 0.05
    assert mapper.map_T_odom is not None
    assert all(found[k, 1 - lens].in_map for k in range(2, 27))


def test_an_image_that_errs_moves_no_robot_by_a_jump(wall):
    found = drive(a_mapper(), wall, range(24), displaced={(16, 0)})

    seen = [(k + LATER * i, one) for (k, i), one in found.items() if k > 8]
    steps = [
        np.linalg.norm((invert(a.map_T_base) @ b.map_T_base)[:3, 3] - [0.0, -STEP * (j - i), 0.0])
        for (i, a), (j, b) in itertools.pairwise(seen)
    ]
    assert max(steps) < 0.05


def test_with_exact_wheels_a_robot_is_not_drawn_to_where_its_other_camera_was(wall):
    found = drive(a_mapper(), wall, range(20), wheels=True)

    ahead = [-STEP * (k + LATER * i) - one.map_T_base[1, 3] for (k, i), one in found.items()]
    # The other camera was up to three quarters of a step behind when its wheels were read.
    assert abs(np.mean(ahead[10:])) < 0.05 * STEP


def test_a_camera_that_comes_later_is_in_the_map_at_once(wall):
    mapper = a_mapper()
    drive(mapper, wall, range(8), cameras=(0,))

    found = drive(mapper, wall, range(8, 18))

    assert all(found[k, 1].in_map for k in range(10, 18))
    assert max(error(found[k, 1], k + LATER) for k in range(10, 18)) < 0.05
    assert mapper.map_T_odom is not None


def test_the_path_is_that_of_the_robot(wall):
    mapper = a_mapper()
    drive(mapper, wall, range(16))

    path = mapper.path_of_base()
    k = path.stamps_ns / TENTH
    np.testing.assert_allclose(path.poses[:, 1, 3], -STEP * k, atol=0.05)
    assert (np.diff(path.stamps_ns) > 0).all()


def test_after_a_reset_a_run_of_two_cameras_repeats_itself(wall):
    mapper = a_mapper()
    first = drive(mapper, wall, range(10))
    mapper.reset()
    again = drive(mapper, wall, range(10))

    for key, located in first.items():
        np.testing.assert_array_equal(located.map_T_base, again[key].map_T_base)
