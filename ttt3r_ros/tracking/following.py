# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Where the camera is from image to image: a function of the image and a state that is a value.

Poses are relative to the newest key frame and, chained, in the frame `track`: continuous,
drifting, never corrected. What is refused leaves no trace, because the old state is still there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import motion_between
from ttt3r_ros.tracking.backwards import match_past_images, track_backwards
from ttt3r_ros.tracking.cut import is_cut
from ttt3r_ros.tracking.feature_depth import scale_ratio
from ttt3r_ros.tracking.features import begin, follow, gray_of
from ttt3r_ros.tracking.locating import locate
from ttt3r_ros.tracking.new_key import begun, choose, first_key, next_key
from ttt3r_ros.tracking.standstill import image_still, slips
from ttt3r_ros.tracking.tracked_pose import FollowState, TrackedFeatures, TrackedPose, View


def track_features(
    image: NDArray[np.uint8], odom_T_camera: Array | None, state: FollowState | None
) -> TrackedFeatures:
    """
    Follow the features into an image.

    :param image: (h, w, 3) uint8, fitted and undistorted; one of another size than the image
        before shows none of its features.
    :param odom_T_camera: (4, 4) by the wheels at this image, or None.
    :param state: after the image before, None at the beginning.
    """
    gray = gray_of(image)
    if state is None:
        return TrackedFeatures(begin(gray), False, None)
    old = state.tracks
    tracks = follow(old, gray) if gray.shape == old.gray.shape else old.without_all(gray)
    wheels = motion_between(state.odom_T_camera, odom_T_camera)
    return TrackedFeatures(tracks, image_still(old, tracks, wheels), wheels)


def look(
    view: View, state: FollowState | None, next_number: int = 0
) -> tuple[TrackedPose, FollowState]:
    """
    Find where an image was taken.

    The network need not have seen the image; but only one that it has seen begins the track or
    becomes a key frame.

    :param state: after the image before, None at the beginning.
    :param next_number: least number that the image may have as a key frame; where others go on
        with the same map, or it was saved, above all that it has.
    :returns: what was found, and the state to keep if the image is accepted.
    :raises ValueError: when the first image has no depth.
    """
    found = track_features(view.image, view.odom_T_camera, state)
    return conclude(view, found, state, next_number)


def conclude(
    view: View, found: TrackedFeatures, state: FollowState | None, next_number: int = 0
) -> tuple[TrackedPose, FollowState]:
    """
    Find where an image was taken whose features are followed.

    :param found: of the same image and state.
    :param state: after the image before, None at the beginning.
    :param next_number: least number that the image may have as a key frame.
    :returns: what was found, and the state to keep if the image is accepted.
    :raises ValueError: when the first image has no depth.
    """
    if state is None:
        return first_key(view, begun(view, found.tracks), next_number)
    number = max(state.key.number + 1, next_number)
    tracked_pose = locate(view, found, state)
    features = choose(view, found, tracked_pose, state)
    if features.fresh:
        if not tracked_pose.inliers and is_cut(found.wheels, features.tracks, state):
            tracked_pose = match_past_images(tracked_pose, view, state.past)
            if not tracked_pose.inliers:
                first, state = first_key(view, features, number)
                return replace(first, cut=True), state
        tracked_pose = track_backwards(tracked_pose, features, view.camera, state.past)
    ratio = None
    if features.log_depth is not None:
        ratio = scale_ratio(
            state.key, features.tracks, features.log_depth, tracked_pose.key_T_camera
        )
    tracked_pose = tracked_pose.then(
        state.last, ratio, slips(tracked_pose, found.wheels, state.last)
    )
    state = state.after(view, found.tracks.gray, features.tracks, tracked_pose)
    if features.of_key:
        return next_key(view, features, state, ratio or 0.0, number)
    return tracked_pose, state
