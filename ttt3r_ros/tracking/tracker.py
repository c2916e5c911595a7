# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The front end: network and features over time, in one continuous frame `track`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ttt3r_ros.errors import UserError
from ttt3r_ros.settings import TrackingSettings
from ttt3r_ros.tracking.focal import ImpliedFocal, NOTHING_IMPLIED
from ttt3r_ros.tracking.frame import TrackedFrame
from ttt3r_ros.tracking.front_end import FRONT_ENDS
from ttt3r_ros.tracking.interim import InterimState, rebased
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.prepared import FittedImage, PreparedImage
from ttt3r_ros.tracking.seen import SeenImage
from ttt3r_ros.tracking.segmented_network import (
    FramePredictor,
    NetworkState,
    Prediction,
    SegmentedNetwork,
)
from ttt3r_ros.tracking.tracked_pose import FollowState, TrackedFeatures


class BadStamp(UserError):
    """The time of an image does not lie after that of the image before."""


@dataclass(frozen=True, eq=False)
class TrackerState:
    """
    The state of the tracker between images; immutable.

    network: its memory. following: of the features, None before the first image. focal: by the
    images so far. frames: images since the reset. last_stamp_ns: of the newest image, or None.
    """

    network: NetworkState
    following: FollowState | None = None
    focal: ImpliedFocal = NOTHING_IMPLIED
    frames: int = 0
    last_stamp_ns: int | None = None


