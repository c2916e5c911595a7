# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Tracking backwards from an image to the last ones that were located, after features were lost.

The features of a key frame leave the view when the camera turns, and the images of a slow network
are far apart. The newest image has features of its own, and depth: they are followed back through
the images since the key frame, until one of those was located by the key frame's features. After a
gap they are matched instead.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import adjoint, invert
from ttt3r_ros.tracking.feature_depth import log_depth_at
from ttt3r_ros.tracking.features import follow, gray_of, Tracks
from ttt3r_ros.tracking.local_features import detect, match
from ttt3r_ros.tracking.relative_pose import rays_at, RelativePose, solve_pose
from ttt3r_ros.tracking.tracked_pose import Features, PastImage, TrackedPose, View

ROUGH_PX = 8.0
LEAST_MATCHES = 20
# Of the log scale of a depth against that of another image, of which nothing was compared.
UNIT_SIGMA = 0.12


def track_backwards(
    tracked_pose: TrackedPose, features: Features, camera: Array, past: tuple[PastImage, ...]
) -> TrackedPose:
    """
    Locate an image by its own features, where those of the key frame and wheels do not.

    :param tracked_pose: where it was taken as far as is known.
    :param features: of the image, with their depth.
    :param camera: (3, 3) pinhole matrix of all images, pixels.
    :param past: the images since the key frame, oldest first.
    """
    if tracked_pose.by not in ('network', 'nothing') or features.log_depth is None:
        return tracked_pose
    pose = look_back(features.tracks, features.log_depth, camera, past)
    return tracked_pose if pose is None else _located(tracked_pose, pose, 'the way back')


def look_back(
    fresh: Tracks, log_depth: Array, camera: Array, past: tuple[PastImage, ...]
) -> RelativePose | None:
    """
    Find the pose of an image in the axes of the key frame by an image between the two.

    :param fresh: features of the image.
    :param log_depth: (N,) of them, logarithms of metres, NaN is unknown.
    :param camera: (3, 3) pinhole matrix of all images, pixels.
    :param past: the images since the key frame, oldest first.
    :returns: of the image between that both ends know best; None where there is none.
    """
    points = rays_at(fresh.px, camera) * np.exp(log_depth)[:, None]
    known = np.isfinite(log_depth)
    tracks, best = fresh, None
    for one in reversed(past):
        if one.gray.shape != tracks.gray.shape:
            break
        tracks = follow(tracks, one.gray)
        row = np.searchsorted(fresh.number, tracks.number)
        chosen = known[row]
        seen = points[row[chosen]], tracks.px[chosen], camera
        pose = solve_pose(*seen) or solve_pose(*seen, ROUGH_PX)
        if pose is None:
            break
        if one.inliers and (best is None or _weaker(*best) < _weaker(pose, one)):
            best = pose, one
    return None if best is None else _joined(*best)


def match_past_images(
    tracked_pose: TrackedPose, view: View, past: tuple[PastImage, ...]
) -> TrackedPose:
    """
    Locate an image by what the place looks like, where its features are nowhere near.

    After a gap a camera is where it went meanwhile, and sees the place from elsewhere.

    :param tracked_pose: where it was taken as far as is known.
    :param view: the image, with its depth.
    :param past: the images since the key frame, oldest first, located by their features.
    :returns: by the newest of them, else by the oldest; else what is known.
    """
    here = detect(gray_of(view.image))
    log_depth = log_depth_at(view, here.px)
    points = rays_at(here.px, view.camera) * np.exp(log_depth)[:, None]
    for one in dict.fromkeys((past[-1], past[0])):
        there = detect(one.gray)
        mine, theirs = match(here.descriptors, there.descriptors)
        known = np.isfinite(log_depth[mine])
        both = points[mine[known]], there.px[theirs[known]], view.camera
        pose = solve_pose(*both, least_inliers=LEAST_MATCHES)
        if pose is not None:
            return _located(tracked_pose, _joined(pose, one), 'matches')
    return tracked_pose


def _located(tracked_pose: TrackedPose, pose: RelativePose, by: str) -> TrackedPose:
    return replace(
        tracked_pose,
        key_T_camera=pose.key_T_camera,
        covariance=pose.covariance,
        by=by,
        inliers=int(pose.inliers.sum()),
    )


def _weaker(pose: RelativePose, past: PastImage) -> int:
    """Return how many features agree on the weaker half of a way."""
    return min(int(pose.inliers.sum()), past.inliers)


def _joined(pose: RelativePose, past: PastImage) -> RelativePose:
    """Return where an image is, from which another one is seen at a pose and where that one is."""
    here_T_past = pose.key_T_camera
    way = here_T_past[:3, 3]
    turned = adjoint(here_T_past)
    covariance = turned @ (past.covariance + pose.covariance) @ turned.T
    covariance[3:, 3:] += UNIT_SIGMA**2 * np.outer(way, way)
    return replace(
        pose, key_T_camera=past.key_T_camera @ invert(here_T_past), covariance=covariance
    )
