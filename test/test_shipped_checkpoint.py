# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The checkpoint that ships, from pictures of a simulated drive to a map.

Training makes it better or worse, so most bounds are relative: the answer must be closer to the
truth than no answer, and than the same answer in each convention that could be mixed up.
"""

import argparse
from dataclasses import dataclass
import importlib

import numpy as np
import pytest
from scipy.spatial import cKDTree
import torch

from ttt3r_ros.doctor.machine import look_at_checkpoint
from ttt3r_ros.graph.located import LocatedFrame
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.mapping.voxels import FixedPoints, VoxelSums
from ttt3r_ros.model import update_rule
from ttt3r_ros.model.checkpoint import load_network, resolve_checkpoint
from ttt3r_ros.model.predictor import load_predictor
from ttt3r_ros.settings import MappingSettings, MapSettings, ModelSettings
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import robot_path
from ttt3r_ros.simulation.renderer import render_clip
from ttt3r_ros.tools.main import COMMANDS
from ttt3r_ros.tracking.observation import Observation

DRIVES, FRAMES, RATE_HZ = 8, 8, 7.5
WIDTH, HEIGHT, FOCAL = 224, 160, 160.0
COLUMN, ROW = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
CENTRE = (WIDTH - 1) / 2, (HEIGHT - 1) / 2
RAYS = np.dstack(
    [(COLUMN - CENTRE[0]) / FOCAL, (ROW - CENTRE[1]) / FOCAL, np.ones((HEIGHT, WIDTH))]
)
# The map's x is ahead, y left and z up; the camera's x is right, y down and z ahead.
MAP_T_WORLD = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])

# Right is at most this part of wrong; where the product is wrong, mixing up puts it right again.
MARGIN = 0.85


@dataclass(frozen=True)
class Drive:
    """
    What was seen on a drive, what is true, and what was made of it.

    rgb: (T, H, W, 3). world_T_camera: (T, 4, 4), truth, the world being the first camera. depth:
    (T, H, W), truth.
    """

    rgb: np.ndarray
    world_T_camera: np.ndarray
    depth: np.ndarray
    frames: list[LocatedFrame]

    @property
    def found(self):
        """Return the estimated world_T_camera, (T, 4, 4)."""
        return np.linalg.inv(MAP_T_WORLD) @ np.stack([f.map_T_camera for f in self.frames])

    @property
    def points(self):
        """Return the estimated points in each camera, (T, H, W, 3)."""
        return np.stack([frame.pointmap.points_camera for frame in self.frames])

    @property
    def true_points(self):
        """Return the true points in each camera, (T, H, W, 3)."""
        return RAYS * self.depth[..., None]


def map_images(predictor, rgb):
    mapper = Mapper(predictor, MappingSettings())
    return [mapper.observe(Observation(image, 1 + number)) for number, image in enumerate(rgb)]


@pytest.fixture(scope='module')
def predictor():
    """Return the predictor with default settings, on the CPU."""
    return load_predictor(ModelSettings(device='cpu'))


@pytest.fixture(scope='module')
def drives(predictor):
    """Return short drives of a robot through the building, mapped with default settings."""
    camera = CameraIntrinsics(WIDTH, HEIGHT, FOCAL, FOCAL, *CENTRE)
    world = build_world('S', 0)
    drives = []
    for seed in range(DRIVES):
        path = robot_path(world, seed, FRAMES / RATE_HZ, RATE_HZ)
        rgb, depth = render_clip(world, camera, path.world_T_camera)
        truth = np.linalg.inv(path.world_T_camera[0]) @ path.world_T_camera
        drives.append(Drive(rgb, truth, depth, map_images(predictor, rgb)))
    return drives


# ---- the path


def moved(poses, points):
    """Apply (..., 4, 4) poses to (..., H, W, 3) points."""
    turned = np.einsum('...ij,...hwj->...hwi', poses[..., :3, :3], points)
    return turned + poses[..., None, None, :3, 3]


def degrees(a, b):
    """Return the angles between rotations (..., 3, 3)."""
    cosine = (np.einsum('...ij,...ij->...', a, b) - 1) / 2
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def position_error(drives, change=lambda poses: poses):
    """Return the ATE without any alignment: root mean square, metres."""
    errors = [
        np.linalg.norm(change(d.found)[:, :3, 3] - d.world_T_camera[:, :3, 3], axis=1)
        for d in drives
    ]
    return np.sqrt(np.mean(np.square(errors)))


def rotation_error(drives, change=lambda poses: poses):
    """Return the root mean square of the angles to the true rotations, degrees."""
    errors = [degrees(change(d.found)[:, :3, :3], d.world_T_camera[:, :3, :3]) for d in drives]
    return np.sqrt(np.mean(np.square(errors)))


def still(poses):
    return np.broadcast_to(np.eye(4), poses.shape)


def transposed(poses):
    changed = poses.copy()
    changed[:, :3, :3] = poses[:, :3, :3].swapaxes(1, 2)
    return changed


def backwards(poses):
    changed = poses.copy()
    changed[:, :3, 3] *= -1
    return changed


def mirrored(*axes):
    mirror = np.diag([*axes, 1.0])
    return lambda poses: mirror @ poses @ mirror


def in_other_axes(poses):
    """Take the camera's axes for those of the map."""
    return np.linalg.inv(MAP_T_WORLD) @ poses


