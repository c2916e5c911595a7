# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Each image that comes, located by its features before the network has time for it."""

from __future__ import annotations

from dataclasses import dataclass

from ttt3r_ros.tracking.between import Between, follow_on
from ttt3r_ros.tracking.followed import Followed, Seen
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.tracker import Glimpse, Tracker


@dataclass(frozen=True, eq=False)
class Ahead:
    """
    An image that was followed ahead of the network.

    glimpse: what the network goes on from. followed: where it was taken, None where neither its
    features nor wheels show it. before: where the image before was taken, relative to the same key
    frame, None where nothing is known. between: to go on with.
    """

    glimpse: Glimpse
    followed: Followed | None
    before: Followed | None
    between: Between | None


class Follower:
    """Locate images while the network works on another one; for one thread."""

    def __init__(self, tracker: Tracker) -> None:
        """
        Begin with nothing followed.

        :param tracker: has the newest result of the network.
        """
        self._tracker = tracker
        self.reset()

    def reset(self) -> None:
        """Forget what was followed."""
        self._between: Between | None = None

    def look(self, seen: Observation) -> Ahead:
        """
        Locate an image by its features; only `keep` goes on from there.

        :raises UserError: BadImage or CalibrationError.
        """
        between = self._between = self._tracker.rebased(self._between)
        glimpse = self._tracker.glimpse(seen, between)
        if between is None or not self._tracker.follows:
            return Ahead(glimpse, None, None, between)
        followed, after = follow_on(_seen(glimpse, between), glimpse.found, between)
        return Ahead(glimpse, followed, between.state.last, after)

    def keep(self, ahead: Ahead) -> None:
        """
        Go on from an image.

        :param ahead: from `look`.
        """
        self._between = ahead.between


def _seen(glimpse: Glimpse, between: Between) -> Seen:
    """Return what is known of an image that the network has not seen."""
    seen, intrinsics = glimpse.seen, glimpse.seen.intrinsics
    camera = between.state.key.seen.camera
    if intrinsics is not None:
        camera = glimpse.fit.intrinsics(intrinsics.without_distortion()).matrix
    return Seen(
        seen.stamp_ns,
        glimpse.image,
        camera,
        intrinsics is not None,
        odom_T_camera=seen.odom_T_camera,
        base_T_camera=seen.base_T_camera,
        camera_index=seen.camera_index,
    )
