# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from ttt3r_ros.geometry import invert, transform
from ttt3r_ros.graph.solver.pose_graph import (
    Covariances,
    Estimate,
    GAUGE_SIGMA,
    Motion,
    PoseGraph,
    SCALE_SIGMA,
    ScaleFix,
    ScaleStep,
    SHARED_SCALE_SIGMA,
)
from ttt3r_ros.graph.solver.rotations import log_pose


def pose(turn, shift):
    return transform(Rotation.from_rotvec(turn).as_matrix(), shift)


def scaled(a_T_b, scale):
    return transform(a_T_b[:3, :3], scale * a_T_b[:3, 3])


def five_nodes(noise, kernel=1e9, seed=0):
    """Build a ring of five key frames whose depths have different scales."""
    rng = np.random.default_rng(seed)
    poses = np.stack([pose([0, 0.6 * k, 0], [np.cos(k), 0.1 * k, np.sin(k)]) for k in range(5)])
    scales = np.array([0.05, -0.1, 0.15, 0.0, -0.05])
    covariance = np.diag([0.02**2] * 3 + [0.05**2] * 3)
    motions, steps = [], []
    for i, j in [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4), (1, 3)]:
        true = invert(poses[i]) @ poses[j]
        wrong = true @ pose(noise * rng.normal(0, 0.02, 3), noise * rng.normal(0, 0.05, 3))
        in_unit = scaled(wrong, np.exp(-scales[i]))
        motions.append(Motion(i, j, in_unit, covariance, kernel=kernel))
        steps.append(
            ScaleStep(i, j, scales[j] - scales[i] + noise * rng.normal(0, 0.05), 0.05, 1e9)
        )
    metric = scaled(invert(poses[2]) @ poses[4], 1.0)
    motions.append(Motion(2, 4, metric, covariance, scaled=0.0, kernel=kernel))
    fixes = (ScaleFix(0, 0.05, 0.02, 1e9),)
    start = Estimate(poses.copy(), np.zeros(5)).moved(rng.normal(0, 0.05, (5, 7)))
    start.poses[0] = poses[0]
    graph = PoseGraph((0, 1, 2, 3, 4), start, tuple(motions), tuple(steps), fixes)
    return graph, poses, scales


def dense_errors(unknowns, graph, first):
    """Write every error down again, one by one, for scipy's dense solver."""
    at = Estimate(graph.estimate.poses, graph.estimate.log_scales).moved(unknowns.reshape(5, 7))
    errors = []
    for m in graph.motions:
        stretch = np.exp(m.scaled * at.log_scales[m.here])
        rest = (
            invert(scaled(m.here_T_there, stretch)) @ invert(at.poses[m.here]) @ at.poses[m.there]
        )
        error = np.concatenate([Rotation.from_matrix(rest[:3, :3]).as_rotvec(), rest[:3, 3]])
        errors.append(np.linalg.solve(np.linalg.cholesky(m.covariance), error))
    for s in graph.scale_steps:
        errors.append([(at.log_scales[s.there] - at.log_scales[s.here] - s.log_ratio) / s.sigma])
    for f in graph.scale_fixes:
        errors.append([(at.log_scales[f.here] - f.log_scale) / f.sigma])
    errors.append(at.log_scales / SCALE_SIGMA)
    rest = invert(first) @ at.poses[0]
    gauge = np.concatenate([Rotation.from_matrix(rest[:3, :3]).as_rotvec(), rest[:3, 3]])
    errors.append(gauge / GAUGE_SIGMA)
    return np.concatenate(errors)


def test_five_nodes_are_where_a_dense_solver_puts_them():
    graph, _, _ = five_nodes(noise=1.0)
    found = graph.optimised(30).estimate

    solution = least_squares(dense_errors, np.zeros(35), args=(graph, graph.estimate.poses[0]))
    dense = graph.estimate.moved(solution.x.reshape(5, 7))

    np.testing.assert_allclose(found.poses, dense.poses, atol=2e-4)
    np.testing.assert_allclose(found.log_scales, dense.log_scales, atol=2e-4)


def central(function, step=1e-6):
    """Differentiate a function of 35 unknowns."""
    columns = []
    for k in range(35):
        ahead, behind = np.zeros(35), np.zeros(35)
        ahead[k], behind[k] = step, -step
        columns.append((function(ahead) - function(behind)) / (2 * step))
    return np.stack(columns, axis=1)


def test_the_covariance_between_two_key_frames_follows_from_the_dense_information():
    graph, _, _ = five_nodes(noise=0.0)
    graph = graph.optimised(30)
    at = graph.estimate
    motion = invert(at.poses[1]) @ at.poses[4]

    def moved(unknowns):
        poses = at.moved(unknowns.reshape(5, 7)).poses
        return log_pose(invert(motion) @ invert(poses[1]) @ poses[4])

    jacobian = central(lambda unknowns: dense_errors(unknowns, graph, at.poses[0]))
    by_unknowns = central(moved)
    dense = by_unknowns @ np.linalg.inv(jacobian.T @ jacobian) @ by_unknowns.T

    found = Covariances.of(graph).between(1, 4, motion)
    np.testing.assert_allclose(found, dense, atol=2e-5)