def test_the_path_is_near_the_true_one(drives):
    error, of_standing = position_error(drives), position_error(drives, still)
    assert error < 0.7 * of_standing
    assert rotation_error(drives) < 0.5 * rotation_error(drives, still)


@pytest.mark.parametrize(
    'wrong',
    [backwards, np.linalg.inv, mirrored(1, 1, -1), in_other_axes],
    ids=['backwards', 'inverse', 'z mirrored', 'camera axes'],
)
def test_positions_have_the_right_signs_and_frames(drives, wrong):
    error, of_wrong = position_error(drives), position_error(drives, wrong)
    assert error < MARGIN * of_wrong


@pytest.mark.parametrize(
    'wrong',
    [transposed, mirrored(-1, 1, 1), in_other_axes],
    ids=['transposed', 'x mirrored', 'camera axes'],
)
def test_rotations_turn_the_right_way(drives, wrong):
    error, of_wrong = rotation_error(drives), rotation_error(drives, wrong)
    assert error < MARGIN * of_wrong


# ---- the depth


def depth_error(drives, change=lambda depth: depth):
    """Return the mean of |depth - truth| / truth, not aligned."""
    return np.mean([np.abs(change(d.points[..., 2]) / d.depth - 1).mean() for d in drives])


def test_the_depth_is_near_the_true_one(drives):
    error = depth_error(drives)
    guess = np.median([d.depth for d in drives])
    of_guess = depth_error(drives, lambda depth: np.full_like(depth, guess))
    assert error < 0.35
    assert error < 0.7 * of_guess


@pytest.mark.parametrize(
    'wrong',
    [
        lambda depth: depth * 1.5,
        lambda depth: depth / 1.5,
        lambda depth: depth[:, :, ::-1],
        lambda depth: depth[:, ::-1],
    ],
    ids=['too far', 'too near', 'left and right', 'upside down'],
)
def test_the_depth_has_the_right_scale_and_way_round(drives, wrong):
    error, of_wrong = depth_error(drives), depth_error(drives, wrong)
    assert error < MARGIN * of_wrong


def test_red_is_red_and_blue_is_blue(drives, predictor):
    some = drives[:3]
    swapped = [
        Drive(d.rgb, d.world_T_camera, d.depth, map_images(predictor, d.rgb[..., ::-1]))
        for d in some
    ]
    error, of_wrong = depth_error(some), depth_error(swapped)
    assert error < MARGIN * of_wrong
    for drive in drives:
        np.testing.assert_array_equal([frame.pointmap.colors for frame in drive.frames], drive.rgb)


