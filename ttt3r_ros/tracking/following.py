# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Where the camera is from image to image: a function of the image and a state that is a value.

Poses are relative to the newest key frame and, chained, in the frame `track`: continuous,
drifting, never corrected. What is refused leaves no trace, because the old state is still there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, rotation_angle, scaled, transform_points
from ttt3r_ros.tracking.features import begin, follow, gray_of, match, resemblance, Tracks
from ttt3r_ros.tracking.relative_pose import depth_at, rays_at, RelativePose, solve_pose
from ttt3r_ros.tracking.standstill import (
    agrees,
    can_drive,
    image_still,
    motion_between,
    wheels_move,
)
from ttt3r_ros.units import NANOSECONDS

# A new key frame is due when the view has changed so much.
LEAST_SHARE = 0.5
LEAST_INLIERS = 40
FARTHEST_M = 0.5
WIDEST_RAD = np.radians(20.0)

ROUGH_PX = 8.0
# Share of the last image's features that must agree; of two images that have nothing in common a
# quarter is found again by chance, and a tenth agrees on some pose.
LEAST_KEPT = 0.15
LEAST_MATCHES = 20

# After so many images of a film, of single photographs there are none, two that both have so many
# features resemble each other so much, however fast the camera turns; unless it was carried away.
CONTINUOUS, RICH, LEAST_RESEMBLANCE = 5, 60, 0.4

# What the network's own motion is worth: its share of the motion, and from image to image.
NETWORK_TURN_SIGMA, NETWORK_SHIFT_SIGMA = np.radians(1.9), 0.07
# Without calibration every turn is measured with a focal length that is this much wrong.
FOCAL_SIGMA = 0.1
# The scale of the depth of a key frame, in its logarithm, before anything is known, and the part
# of what is known of one that still holds for the next.
SCALE_MEMORY = 0.9
LEAST_COMMON = 10
NEAREST = 0.05


@dataclass(frozen=True, eq=False)
class Seen:
    """
    One image with all that is known about it.

    stamp_ns: as given. image: (h, w, 3) uint8, fitted and undistorted. camera: (3, 3) of it.
    focal_known: calibrated, or only estimated from the points. depth: (h, w) metres along z,
    confidence: (h, w), network_T_camera: (4, 4) of the network's chained segments; all None for
    an image that the network has not seen. odom_T_camera: (4, 4) by the wheels, or None.
    base_T_camera: (4, 4), or None where there is no base.
    """

    stamp_ns: int
    image: NDArray[np.uint8]
    camera: Array
    focal_known: bool = True
    depth: NDArray[np.floating] | None = None
    confidence: NDArray[np.floating] | None = None
    network_T_camera: Array | None = None
    odom_T_camera: Array | None = None
    base_T_camera: Array | None = None


@dataclass(frozen=True, eq=False)
class KeyView:
    """
    A key frame as the tracker has it.

    number: of the key frame, rising. seen: its image. gray: (h, w). tracks: its features, of
    which px is where it has them. log_depth: (N,) of those, NaN is unknown. motion: from the key
    frame before, in the unit of that one's depth, None for the first. by: what measured it.
    track_T_camera: (4, 4). log_scale: of its depth in track. track: number of the first key frame
    of the same track. slipped: whether wheels and images contradicted each other on the way from
    the key frame before.
    """

    number: int
    seen: Seen
    tracks: Tracks
    log_depth: Array
    motion: RelativePose | None
    by: str
    track_T_camera: Array
    log_scale: float
    track: int = 0
    slipped: bool = False


@dataclass(frozen=True, eq=False)
class Followed:
    """
    Where an image was taken.

    key: the key frame it is relative to; where this image became one itself, that. key_T_camera:
    (4, 4) in the unit of the key frame's depth, covariance: (6, 6) see RelativePose. by: features,
    matches, network, wheels, nothing. still: the camera has not moved, nothing need be kept.
    new_key: whether this image became a key frame. inliers: features that agree. log_ratio: to be
    added to the log depth of this image, so that it has the unit of the key frame's.
    odom_T_camera: (4, 4) by the wheels, or None. slips: wheels and images contradict each other
    since the image before; slipped: since the key frame. cut: the image has nothing to do with the
    one before and begins a track.
    """

    stamp_ns: int
    key: KeyView
    key_T_camera: Array
    covariance: Array
    by: str
    still: bool
    new_key: bool
    inliers: int
    log_ratio: float = 0.0
    odom_T_camera: Array | None = None
    slips: bool = False
    slipped: bool = False
    cut: bool = False

    @property
    def track_T_camera(self) -> Array:
        """Return the pose in track, (4, 4), metres."""
        pose: Array = self.key.track_T_camera @ scaled(
            self.key_T_camera, float(np.exp(self.key.log_scale))
        )
        return pose

    @property
    def depth_scale(self) -> float:
        """Return by what the depth of this image is multiplied in track."""
        return float(np.exp(self.key.log_scale + self.log_ratio))


