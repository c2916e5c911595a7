# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A robot drives twice around a room whose points are known; nothing is rendered."""

import numpy as np
import pytest

from ttt3r_ros.geometry import BODY_T_OPTICAL, invert, rotation_about, transform, transform_points
from ttt3r_ros.graph import loops
from ttt3r_ros.graph.closure import Closure, View
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.graph.keyframes import KeyFrame
from ttt3r_ros.graph.loops import Loops
from ttt3r_ros.graph.places import LocalFeatures
from ttt3r_ros.graph.relocalisation import Relocaliser
from ttt3r_ros.graph.wheels import NOISES
from ttt3r_ros.tracking.features import Tracks
from ttt3r_ros.tracking.following import Followed, KeyView, Seen
from ttt3r_ros.tracking.relative_pose import RelativePose

CAMERA = np.array([[160.0, 0, 111.5], [0, 160.0, 79.5], [0, 0, 1]])
GRAY = np.zeros((160, 224), np.uint8)
STEPS_A_ROUND = 36
RADIUS = 2.0


def room(seed=0):
    """Scatter points with descriptors over the walls around a circle."""
    rng = np.random.default_rng(seed)
    angle, height = rng.uniform(0, 2 * np.pi, 3000), rng.uniform(-1.2, 1.2, 3000)
    away = rng.uniform(4.0, 5.5, 3000)
    cloud = np.stack([away * np.cos(angle), away * np.sin(angle), height], axis=1)
    return cloud, rng.integers(0, 150, (3000, 128), dtype=np.uint8)


CLOUD, DESCRIPTORS = room()


def place(k):
    """Return the pose of the camera, looking along the circle."""
    angle = 2 * np.pi * k / STEPS_A_ROUND
    base = transform(
        rotation_about([0, 0, 1], angle + 0.5 * np.pi),
        [RADIUS * np.cos(angle), RADIUS * np.sin(angle), 0.0],
    )
    return base @ BODY_T_OPTICAL


def visible(map_T_camera):
    points = transform_points(invert(map_T_camera), CLOUD)
    with np.errstate(divide='ignore', invalid='ignore'):
        px = points[:, :2] / points[:, 2:] * 160.0 + CAMERA[:2, 2]
    inside = (points[:, 2] > 0.5) & ((px > 1) & (px < [222, 158])).all(axis=1)
    chosen = np.flatnonzero(inside)[:200]
    return chosen, px[chosen].astype(np.float32), points[chosen]


def drive(rounds, monkeypatch, odometry=False):
    """Return key frames whose motion drifts in each step as a tracker's would."""
    views, keys, track, rng = {}, [], np.eye(4), np.random.default_rng(5)
    for k in range(round(rounds * STEPS_A_ROUND)):
        chosen, px, points = visible(place(k))
        motion = None
        if k:
            # Half by chance, half the same in every step.
            wrong = rotation_about([0, 1, 0], 0.004 + rng.normal(0, 0.01))
            drift = transform(wrong, [0.005, 0.0, rng.normal(0, 0.01)])
            measured = invert(place(k - 1)) @ place(k) @ drift
            motion = RelativePose(measured, np.diag([0.01**2] * 3 + [0.02**2] * 3), px, 1.0)
            track = track @ measured
        seen = Seen(
            k * 10**9,
            np.zeros((160, 224, 3), np.uint8),
            CAMERA,
            depth=np.ones((160, 224)),
            odom_T_base=place(k) @ invert(BODY_T_OPTICAL) if odometry else None,
            base_T_camera=BODY_T_OPTICAL if odometry else None,
        )
        # Each key frame numbers its features anew, so the window has nothing to adjust.
        number = 1000 * k + np.arange(len(chosen))
        tracks = Tracks(GRAY, number, px, px, len(px))
        log_depth = np.log(points[:, 2])
        keys.append(KeyView(k, seen, tracks, log_depth, motion, 'features', track, 0.0))
        views[k] = View(LocalFeatures(px, DESCRIPTORS[chosen]), points, CAMERA)

    def of(key):
        empty = np.empty(0, np.float32)
        return KeyFrame(
            key.number, key.seen.stamp_ns, key.track_T_camera, 0.0, key.seen.base_T_camera,
            key.seen.odom_T_base, views[key.number], empty, None, True,
        )  # fmt: skip

    monkeypatch.setattr(KeyFrame, 'of', staticmethod(of))
    return keys, of


def error(belief):
    """Return how far each key frame is from the truth, metres, by number."""
    return {
        n: float(np.linalg.norm((place(0) @ pose)[:3, 3] - place(n)[:3, 3]))
        for n, pose in belief.poses.items()
    }


