# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace
import io
import json

import numpy as np
import pytest

from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import rotation_about, transform
from ttt3r_ros.mapping.cloud_files import write_ply
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.trajectory import Trajectory, write_trajectory
from ttt3r_ros.viewer.scene import Cloud, KeyPlaces, Scene, View
from ttt3r_ros.viewer.stored import stored_scene
from ttt3r_ros.viewer.view_file import add_view, ViewFileError, write_view


@pytest.fixture
def scene():
    rng = np.random.default_rng(3)
    points = rng.normal(size=(50, 3)).astype(np.float32)
    cloud = Cloud(
        points,
        rng.integers(0, 256, (50, 3), np.uint8),
        np.ones(50, np.float32),
        rng.random(50, np.float32),
    )
    stamps = 1_000_000_000 * np.arange(4)
    poses = np.stack([transform(rotation_about([1, 2, 3], 0.3 * n), [n, 0, 1]) for n in range(4)])
    path = Trajectory(stamps, poses)
    ramp = np.linspace(0, 250, 16 * 12).reshape(12, 16)
    views = tuple(
        View(
            int(stamp),
            pose,
            np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=-1).astype(np.uint8),
            (1 + 0.1 * ramp).astype(np.float32),
            0.9,
        )
        for stamp, pose in zip(stamps[::2], poses[::2])
    )
    keys = KeyPlaces(points[:5], points[:4].reshape(2, 2, 3))
    return Scene(cloud=cloud, voxel_size=0.07, path=path, truth=path, keys=keys, views=views)


def written(scene):
    file = io.BytesIO()
    write_view(file, scene)
    return file.getvalue()


def test_what_was_written_is_read_again(scene):
    bare = Scene(cloud=replace(scene.cloud, seen_s=None), path=scene.path)

    read = add_view(io.BytesIO(written(scene)), bare)

    assert read.voxel_size == scene.voxel_size
    np.testing.assert_array_equal(read.cloud.seen_s, scene.cloud.seen_s)
    np.testing.assert_array_equal(read.keys.loops, scene.keys.loops)
    np.testing.assert_array_equal(read.truth.poses, scene.truth.poses)
    assert len(read.views) == len(scene.views)
    for one, other in zip(read.views, scene.views):
        assert (one.stamp_ns, one.fov) == (other.stamp_ns, other.fov)
        np.testing.assert_array_equal(one.map_T_camera, other.map_T_camera)
        np.testing.assert_allclose(one.depth, other.depth, atol=0.0006)  # whole millimetres
        difference = one.rgb.astype(int) - other.rgb
        assert np.abs(difference).mean() < 12  # JPEG


def test_ages_of_another_cloud_are_left_out(scene):
    other = Scene(cloud=scene.cloud.chosen(np.arange(7)))

    assert add_view(io.BytesIO(written(scene)), replace(other)).cloud.seen_s.shape == (7,)


@pytest.mark.parametrize('damage', ['cut', 'flip', 'other'])
def test_a_damaged_file_is_one_error_of_the_user(scene, damage):
    data = bytearray(written(scene))
    if damage == 'cut':
        data = data[: len(data) // 2]
    elif damage == 'flip':
        data[len(data) // 3 : len(data) // 3 + 200] = bytes(200)
    else:
        data = bytearray(b'no archive')

    with pytest.raises(ViewFileError, match=r'view\.npz cannot be read'):
        add_view(io.BytesIO(data), scene)


def test_the_folder_of_a_demo_is_shown_with_its_truth(scene, tmp_path):
    cloud = VoxelCloud(scene.cloud.points, scene.cloud.colors, scene.cloud.confidence)
    with (tmp_path / 'map.ply').open('wb') as file:
        write_ply(file, cloud)
    for name in ('trajectory.txt', 'groundtruth.txt'):
        with (tmp_path / name).open('wb') as file:
            write_trajectory(file, scene.path)
    (tmp_path / 'recording.json').write_text(json.dumps({'images_mapped': 4, 'rate_hz': 9.96}))

    read = stored_scene(tmp_path)

    np.testing.assert_array_equal(read.cloud.points, cloud.points)
    np.testing.assert_allclose(read.truth.poses, read.path.poses, atol=1e-9)
    assert read.status == {'images': '4', 'images per second': '10.0'}
    assert read.finished


def test_what_holds_no_map_is_an_error_of_the_user(tmp_path):
    (tmp_path / 'notes.txt').write_text('no map')

    for path in (tmp_path, tmp_path / 'notes.txt', tmp_path / 'gone'):
        with pytest.raises(UserError):
            stored_scene(path)
