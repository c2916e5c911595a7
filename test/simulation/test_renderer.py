# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The ray caster against closed forms, against itself from elsewhere, and its repeatability."""

import os
import subprocess
import sys

import numpy as np
import pytest

from ttt3r_ros.geometry import (
    BODY_T_OPTICAL,
    invert,
    rotation_about,
    transform,
    transform_points,
)
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.simulation import tables as t
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import hand_path
from ttt3r_ros.simulation.renderer import CameraOutsideError, find_edges, render, render_clip
from ttt3r_ros.simulation.sensor import Sensor
from ttt3r_ros.simulation.world import World

INTRINSICS = CameraIntrinsics.from_field_of_view(64, 48, 80.0)


def cell(low, high, portals=(0, 0)):
    middle = (np.array(low) + high) / 2
    return t.record(t.CELL, low=low, high=high, portals=portals, light=middle, ambient=0.5)


def part(kind, center, half, yaw=0.0):
    return t.record(t.PART, kind=kind, center=center, half=half, cos=np.cos(yaw), sin=np.sin(yaw))


def hand_made_world(cells, parts=(), portals=()):
    """Put all parts into one group of a generous bounding box."""
    for row in cells:
        row.groups = 0, 1
    group = t.record(t.GROUP, low=-100, high=100, parts=(0, len(parts)))
    return World(
        t.Tables(
            cells=t.records(t.CELL, cells),
            portals=t.records(t.PORTAL, portals),
            decals=t.records(t.DECAL, []),
            groups=t.records(t.GROUP, [group]),
            parts=t.records(t.PART, parts),
            materials=t.records(t.MATERIAL, [t.record(t.MATERIAL, colors=0.5, grain=1.0)]),
            images=np.zeros((1, 4, 4, 3), dtype=np.uint8),
        )
    )


def looking(x, y, z, yaw=0.0, pitch=0.0):
    """Return the pose of a camera; yaw 0 looks along x, pitch is positive downwards."""
    turn = rotation_about([0, 0, 1], yaw) @ rotation_about([0, 1, 0], pitch)
    return transform(turn, [x, y, z]) @ BODY_T_OPTICAL


def world_rays(pose):
    """Return the origin and the (H, W, 3) world directions of optical depth 1, in float64."""
    rays = INTRINSICS.rays().astype(np.float64)
    return pose[:3, 3], rays @ pose[:3, :3].T


def exits_of_box(pose, low, high):
    """Return where rays from inside leave a box, by the slab formula."""
    origin, directions = world_rays(pose)
    with np.errstate(divide='ignore'):
        t = np.where(directions > 0, (high - origin) / directions, (low - origin) / directions)
    return t.min(axis=-1)


LOW, HIGH = np.array([-2.0, -3.0, 0.0]), np.array([4.0, 2.0, 2.5])


@pytest.mark.parametrize(
    'pose',
    [looking(0, 0, 1.2), looking(1, -1, 0.3, 0.7, 0.3), looking(3, 1, 2.2, -2.5, -0.4)],
)
def test_depth_of_an_empty_room_is_where_the_rays_leave_its_box(pose):
    world = hand_made_world([cell(LOW, HIGH)])

    _, depth = render(world, INTRINSICS, pose)

    np.testing.assert_allclose(depth, exits_of_box(pose, LOW, HIGH), atol=2e-5)


def test_a_wall_straight_ahead_has_the_same_depth_in_all_its_pixels():
    world = hand_made_world([cell([-1, -50, -50], [3, 50, 50])])

    _, depth = render(world, INTRINSICS, looking(0.5, 0, 0))

    np.testing.assert_allclose(depth, 2.5, atol=2e-6)


def test_depth_of_a_sphere_solves_the_quadratic_equation():
    center, radius = np.array([2.5, 0.2, 1.1]), 0.6
    world = hand_made_world([cell(LOW, HIGH)], [part(t.SPHERE, center, [radius] * 3)])
    pose = looking(0, 0, 1.2, 0.05, 0.02)

    _, depth = render(world, INTRINSICS, pose)

    origin, d = world_rays(pose)
    a, b = (d * d).sum(-1), (d @ (origin - center))
    root = b * b - a * (np.sum((origin - center) ** 2) - radius**2)
    sphere = np.where(root > 0, (-b - np.sqrt(np.abs(root))) / a, np.inf)
    expected = np.minimum(sphere, exits_of_box(pose, LOW, HIGH))
    clear = np.abs(root) > 1e-3  # not where a ray just grazes
    assert 200 < (root > 0).sum() < 2000
    np.testing.assert_allclose(depth[clear], expected[clear], atol=1e-4)


def points_seen(pose, depth):
    origin, directions = world_rays(pose)
    return origin + depth[..., None] * directions


