# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import numpy as np
import pytest

from ttt3r_ros.geometry import BODY_T_OPTICAL, invert, rotation_about, Similarity, transform
from ttt3r_ros.graph.back_end import BackEnd
from ttt3r_ros.settings import OdometrySettings
from ttt3r_ros.tracking.frame import Pointmap, TrackedFrame
from ttt3r_ros.tracking.observation import Observation

MAST = transform(rotation_about([1, 2, 3], 0.4), [0.1, 0.0, 0.8])
PLACE = transform(rotation_about([0, 0, 1], 0.7), [4.0, 5.0, 0.0])
DEPTH = 2.0


def track_pose(number):
    """Return where the front end has camera `number`: on a screw, away from the origin."""
    return transform(rotation_about([1, 0, 1], 0.1 * number), [0.3 * number, 0.1, 0.2])


def tracked(number):
    points = np.full((2, 3, 3), DEPTH, np.float32)
    confidence, colors = np.full((2, 3), 5.0, np.float32), np.zeros((2, 3, 3), np.uint8)
    pointmap = Pointmap(points, confidence, colors)
    pose = track_pose(number)
    return TrackedFrame(number, number, 0, 1.0, pose, pointmap, None, None, 100.0, 0.5)


def locate(back_end, number, base_T_camera=None, odom_T_base=None):
    seen = Observation(np.zeros((2, 3, 3), np.uint8), number, None, base_T_camera, odom_T_base)
    return back_end.locate(tracked(number), seen)


def drive(back_end, scale, count=120):
    """Drive along x with an odometry whose metre is `scale` of the unit of `track`."""
    for number in range(count):
        pose = transform(np.eye(3), [0.1 * number, 0, 0])
        frame = TrackedFrame(
            number, number, 0, 1.0, pose, tracked(0).pointmap, None, None, 100.0, 0.5
        )
        odom_T_base = transform(np.eye(3), [0.1 * scale * number, 0, 0])
        seen = Observation(np.zeros((2, 3, 3), np.uint8), number, None, np.eye(4), odom_T_base)
        yield back_end.locate(frame, seen)


def step(first, second):
    return invert(track_pose(first)) @ track_pose(second)


@pytest.mark.parametrize(
    ('base_T_camera', 'odom_T_base', 'map_T_base'),
    [(None, None, BODY_T_OPTICAL), (MAST, None, np.eye(4)), (MAST, PLACE, PLACE)],
)
def test_the_first_image_stands_where_odometry_or_convention_has_it(
    base_T_camera, odom_T_base, map_T_base
):
    located = locate(BackEnd(OdometrySettings()), 3, base_T_camera, odom_T_base)

    np.testing.assert_allclose(located.map_T_base, map_T_base, atol=1e-12)


def test_later_images_move_as_the_front_end_does():
    back_end = BackEnd(OdometrySettings())
    first = locate(back_end, 0, MAST, PLACE)
    second = locate(back_end, 4, MAST)

    expected = first.map_T_camera @ step(0, 4)
    np.testing.assert_allclose(second.map_T_camera, expected, atol=1e-12)
    np.testing.assert_allclose(second.map_T_base, expected @ invert(MAST), atol=1e-12)


def test_an_initial_pose_before_the_first_image_is_where_it_stands():
    back_end = BackEnd(OdometrySettings())
    back_end.place_base(PLACE)

    located = locate(back_end, 0, MAST, transform(np.eye(3), [1, 0, 0]))

    np.testing.assert_allclose(located.map_T_base, PLACE, atol=1e-12)


def test_an_initial_pose_takes_the_next_images_along_and_changes_none_before():
    back_end = BackEnd(OdometrySettings())
    locate(back_end, 0, MAST)
    before = locate(back_end, 1, MAST)
    pose = before.map_T_camera.copy()

    back_end.place_base(PLACE)
    after = locate(back_end, 2, MAST)

    np.testing.assert_allclose(after.map_T_camera, PLACE @ MAST @ step(1, 2), atol=1e-12)
    np.testing.assert_array_equal(before.map_T_camera, pose)
    np.testing.assert_array_equal(before.map_T_base, pose @ invert(MAST))