def at(key):
    return Followed(
        key.seen.stamp_ns, key, np.eye(4), np.zeros((6, 6)), 'features', False, True, 99
    )


def test_a_second_round_closes_loops_and_takes_the_drift_away(monkeypatch):
    keys, _ = drive(1.5, monkeypatch)
    found = KeyFrameGraph()
    changes = [found.add(key) for key in keys]

    drifted = np.linalg.norm((place(0) @ keys[-1].track_T_camera)[:3, 3] - place(53)[:3, 3])
    assert drifted > 0.4
    assert error(found.belief)[53] < 0.1
    assert found.belief.counts.accepted > 5
    assert changes[5].jump < 0.05
    assert not changes[5].closed
    assert max(change.jump for change in changes if change.closed) > 0.05


def test_the_correction_takes_the_newest_camera_to_where_it_is(monkeypatch):
    keys, _ = drive(1.3, monkeypatch)
    found = KeyFrameGraph()
    for key in keys:
        found.add(key)
    belief, newest = found.belief, keys[-1]

    pose = belief.correction.pose(newest.track_T_camera)
    np.testing.assert_allclose(pose, belief.poses[newest.number], atol=1e-9)
    np.testing.assert_allclose(found.locate(at(newest)).map_T_camera, pose, atol=1e-9)


def test_a_key_frame_that_waits_is_located_already(monkeypatch):
    keys, _ = drive(0.5, monkeypatch)
    found = KeyFrameGraph()
    for key in keys[:-1]:
        found.add(key)

    ahead = found.locate(at(keys[-1])).map_T_camera
    found.add(keys[-1])

    np.testing.assert_allclose(ahead, found.belief.poses[keys[-1].number], atol=0.02)


def test_good_wheels_leave_no_drift(monkeypatch):
    keys, _ = drive(0.9, monkeypatch, odometry=True)
    found = KeyFrameGraph(NOISES['good'])
    for key in keys:
        found.add(key)

    assert max(error(found.belief).values()) < 0.03


@pytest.mark.parametrize('gate', [True, False])
def test_false_loops_are_refused_or_thrown_out(monkeypatch, gate):
    keys, _ = drive(1.5, monkeypatch)
    true, rng, left = loops.verify, np.random.default_rng(0), [10]

    def sometimes_wrong(here, there):
        if left[0] and rng.random() < 0.15:
            left[0] -= 1
            pose = transform(rotation_about([0, 1, 0], rng.normal(0, 1)), rng.normal(0, 1, 3))
            sure = np.diag([0.02**2] * 3 + [0.05**2] * 3)
            forth, back = (RelativePose(p, sure, np.ones(50), 1.0) for p in (pose, invert(pose)))
            return Closure(forth, back, 0.0, 50)
        return true(here, there)

    monkeypatch.setattr(loops, 'verify', sometimes_wrong)
    if not gate:
        monkeypatch.setattr(Loops, 'plausible', lambda *_: True)
    found = KeyFrameGraph()
    for key in keys:
        found.add(key)

    assert left[0] == 0
    assert error(found.belief)[53] < 0.15
    assert found.belief.counts.rejected <= 2 if gate else found.belief.counts.rejected >= 8


def test_the_number_of_key_frames_is_bounded_and_the_map_stays(monkeypatch):
    keys, _ = drive(2.5, monkeypatch)
    found, heirs = KeyFrameGraph(most_keys=45), []
    for key in keys:
        heirs.append(found.add(key).gone)

    belief = found.belief
    assert len(belief.poses) == 45
    gone = [heir for heir in heirs if heir is not None]
    assert len(gone) == len(keys) - 45
    assert max(error(belief).values()) < 0.3
    for heir in gone[-5:]:  # what hung on one that went is still where it was
        if heir.heir in belief.poses:
            pose = place(0) @ belief.poses[heir.heir] @ heir.heir_T_gone
            assert np.linalg.norm(pose[:3, 3] - place(heir.gone)[:3, 3]) < 0.3


def test_a_saved_map_finds_the_camera_only_when_two_images_agree(monkeypatch):
    keys, of = drive(1.0, monkeypatch)
    found = KeyFrameGraph()
    for key in keys:
        found.add(key)
    known = found.known_places()
    relocaliser = Relocaliser(known)

    first = relocaliser.look(of(keys[10]))
    again = relocaliser.look(of(keys[10]))
    second = relocaliser.look(of(keys[12]))

    assert first is None
    assert again is None
    np.testing.assert_allclose(second.map_T_camera, found.belief.poses[12], atol=0.05)
