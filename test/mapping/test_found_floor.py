# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A camera alone finds the floor: the map is level, and there is an occupancy grid."""

from types import SimpleNamespace

import numpy as np
import pytest

from ttt3r_ros.geometry import BODY_T_OPTICAL, rotation_about, transform
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.model.resize import resize_on_host
from ttt3r_ros.settings import CameraSettings, MappingSettings
from ttt3r_ros.tracking.observation import Observation

WIDTH, HEIGHT, WALL = 96, 64, 3.0
RAYS = CameraIntrinsics.from_field_of_view(WIDTH, HEIGHT, 70.0).rays()
PITCH = 0.3  # downwards
MAP_R_CAMERA = rotation_about([0, 1, 0], PITCH) @ BODY_T_OPTICAL[:3, :3]


class Hall:
    """A network that sees a floor and a wall in every image."""

    patch = 16
    checkpoint_name, checkpoint_sha256, checkpoint_note = 'hall', '', ''
    resize = staticmethod(resize_on_host)

    def __init__(self, height):
        turned = RAYS @ MAP_R_CAMERA.T
        with np.errstate(divide='ignore'):
            floor = np.where(turned[..., 2] < 0, -height / turned[..., 2], np.inf)
            wall = WALL / turned[..., 0]
        self.points = (RAYS * np.minimum(floor, wall)[..., None]).astype(np.float32)

    def fit(self, width, height):
        return ImageFit.for_image(width, height, WIDTH, self.patch)

    def advise(self, settings):
        return settings

    def initial_state(self):
        return None

    def step(self, rgb, state, write=True):
        confidence = np.full((HEIGHT, WIDTH), 5, np.float32)
        return SimpleNamespace(
            points_camera=self.points,
            confidence=confidence,
            world_T_camera=np.eye(4),
            gains=(0.5,),
        ), None


def seen(number, **more):
    rgb = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return Observation(rgb, number * 10**8, **more)


def mapped(mapper, images=8, **more):
    for number in range(images):
        located = mapper.observe(seen(number, **more))
        mapper.integrate()
    return located


@pytest.mark.parametrize('height', [0.5, 1.4])
def test_the_map_is_level_with_the_floor_that_the_first_image_shows(height):
    mapper = Mapper(Hall(height), MappingSettings())

    located = mapped(mapper)

    np.testing.assert_allclose(located.map_T_camera[:3, :3], MAP_R_CAMERA, atol=0.02)
    assert located.floor_z == pytest.approx(-height, abs=0.02)
    assert located.height == pytest.approx(height, abs=0.02)
    cells = mapper.map.grid.occupancy().cells
    assert (cells == 0).any()
    assert (cells == 100).any()
    points = mapper.map.voxels.points().points
    assert points[:, 2].min() == pytest.approx(-height, abs=0.08)


class CrookedHall(Hall):
    """The first image shows a floor that leans by a tenth."""

    def __init__(self, height):
        super().__init__(height)
        self.first = (self.points @ rotation_about([0, 0, 1], 0.1).T).astype(np.float32)

    def step(self, rgb, state, write=True):
        prediction, state = super().step(rgb, state, write)
        if self.first is not None:
            prediction.points_camera, self.first = self.first, None
        return prediction, state


@pytest.mark.parametrize('settled', [False, True])
def test_a_map_that_leans_by_its_first_image_is_levelled_by_the_others(settled):
    mapper = Mapper(CrookedHall(1.0), MappingSettings())

    mapped(mapper, 16 if settled else 4)

    poses = np.stack(list(mapper.key_frames().map_T_camera.values()))
    lean = np.arccos(np.clip((poses[:, :3, :3] @ MAP_R_CAMERA.T)[:, 2, 2], -1, 1))
    assert lean == pytest.approx(0.0 if settled else 0.1, abs=0.02)


def test_a_pose_that_a_user_has_set_is_not_levelled():
    mapper = Mapper(CrookedHall(1.0), MappingSettings())
    asked = transform(rotation_about([0, 1, 0], 0.2) @ BODY_T_OPTICAL[:3, :3], [1.0, 2.0, 3.0])

    mapped(mapper, 2)
    mapper.place_base(asked)
    for number in range(2, 12):
        located = mapper.observe(seen(number))
        mapper.integrate()

    np.testing.assert_allclose(located.map_T_camera, asked, atol=0.02)


def test_an_imu_is_believed_before_the_floor():
    up = MAP_R_CAMERA.T @ rotation_about([1, 0, 0], 0.1) @ [0.0, 0.0, 1.0]
    mapper = Mapper(Hall(1.0), MappingSettings())

    located = mapped(mapper, up_camera=up)

    np.testing.assert_allclose(located.map_T_camera[:3, :3] @ up, [0, 0, 1], atol=1e-9)


def test_the_height_of_the_user_counts_for_the_grid():
    one, other = (
        Mapper(Hall(1.0), MappingSettings(camera=CameraSettings(height=height)))
        for height in (0.0, 5.0)
    )
    mapped(one)
    mapped(other)

    assert len(one.map.grid)
    assert not len(other.map.grid)  # the floor would be far below all that is seen


def test_a_robot_has_a_floor_of_its_own():
    mapper = Mapper(Hall(1.0), MappingSettings())

    located = mapped(mapper, base_T_camera=BODY_T_OPTICAL)

    assert located.floor_z is None
    np.testing.assert_allclose(located.map_T_camera[:3, :3], BODY_T_OPTICAL[:3, :3], atol=1e-9)