@dataclass(frozen=True, eq=False)
class FollowState:
    """
    All that is remembered from image to image; a value. Before the first image there is None.

    key: newest key frame. tracks: its features in the newest image that was not still. last: what
    was found for that image. in_a_row: images before it, up to CONTINUOUS, that features tell of.
    network_T_camera, odom_T_camera: of that image, or of the last before
    it that had one.
    """

    key: KeyView
    tracks: Tracks
    last: Followed
    network_T_camera: Array | None
    odom_T_camera: Array | None
    in_a_row: int = 0


@dataclass(frozen=True, eq=False)
class Trace:
    """
    What an image shows before the network has seen it.

    tracks: the features that are found again; of a first image those that it begins with. still:
    they are where they were, so the camera has not moved.
    """

    tracks: Tracks
    still: bool


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
    seen: Seen, state: FollowState | None, first_number: int = 0
) -> tuple[Followed, FollowState]:
    """
    Find where an image was taken.

    The network need not have seen the image; but only one that it has seen begins the track or
    becomes a key frame.

    :param state: after the image before, None at the beginning.
    :param first_number: of the key frame with which a track begins; where a map is gone on with,
        above all that it has.
    :returns: what was found, and the state to keep if the image is accepted.
    :raises ValueError: when the first image has no depth.
    """
    found = trace(seen.image, seen.odom_T_camera, state)
    return conclude(seen, found, state, first_number)


def conclude(
    seen: Seen, found: Trace, state: FollowState | None, first_number: int = 0
) -> tuple[Followed, FollowState]:
    """
    Find where an image was taken whose features are followed.

    :param found: of the same image and state.
    :param state: after the image before, None at the beginning.
    :param first_number: of the key frame with which a track begins.
    :returns: what was found, and the state to keep if the image is accepted.
    :raises ValueError: when the first image has no depth.
    """
    tracks = found.tracks
    if state is None:
        return _first(seen, tracks, first_number)
    followed = _held(seen, state) if found.still else _located(seen, tracks, state)
    if not found.still and followed.by != 'features':
        fresh = begin(tracks.gray)
        lost = followed.by != 'matches' and seen.depth is not None
        if lost and _is_cut(seen, fresh, state):
            first, state = _first(seen, fresh, state.key.number + 1)
            return replace(first, cut=True), state
        # What is left of them is left by chance: a key frame begins anew, without one they are
        # looked for again from where they were seen last.
        tracks = state.tracks if seen.depth is None else tracks.without_all(tracks.gray)
    ratio = None
    if seen.depth is not None:
        log_depth = _log_depth(seen, tracks.px)
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
        state.network_T_camera if seen.network_T_camera is None else seen.network_T_camera,
        state.odom_T_camera if seen.odom_T_camera is None else seen.odom_T_camera,
        min(state.in_a_row + 1, CONTINUOUS) if followed.inliers else 0,
    )
    if seen.depth is not None and _key_is_due(followed, tracks):
        return _with_new_key(seen, followed, state, ratio or 0.0)
    return followed, state


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
    """Return whether the wheels contradict what the images say of the last motion."""
    wheels = motion_between(state.odom_T_camera, seen.odom_T_camera)
    if wheels is None or followed.by == 'wheels':
        return False
    moved = invert(state.last.key_T_camera) @ followed.key_T_camera
    metres = scaled(moved, float(np.exp(state.key.log_scale)))
    return not agrees(wheels, metres)


def _is_cut(seen: Seen, fresh: Tracks, state: FollowState) -> bool:
    """
    Decide whether an image whose features are lost has nothing to do with the one before.

    :param fresh: the features that it could begin with.
    """
    wheels = motion_between(state.odom_T_camera, seen.odom_T_camera)
    if wheels is not None:
        far = np.linalg.norm(wheels[:3, 3]) > FARTHEST_M
        if far or rotation_angle(wheels[:3, :3]) > WIDEST_RAD:
            return False  # the robot has driven on since
    old = state.tracks
    rich = min(len(old), len(fresh)) >= RICH
    return (
        rich
        and state.in_a_row >= CONTINUOUS
        and resemblance(old.gray, fresh.gray) < LEAST_RESEMBLANCE
    )


