# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The front end: network and features over time, in one continuous frame `track`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ttt3r_ros.arrays import Pixels
from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import IDENTITY, Similarity
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.model.elsewhere import NetworkLost, StateGone
from ttt3r_ros.settings import TrackingSettings
from ttt3r_ros.tracking.focal import (
    BelievedFocal,
    estimate_focal,
    NO_BELIEF,
    SteadyFocal,
    UNKNOWN_FOCAL,
)
from ttt3r_ros.tracking.frame import TrackedFrame
from ttt3r_ros.tracking.front_end import FRONT_ENDS
from ttt3r_ros.tracking.interim import InterimState, rebased
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.prepared import FittedImage, Prediction, PreparedImage
from ttt3r_ros.tracking.segments import next_segment, Segment, SegmentView
from ttt3r_ros.tracking.tracked_pose import FollowState, TrackedFeatures


class BadStamp(UserError):
    """The time of an image does not lie after that of the image before."""


class BadPrediction(UserError):
    """The prediction of the network is not finite."""


class FramePredictor(Protocol):
    """
    A network with its device and update rule; its state is immutable.

    Predictor documents the methods.
    """

    @property
    def patch(self) -> int: ...
    @property
    def checkpoint_name(self) -> str: ...
    @property
    def checkpoint_sha256(self) -> str: ...
    @property
    def checkpoint_note(self) -> str: ...
    def advise(self, settings: TrackingSettings, /) -> TrackingSettings: ...
    def fit(self, width: int, height: int, /) -> ImageFit: ...
    def resize(self, rgb: Pixels, size: tuple[int, int], /) -> Pixels: ...
    def initial_state(self) -> Any: ...
    def step(
        self, rgb_fitted: Pixels, state: Any, /, write: bool = True
    ) -> tuple[Prediction, Any]: ...


