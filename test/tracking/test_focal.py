# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.tracking.focal import (
    estimate_focal,
    LONGEST,
    NO_BELIEF,
    SHORTEST,
    UNKNOWN_FOCAL,
)


@pytest.mark.parametrize('focal', [30.0, 60.0, 250.0])
def test_an_exact_pinhole_gives_its_focal_length(focal):
    depth = np.random.default_rng(0).uniform(0.5, 5, (48, 64)).astype(np.float32)
    rays = CameraIntrinsics(64, 48, focal, focal, 32, 24).rays()

    assert estimate_focal(rays * depth[..., None]) == pytest.approx(focal, abs=1e-5 * focal)


def test_a_fifth_of_wild_points_does_not_move_the_focal_length():
    rng = np.random.default_rng(1)
    points = CameraIntrinsics(64, 48, 60.0, 60.0, 32, 24).rays()
    wild = rng.uniform(size=(48, 64)) < 0.2
    points[wild, :2] = rng.uniform(-0.5, 0.5, (wild.sum(), 2))

    assert estimate_focal(points) == pytest.approx(60.0, abs=0.06)  # least squares: 46


def test_points_without_depth_do_not_break_the_estimate():
    points = CameraIntrinsics(64, 48, 60.0, 60.0, 32, 24).rays()
    points[3, 4:9, 2] = 0

    assert estimate_focal(points) == pytest.approx(60.0, abs=0.006)


def test_rays_that_are_all_the_axis_give_zero():
    focal = estimate_focal(np.full((8, 8, 3), [0, 0, 1], np.float32))

    assert focal == pytest.approx(0.0, abs=1e-9)


def test_some_pixels_of_a_large_map_give_the_focal_length_of_all():
    rng = np.random.default_rng(2)
    height, width = 384, 512
    points = CameraIntrinsics(width, height, 420.0, 400.0, 250, 195).rays()
    points[..., :2] *= 1 + rng.normal(0, 0.1, (height, width, 1))
    wild = rng.uniform(size=(height, width)) < 0.1
    points[wild, :2] = rng.uniform(-0.5, 0.5, (wild.sum(), 2))
    v, u = np.mgrid[:height, :width] - np.array([height // 2, width // 2])[:, None, None]

    def misfit(focal):  # of every pixel
        return np.hypot(u - focal * points[..., 0], v - focal * points[..., 1]).sum()

    best = minimize_scalar(misfit, bracket=(300, 500)).x

    assert estimate_focal(points.astype(np.float32)) == pytest.approx(best, abs=0.8)


def test_a_focal_length_that_wanders_by_less_than_3_percent_is_held():
    rng = np.random.default_rng(0)
    focal, used = UNKNOWN_FOCAL, []
    for estimate in 0.9 * np.exp(rng.normal(0, 0.08, 500)):
        focal = focal.after(float(estimate))
        used.append(focal.value)

    assert used[-1] == pytest.approx(0.9, abs=0.03)
    assert len(set(used[100:])) == 1


def test_a_camera_that_zooms_gets_another_focal_length():
    focal = UNKNOWN_FOCAL
    for estimate in [0.8] * 100 + [1.2] * 101:
        focal = focal.after(estimate)

    assert focal.value == pytest.approx(1.2, abs=1e-12)


def test_an_estimate_without_sense_stays_in_bounds():
    assert UNKNOWN_FOCAL.after(0.0).value == SHORTEST
    assert UNKNOWN_FOCAL.after(1e9).value == LONGEST


def test_the_published_estimates_are_reproduced(shared_data):
    bundle = np.load(shared_data / 'reference' / 'tiny_ref.npz', allow_pickle=False)

    ours = [estimate_focal(p) for p in bundle['cut3r.pts3d_in_self_view']]
    test_case = estimate_focal(bundle['focal_test.pts'][0])

    np.testing.assert_allclose(ours, bundle['cut3r.focal_weiszfeld'], atol=1e-3)
    np.testing.assert_allclose([test_case], bundle['focal_test.weiszfeld'], atol=1e-3)


def test_the_mean_of_all_images_tells_by_what_the_network_misjudges_a_focal_length():
    implied = [50.0, 80.0, 0.0, float('inf'), 64.0]

    believed = NO_BELIEF
    for one in implied:
        believed = believed.after(60.0, one)

    assert believed.images == 3
    expected = np.cbrt(60.0**3 / (50.0 * 80.0 * 64.0))
    assert believed.depth_factor == pytest.approx(expected, abs=1e-9)


def test_what_the_network_believes_may_change_with_the_camera_and_stays_within_bounds():
    believed = NO_BELIEF
    for _ in range(3000):
        believed = believed.after(60.0, 60.0)
    for _ in range(3000):
        believed = believed.after(60.0, 1.0)

    assert 1.48 < believed.depth_factor <= 1.5