def _first(seen: Seen, tracks: Tracks, number: int) -> tuple[Followed, FollowState]:
    if seen.depth is None:
        raise ValueError('the first image of a track needs its depth')
    log_depth = _log_depth(seen, tracks.px)
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
    return followed, FollowState(key, tracks, followed, seen.network_T_camera, seen.odom_T_camera)


def _log_depth(seen: Seen, px: NDArray[np.float32]) -> Array:
    assert seen.depth is not None
    depth = seen.depth
    if seen.confidence is not None:
        depth = np.where(seen.confidence > 1.0, depth, 0.0)
    return np.log(depth_at(depth, px))


def _located(seen: Seen, tracks: Tracks, state: FollowState) -> Followed:
    """Solve for the pose by features, else take the network's motion, else that of the wheels."""
    key = state.key
    log_depth = key.log_depth[np.searchsorted(key.tracks.number, tracks.number)]
    known = np.isfinite(log_depth)
    rays = rays_at(tracks.key_px[known], key.seen.camera)
    points = rays * np.exp(log_depth[known])[:, None]
    pose = solve_pose(points, tracks.px[known], seen.camera)
    if pose is None:  # a depth of another shape than it should have: roughly is better than not
        pose = solve_pose(points, tracks.px[known], seen.camera, ROUGH_PX)
    if pose is not None and pose.inliers.sum() >= LEAST_KEPT * len(state.tracks):
        covariance = pose.covariance
        if not (seen.focal_known and key.seen.focal_known):
            turn = FOCAL_SIGMA * float(rotation_angle(pose.key_T_camera[:3, :3]))
            covariance = covariance + np.diag([turn**2] * 3 + [0.0] * 3)
        by, inliers = 'features', int(pose.inliers.sum())
        return Followed(
            seen.stamp_ns, key, pose.key_T_camera, covariance, by, False, False, inliers
        )
    again = _found_again(seen, tracks.gray, key)
    if again is not None:
        count = int(again.inliers.sum())
        pose_of = again.key_T_camera, again.covariance
        return Followed(seen.stamp_ns, key, *pose_of, 'matches', False, False, count)
    by, motion, added = _other_motion(seen, state)
    return Followed(
        seen.stamp_ns,
        key,
        state.last.key_T_camera @ motion,
        state.last.covariance + added,
        by,
        False,
        False,
        0,
    )


def _found_again(seen: Seen, gray: NDArray[np.uint8], key: KeyView) -> RelativePose | None:
    """Solve for the pose by points that look alike, where those that were followed are lost."""
    key_px, px = match(key.tracks.gray, gray)
    depth = np.exp(_log_depth(key.seen, key_px))
    known = np.isfinite(depth)
    points = rays_at(key_px[known], key.seen.camera) * depth[known][:, None]
    return solve_pose(points, px[known], seen.camera, least_inliers=LEAST_MATCHES)


def _other_motion(seen: Seen, state: FollowState) -> tuple[str, Array, Array]:
    """Return what else says how the camera moved since the last image, and its covariance."""
    unit = float(np.exp(state.key.log_scale))
    wheels = motion_between(state.odom_T_camera, seen.odom_T_camera)
    network = motion_between(state.network_T_camera, seen.network_T_camera)
    seconds = (seen.stamp_ns - state.last.stamp_ns) / NANOSECONDS
    if wheels is not None and (network is None or can_drive(wheels, seconds)):
        return 'wheels', scaled(wheels, 1 / unit), _spread(0.05, 0.05)
    if network is not None:
        return 'network', network, _spread(3 * NETWORK_TURN_SIGMA, 3 * NETWORK_SHIFT_SIGMA)
    return 'nothing', np.eye(4), _spread(0.2, 0.2)


def _spread(turn: float, shift: float) -> Array:
    return np.diag([turn**2] * 3 + [shift**2] * 3)


def _key_is_due(followed: Followed, tracks: Tracks) -> bool:
    moved = followed.key_T_camera
    return bool(
        tracks.share() < LEAST_SHARE
        or followed.inliers < LEAST_INLIERS
        or np.linalg.norm(moved[:3, 3]) > FARTHEST_M
        or rotation_angle(moved[:3, :3]) > WIDEST_RAD
    )


def _with_new_key(
    seen: Seen, followed: Followed, state: FollowState, ratio: float
) -> tuple[Followed, FollowState]:
    """Make the image a key frame: features that are still seen go on."""
    old = state.key
    next_number = int(old.tracks.number[-1]) + 1 if len(old.tracks) else 0
    tracks = begin(state.tracks.gray, state.tracks, next_number)
    log_depth = _log_depth(seen, tracks.px)
    key = KeyView(
        number=old.number + 1,
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
    return replace(found, slips=followed.slips), replace(at_key, in_a_row=state.in_a_row)


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
