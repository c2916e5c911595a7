# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Each image that comes, located by its features before the network has time for it."""

from __future__ import annotations

from dataclasses import dataclass

from ttt3r_ros.tracking.interim import follow_on, InterimState
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.prepared import FittedImage, PreparedImage
from ttt3r_ros.tracking.seen import unseen
from ttt3r_ros.tracking.tracked_pose import TrackedPose, View
from ttt3r_ros.tracking.tracker import Tracker


@dataclass(frozen=True, eq=False)
class EarlyPose:
    """
    The pose of an image by its features, before the network has processed it.

    prepared: the image for the network. pose: where it was taken, None where neither its
    features nor wheels show it. before: where the image before was taken, relative to the same key
    frame, None where nothing is known. interim: to go on with.
    """

    prepared: PreparedImage
    pose: TrackedPose | None
    before: TrackedPose | None
    interim: InterimState | None


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
        """Forget the tracking since the newest result of the network."""
        self._interim: InterimState | None = None

    def look(self, observation: Observation) -> EarlyPose:
        """
        Locate an image by its features; only `keep` goes on from there.

        :raises UserError: BadImage or CalibrationError.
        """
        interim = self._interim = self._tracker.rebased(self._interim)
        prepared = self._tracker.prepare(observation, interim)
        if interim is None or not self._tracker.follows:
            return EarlyPose(prepared, None, None, interim)
        tracked_pose, after = follow_on(_unseen(prepared.fitted, interim), prepared.found, interim)
        return EarlyPose(prepared, tracked_pose, interim.state.last, after)

    def keep(self, early: EarlyPose) -> None:
        """
        Go on from an image.

        :param early: from `look`.
        """
        self._interim = early.interim


def _unseen(fitted: FittedImage, interim: InterimState) -> View:
    """Return what is known of an image that the network has not seen."""
    intrinsics = fitted.observation.intrinsics
    if intrinsics is None:
        return unseen(fitted, interim.state.key.view.camera)
    return unseen(fitted, fitted.fit.intrinsics(intrinsics.without_distortion()).matrix)
