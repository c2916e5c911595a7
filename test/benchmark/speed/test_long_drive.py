# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np

from benchmark.speed.long_drive import drifting, main, to_and_fro
from ttt3r_ros.geometry import invert


def test_a_way_is_driven_to_and_fro_without_an_image_twice():
    np.testing.assert_array_equal(to_and_fro(9, 4), [0, 1, 2, 3, 2, 1, 0, 1, 2])


def test_the_drift_of_the_network_is_small_from_image_to_image():
    poses = np.tile(np.eye(4), (200, 1, 1))
    poses[:, 2, 3] = 0.06 * np.arange(200)

    found = drifting(poses, np.random.default_rng(0))

    steps = invert(found[:-1]) @ found[1:]
    np.testing.assert_allclose(steps, invert(poses[:-1]) @ poses[1:], atol=0.006)
    assert np.linalg.norm(found[-1, :3, 3] - poses[-1, :3, 3]) > 0.01


def test_each_part_of_the_drive_is_a_row(capsys):
    assert main(['--images', '10', '--way', '5']) == 0

    rows = [line.split('|') for line in capsys.readouterr().out.splitlines() if '|' in line]
    assert [row[1].strip() for row in rows[2:]] == [str(k) for k in range(1, 11)]
    assert all(float(row[5]) > 0 for row in rows[2:])
