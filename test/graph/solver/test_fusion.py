# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np

from ttt3r_ros.geometry import rotation_about, transform
from ttt3r_ros.graph.solver.fusion import fused


def test_what_two_of_three_contradict_does_not_count():
    right = transform(rotation_about([0, 0, 1], 0.3), [1.0, 2.0, 0.0])
    wrong = right @ transform(np.eye(3), [0.5, 0.0, 0.0])
    sure = 0.02**2 * np.eye(6)

    pose, covariance = fused([wrong, right, right], [sure, sure, sure])

    np.testing.assert_allclose(pose, right, atol=0.005)
    np.testing.assert_allclose(covariance, sure / 2, atol=2e-5)


def test_of_two_poses_the_surer_one_counts_by_its_covariance():
    first, second = np.eye(4), transform(np.eye(3), [0.03, 0.0, 0.0])

    pose, _ = fused([first, second], [0.1**2 * np.eye(6), 0.05**2 * np.eye(6)])

    # Inverse variances are as 1 to 4; both errors are below a sigma, where kernels change little.
    np.testing.assert_allclose(pose[0, 3], 0.8 * 0.03, atol=0.001)
