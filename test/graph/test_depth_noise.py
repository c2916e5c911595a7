# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from ttt3r_ros.graph.depth_noise import DepthNoise


def learned(sigma, pairs=10):
    rng, noise = np.random.default_rng(0), DepthNoise()
    for _ in range(pairs):
        ratios = 0.3 + rng.normal(0.0, sigma, 2000)
        ratios[::10] += 5.0  # corners at edges
        noise.add(ratios)
    return noise.share


@pytest.mark.parametrize(
    ('sigma', 'share'), [(0.08, 1.0), (0.05, 1.0), (0.02, 0.5), (0.01, 0.25), (0.001, 0.1)]
)
def test_sigmas_shrink_with_the_spread_of_depths_that_agree_better_than_a_network(sigma, share):
    # A tenth of outliers shifts the median of the deviations by 13 to 14 %.
    assert learned(sigma) == pytest.approx(share, abs=0.16 * share)


def test_a_few_pairs_of_key_frames_show_nothing_yet():
    assert learned(0.001, pairs=3) == 1.0