@pytest.mark.parametrize('yaw', [0.0, 0.6, -1.1])
def test_points_seen_on_a_turned_box_lie_on_its_faces(yaw):
    center, half = np.array([1.8, 0.1, 0.7]), np.array([0.5, 0.3, 0.4])
    world = hand_made_world([cell(LOW, HIGH)], [part(t.BOX, center, half, yaw)])
    pose = looking(0, 0, 1.2, 0.05, 0.1)

    _, depth = render(world, INTRINSICS, pose)

    on_box = depth < exits_of_box(pose, LOW, HIGH) - 1e-3
    local = (points_seen(pose, depth)[on_box] - center) @ rotation_about([0, 0, 1], yaw)
    assert on_box.sum() > 200
    np.testing.assert_allclose(np.max(np.abs(local) / half, axis=-1), 1.0, atol=1e-4)


def test_points_seen_on_a_cylinder_lie_on_its_side_or_its_top():
    center, radius, half_height = np.array([1.6, 0.0, 0.5]), 0.4, 0.5
    half = [radius, radius, half_height]
    world = hand_made_world([cell(LOW, HIGH)], [part(t.CYLINDER, center, half)])
    pose = looking(0, 0, 1.6, 0.0, 0.4)

    _, depth = render(world, INTRINSICS, pose)

    on_it = depth < exits_of_box(pose, LOW, HIGH) - 1e-3
    local = points_seen(pose, depth)[on_it] - center
    radial, z = np.hypot(local[:, 0], local[:, 1]) / radius, local[:, 2] / half_height
    assert on_it.sum() > 200
    np.testing.assert_allclose(np.maximum(radial, z), 1.0, atol=1e-4)
    assert (z > 0.999).any()
    assert (radial > 0.999).any()


def test_a_ray_goes_through_a_door_and_only_through_it():
    second = cell([4.0, -3, 0], [7, 2, 2.5], portals=(1, 1))
    first = cell(LOW, HIGH, portals=(0, 1))
    door = t.record(t.PORTAL, face=1, low=-0.5, high=0.5, bottom=0.0, top=2.0, cell=1)
    world = hand_made_world([first, second], portals=[door])
    pose = looking(0, 0, 1.2)

    _, depth = render(world, INTRINSICS, pose)

    near = exits_of_box(pose, LOW, HIGH)
    far = exits_of_box(pose, LOW, np.array([7, 2, 2.5]))
    _, directions = world_rays(pose)
    at_wall = np.array([0, 0, 1.2]) + near[..., None] * directions
    through = (np.abs(at_wall[..., 0] - 4) < 1e-6) & (np.abs(at_wall[..., 1]) < 0.5)
    through &= at_wall[..., 2] < 2.0
    assert through.any()
    np.testing.assert_allclose(depth, np.where(through, far, near), atol=2e-5)


@pytest.mark.parametrize('family', ['S', 'M', 'L'])
def test_depth_and_pose_carry_one_view_into_another(family):
    intrinsics = CameraIntrinsics.from_field_of_view(128, 96, 70.0)
    world = build_world(family, 5)
    poses = hand_path(world, 3, 4.0, 10.0).world_T_camera[[10, 12]]
    rgb, depth = render_clip(world, intrinsics, poses, smooth=True)

    # Where the points of view 0 appear in view 1.
    points_0 = intrinsics.rays() * depth[0][..., None]
    points_1 = transform_points(invert(poses[1]) @ poses[0], points_0)
    z = points_1[..., 2]
    u = np.round(intrinsics.fx * points_1[..., 0] / z + intrinsics.cx)
    v = np.round(intrinsics.fy * points_1[..., 1] / z + intrinsics.cy)
    inside = (z > 0) & (u >= 0) & (u < 128) & (v >= 0) & (v < 96)
    u, v, z = (a[inside] for a in (u, v, z))
    u, v = u.astype(int), v.astype(int)
    visible = np.abs(depth[1][v, u] - z) < 0.03 * z

    assert inside.mean() > 0.5
    assert visible.mean() > 0.9
    difference = np.abs(rgb[0][inside].astype(float) - rgb[1][v, u])[visible]
    unrelated = np.abs(rgb[0].astype(float) - rgb[1][::-1, ::-1])
    assert np.median(difference) < 6
    assert difference.mean() < 0.3 * unrelated.mean()


def test_two_renderings_are_equal_whatever_the_number_of_threads():
    world = build_world('L', 4)
    poses = hand_path(world, 1, 1.0, 5.0).world_T_camera

    first = render_clip(world, INTRINSICS, poses, sensor=Sensor(), seed=9)
    second = render_clip(world, INTRINSICS, poses, sensor=Sensor(), seed=9, threads=2)
    one = render(world, INTRINSICS, poses[0], sensor=Sensor(), seed=9)

    for a, b, c in zip(first, second, one):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a[0], c)


