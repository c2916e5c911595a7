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

from ttt3r_ros.arrays import Array, Pixels
from ttt3r_ros.geometry import invert, rotation_angle, scaled, transform_points
from ttt3r_ros.tracking.backwards import look_back, MOST_PASSED, Passed
from ttt3r_ros.tracking.cut import CONTINUOUS, is_cut
from ttt3r_ros.tracking.features import begin, follow, gray_of, Tracks
from ttt3r_ros.tracking.followed import Followed, FollowState, KeyView, Seen, Trace
from ttt3r_ros.tracking.locating import locate, log_depth_at
from ttt3r_ros.tracking.relative_pose import rays_at, RelativePose
from ttt3r_ros.tracking.standstill import agrees, image_still, motion_between, wheels_move

# A new key frame is due when the view has changed so much.
LEAST_SHARE = 0.5
LEAST_INLIERS = 40
FARTHEST_M = 0.5
WIDEST_RAD = np.radians(20.0)

# The scale of the depth of a key frame, in its logarithm, before anything is known, and the part
# of what is known of one that still holds for the next.
SCALE_MEMORY = 0.9
LEAST_COMMON = 10
NEAREST = 0.05


def trace(
    image: NDArray[np.uint8], odom_T_camera: Array | None, state: FollowState | None
) -> Trace:
    """
    Follow the features into an image.

    :param image: (h, w, 3) uint8, fitted and undistorted; one of another size than the image
        before shows none of its features.
    :param odom_T_camera: (4, 4) by the wheels at this image, or None.
    :param state: after the image before, None at the beginning.
    """
    gray = gray_of(image)
    if state is None:
        return Trace(begin(gray), False)
    old = state.tracks
    if gray.shape != old.gray.shape:
        return Trace(old.without_all(gray), False)
    tracks = follow(old, gray)
    kept = np.isin(old.number, tracks.number)
    after = np.zeros_like(old.px)
    after[kept] = tracks.px
    wheels = motion_between(state.odom_T_camera, odom_T_camera)
    return Trace(tracks, image_still(old.px, after, kept, gray.shape[1], wheels))


def look(
    seen: Seen, state: FollowState | None, next_number: int = 0
) -> tuple[Followed, FollowState]:
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
    found = trace(seen.image, seen.odom_T_camera, state)
    return conclude(seen, found, state, next_number)


def conclude(
    seen: Seen, found: Trace, state: FollowState | None, next_number: int = 0
) -> tuple[Followed, FollowState]:
    """
    Find where an image was taken whose features are followed.

    :param found: of the same image and state.
    :param state: after the image before, None at the beginning.
    :param next_number: least number that the image may have as a key frame.
    :returns: what was found, and the state to keep if the image is accepted.
    :raises ValueError: when the first image has no depth.
    """
    tracks = found.tracks
    if state is None:
        return _first(seen, tracks, next_number)
    followed = _held(seen, state) if found.still else locate(seen, tracks, state)
    if not found.still and followed.by != 'features':
        fresh = begin(tracks.gray)
        lost = not followed.inliers and seen.depth is not None
        if lost and is_cut(seen, fresh, state):
            first, state = _first(seen, fresh, max(state.key.number + 1, next_number))
            return replace(first, cut=True), state
        followed = _by_the_way_back(seen, fresh, followed, state)
        # What is left of them is left by chance: a key frame begins anew, without one they are
        # looked for again from where they were seen last.
        tracks = state.tracks if seen.depth is None else tracks.without_all(tracks.gray)
    ratio = None
    if seen.depth is not None:
        log_depth = log_depth_at(seen, tracks.px)
        ratio = scale_ratio(state.key, tracks, log_depth, followed.key_T_camera)
    followed = replace(
        followed,
        log_ratio=state.last.log_ratio if ratio is None else ratio,
        odom_T_camera=seen.odom_T_camera,
    )
    if found.still:
        return _at_rest(followed, seen, state)
    slips = _slips(followed, seen, state)
    followed = replace(followed, slips=slips, slipped=slips or state.last.slipped)
    state = FollowState(
        state.key,
        tracks,
        followed,
        _network_pose(seen, followed, state),
        state.odom_T_camera if seen.odom_T_camera is None else seen.odom_T_camera,
        min(state.continuous + 1, CONTINUOUS) if followed.inliers else 0,
        (*state.passed, _passed(found.tracks.gray, followed))[-MOST_PASSED:],
    )
    if seen.depth is not None and _key_is_due(followed, tracks):
        number = max(state.key.number + 1, next_number)
        return _with_new_key(seen, followed, state, ratio or 0.0, number)
    return followed, state


def _by_the_way_back(
    seen: Seen, fresh: Tracks, followed: Followed, state: FollowState
) -> Followed:
    """Locate an image by its own features, where those of the key frame and wheels do not."""
    if followed.by not in ('network', 'nothing') or seen.depth is None:
        return followed
    pose = look_back(fresh, log_depth_at(seen, fresh.px), seen.camera, state.passed)
    if pose is None:
        return followed
    return replace(
        followed,
        key_T_camera=pose.key_T_camera,
        covariance=pose.covariance,
        by='the way back',
        inliers=int(pose.inliers.sum()),
    )


