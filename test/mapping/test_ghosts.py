# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.ghosts import DepthView, MARGIN, REACH_M
from ttt3r_ros.tracking.frame import Pointmap

CAMERA = CameraIntrinsics.from_field_of_view(96, 72, 60.0)
RAYS = CAMERA.rays().astype(np.float32)


def view_of(depth, confidence=5.0, scale=1.0):
    points = (RAYS * depth[..., None]).astype(np.float32)
    confidences = np.full(depth.shape, confidence, np.float32)
    pointmap = Pointmap(points, confidences, np.zeros(points.shape, np.uint8))
    return DepthView.of(pointmap, 1.5, scale)


def at_pixel(column, row, z):
    return (RAYS[row, column] * np.float32(z))[:, None]


def test_the_pinhole_is_that_of_the_camera():
    view = view_of(np.full((72, 96), 2.0))

    np.testing.assert_allclose(view.slope, [CAMERA.fx, CAMERA.fy], atol=1e-3)
    np.testing.assert_allclose(view.offset, [CAMERA.cx, CAMERA.cy], atol=1e-3)


@pytest.mark.parametrize(
    ('z', 'missed', 'hit'),
    [
        (0.5, True, False),
        ((1 - MARGIN) * 3 - 0.01, True, False),
        ((1 - MARGIN) * 3 + 0.01, False, True),
        ((1 + MARGIN) * 3 - 0.01, False, True),
        ((1 + MARGIN) * 3 + 0.01, False, False),  # hidden
        (-1.0, False, False),
        (0.1, False, False),
    ],
)
def test_what_lies_clearly_before_the_depth_is_seen_through(z, missed, hit):
    view = view_of(np.full((72, 96), 1.5), scale=2.0)  # 3 m

    found = view.judge(at_pixel(20, 30, z))

    assert (bool(found[0][0]), bool(found[1][0])) == (missed, hit)


def test_what_is_far_is_neither_missed_nor_hit():
    view = view_of(np.full((72, 96), 30.0))

    assert view.judge(at_pixel(20, 30, REACH_M - 0.1))[0][0]
    assert not view.judge(at_pixel(20, 30, REACH_M + 0.1))[0][0]


def test_points_beside_the_image_are_neither_missed_nor_hit():
    view = view_of(np.full((72, 96), 3.0))
    beside = np.array([[-3.0, 3.0, 0.0, 0.0], [0.0, 0.0, -3.0, 3.0], [1.0] * 4], np.float32)

    missed, hit = view.judge(beside)

    assert not missed.any()
    assert not hit.any()


def test_at_an_edge_the_nearer_side_counts():
    depth = np.full((72, 96), 3.0)
    depth[:, :48] = 1.0
    view = view_of(depth)

    missed = [bool(view.judge(at_pixel(column, 30, 1.0))[0][0]) for column in (46, 48, 50)]

    assert missed == [False, False, True]


def test_where_the_depth_is_unknown_nothing_is_seen_through():
    depth = np.full((72, 96), 3.0)
    depth[20:40, 20:40] = np.nan
    view = view_of(depth)

    assert not view.judge(at_pixel(30, 30, 1.0))[0][0]
    assert view.judge(at_pixel(50, 30, 1.0))[0][0]
    assert view_of(np.full((72, 96), 3.0), confidence=1.0) is None
