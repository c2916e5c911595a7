# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest

from benchmark.accuracy.lost import CARRIED, found, Probe


@pytest.mark.parametrize(('threshold', 'share'), [(0.1, 0.0), (0.3, 0.25), (0.9, 0.5)])
def test_only_lost_images_of_little_resemblance_count(threshold, share):
    probes = [
        Probe(CARRIED, True, 0.2),
        Probe(CARRIED, False, 0.2),
        Probe(CARRIED, True, 0.5),
        Probe(CARRIED, False, 0.95),
        Probe('after 1 s', True, 0.0),
    ]

    assert found(probes, CARRIED, threshold) == pytest.approx(share, abs=1e-12)
