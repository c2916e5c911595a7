# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What the pose of an image follows from: its features, or the network alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert
from ttt3r_ros.tracking.features import gray_of, Tracks
from ttt3r_ros.tracking.following import conclude, track_features
from ttt3r_ros.tracking.locating import NETWORK_SHIFT_SIGMA, NETWORK_TURN_SIGMA
from ttt3r_ros.tracking.tracked_pose import (
    FollowState,
    KeyView,
    TrackedFeatures,
    TrackedPose,
    View,
)


@dataclass(frozen=True)
class FrontEnd:
    """
    How an image is located.

    track_features: what it shows before the network has seen it. conclude: where it was taken.
    Both are as in `following`. segment_scale: what `auto` stands for, see `scale.ScaleEstimate`.
    """

    track_features: Callable[
        [NDArray[np.uint8], Array | None, FollowState | None], TrackedFeatures
    ]
    conclude: Callable[
        [View, TrackedFeatures, FollowState | None, int], tuple[TrackedPose, FollowState]
    ]
    segment_scale: str


def track_nothing(
    image: NDArray[np.uint8], odom_T_camera: Array | None, state: FollowState | None
) -> TrackedFeatures:
    """
    Return no features; the camera never stands still.

    :param image: (h, w, 3) uint8.
    :param odom_T_camera: (4, 4); is ignored.
    :param state: is ignored.
    """
    none = np.empty((0, 2), np.float32)
    return TrackedFeatures(
        Tracks(gray_of(image), np.empty(0, np.int64), none, none, 0), False, None
    )


def conclude_by_network(
    view: View, found: TrackedFeatures, state: FollowState | None, next_number: int = 0
) -> tuple[TrackedPose, FollowState]:
    """
    Locate an image by the pose of the network, relative to the first image, in its own unit.

    There is one key frame, the first image: so there are no loops, and nothing is corrected.

    :param view: with the pose of the network; wheels and mount are ignored.
    :param found: of the same image.
    :param state: after the image before, None at the beginning.
    :param next_number: of the key frame.
    """
    view = replace(view, odom_T_camera=None, base_T_camera=None)
    if state is None:
        empty = np.empty(0)
        key = KeyView(
            next_number, view, found.tracks, empty, None, 'nothing', np.eye(4), 0.0, next_number
        )
    else:
        key = state.key
    first, now = key.view.network_T_camera, view.network_T_camera
    assert first is not None
    assert now is not None
    sigmas = [NETWORK_TURN_SIGMA] * 3 + [NETWORK_SHIFT_SIGMA] * 3
    tracked_pose = TrackedPose(
        view.stamp_ns,
        key,
        invert(first) @ now,
        np.diag(sigmas) ** 2,
        'network',
        False,
        state is None,
        0,
    )
    return tracked_pose, FollowState(key, found.tracks, tracked_pose, now, None)


# The graph finds the scale of each key frame. With the metres of each segment it has the mean of
# all of them; scales chained from the first segment on walk away from it.
FRONT_ENDS = {
    'features': FrontEnd(track_features, conclude, 'fixed'),
    'network': FrontEnd(track_nothing, conclude_by_network, 'sure'),
}
