# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import matplotlib
import numpy as np
import pytest

from ttt3r_ros.viewer.colors import (
    colored,
    colorings,
    depth_picture,
    on_scale,
    UNKNOWN,
    visible,
)
from ttt3r_ros.viewer.scene import Cloud


@pytest.fixture
def cloud():
    """Return points that rise, are surer with height, and were seen from the top down."""
    count = 101
    heights = np.linspace(0, 10, count, dtype=np.float32)
    points = np.stack([np.zeros(count), np.zeros(count), heights], axis=1).astype(np.float32)
    colors = np.full((count, 3), 7, np.uint8)
    return Cloud(points, colors, np.exp(heights), heights[::-1].copy())


@pytest.mark.parametrize(
    ('by', 'scale', 'rises'),
    [('height', 'turbo', True), ('confidence', 'viridis', True), ('age', 'plasma', False)],
)
def test_colours_are_those_of_the_scale_of_matplotlib(cloud, by, scale, rises):
    values = np.clip((np.arange(101) - 1) / 98, 0, 1)  # a percent at either end is cut off
    expected = 255 * matplotlib.colormaps[scale](values if rises else values[::-1])[:, :3]

    colors = colored(cloud, by)

    np.testing.assert_allclose(colors, expected, atol=6)


def test_the_colours_of_the_image_stay_and_ages_need_ages(cloud):
    ageless = Cloud(cloud.points, cloud.colors, cloud.confidence)

    assert colored(cloud, 'image') is cloud.colors
    assert 'age' in colorings(cloud)
    assert 'age' not in colorings(ageless)


def test_what_is_not_known_is_grey():
    colors = on_scale(np.array([1, np.nan, 2], np.float32), 0)

    assert tuple(colors[1]) == UNKNOWN
    assert len(np.unique(on_scale(np.full(4, np.nan, np.float32), 0), axis=0)) == 1


def test_in_a_picture_of_depth_near_is_red_and_far_is_blue():
    depth = np.tile(np.linspace(1, 5, 20, dtype=np.float32), (4, 1))

    picture = depth_picture(depth).astype(int)

    assert picture.shape == (4, 20, 3)
    assert (picture[:, 2, 0] > picture[:, 2, 2] + 50).all()
    assert (picture[:, 16, 2] > picture[:, 16, 0] + 50).all()


@pytest.mark.parametrize(
    ('chosen', 'shown'),
    [
        ((math.inf, 0.0, math.inf), range(101)),
        ((4.95, 0.0, math.inf), range(50)),
        ((math.inf, 90.0, math.inf), range(91, 101)),
        ((math.inf, 0.0, 2.05), range(80, 101)),
    ],
)
def test_a_ceiling_the_confidence_and_the_time_hide_points(cloud, chosen, shown):
    assert np.flatnonzero(visible(cloud, *chosen)).tolist() == list(shown)
