# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""When an image becomes a key frame, and what the tracker goes on with then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ttt3r_ros.geometry import rotation_angle
from ttt3r_ros.tracking.feature_depth import log_depth_at
from ttt3r_ros.tracking.features import begin, Tracks
from ttt3r_ros.tracking.relative_pose import RelativePose
from ttt3r_ros.tracking.tracked_pose import (
    Features,
    FollowState,
    KeyView,
    TrackedFeatures,
    TrackedPose,
    View,
)

# A new key frame is due when the view has changed so much.
LEAST_SHARE = 0.5
LEAST_INLIERS = 40
FARTHEST_M = 0.5
WIDEST_RAD = np.radians(20.0)

# The part of what is known of the scale of one key frame that still holds for the next.
SCALE_MEMORY = 0.9


def begun(view: View, tracks: Tracks) -> Features:
    """
    Return the features that a track begins with.

    :param view: the first image.
    :param tracks: its features.
    :raises ValueError: when the image has no depth.
    """
    if view.depth is None:
        raise ValueError('the first image of a track needs its depth')
    return Features(tracks, log_depth_at(view, tracks.px), of_key=True, fresh=True)


def choose(
    view: View, found: TrackedFeatures, tracked_pose: TrackedPose, state: FollowState
) -> Features:
    """
    Choose the features to go on with; of an image with depth, where that is due, for a key frame.

    :param found: of the same image.
    :param tracked_pose: where it was taken, as far as `locate` knows.
    :param state: after the image before.
    """
    if view.depth is None:
        # Lost features are looked for again from where they were seen last.
        tracks = state.tracks if tracked_pose.lost else found.tracks
        return Features(tracks, None, of_key=False, fresh=False)
    # What is left of lost features is left by chance: all of them begin anew.
    lost, tracks = tracked_pose.lost, found.tracks
    known = None if lost else tracks
    of_key = known is None or _is_due(tracked_pose, known)
    if of_key:
        old = state.key.tracks.number
        tracks = begin(tracks.gray, known, int(old[-1]) + 1 if len(old) else 0)
    return Features(tracks, log_depth_at(view, tracks.px), of_key, fresh=lost)


def _is_due(tracked_pose: TrackedPose, tracks: Tracks) -> bool:
    """Return whether the view has changed so much that an image has to become a key frame."""
    moved = tracked_pose.key_T_camera
    return not tracked_pose.still and bool(
        tracks.share() < LEAST_SHARE
        or tracked_pose.inliers < LEAST_INLIERS
        or np.linalg.norm(moved[:3, 3]) > FARTHEST_M
        or rotation_angle(moved[:3, :3]) > WIDEST_RAD
    )


def first_key(view: View, features: Features, number: int) -> tuple[TrackedPose, FollowState]:
    """
    Begin a track.

    :param features: of the image.
    :param number: of the key frame.
    """
    assert features.log_depth is not None
    return _at_key(
        KeyView(
            number,
            view,
            features.tracks,
            features.log_depth,
            None,
            'nothing',
            np.eye(4),
            0.0,
            number,
        )
    )


def next_key(
    view: View, features: Features, state: FollowState, ratio: float, number: int
) -> tuple[TrackedPose, FollowState]:
    """
    Make an image a key frame, from the one before on.

    :param features: of the image; those that are still seen go on.
    :param state: after the image, relative to the key frame before.
    :param ratio: log scale of the depth of that key frame minus that of the image.
    :param number: of the key frame.
    """
    assert features.log_depth is not None
    old, tracked_pose = state.key, state.last
    key = KeyView(
        number=number,
        view=view,
        tracks=features.tracks,
        log_depth=features.log_depth,
        motion=RelativePose(
            tracked_pose.key_T_camera,
            tracked_pose.covariance,
            np.ones(tracked_pose.inliers, np.bool_),
            0.0,
        ),
        by=tracked_pose.by,
        track_T_camera=tracked_pose.track_T_camera,
        log_scale=SCALE_MEMORY * (old.log_scale + ratio),
        track=old.track,
        slipped=tracked_pose.slipped,
    )
    found, at_key = _at_key(key)
    return replace(found, slips=tracked_pose.slips), replace(at_key, continuous=state.continuous)


def _at_key(key: KeyView) -> tuple[TrackedPose, FollowState]:
    view, nothing = key.view, np.zeros((6, 6))
    tracked_pose = TrackedPose(
        view.stamp_ns,
        key,
        np.eye(4),
        nothing,
        key.by,
        False,
        True,
        len(key.tracks),
        odom_T_camera=view.odom_T_camera,
    )
    return tracked_pose, FollowState(
        key,
        key.tracks,
        tracked_pose,
        view.network_T_camera,
        view.odom_T_camera,
        past=(tracked_pose.past_image(key.tracks.gray),),
    )