def ray_error(drives, factors=(1, 1, 1)):
    """Return the mean angle between estimated points and the pixels' rays, degrees."""
    angles = []
    for drive in drives:
        points = drive.points * np.array(factors)
        cosine = (points * RAYS).sum(axis=-1) / (
            np.linalg.norm(points, axis=-1) * np.linalg.norm(RAYS, axis=-1)
        )
        angles.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean())
    return np.mean(angles)


@pytest.mark.parametrize(
    'factors',
    [(-1, 1, 1), (1, -1, 1), (1.5, 1.5, 1), (1 / 1.5, 1 / 1.5, 1)],
    ids=['x mirrored', 'y mirrored', 'wide', 'narrow'],
)
def test_points_lie_on_the_rays_of_their_pixels(drives, factors):
    error, of_wrong = ray_error(drives), ray_error(drives, factors)
    assert error < MARGIN * of_wrong


def test_the_estimated_focal_length_is_near_the_true_one(drives):
    ratio = np.median([frame.tracked.camera.fx for d in drives for frame in d.frames]) / FOCAL
    assert 1 / 1.22 < ratio < 1.22


# ---- the map


def point_error(drives, place):
    """Return the mean distance of all points from where they should be in the map, metres."""
    return np.mean(
        [
            np.linalg.norm(
                place(d) - moved(MAP_T_WORLD @ d.world_T_camera, d.true_points), axis=-1
            ).mean()
            for d in drives
        ]
    )


def in_map(drive):
    return np.stack([frame.points_map() for frame in drive.frames])


@pytest.mark.parametrize(
    'wrong',
    [
        lambda d: moved(MAP_T_WORLD @ np.linalg.inv(d.found), d.points),
        lambda d: moved(MAP_T_WORLD @ transposed(d.found), d.points),
        lambda d: moved(d.found, d.points),
        lambda d: d.points,
        lambda d: 1.5 * in_map(d),
        lambda d: in_map(d) / 1.5,
    ],
    ids=[
        'inverse', 'transposed', 'camera axes', 'camera points', 'large', 'small',
    ],
)  # fmt: skip
def test_points_lie_where_they_should_in_the_map(drives, wrong):
    error, of_wrong = point_error(drives, in_map), point_error(drives, wrong)
    assert error < MARGIN * of_wrong


def surface_error(drive, points):
    """Return the median distance of points in the map from the nearest true surface, metres."""
    surfaces = moved(MAP_T_WORLD @ drive.world_T_camera, drive.true_points)
    return np.median(cKDTree(surfaces[:, ::2, ::2].reshape(-1, 3)).query(points)[0])


def test_the_map_lies_on_the_true_surfaces(drives):
    settings = MapSettings()
    errors, of_guess = [], []
    guess = np.median([d.depth for d in drives])
    for drive in drives:
        voxels = VoxelSums()
        for frame in drive.frames:
            kept = frame.pointmap.reliable(settings.confidence_threshold, settings.max_range)
            seen, columns = frame.pointmap, frame.points_map()[kept].T / settings.voxel_size
            voxels.add(FixedPoints.of(columns, seen.colors[kept].T, seen.confidence[kept]))
        cloud = voxels.all().cloud(settings.voxel_size)
        errors.append(surface_error(drive, cloud.points[::10]))
        wall = moved(MAP_T_WORLD @ drive.world_T_camera, np.tile(RAYS * guess, (FRAMES, 1, 1, 1)))
        of_guess.append(surface_error(drive, wall.reshape(-1, 3)[::40]))
    assert np.mean(errors) < 0.75 * np.mean(of_guess)


# ---- the gate


