# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Images that come while the network works on another one: located by their features alone.

The two threads share no state but values: the follower begins with the newest result of the
network, and an image that the network takes next has the tracking up to it with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert
from ttt3r_ros.tracking.cut import is_cut
from ttt3r_ros.tracking.features import begin
from ttt3r_ros.tracking.following import conclude, track_features
from ttt3r_ros.tracking.standstill import can_drive
from ttt3r_ros.tracking.tracked_pose import FollowState, TrackedFeatures, TrackedPose, View
from ttt3r_ros.units import NANOSECONDS

# A second of a camera of 30 Hz; of a slower network the oldest images are not followed again.
MOST_IMAGES = 30


@dataclass(frozen=True, eq=False)
class InterimState:
    """
    The tracking by features since the newest image that the network has seen; a value.

    origin: the state after that image. images: those since then, oldest first, without those of a
    camera that stood still. state: after the newest of them.
    """

    origin: FollowState
    images: tuple[View, ...]
    state: FollowState

    def then(self, view: View, state: FollowState) -> InterimState:
        """
        Return the tracking up to another image.

        :param state: after that image.
        """
        if state is self.state:
            return self
        return InterimState(self.origin, (*self.images, view)[-MOST_IMAGES:], state)


def interim_after(origin: FollowState | None) -> InterimState | None:
    """
    Return the tracking that begins at an image of the network.

    :param origin: the state after that image; None where there is none.
    """
    return None if origin is None else InterimState(origin, (), origin)


def follow_on(
    view: View, found: TrackedFeatures, interim: InterimState
) -> tuple[TrackedPose | None, InterimState]:
    """
    Locate an image that the network has not seen.

    :param found: of the same image and `interim.state`.
    :returns: where it was taken, None where neither features nor wheels show it; and what to go
        on with.
    """
    tracked_pose, state = conclude(view, found, interim.state)
    if (
        not tracked_pose.still
        and tracked_pose.inliers == 0
        and not _driven(view, found, interim.state)
    ):
        past = replace(interim.state, past=state.past)
        return None, replace(interim, state=past)
    return tracked_pose, interim.then(view, state)


def _driven(view: View, found: TrackedFeatures, state: FollowState) -> bool:
    """Return whether the wheels alone may be believed."""
    seconds = (view.stamp_ns - state.last.stamp_ns) / NANOSECONDS
    if found.wheels is None or not can_drive(found.wheels, seconds):
        return False
    return not is_cut(found.wheels, begin(found.tracks.gray), state)


def rebased(
    interim: InterimState | None, origin: FollowState | None, stamp_ns: int
) -> InterimState | None:
    """
    Go on from the newest result of the network; images after it are followed again from there.

    :param interim: the tracking from an older result, None where there is none.
    :param origin: the state after the newest image of the network, None where there is none.
    :param stamp_ns: of that image.
    """
    fresh = interim_after(origin)
    if interim is None or origin is None or fresh is None or interim.origin is origin:
        return fresh if interim is None or origin is None else interim
    since = tuple(one for one in interim.images if one.stamp_ns > stamp_ns)
    if not since:
        return fresh
    if origin.key is interim.state.key:
        return InterimState(origin, since, _with_network(interim.state, origin))
    for one in since:
        found = track_features(one.image, one.odom_T_camera, fresh.state)
        _, fresh = follow_on(one, found, fresh)
    return fresh


def _with_network(state: FollowState, origin: FollowState) -> FollowState:
    """Take over what only the network measures, from an earlier image of the same key frame."""
    network_T_camera: Array | None = None
    if origin.network_T_camera is not None:
        moved = invert(origin.last.key_T_camera) @ state.last.key_T_camera
        network_T_camera = origin.network_T_camera @ moved
    last = replace(state.last, log_ratio=origin.last.log_ratio)
    return replace(state, last=last, network_T_camera=network_T_camera)