@dataclass(frozen=True, eq=False)
class TrackerState:
    """
    The state of the tracker between images; immutable.

    network: the recurrent state. segment: the current one. views: its last images, newest last,
    as many as the next segment needs. following: of the features, None before the first image.
    focal: by the images so far where there is no calibration; believed: where there is one.
    frames, segment_frames: images since the reset and in this segment. last_stamp_ns: of the
    newest image, or None.
    """

    network: Any
    segment: Segment
    views: tuple[SegmentView, ...] = ()
    following: FollowState | None = None
    focal: SteadyFocal = UNKNOWN_FOCAL
    believed: BelievedFocal = NO_BELIEF
    frames: int = 0
    segment_frames: int = 0
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
        self._segment_scale = self._front_end.segment_scale if chosen == 'auto' else chosen
        self.reset()

    @property
    def state(self) -> TrackerState:
        """Return the present state."""
        return self._state

    def reset(self) -> None:
        """Return to the initial state; the next image is the first one again."""
        origin = Segment(0, Similarity(IDENTITY))
        self._state = TrackerState(self._predictor.initial_state(), origin)

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
        return FittedImage.of(observation, self.fit(width, height), self._predictor.resize)

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
        state, prediction = self._shown(fitted.image, write and not found.still)
        state = self._with_focal(state, fitted, prediction, found.still)
        camera = fitted.camera(state.focal)
        pointmap = fitted.pointmap(prediction, state.believed.depth_factor)
        place = state.segment.track_T_world
        known = fitted.seen(camera, pointmap, place, prediction.world_T_camera)
        tracked_pose, following = self._front_end.conclude(known, found, before, next_key)
        scale = place.scale * tracked_pose.depth_scale
        frame = TrackedFrame(
            state.frames,
            state.segment.number,
            known,
            tracked_pose,
            scale * state.believed.depth_factor,
            pointmap.scaled(scale),
            fitted.fit,
            camera,
            prediction.gains,
            state.segment.doubt,
        )
        return frame, replace(
            state, following=following, frames=state.frames + 1, last_stamp_ns=known.stamp_ns
        )

    def _with_focal(
        self, state: TrackerState, fitted: FittedImage, prediction: Prediction, still: bool
    ) -> TrackerState:
        """Return the state with what the points say of the focal length."""
        implied = estimate_focal(prediction.points_camera)
        if fitted.lens is None:
            return replace(state, focal=state.focal.after(implied / max(fitted.fit.resized)))
        if self.follows and not still:
            return replace(state, believed=state.believed.after(fitted.lens.focal, implied))
        return state

    def _shown(self, image: Pixels, write: bool) -> tuple[TrackerState, Prediction]:
        """Show an image to the network; without writing, its state stays as it is."""
        state = self._in_due_segment(self._state) if write else self._state
        state, prediction, network = self._predicted(image, state, write=write)
        if write:
            state = self._written(state, network, _view(image, prediction))
        return state, prediction

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

    def _written(self, state: TrackerState, network: Any, view: SegmentView) -> TrackerState:
        """Return the state after an image that the network's state has taken in."""
        views = (*state.views, view)[-self._settings.overlap_frames :]
        return replace(
            state, network=network, views=views, segment_frames=state.segment_frames + 1
        )

    def keep(self, state: TrackerState) -> None:
        """
        Continue from a state.

        :param state: from `look` or `state`, of this tracker or one with the same network.
        """
        self._state = state

    def look_ahead(self) -> None:
        """Begin a segment that is due now, so that the next image does not wait for it."""
        self._state = self._in_due_segment(self._state)

    def fit(self, width: int, height: int) -> ImageFit:
        """
        Return how images of a size are resized and cropped.

        :param width: pixels.
        :param height: pixels.
        :raises BadImage: when no image of this size can be used.
        """
        return self._predictor.fit(width, height)

    def _check_stamp(self, stamp_ns: int) -> None:
        last = self._state.last_stamp_ns
        if last is not None and stamp_ns <= last:
            raise BadStamp(
                f'an image of {stamp_ns} ns came after one of {last} ns: stamps must increase; '
                'reset the mapper when time jumps back'
            )

    def _in_due_segment(self, state: TrackerState) -> TrackerState:
        """Begin the next segment if it is time: its network sees the last images again."""
        if not 0 < self._settings.reset_interval <= state.segment_frames:
            return state
        return self._in_new_segment(state)

    def _in_new_segment(self, state: TrackerState) -> TrackerState:
        """Begin a segment, whose network sees the last images again."""
        network, views = self._predictor.initial_state(), []
        if not state.views:  # nothing was written yet
            return replace(state, network=network)
        for old in state.views:
            try:
                prediction, network = self._predict(old.image, network)
            except (BadPrediction, NetworkLost):
                # The old segment goes on; the next frame offers another image to begin with.
                return state
            views.append(_view(old.image, prediction))
        segment = next_segment(
            state.segment,
            state.views,
            views,
            self._segment_scale,
            self._predictor.patch**2,
        )
        return replace(
            state, network=network, segment=segment, views=tuple(views), segment_frames=0
        )

    def _predicted(
        self, image: Pixels, state: TrackerState, write: bool
    ) -> tuple[TrackerState, Prediction, Any]:
        """Predict an image, in a new segment where the network has lost the state of this one."""
        try:
            return (state, *self._predict(image, state.network, write))
        except StateGone:
            state = self._in_new_segment(state)
            return (state, *self._predict(image, state.network, write))

    def _predict(self, image: Pixels, state: Any, write: bool = True) -> tuple[Prediction, Any]:
        prediction, state = self._predictor.step(image, state, write=write)
        for name in ('points_camera', 'confidence', 'world_T_camera'):
            if not np.isfinite(getattr(prediction, name)).all():
                raise BadPrediction(f'the network gave {name} that are not finite: image refused')
        return prediction, state


def _view(image: Pixels, prediction: Prediction) -> SegmentView:
    # Copies, because a prediction may be cut out of one large array, which would stay.
    depth, confidence = prediction.points_camera[..., 2].copy(), prediction.confidence.copy()
    return SegmentView(image, depth, confidence, prediction.world_T_camera)