class Tracker:
    """
    Follow the camera, image after image, in constant memory.

    `look` changes nothing, `keep` does: an image that is refused between the two has no effect.
    `prepare` and `rebased` only read the newest state, and may be used by another thread.
    """

    def __init__(self, predictor: FramePredictor, settings: TrackingSettings) -> None:
        """
        Begin with the initial state.

        :param settings: with the values of the checkpoint.
        """
        self._predictor = predictor
        self._settings = settings
        self._front_end = FRONT_ENDS[settings.front_end]
        chosen = settings.segment_scale
        scale = self._front_end.segment_scale if chosen == 'auto' else chosen
        self._network = SegmentedNetwork(predictor, settings, scale)
        self.reset()

    @property
    def state(self) -> TrackerState:
        """Return the present state."""
        return self._state

    def reset(self) -> None:
        """Return to the initial state; the next image is the first one again."""
        self._state = TrackerState(self._network.initial_state())

    @property
    def follows(self) -> bool:
        """Return whether images are located by their features."""
        return self._settings.front_end == 'features'

    def rebased(self, interim: InterimState | None) -> InterimState | None:
        """
        Return the tracking by features since the newest image of the network.

        :param interim: the tracking since an earlier one.
        """
        state = self._state
        return rebased(interim, state.following, state.last_stamp_ns or 0)

    def prepare(self, observation: Observation, interim: InterimState | None) -> PreparedImage:
        """
        Find the features in an image, which the network need not see.

        :param interim: tracking by features up to the image before.
        :raises UserError: BadImage or CalibrationError.
        """
        fitted = self._fitted(observation)
        state = None if interim is None else interim.state
        return PreparedImage(fitted, interim, self._features(fitted, state))

    def _fitted(self, observation: Observation) -> FittedImage:
        """Undistort, resize and crop an image."""
        height, width = observation.rgb.shape[:2]
        fit = self._predictor.fit(width, height)
        return FittedImage.of(observation, fit, self._predictor.resize)

    def _features(self, fitted: FittedImage, state: FollowState | None) -> TrackedFeatures:
        """Follow the features from a state into an image."""
        odom_T_camera = fitted.observation.odom_T_camera
        return self._front_end.track_features(fitted.image, odom_T_camera, state)

    def look(
        self, observation: Observation, write: bool = True, next_key: int = 0
    ) -> tuple[TrackedFrame, TrackerState]:
        """
        Compute the pose and points of one image.

        :param write: False never changes the network's state, and begins no segment.
        :param next_key: see `complete`.
        :returns: the frame, and the state to keep.
        :raises UserError: BadStamp, CalibrationError or BadPrediction.
        """
        self._check_stamp(observation.stamp_ns)
        before = self._state.following
        fitted = self._fitted(observation)
        found = self._features(fitted, before)
        return self._concluded(fitted, before, found, write, next_key)

    def complete(
        self, prepared: PreparedImage, write: bool = True, next_key: int = 0
    ) -> tuple[TrackedFrame, TrackerState]:
        """
        Compute the pose and points of an image whose features are followed.

        While the camera stands still, the pose is held and the network's state is left as it is.

        :param prepared: of an image after the newest of the network.
        :param write: False never changes the network's state, and begins no segment.
        :param next_key: least number that the image may have as a key frame: above those of all
            cameras.
        :returns: the frame, and the state to keep.
        :raises UserError: BadStamp, CalibrationError, BadPrediction or NetworkLost.
        """
        self._check_stamp(prepared.fitted.observation.stamp_ns)
        before, found = self._before(prepared)
        return self._concluded(prepared.fitted, before, found, write, next_key)

    def _concluded(
        self,
        fitted: FittedImage,
        before: FollowState | None,
        found: TrackedFeatures,
        write: bool,
        next_key: int,
    ) -> tuple[TrackedFrame, TrackerState]:
        """Show an image to the network, and locate it by its features from a state on."""
        state = self._state
        prediction, network = self._network.step(
            fitted.image, state.network, write and not found.still
        )
        focal = self._focal(fitted, prediction, found.still)
        segment = network.segment
        seen = SeenImage.of(fitted, prediction, segment.track_T_world, focal)
        tracked_pose, following = self._front_end.conclude(seen.view, found, before, next_key)
        scale = segment.track_T_world.scale * tracked_pose.depth_scale
        frame = TrackedFrame(
            state.frames,
            segment.number,
            seen.view,
            tracked_pose,
            scale * focal.believed.depth_factor,
            seen.pointmap.scaled(scale),
            fitted.fit,
            seen.camera,
            prediction.gains,
            segment.doubt,
        )
        stamp_ns = fitted.observation.stamp_ns
        return frame, TrackerState(network, following, focal, state.frames + 1, stamp_ns)

    def _focal(self, fitted: FittedImage, prediction: Prediction, still: bool) -> ImpliedFocal:
        """Return what the images up to this one say of the focal length."""
        focal, lens = self._state.focal, fitted.lens
        if lens is not None and (still or not self.follows):
            return focal
        true_focal = None if lens is None else lens.focal
        return focal.after(prediction.points_camera, max(fitted.fit.resized), true_focal)

    def _before(self, prepared: PreparedImage) -> tuple[FollowState | None, TrackedFeatures]:
        """Return the state up to an image, from the newest key frame on, and its features."""
        earlier, interim = prepared.interim, self.rebased(prepared.interim)
        if interim is None or earlier is None:
            state = None if interim is None else interim.state
            known = earlier is interim
        else:
            state, before = interim.state, earlier.state
            known = state.tracks is before.tracks and state.odom_T_camera is before.odom_T_camera
        if known:
            return state, prepared.found
        return state, self._features(prepared.fitted, state)

    def keep(self, state: TrackerState) -> None:
        """
        Continue from a state.

        :param state: from `look` or `state`, of this tracker or one with the same network.
        """
        self._state = state

    def look_ahead(self) -> None:
        """Begin a segment that is due now, so that the next image does not wait for it."""
        network = self._network.in_due_segment(self._state.network)
        self._state = replace(self._state, network=network)

    def _check_stamp(self, stamp_ns: int) -> None:
        last = self._state.last_stamp_ns
        if last is not None and stamp_ns <= last:
            raise BadStamp(
                f'an image of {stamp_ns} ns came after one of {last} ns: stamps must increase; '
                'reset the mapper when time jumps back'
            )