def test_noise_has_the_strength_asked_for_and_depends_on_the_seed():
    grey = np.full((1, 100, 100, 3), 128, dtype=np.uint8)
    sensor = Sensor(vignetting=0.0, blur=0.0, noise=5.0)

    taken = sensor.capture(grey, seed=1).astype(float)

    assert abs(taken.mean() - 128) < 0.3
    assert taken.std() == pytest.approx(5.0, abs=0.5)
    assert (sensor.capture(grey, seed=2) != taken).mean() > 0.8


def test_only_neighbours_that_differ_are_edges():
    rgb = np.full((6, 7, 3), 200, dtype=np.uint8)
    rgb[:, 4:, 1] = 150  # a step down between columns 3 and 4

    edges = find_edges(rgb)

    assert edges[:, 3:5].all()
    assert edges.sum() == 2 * 6


def test_smoothing_changes_colours_at_edges_and_no_depth():
    world = build_world('S', 0)
    poses = hand_path(world, 1, 1.0, 3.0).world_T_camera

    plain, plain_depth = render_clip(world, INTRINSICS, poses)
    smooth, smooth_depth = render_clip(world, INTRINSICS, poses, smooth=True)

    np.testing.assert_array_equal(plain_depth, smooth_depth)
    changed = (plain != smooth).any(axis=-1)
    edges = np.stack([find_edges(frame) for frame in plain])
    assert changed.any()
    assert not (changed & ~edges).any()


def test_a_perfect_sensor_changes_nothing():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (2, 8, 9, 3), dtype=np.uint8)

    taken = Sensor(vignetting=0.0, blur=0.0, noise=0.0).capture(rgb)

    np.testing.assert_array_equal(taken, rgb)


def test_a_camera_in_a_wall_is_refused():
    world = hand_made_world([cell(LOW, HIGH)])

    with pytest.raises(CameraOutsideError, match='camera 0'):
        render(world, INTRINSICS, looking(9, 0, 1))


IN_THE_SIMULATOR = """
import numpy as np
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import hand_path
from ttt3r_ros.simulation.renderer import render_clip
from ttt3r_ros.simulation.renderer_cuda import CudaRenderer
from ttt3r_ros.simulation.sensor import Sensor

world = build_world('L', 2)
lens = CameraIntrinsics.from_field_of_view(12, 8, 70)
poses = hand_path(world, 0, 2.0, 2.0).world_T_camera[:2]
rgb, depth = render_clip(world, lens, poses, sensor=Sensor(), seed=3)
device_rgb, device_depth = CudaRenderer(world).render_clip(lens, poses, sensor=Sensor(), seed=3)
np.testing.assert_array_equal(device_rgb.copy_to_host(), rgb)
np.testing.assert_array_equal(device_depth.copy_to_host(), depth)
"""


def test_the_kernels_of_the_device_fill_every_pixel_and_none_twice():
    # numba's simulator runs them thread by thread, in Python, where no device exists.
    done = subprocess.run(
        [sys.executable, '-c', IN_THE_SIMULATOR],
        env={**os.environ, 'NUMBA_ENABLE_CUDASIM': '1', 'NUMBA_DISABLE_JIT': '1'},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr


FIRST_PICTURE = """
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import hand_path
from ttt3r_ros.simulation.renderer import compile_renderer, render, render_frames, smooth_edges
from ttt3r_ros.simulation.sensor import Sensor

kernels = render_frames, smooth_edges
compile_renderer(build_world('S', 0))
before = [kernel.signatures for kernel in kernels]
assert all(before), before
world = build_world('M', 2)
pose = hand_path(world, 0, 1.0, 4.0).world_T_camera[0]
camera = CameraIntrinsics.from_field_of_view(64, 48, 80.0)
render(world, camera, pose, smooth=True, sensor=Sensor())
assert [kernel.signatures for kernel in kernels] == before
"""


def test_once_it_was_compiled_no_picture_compiles_the_renderer_again():
    done = subprocess.run(
        [sys.executable, '-c', FIRST_PICTURE],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
def test_the_device_sees_what_the_cpu_sees():
    from ttt3r_ros.simulation.renderer_cuda import CudaRenderer

    world = build_world('L', 2)
    poses = hand_path(world, 0, 2.0, 4.0).world_T_camera
    rgb, depth = render_clip(world, INTRINSICS, poses)

    device_rgb, device_depth = CudaRenderer(world).render_clip(INTRINSICS, poses)

    # All but the pixels whose ray grazes an edge.
    same_depth = np.abs(device_depth.copy_to_host() - depth) < 1e-3 * depth
    assert same_depth.mean() > 0.995
    apart = np.abs(device_rgb.copy_to_host().astype(int) - rgb).max(axis=-1)
    assert (apart[same_depth] <= 2).mean() > 0.99
