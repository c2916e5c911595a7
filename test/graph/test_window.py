# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ttt3r_ros.geometry import invert, transform, transform_points
from ttt3r_ros.graph.window import adjust, HELD, relative_covariance, SIZE, WindowFrame
from ttt3r_ros.tracking.relative_pose import rays_at

CAMERA = np.array([[160.0, 0, 111.5], [0, 160.0, 79.5], [0, 0, 1]])


def pose(turn, shift):
    return transform(Rotation.from_rotvec(turn).as_matrix(), shift)


def exact_sights(count=6, seed=0):
    """See a cloud of points from cameras that move along it; depths are exact."""
    rng = np.random.default_rng(seed)
    cloud = rng.uniform([-4, -1.5, 2.0], [4, 1.5, 5.0], (400, 3))
    frames = []
    for k in range(count):
        place = pose([0, 0.05 * k, 0.01 * k], [0.25 * k, 0.02 * k, 0.05 * k])
        points = transform_points(invert(place), cloud)
        px = points[:, :2] / points[:, 2:] * 160.0 + CAMERA[:2, 2]
        inside = ((px > 2) & (px < [221, 157])).all(axis=1) & (points[:, 2] > 0.5)
        frames.append(
            WindowFrame(
                place,
                0.0,
                np.zeros(2),
                CAMERA,
                np.flatnonzero(inside),
                px[inside].astype(np.float32),
                np.log(points[inside, 2]),
            )
        )
    return frames


def disturbed(frames, seed=1):
    """Move the key frames that are free away from where they are."""
    rng = np.random.default_rng(seed)
    moved = [
        replace(
            s, map_T_camera=s.map_T_camera @ pose(rng.normal(0, 0.02, 3), rng.normal(0, 0.05, 3))
        )
        for s in frames[HELD:]
    ]
    return [*frames[:HELD], *moved]


def test_exact_pixels_bring_disturbed_key_frames_back():
    frames = exact_sights()
    found = adjust(disturbed(frames), rounds=10).frames

    for true, one in zip(frames, found):
        np.testing.assert_allclose(one.map_T_camera, true.map_T_camera, atol=1e-3)
        assert one.log_scale == pytest.approx(0.0, abs=2e-3)


def test_scales_and_tilts_of_depths_are_found():
    scales, tilt = [0.0, 0.0, 0.15, -0.1, 0.2, -0.2], np.array([0.1, -0.05])
    frames = exact_sights()
    wrong = [
        replace(s, log_depth=s.log_depth - c - (rays_at(s.px, CAMERA)[:, :2] @ tilt) * (k >= HELD))
        for k, (s, c) in enumerate(zip(frames, scales))
    ]
    found = adjust(disturbed(wrong), rounds=15).frames

    for true, one, scale in list(zip(frames, found, scales))[HELD:]:
        np.testing.assert_allclose(one.map_T_camera, true.map_T_camera, atol=5e-3)
        assert one.log_scale == pytest.approx(scale, abs=0.01)
        np.testing.assert_allclose(one.tilt, tilt, atol=0.02)


def test_parallax_shows_by_what_the_depth_of_features_is_bent():
    bent = [
        replace(s, log_depth=s.log_depth + 0.1 - 0.5 * rays_at(s.px, CAMERA)[:, 0] ** 2)
        for s in exact_sights()
    ]
    scaled = [replace(s, log_depth=s.log_depth - 0.3, log_scale=0.3) for s in bent]

    for found in adjust(scaled, rounds=0).parallax:
        assert len(found.sigma) > 50
        sure = found.sigma < 0.05
        expected = 0.5 * found.tangents[sure, 0] ** 2 - 0.1
        np.testing.assert_allclose(found.log_ratio[sure], expected, atol=5e-3)


def test_from_one_place_there_is_no_parallax():
    first = exact_sights(1)[0]

    found = adjust([first, first, first], rounds=0).parallax

    assert [len(one.sigma) for one in found] == [0, 0, 0]


def test_features_that_slid_away_do_not_count():
    frames = exact_sights()
    rng = np.random.default_rng(2)
    px = frames[3].px.copy()
    px[::6] += rng.uniform(10, 30, px[::6].shape)
    spoilt = [*frames[:3], replace(frames[3], px=px), *frames[4:]]
    found = adjust(disturbed(spoilt), rounds=15).frames

    np.testing.assert_allclose(found[3].map_T_camera, frames[3].map_T_camera, atol=0.01)


def test_the_eliminated_system_is_that_of_all_unknowns():
    """Compare the relative covariance with that of trials with noisy pixels."""
    frames, errors = exact_sights(4), []
    rng = np.random.default_rng(3)
    for _ in range(60):
        noisy = [
            replace(
                s,
                px=s.px + rng.normal(0, 0.7, s.px.shape).astype(np.float32),
                log_depth=s.log_depth + rng.normal(0, 0.1, len(s.log_depth)),
            )
            for s in frames
        ]
        found = adjust(noisy, rounds=6)
        rest = invert(invert(found.frames[2].map_T_camera) @ found.frames[3].map_T_camera) @ (
            invert(frames[2].map_T_camera) @ frames[3].map_T_camera
        )
        errors.append(
            np.concatenate([Rotation.from_matrix(rest[:3, :3]).as_rotvec(), rest[:3, 3]])
        )
    measured = np.sqrt(np.mean(np.square(errors), axis=0))
    predicted = np.sqrt(np.diag(relative_covariance(found.information, 2, 3))[:6])

    assert found.information.shape == (4 * SIZE, 4 * SIZE)
    ratio = measured / predicted
    assert 0.5 < ratio.min() < ratio.max() < 1.5


def test_features_on_the_floor_bring_the_metre_back():
    true = exact_sights()
    on_floor = [
        np.where(s.number[:, None] % 10 == 0, np.stack([s.log_depth, 0 * s.log_depth + 0.02], 1),
                 np.nan)
        for s in true
    ]  # fmt: skip
    short = [
        replace(
            s,
            map_T_camera=transform(s.map_T_camera[:3, :3], 0.8 * s.map_T_camera[:3, 3]),
            log_depth=s.log_depth + np.log(0.8),
            floor=floor,
        )
        for s, floor in zip(true, on_floor)
    ]

    found = adjust(short, rounds=20, held=1).frames
    without = adjust([replace(s, floor=None) for s in short], rounds=20, held=1).frames

    way = float(np.linalg.norm(true[-1].map_T_camera[:3, 3]))
    assert np.linalg.norm(found[-1].map_T_camera[:3, 3]) == pytest.approx(way, abs=0.02 * way)
    assert found[-1].log_scale == pytest.approx(-np.log(0.8), abs=0.02)
    assert np.linalg.norm(without[-1].map_T_camera[:3, 3]) < 0.85 * way


def test_depths_that_err_less_are_not_tilted_to_fit_noisy_pixels():
    rng, noisy, off = np.random.default_rng(4), [], {}
    for s in exact_sights():
        px = s.px[::8] + rng.normal(0, 0.7, s.px[::8].shape).astype(np.float32)
        depth = s.log_depth[::8] + rng.normal(0, 0.01, len(px))
        noisy.append(replace(s, px=px, number=s.number[::8], log_depth=depth))

    for noise in (1.0, 0.1):
        found = adjust([replace(s, noise=noise) for s in noisy], rounds=15).frames[HELD:]
        off[noise] = np.linalg.norm([one.tilt for one in found])

    assert off[0.1] < 0.5 * off[1.0]  # their true tilt is none
