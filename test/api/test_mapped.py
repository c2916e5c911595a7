# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A recording to a map in one call, and what it can do."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import ttt3r_ros
from ttt3r_ros.mapping.cloud_files import read_ply

RESULTS = {'trajectory.txt', 'map.ply', 'summary.json', 'preview.png'}


@pytest.fixture(scope='module')
def run(drive):
    return ttt3r_ros.map(drive, max_frames=6)


def test_a_run_has_cloud_path_and_summary(run):
    assert run.cloud.points.shape == (len(run.cloud), 3)
    assert run.summary['frames'] == len(run.trajectory) == 6
    assert not run.interrupted


def test_the_cloud_is_saved_by_its_suffix(run, tmp_path):
    run.cloud.save(tmp_path / 'new' / 'map.ply')

    with (tmp_path / 'new' / 'map.ply').open('rb') as file:
        np.testing.assert_array_equal(read_ply(file).points, run.cloud.points)
    with pytest.raises(ttt3r_ros.UserError, match=r'\.ply or \.pcd or \.las'):
        run.cloud.save(tmp_path / 'map.obj')


def test_without_an_output_the_files_go_with_the_run(drive, tmp_path):
    run = ttt3r_ros.map(drive, max_frames=2)
    folder = run.folder
    assert {path.name for path in folder.iterdir()} >= RESULTS

    run.save(tmp_path / 'out')
    del run

    assert not folder.exists()
    assert {path.name for path in (tmp_path / 'out').iterdir()} >= RESULTS


def test_a_path_is_saved_as_kitti_in_the_frame_of_its_first_camera(run, tmp_path):
    run.trajectory.save(tmp_path / 'poses.txt', 'kitti')

    rows = np.loadtxt(tmp_path / 'poses.txt').reshape(-1, 3, 4)
    np.testing.assert_allclose(rows[0], np.eye(4)[:3], atol=1e-9)
    first = np.linalg.inv(run.trajectory.poses[0])
    np.testing.assert_allclose(rows, (first @ run.trajectory.poses)[:, :3], atol=1e-8)


def test_a_path_is_read_again_as_it_was_saved(run, tmp_path):
    run.trajectory.save(tmp_path / 'path.txt')

    read = ttt3r_ros.read_trajectory(tmp_path / 'path.txt')
    np.testing.assert_array_equal(read.stamps_ns, run.trajectory.stamps_ns)
    np.testing.assert_allclose(read.poses, run.trajectory.poses, atol=1e-7)
    with pytest.raises(ttt3r_ros.UserError, match='tum, kitti'):
        run.trajectory.save(tmp_path / 'path.txt', 'euroc')


def test_a_run_is_compared_with_the_truth(run, drive):
    errors = run.evaluate(drive)
    assert errors.alignment.scale == 1.0
    assert errors.ate.rmse < errors.truth_path


def test_the_viewer_shows_the_folder_of_the_run(run, monkeypatch):
    shown = []
    viewer = SimpleNamespace(show=lambda *given, **more: shown.append((given, more)))
    monkeypatch.setitem(sys.modules, 'ttt3r_ros.viewer', viewer)

    run.view(open_browser=False)

    assert shown == [((run.folder,), {'open_browser': False})]


def test_a_viewer_that_is_missing_is_one_clear_error(run, monkeypatch):
    monkeypatch.setitem(sys.modules, 'ttt3r_ros.viewer', None)

    with pytest.raises(ttt3r_ros.UserError, match='viewer'):
        run.view()


def test_a_missing_input_is_one_clear_error(tmp_path):
    with pytest.raises(ttt3r_ros.UserError, match='there is no'):
        ttt3r_ros.map(tmp_path / 'drive.mp4')
