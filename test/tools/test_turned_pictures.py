# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""`ttt3r map` on what a camera records that hangs upside down or on its side."""

import json
import re

import numpy as np
from PIL import Image
import pytest

from ttt3r_ros.geometry import BODY_T_OPTICAL, rotation_about, transform
from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.cloud_files import read_ply
from ttt3r_ros.tools import mapping_run
from ttt3r_ros.tools.main import main
from ttt3r_ros.trajectory import read_trajectory

MAST = transform(BODY_T_OPTICAL[:3, :3], [0.2, 0.0, 0.5])
CAMERA = CameraIntrinsics(96, 64, 70.0, 70.0, 47.5, 31.5)


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    drive = tmp_path_factory.mktemp('turned') / 'drive'
    options = ['--seconds', '1', '--image-rate', '4', '--width', '96', '--height', '64']
    assert main(['simulate', '--output', str(drive), *options]) == 0
    return [frame.rgb for frame in open_source(str(drive)).frames(1)]


def record(folder, pictures, degrees, mount):
    """Write a sequence with odometry, as a camera does that is turned clockwise by an angle."""
    (folder / 'frames').mkdir(parents=True)
    for k, rgb in enumerate(pictures):
        stored = np.rot90(rgb, degrees // 90)
        Image.fromarray(stored).save(folder / 'frames' / f'{k:06d}.png')
    times = [f'{k} {0.25 * k}\n' for k in range(len(pictures))]
    (folder / 'timestamps.txt').write_text(''.join(times))
    wheels = [f'{0.25 * k} {0.1 * k} 0 0 0 0 0 1\n' for k in range(len(pictures))]
    (folder / 'odometry.txt').write_text(''.join(wheels))
    camera = CAMERA if degrees == 180 or not degrees else CAMERA.turned(8 if degrees == 90 else 6)
    fields = {**camera.to_record(), 'base_T_camera': mount.tolist()}
    (folder / 'camera.json').write_text(json.dumps(fields))
    return folder


def test_a_true_path_beside_the_images_is_in_the_picture(pictures, tmp_path, monkeypatch):
    drive = record(tmp_path / 'drive', pictures, 0, MAST)
    true_path = [f'{0.25 * k + 0.004} {0.2 * k} 0 0 0 0 0 1\n' for k in range(len(pictures))]
    (drive / 'groundtruth.txt').write_text(''.join(true_path))
    drawn = []
    monkeypatch.setattr(mapping_run, 'draw_preview', lambda *parts: drawn.append(parts))

    mapped(drive)

    ((_, caption, *_, truth),) = drawn
    assert re.search(r'; .* off after 60 cm[,;.]', caption.headline)
    steps = np.linalg.norm(np.diff(truth.poses[:, :3, 3], axis=0), axis=1)
    np.testing.assert_allclose(steps, 0.2, atol=1e-9)


def mapped(folder, *options):
    output = folder.with_name(f'{folder.name}_out')
    assert main(['map', str(folder), '--output', str(output), *options]) == 0
    with (output / 'map.ply').open('rb') as file:
        points = read_ply(file).points
    return output, read_trajectory(output).poses, points


def test_a_turned_camera_makes_the_map_of_an_upright_one(pictures, tmp_path):
    _, poses, points = mapped(record(tmp_path / 'upright', pictures, 0, MAST))
    for degrees in (90,):
        turned = transform(rotation_about([0, 0, 1], np.radians(degrees)), [0, 0, 0])
        drive = record(tmp_path / f'by_{degrees}', pictures, degrees, MAST @ turned)

        output, ours, same_points = mapped(drive, '--camera-rotation', str(degrees))

        np.testing.assert_allclose(ours, poses, atol=1e-6)
        np.testing.assert_allclose(same_points, points, atol=1e-4)
        assert json.loads((output / 'summary.json').read_text())['intrinsics']['width'] == 96
    assert main(['export', str(output), '--to', 'colmap']) == 0
    first = Image.open(output / 'export' / 'colmap' / 'images' / '000000.jpg')
    assert np.abs(np.asarray(first, float) - pictures[0]).mean() < 10  # as it was mapped: upright
