# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import numpy as np
import pytest

from ttt3r_ros.geometry import (
    invert,
    rotation_about,
    rotation_angle,
    rotation_from_quaternion,
    Similarity,
    transform,
)
from ttt3r_ros.tracking.segments import next_segment, Segment, SegmentView


def test_a_long_chain_stays_a_rotation():
    rng = np.random.default_rng(3)
    turns = [rotation_about(rng.normal(size=3), rng.uniform(0, 3)) for _ in range(2)]
    step = transform(turns, rng.normal(size=(2, 3)))
    step = step.astype(np.float32).astype(np.float64)  # as a network gives them
    segment = Segment(0, Similarity(np.eye(4)))
    depth = np.ones((2, 2), np.float32)
    before, after = (SegmentView(None, depth, depth, pose) for pose in step)

    for _ in range(2000):
        segment = next_segment(segment, [before], [after], 'auto', 1)

    rotation = segment.track_T_world.a_T_b[:3, :3]
    assert segment.number == 2000
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-11)


def test_the_published_chain_is_reproduced_when_the_repeat_is_the_origin(shared_data):
    bundle = np.load(shared_data / 'reference' / 'tiny_ref.npz', allow_pickle=False)
    (run,) = (r for r in json.loads(str(bundle['runs'])) if r['name'] == 'demo_interval3')
    poses = bundle['demo_interval3.camera_pose'].astype(np.float64)
    world_T_camera = transform(rotation_from_quaternion(poses[:, [4, 5, 6, 3]]), poses[:, :3])
    depth = np.ones((2, 2), np.float32)
    origin = SegmentView(None, depth, depth, np.eye(4))

    segment, chained = Segment(0, Similarity(np.eye(4))), []
    for pose, ends in zip(world_T_camera, run['reset']):
        chained.append(segment.track_T_world.pose(pose))
        if ends:
            segment = next_segment(
                segment, [SegmentView(None, depth, depth, pose)], [origin], 'auto', 1
            )

    kept = np.stack(chained)[bundle['demo_interval3.keep']]
    expected = bundle['demo_interval3.chained_c2w'].astype(np.float64)
    np.testing.assert_allclose(kept, expected, atol=2e-6)
    assert rotation_angle((invert(kept[0]) @ kept[-1])[:3, :3]) > 1e-3


@pytest.mark.parametrize('scale', [0.8, 1.25])
def test_a_scale_multiplies_over_segments(scale):
    depth, confidence = np.full((8, 8), 2.0, np.float32), np.full((8, 8), 2.0, np.float32)
    before = SegmentView(None, depth, confidence, transform(np.eye(3), [1.0, 0, 0]))
    after = SegmentView(None, depth / scale, confidence, transform(np.eye(3), [0.5, 0, 0]))

    second = next_segment(Segment(0, Similarity(np.eye(4))), [before], [after], 'auto', 1)
    third = next_segment(second, [before], [after], 'auto', 1)

    assert third.track_T_world.scale == pytest.approx(scale**2, abs=1e-6)
    # The shared camera is at 1 m for the first segment and at `scale` / 2 for the second.
    np.testing.assert_allclose(second.track_T_world.a_T_b[:3, 3], [1 - scale / 2, 0, 0], atol=1e-6)


@pytest.mark.parametrize('unsure', [0, 1])
def test_pixels_of_which_one_segment_is_unsure_do_not_vote_on_the_scale(unsure):
    depth, confidence = np.full((2, 8, 8), 2.0, np.float32), np.full((2, 8, 8), 2.0, np.float32)
    depth[unsure, :6], confidence[unsure, :6] = 5.0, 1.0
    before, after = (SegmentView(None, d, c, np.eye(4)) for d, c in zip(depth, confidence))

    segment = next_segment(Segment(0, Similarity(np.eye(4))), [before], [after], 'free', 1)

    assert segment.track_T_world.scale == pytest.approx(1.0, abs=1e-9)