def _passed(gray: Pixels, followed: Followed) -> Passed:
    return Passed(gray, followed.key_T_camera, followed.covariance, followed.inliers)


def _network_pose(seen: Seen, followed: Followed, state: FollowState) -> Array | None:
    """Return the network's pose; of an image that it has not seen, as the features have moved."""
    before = state.network_T_camera
    if seen.network_T_camera is not None or before is None:
        return seen.network_T_camera
    moved: Array = before @ invert(state.last.key_T_camera) @ followed.key_T_camera
    return moved


def _held(seen: Seen, state: FollowState) -> Followed:
    return replace(state.last, stamp_ns=seen.stamp_ns, still=True, new_key=False, slips=False)


def _at_rest(followed: Followed, seen: Seen, state: FollowState) -> tuple[Followed, FollowState]:
    """Keep the state as it is, unless wheels have moved meanwhile: that they have is wrong."""
    wheels = motion_between(state.odom_T_camera, seen.odom_T_camera)
    if wheels is None or not wheels_move(wheels):
        return followed, state
    followed = replace(followed, slips=True, slipped=True)
    last = replace(state.last, slipped=True)
    return followed, replace(state, last=last, odom_T_camera=seen.odom_T_camera)


def _slips(followed: Followed, seen: Seen, state: FollowState) -> bool:
    """Return whether the wheels contradict the motion by the images."""
    wheels = motion_between(state.odom_T_camera, seen.odom_T_camera)
    if wheels is None or followed.by == 'wheels':
        return False
    moved = invert(state.last.key_T_camera) @ followed.key_T_camera
    metres = scaled(moved, float(np.exp(state.key.log_scale)))
    return not agrees(wheels, metres)


def _first(seen: Seen, tracks: Tracks, number: int) -> tuple[Followed, FollowState]:
    if seen.depth is None:
        raise ValueError('the first image of a track needs its depth')
    log_depth = log_depth_at(seen, tracks.px)
    key = KeyView(number, seen, tracks, log_depth, None, 'nothing', np.eye(4), 0.0, number)
    return _at_key(key, tracks)


def _at_key(key: KeyView, tracks: Tracks) -> tuple[Followed, FollowState]:
    seen, nothing = key.seen, np.zeros((6, 6))
    followed = Followed(
        seen.stamp_ns,
        key,
        np.eye(4),
        nothing,
        key.by,
        False,
        True,
        len(tracks),
        odom_T_camera=seen.odom_T_camera,
    )
    return followed, FollowState(
        key,
        tracks,
        followed,
        seen.network_T_camera,
        seen.odom_T_camera,
        passed=(_passed(tracks.gray, followed),),
    )


def _key_is_due(followed: Followed, tracks: Tracks) -> bool:
    moved = followed.key_T_camera
    return bool(
        tracks.share() < LEAST_SHARE
        or followed.inliers < LEAST_INLIERS
        or np.linalg.norm(moved[:3, 3]) > FARTHEST_M
        or rotation_angle(moved[:3, :3]) > WIDEST_RAD
    )


def _with_new_key(
    seen: Seen, followed: Followed, state: FollowState, ratio: float, number: int
) -> tuple[Followed, FollowState]:
    """Make the image a key frame: features that are still seen go on."""
    old = state.key
    next_feature = int(old.tracks.number[-1]) + 1 if len(old.tracks) else 0
    tracks = begin(state.tracks.gray, state.tracks, next_feature)
    log_depth = log_depth_at(seen, tracks.px)
    key = KeyView(
        number=number,
        seen=seen,
        tracks=tracks,
        log_depth=log_depth,
        motion=RelativePose(
            followed.key_T_camera, followed.covariance, np.ones(followed.inliers, np.bool_), 0.0
        ),
        by=followed.by,
        track_T_camera=followed.track_T_camera,
        log_scale=SCALE_MEMORY * (old.log_scale + ratio),
        track=old.track,
        slipped=followed.slipped,
    )
    found, at_key = _at_key(key, tracks)
    return replace(found, slips=followed.slips), replace(at_key, continuous=state.continuous)


def scale_ratio(old: KeyView, tracks: Tracks, log_depth: Array, old_T_new: Array) -> float | None:
    """
    Compare the depths that two key frames give the same features.

    :param old: a key frame.
    :param tracks: of the other one.
    :param log_depth: (N,) of those.
    :param old_T_new: (4, 4), in the unit of the old one's depth.
    :returns: log scale of the new one's depth minus that of the old one's; None where they have
        too little in common.
    """
    _, mine, theirs = np.intersect1d(
        old.tracks.number, tracks.number, assume_unique=True, return_indices=True
    )
    points = rays_at(old.tracks.px[mine], old.seen.camera) * np.exp(old.log_depth[mine])[:, None]
    depth = transform_points(invert(old_T_new), points)[:, 2]
    ratios = np.log(np.maximum(depth, NEAREST)) - log_depth[theirs]
    ratios = ratios[np.isfinite(ratios)]
    return float(np.median(ratios)) if len(ratios) >= LEAST_COMMON else None
