# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The network over time: its recurrent state, which begins again with each segment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import IDENTITY, Similarity
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.model.elsewhere import NetworkLost, StateGone
from ttt3r_ros.settings import TrackingSettings
from ttt3r_ros.tracking.segments import next_segment, Segment, SegmentView


class BadPrediction(UserError):
    """The prediction of the network is not finite."""


class Prediction(Protocol):
    """What a network computes for one image; HostPrediction is one."""

    @property
    def points_camera(self) -> Array32: ...
    @property
    def confidence(self) -> Array32: ...
    @property
    def world_T_camera(self) -> Array: ...
    @property
    def gains(self) -> Array32: ...


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
class NetworkState:
    """
    What the network remembers; immutable.

    recurrent: its state. segment: the current one. views: its last images, newest last, as many as
    the next segment needs. images: written in this segment.
    """

    recurrent: Any
    segment: Segment
    views: tuple[SegmentView, ...] = ()
    images: int = 0


class SegmentedNetwork:
    """Show images to the network; after some of them, a new segment begins with the last ones."""

    def __init__(
        self, predictor: FramePredictor, settings: TrackingSettings, segment_scale: str
    ) -> None:
        """
        Hold no state: it comes with each call.

        :param settings: with the values of the checkpoint.
        :param segment_scale: fixed, free or sure, see `ScaleEstimate.chosen`.
        """
        self._predictor = predictor
        self._interval, self._overlap = settings.reset_interval, settings.overlap_frames
        self._segment_scale = segment_scale

    def initial_state(self) -> NetworkState:
        """Return the state before the first image."""
        return NetworkState(self._predictor.initial_state(), Segment(0, Similarity(IDENTITY)))

    def step(
        self, image: Pixels, state: NetworkState, write: bool
    ) -> tuple[Prediction, NetworkState]:
        """
        Predict an image, in a new segment where one is due or the network has lost the state.

        :param image: (h, w, 3) uint8, fitted.
        :param write: False leaves the state as it is.
        :raises UserError: BadPrediction or NetworkLost.
        """
        if write:
            state = self.in_due_segment(state)
        try:
            prediction, recurrent = self._predict(image, state.recurrent, write)
        except StateGone:
            state = self._in_new_segment(state)
            prediction, recurrent = self._predict(image, state.recurrent, write)
        if not write:
            return prediction, state
        views = (*state.views, _view(image, prediction))[-self._overlap :]
        return prediction, NetworkState(recurrent, state.segment, views, state.images + 1)

    def in_due_segment(self, state: NetworkState) -> NetworkState:
        """Begin the next segment if it is time: its network sees the last images again."""
        if not 0 < self._interval <= state.images:
            return state
        return self._in_new_segment(state)

    def _in_new_segment(self, state: NetworkState) -> NetworkState:
        """Begin a segment, whose network sees the last images again."""
        recurrent, views = self._predictor.initial_state(), []
        if not state.views:  # nothing was written yet
            return replace(state, recurrent=recurrent)
        for old in state.views:
            try:
                prediction, recurrent = self._predict(old.image, recurrent, write=True)
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
        return NetworkState(recurrent, segment, tuple(views))

    def _predict(self, image: Pixels, recurrent: Any, write: bool) -> tuple[Prediction, Any]:
        prediction, recurrent = self._predictor.step(image, recurrent, write=write)
        for name in ('points_camera', 'confidence', 'world_T_camera'):
            if not np.isfinite(getattr(prediction, name)).all():
                raise BadPrediction(f'the network gave {name} that are not finite: image refused')
        return prediction, recurrent


def _view(image: Pixels, prediction: Prediction) -> SegmentView:
    # Copies, because a prediction may be cut out of one large array, which would stay.
    depth, confidence = prediction.points_camera[..., 2].copy(), prediction.confidence.copy()
    return SegmentView(image, depth, confidence, prediction.world_T_camera)
