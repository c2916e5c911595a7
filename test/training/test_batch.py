# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The geometry that training learns from."""

import numpy as np
import pytest
import torch

from training.batch import collate, crop, flow_targets, mirror
from training.clips import Clip
from ttt3r_ros.geometry import invert, rotation_about, transform
from ttt3r_ros.intrinsics import CameraIntrinsics

DEVICE = torch.device('cpu')
CAMERA = CameraIntrinsics(64, 48, 40.0, 42.0, 30.0, 25.0)


def wall_clip():
    """Render a wall at z = 2 with a camera that moves and turns."""
    poses = np.stack(
        [
            transform(rotation_about([0.1, 1.0, 0.2], 0.05 * t), [0.1 * t, -0.02 * t, 0.03 * t])
            for t in range(4)
        ]
    )
    rays = CAMERA.rays().astype(np.float64)
    depth = [(2.0 - pose[2, 3]) / (rays @ pose[2, :3]) for pose in poses]
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 255, (4, 48, 64, 3), dtype=np.uint8)
    return Clip(torch.from_numpy(rgb), torch.from_numpy(np.stack(depth)), poses, CAMERA)


def test_flow_is_where_a_pinhole_sees_the_same_point_of_a_wall():
    clip = wall_clip()
    flow, defined = flow_targets(collate([clip], DEVICE), cell=4, patch=16)

    for t, row, column in [(1, 3, 5), (2, 6, 8), (3, 5, 9)]:
        u, v = 4 * column + 2, 4 * row + 2
        ray = np.array([(u - 30.0) / 40.0, (v - 25.0) / 42.0, 1.0])
        point = ray * clip.depth[t, v, u].item()
        world = clip.world_T_camera[t] @ np.append(point, 1.0)
        for slot, other in enumerate((0, t - 1)):
            x, y, z, _ = invert(clip.world_T_camera[other]) @ world
            expected = [(40 * x / z + 30 - u) / 16, (42 * y / z + 25 - v) / 16]
            assert defined[0, t, slot, row, column]
            np.testing.assert_allclose(flow[0, t, slot, row, column], expected, atol=1e-4)


def test_flow_to_itself_is_zero():
    flow, defined = flow_targets(collate([wall_clip()], DEVICE), cell=4, patch=16)

    assert defined[:, 0].all()
    assert flow[:, 0].abs().max() < 1e-4


def test_flow_out_of_the_view_is_masked():
    clip = wall_clip()
    poses = clip.world_T_camera.copy()
    poses[3] = transform(np.eye(3), [50.0, 0.0, 0.0])

    _, defined = flow_targets(
        collate([Clip(clip.rgb, clip.depth, poses, CAMERA)], DEVICE), cell=4, patch=16
    )

    assert not defined[0, 3].any()


@pytest.mark.parametrize(
    'change', [mirror, lambda batch: crop(batch, 32, 48)], ids=['mirror', 'crop']
)
def test_an_augmented_batch_is_still_one_rigid_scene(change):
    batch = change(collate([wall_clip()], DEVICE))

    rotation, translation = batch.first_T_camera[..., :3, :3], batch.first_T_camera[..., :3, 3]
    in_first = torch.einsum('btij,bthwj->bthwi', rotation, batch.points)
    in_first = in_first + translation[:, :, None, None]

    np.testing.assert_allclose(in_first[..., 2], 2.0, atol=1e-3)  # still the same wall
    np.testing.assert_allclose(torch.linalg.det(rotation), 1.0, atol=1e-5)


def test_intrinsics_of_an_augmented_batch_project_its_points_to_their_pixels():
    batch = mirror(crop(collate([wall_clip()], DEVICE), 32, 48))
    fx, fy, cx, cy = batch.intrinsics[0]
    x, y, z = batch.points[0, 2].unbind(-1)

    v, u = np.mgrid[:32, :48]
    np.testing.assert_allclose(fx * x / z + cx, u, atol=1e-3)
    np.testing.assert_allclose(fy * y / z + cy, v, atol=1e-3)
