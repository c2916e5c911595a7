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
from ttt3r_ros.tracking.followed import Followed, FollowState, KeyView, Seen, Trace
from ttt3r_ros.tracking.following import conclude, trace
from ttt3r_ros.tracking.locating import NETWORK_SHIFT_SIGMA, NETWORK_TURN_SIGMA


@dataclass(frozen=True)
class FrontEnd:
    """
    How an image is located.

    trace: what it shows before the network has seen it. conclude: where it was taken. Both are as
    in `following`.
    """

    trace: Callable[[NDArray[np.uint8], Array | None, FollowState | None], Trace]
    conclude: Callable[[Seen, Trace, FollowState | None, int], tuple[Followed, FollowState]]


def trace_nothing(
    image: NDArray[np.uint8], odom_T_camera: Array | None, state: FollowState | None
) -> Trace:
    """
    Return no features; the camera never stands still.

    :param image: (h, w, 3) uint8.
    :param odom_T_camera: (4, 4); is ignored.
    :param state: is ignored.
    """
    none = np.empty((0, 2), np.float32)
    return Trace(Tracks(gray_of(image), np.empty(0, np.int64), none, none, 0), False, None)


def conclude_by_network(
    seen: Seen, found: Trace, state: FollowState | None, next_number: int = 0
) -> tuple[Followed, FollowState]:
    """
    Locate an image by the pose of the network, relative to the first image, in its own unit.

    There is one key frame, the first image: so there are no loops, and nothing is corrected.

    :param seen: with the pose of the network; wheels and mount are ignored.
    :param found: of the same image.
    :param state: after the image before, None at the beginning.
    :param next_number: of the key frame.
    """
    seen = replace(seen, odom_T_camera=None, base_T_camera=None)
    if state is None:
        empty = np.empty(0)
        key = KeyView(
            next_number, seen, found.tracks, empty, None, 'nothing', np.eye(4), 0.0, next_number
        )
    else:
        key = state.key
    first, now = key.seen.network_T_camera, seen.network_T_camera
    assert first is not None
    assert now is not None
    sigmas = [NETWORK_TURN_SIGMA] * 3 + [NETWORK_SHIFT_SIGMA] * 3
    followed = Followed(
        seen.stamp_ns,
        key,
        invert(first) @ now,
        np.diag(sigmas) ** 2,
        'network',
        False,
        state is None,
        0,
    )
    return followed, FollowState(key, found.tracks, followed, now, None)


FRONT_ENDS = {
    'features': FrontEnd(trace, conclude),
    'network': FrontEnd(trace_nothing, conclude_by_network),
}