def rotated(tokens, positions):
    """
    Turn (H, N, d) features by 2-D rotary positions (N, 2).

    The first half turns by the row, the second by the column; within each, feature i goes with
    feature i + d / 4 by the angle position * 100^(-4 i / d).
    """
    quarter = tokens.shape[-1] // 4
    speeds = 100.0 ** (-np.arange(quarter) / quarter)
    turned = []
    for axis in range(2):
        u, v = np.split(tokens[..., 2 * axis * quarter :][..., : 2 * quarter], 2, axis=-1)
        angle = positions[:, axis, None] * speeds
        turned += [u * np.cos(angle) - v * np.sin(angle), v * np.cos(angle) + u * np.sin(angle)]
    return np.concatenate(turned, axis=-1)


def restated_match(network, heard):
    """Average the logits of the state's attention to pose and image tokens, all written out."""
    a = network.architecture
    grid = HEIGHT // a.patch_size, WIDTH // a.patch_size
    image_positions = np.concatenate([[[-1, -1]], np.argwhere(np.ones(grid))])
    side = int(a.state_tokens**0.5)
    side += side % 2
    state_positions = np.stack(np.divmod(np.arange(a.state_tokens), side), axis=1)
    weights = {name: w.double().numpy() for name, w in network.state_dict().items()}

    def project(tokens, name):
        projected = tokens[0].double().numpy() @ weights[f'{name}.weight'].T
        projected += weights[f'{name}.bias']
        return projected.reshape(len(projected), a.state_heads, -1).swapaxes(0, 1)

    matches = []
    for layer, (state, image) in enumerate(heard):
        name = f'dec_blocks_state.{layer}.cross_attn'
        q = rotated(project(state, f'{name}.projq'), state_positions)
        k = rotated(project(image, f'{name}.projk'), image_positions)
        logits = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])  # (heads, S, 1 + N)
        matches.append(logits.mean(axis=(0, 2)))
    return np.mean(matches, axis=0)


@torch.inference_mode()
def test_the_state_is_written_by_the_gate_of_ttt3r(drives):
    network, _ = load_network(resolve_checkpoint(''), 'cpu', 'strict')
    heard, proposed = [], []
    for block in network.dec_blocks_state:
        block.cross_attn.register_forward_hook(lambda m, inputs, o: heard.append(inputs[:2]))
    network.dec_norm_state.register_forward_hook(lambda m, i, output: proposed.append(output))
    rule = update_rule(ModelSettings().update_rule)

    state = network.initial_state()
    for number, rgb in enumerate(drives[2].rgb[:3]):
        heard.clear()
        before = state
        image = torch.from_numpy(rgb.astype(np.float32) / 127.5 - 1).movedim(-1, 0)[None]
        prediction, state = network.step(image, before, rule=rule)
        closed = np.zeros(network.architecture.state_tokens)
        if number:
            closed = 1 / (1 + np.exp(restated_match(network, heard)))
            assert 0.2 < closed.mean() < 0.8
            assert closed.std() > 0.1
        np.testing.assert_allclose(1 - prediction.gain[0].numpy(), closed, atol=1e-4)
        written = proposed[-1][0].numpy()
        wanted = written + closed[:, None] * (before.tokens[0].numpy() - written)
        np.testing.assert_allclose(state.tokens[0].numpy(), wanted, atol=1e-4)


# ---- the file


def test_every_command_takes_it_where_nothing_else_is_asked_for(repository):
    path = repository / 'ttt3r_ros' / 'weights' / 'small.safetensors'
    takers = set()
    for name in COMMANDS:
        parser = argparse.ArgumentParser()
        importlib.import_module(f'ttt3r_ros.tools.{name}').add_arguments(parser)
        if '--checkpoint' in parser.format_help():
            takers.add(name)
            assert resolve_checkpoint(parser.get_default('model.checkpoint')) == path
    assert takers >= {'map', 'demo', 'bench'}
    assert look_at_checkpoint(ModelSettings()).path == str(path)  # of the doctor