def test_what_all_depths_err_alike_moves_a_key_frame_as_in_a_dense_solution():
    graph, _, _ = five_nodes(noise=0.0)
    graph = graph.optimised(30)
    at = graph.estimate
    jacobian = central(lambda unknowns: dense_errors(unknowns, graph, at.poses[0]))
    alike = np.zeros(len(jacobian))
    alike[-11:-6] = -1.0 / SCALE_SIGMA  # the errors of the five scales; six of the gauge follow
    moves = -np.linalg.solve(jacobian.T @ jacobian, jacobian.T @ alike)

    found = Covariances.of(graph).shared(4)

    np.testing.assert_allclose(found, SHARED_SCALE_SIGMA * moves[28:], atol=2e-5)


def test_a_way_is_as_long_as_all_depths_are_far_unless_something_is_metric():
    poses = np.stack([pose([0, 0, 0], [0.5 * k, 0, 0]) for k in range(41)])
    steps = [
        Motion(k, k + 1, invert(poses[k]) @ poses[k + 1], 1e-10 * np.eye(6)) for k in range(40)
    ]
    ratios = [ScaleStep(k, k + 1, 0.0, 0.001, 1e9) for k in range(40)]
    start = Estimate(poses, np.zeros(41))
    alone = PoseGraph(tuple(range(41)), start, tuple(steps), tuple(ratios))
    measured = replace(alone, scale_fixes=(ScaleFix(0, 0.0, 0.001, 1e9),))

    expected = SHARED_SCALE_SIGMA * np.array([0, 0, 0, 20.0, 0, 0, 1])
    np.testing.assert_allclose(Covariances.of(alone).shared(40), expected, atol=1e-3)
    assert np.abs(Covariances.of(measured).shared(40)).max() < 0.01 * expected.max()


def test_one_false_motion_hardly_moves_a_robust_graph():
    graph, poses, _ = five_nodes(noise=0.0, kernel=1.0)
    false = Motion(
        0, 3, pose([0.5, 1.0, 0], [3.0, 0, 1.0]), graph.motions[0].covariance, kernel=1.0
    )
    spoilt = PoseGraph(
        graph.numbers,
        graph.estimate,
        (*graph.motions, false),
        graph.scale_steps,
        graph.scale_fixes,
    ).optimised(40)

    off = np.linalg.norm(spoilt.estimate.poses[:, :3, 3] - poses[:, :3, 3], axis=1)
    assert off.max() < 0.05
    assert int(np.argmax(spoilt.errors())) == len(graph.motions)


def test_the_part_around_the_newest_key_frames_moves_them_as_the_whole_does():
    graph, _, _ = five_nodes(noise=1.0)
    whole = graph.optimised(30)
    rng = np.random.default_rng(7)
    step = np.zeros((5, 7))
    step[3:] = rng.normal(0, 0.03, (2, 7))
    disturbed = PoseGraph(
        whole.numbers,
        whole.estimate.moved(step),
        whole.motions,
        whole.scale_steps,
        whole.scale_fixes,
    )

    part = disturbed.around(2)
    found = part.optimised(30).estimate

    assert part.held == (0, 1, 2)
    np.testing.assert_allclose(found.poses[-2:], whole.estimate.poses[-2:], atol=2e-3)
    np.testing.assert_allclose(found.poses[:-2], whole.estimate.poses[:3], atol=1e-6)
    np.testing.assert_allclose(found.log_scales[-2:], whole.estimate.log_scales[-2:], atol=2e-3)


def bent_path(count=40):
    """Build a straight path of which every step is measured 0.8 sigmas to one side, and loops."""
    poses = np.stack([pose([0, 0, 0], [0.3 * k, 0, 0]) for k in range(count)])
    sure = np.diag([0.01**2] * 3 + [0.02**2] * 3)
    step = pose([0, 0.008, 0], [0.3, 0, 0])
    motions = [Motion(k, k + 1, step, sure) for k in range(count - 1)]
    for i, j in ((2, count - 1), (3, count - 2), (4, count - 3)):
        motions.append(Motion(i, j, invert(poses[i]) @ poses[j], 4 * sure, kernel=1.0))
    start = [np.eye(4)]
    for _ in range(count - 1):
        start.append(start[-1] @ step)
    estimate = Estimate(np.stack(start), np.zeros(count))
    return PoseGraph(tuple(range(count)), estimate, tuple(motions), ()), poses


def test_loops_that_are_many_sigmas_off_count_when_far_errors_count_at_first():
    graph, poses = bent_path()

    def off(found):
        return np.linalg.norm(found.estimate.poses[:, :3, 3] - poses[:, :3, 3], axis=1).max()

    assert off(graph) > 1.7
    assert off(graph.optimised(20)) > 1.0  # when they do not: never
    assert off(graph.optimised(20, 3)) < 0.25
