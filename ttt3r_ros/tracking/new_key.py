# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""When an image becomes a key frame, and what the tracker goes on with then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ttt3r_ros.geometry import rotation_angle
from ttt3r_ros.tracking.feature_depth import log_depth_at
from ttt3r_ros.tracking.features import begin, Tracks
from ttt3r_ros.tracking.followed import Features, Followed, FollowState, KeyView, Seen, Trace
from ttt3r_ros.tracking.relative_pose import RelativePose

# A new key frame is due when the view has changed so much.
LEAST_SHARE = 0.5
LEAST_INLIERS = 40
FARTHEST_M = 0.5
WIDEST_RAD = np.radians(20.0)

# The part of what is known of the scale of one key frame that still holds for the next.
SCALE_MEMORY = 0.9


def begun(seen: Seen, tracks: Tracks) -> Features:
    """
    Return the features that a track begins with.

    :param seen: the first image.
    :param tracks: its features.
    :raises ValueError: when the image has no depth.
    """
    if seen.depth is None:
        raise ValueError('the first image of a track needs its depth')
    return Features(tracks, log_depth_at(seen, tracks.px), of_key=True, fresh=True)


def choose(seen: Seen, found: Trace, followed: Followed, state: FollowState) -> Features:
    """
    Choose the features to go on with; of an image with depth, where that is due, for a key frame.

    :param found: of the same image.
    :param followed: where it was taken, as far as `locate` knows.
    :param state: after the image before.
    """
    if seen.depth is None:
        # Lost features are looked for again from where they were seen last.
        tracks = state.tracks if followed.lost else found.tracks
        return Features(tracks, None, of_key=False, fresh=False)
    # What is left of lost features is left by chance: all of them begin anew.
    lost, tracks = followed.lost, found.tracks
    known = None if lost else tracks
    of_key = known is None or _is_due(followed, known)
    if of_key:
        old = state.key.tracks.number
        tracks = begin(tracks.gray, known, int(old[-1]) + 1 if len(old) else 0)
    return Features(tracks, log_depth_at(seen, tracks.px), of_key, fresh=lost)


def _is_due(followed: Followed, tracks: Tracks) -> bool:
    """Return whether the view has changed so much that an image has to become a key frame."""
    moved = followed.key_T_camera
    return not followed.still and bool(
        tracks.share() < LEAST_SHARE
        or followed.inliers < LEAST_INLIERS
        or np.linalg.norm(moved[:3, 3]) > FARTHEST_M
        or rotation_angle(moved[:3, :3]) > WIDEST_RAD
    )


def first_key(seen: Seen, features: Features, number: int) -> tuple[Followed, FollowState]:
    """
    Begin a track.

    :param features: of the image.
    :param number: of the key frame.
    """
    assert features.log_depth is not None
    return _at_key(
        KeyView(
            number,
            seen,
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
    seen: Seen, features: Features, state: FollowState, ratio: float, number: int
) -> tuple[Followed, FollowState]:
    """
    Make an image a key frame, from the one before on.

    :param features: of the image; those that are still seen go on.
    :param state: after the image, relative to the key frame before.
    :param ratio: log scale of the depth of that key frame minus that of the image.
    :param number: of the key frame.
    """
    assert features.log_depth is not None
    old, followed = state.key, state.last
    key = KeyView(
        number=number,
        seen=seen,
        tracks=features.tracks,
        log_depth=features.log_depth,
        motion=RelativePose(
            followed.key_T_camera, followed.covariance, np.ones(followed.inliers, np.bool_), 0.0
        ),
        by=followed.by,
        track_T_camera=followed.track_T_camera,
        log_scale=SCALE_MEMORY * (old.log_scale + ratio),
        track=old.track,
        slipped=followed.slipped,
    )
    found, at_key = _at_key(key)
    return replace(found, slips=followed.slips), replace(at_key, continuous=state.continuous)


def _at_key(key: KeyView) -> tuple[Followed, FollowState]:
    seen, nothing = key.seen, np.zeros((6, 6))
    followed = Followed(
        seen.stamp_ns,
        key,
        np.eye(4),
        nothing,
        key.by,
        False,
        True,
        len(key.tracks),
        odom_T_camera=seen.odom_T_camera,
    )
    return followed, FollowState(
        key,
        key.tracks,
        followed,
        seen.network_T_camera,
        seen.odom_T_camera,
        passed=(followed.passed(key.tracks.gray),),
    )
