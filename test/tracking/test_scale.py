# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import numpy as np
import pytest

from ttt3r_ros.tracking.scale import estimate_scale, ScaleEstimate, weighted_median

PATCH = 8


def noisy_pair(rng, scale=1.0, patch_noise=0.1, pixel_noise=0.02):
    """Make two depth maps, the first `scale` times the second; errors shared in a patch."""
    depth = rng.uniform(1, 5, (48, 64))
    shared = np.kron(rng.normal(0, patch_noise, (6, 8)), np.ones((PATCH, PATCH)))
    error = shared + rng.normal(0, pixel_noise, depth.shape)
    return (scale * depth * np.exp(error)).astype(np.float32), depth.astype(np.float32)


def test_the_weighted_median_counts_weights_like_copies():
    values = np.array([5.0, 1.0, 3.0, 2.0])

    assert weighted_median(values, np.array([1.0, 4.0, 2.0, 4.0])) == np.median(
        np.repeat(values, [1, 4, 2, 4])
    )


@pytest.mark.parametrize('scale', [0.8, 1.25])
def test_a_scale_between_exact_depth_maps_is_exact(scale):
    depth = np.random.default_rng(0).uniform(1, 5, (48, 64)).astype(np.float32)

    estimate = estimate_scale([(scale * depth, depth)], [np.full((48, 64), 2.0)], PATCH**2)

    assert estimate.chosen('sure') == pytest.approx(scale, abs=1e-6)
    assert estimate.chosen('free') == pytest.approx(scale, abs=1e-6)
    assert estimate.chosen('fixed') == 1.0


def test_the_claimed_uncertainty_is_the_scatter_of_the_estimates():
    rng = np.random.default_rng(1)
    confidence = [np.full((48, 64), 2.0)]

    estimates = [estimate_scale([noisy_pair(rng)], confidence, PATCH**2) for _ in range(200)]

    scatter = np.std([e.log_scale for e in estimates])
    assert np.median([e.log_sigma for e in estimates]) == pytest.approx(
        scatter, abs=0.25 * scatter
    )


def test_a_quarter_of_wrong_depths_does_not_hide_the_scale():
    rng = np.random.default_rng(2)
    first, second = noisy_pair(rng, 1.25)
    first[:, :16] *= 3

    estimate = estimate_scale([(first, second)], [np.full((48, 64), 2.0)], PATCH**2)

    assert estimate.chosen('sure') == pytest.approx(1.25, abs=0.075)


def test_pixels_without_confidence_or_depth_do_not_count():
    first, second = np.full((2, 8, 8), 2.0), np.full((2, 8, 8), 2.0)
    confidence = np.full((2, 8, 8), 3.0)
    first[0, :6], confidence[0, :6] = 9.0, 1.0
    first[1, :6] = -1.0

    estimate = estimate_scale(list(zip(first, second)), list(confidence), 4)
    assert estimate.log_scale == pytest.approx(0.0, abs=1e-12)


def test_without_any_evidence_the_scale_stays_one():
    depth = np.ones((8, 8), np.float32)

    estimate = estimate_scale([(2 * depth, depth)], [np.ones((8, 8))], 4)

    assert math.isinf(estimate.log_sigma)
    assert estimate.chosen('free') == 1.0


@pytest.mark.parametrize(
    ('estimate', 'chosen'),
    [
        (ScaleEstimate(math.log(1.2), 0.01), 1.2),
        (ScaleEstimate(math.log(1.2), 0.1), 1.0),  # not significant
        (ScaleEstimate(math.log(1.03), 0.001), 1.0),  # not substantial
        (ScaleEstimate(-math.log(1.2), 0.01), 1 / 1.2),
    ],
)
def test_auto_wants_a_scale_that_is_significant_and_substantial(estimate, chosen):
    assert estimate.chosen('sure') == pytest.approx(chosen, abs=1e-9)


def test_images_that_disagree_make_the_scale_uncertain():
    depth = np.ones((48, 64), np.float32)

    estimate = estimate_scale(
        [(1.4 * depth, depth), (1.0 * depth, depth)], [np.full((48, 64), 2.0)] * 2, PATCH**2
    )

    # Two log ratios that differ by d have a mean with a standard deviation of d / sqrt(8).
    assert estimate.log_sigma >= math.log(1.4) / math.sqrt(8) - 1e-6
    assert estimate.chosen('sure') == 1.0