def test_without_odometry_at_a_stamp_the_last_place_of_the_odometry_holds():
    back_end = BackEnd(OdometrySettings())
    locate(back_end, 0, MAST, np.eye(4))
    locate(back_end, 1, MAST, PLACE)
    held = back_end.map_T_odom

    located = locate(back_end, 2, MAST)

    np.testing.assert_array_equal(back_end.map_T_odom, held)
    np.testing.assert_allclose(held @ located.odom_T_base, located.map_T_base, atol=1e-12)


@pytest.mark.parametrize('scale', [0.6, 1.5])
def test_the_metre_of_the_odometry_counts_from_the_newest_camera_on(scale):
    *before, changed, after = _until_rescaled(drive(BackEnd(OdometrySettings()), scale))

    assert {located.rescaled for located in before} == {1.0}
    assert changed.rescaled == pytest.approx(scale, rel=1e-6, abs=1e-6)
    assert after.map_T_track.scale == pytest.approx(scale, rel=1e-6, abs=1e-6)
    way = after.map_T_base[0, 3] - changed.map_T_base[0, 3]
    assert way == pytest.approx(0.1 * scale, abs=1e-6)
    depth = after.pointmap.depth
    np.testing.assert_allclose(depth, DEPTH * scale, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(before[0].pointmap.depth, np.full((2, 3), DEPTH))


def _until_rescaled(frames):
    for located in frames:
        yield located
        if located.rescaled != 1.0:
            yield next(frames)
            return
    pytest.fail('the scale was never taken over')


def test_the_metre_outlives_a_reset_and_is_only_reported_where_asked_for():
    back_end = BackEnd(OdometrySettings())
    *_, last = drive(back_end, 1.5)
    back_end.reset()
    assert back_end.correction.scale == last.map_T_track.scale != 1.0

    reporting = BackEnd(OdometrySettings(scale='report'))
    *_, last = drive(reporting, 1.5)
    assert last.map_T_track.scale == 1.0
    assert last.odometry_scale.log_scale == pytest.approx(math.log(1.5), abs=1e-6)


def test_initial_poses_are_no_evidence_about_the_scale():
    back_end = BackEnd(OdometrySettings())
    for number in range(40):
        located = locate(back_end, number, MAST, transform(np.eye(3), [0.3 * number, 0, 0]))
        back_end.place_base(transform(np.eye(3), [0, 2.0 * number, 0]))

    assert located.odometry_scale.log_sigma == math.inf


def test_an_image_under_way_cannot_bring_back_the_old_map_to_odom():
    back_end = BackEnd(OdometrySettings())
    locate(back_end, 0, MAST, np.eye(4))

    back_end.begin_epoch()  # by another thread, while the next image is being looked at
    late = locate(back_end, 5, MAST, np.eye(4))

    assert not back_end.is_current(late)
    np.testing.assert_array_equal(back_end.map_T_odom, np.eye(4))
    back_end.reset()
    fresh = locate(back_end, 6, MAST, PLACE)
    assert back_end.is_current(fresh)


def test_a_resumed_map_does_not_keep_the_map_to_odom_of_the_one_before():
    back_end = BackEnd(OdometrySettings())
    locate(back_end, 0, MAST, np.eye(4))
    locate(back_end, 5, MAST, np.eye(4))
    assert np.abs(back_end.map_T_odom - np.eye(4)).max() > 0.1

    back_end.resume(Similarity(PLACE, 2.0))

    np.testing.assert_array_equal(back_end.map_T_odom, np.eye(4))
    located = locate(back_end, 1, MAST, np.eye(4))
    expected = Similarity(PLACE, 2.0).pose(track_pose(1))
    np.testing.assert_allclose(located.map_T_camera, expected, atol=1e-12)
    back_end.reset()
    assert back_end.correction.scale == 2.0
