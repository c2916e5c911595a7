# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
from scipy.spatial.transform import Rotation

from ttt3r_ros.graph.solver.rotations import rotation_vectors


def test_rotations_become_the_vectors_that_made_them():
    rng = np.random.default_rng(0)
    axes = rng.normal(0, 1, (200, 3))
    axes /= np.linalg.norm(axes, axis=1)[:, None]
    angles = np.concatenate([[0.0, 1e-9, 1e-4, np.pi - 1e-3], rng.uniform(0, np.pi - 1e-3, 196)])
    vectors = angles[:, None] * axes

    found = rotation_vectors(Rotation.from_rotvec(vectors).as_matrix())

    np.testing.assert_allclose(found, vectors, atol=1e-9)


def test_half_a_turn_has_an_axis():
    found = rotation_vectors(np.diag([1.0, -1.0, -1.0])[None])

    np.testing.assert_allclose(np.abs(found), [[np.pi, 0.0, 0.0]], atol=1e-9)
