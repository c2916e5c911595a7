# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""From images to poses and points: the whole data path."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import Array, BODY_T_OPTICAL, invert
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.model.image_input import check_image, ImageFit
from ttt3r_ros.model.resize import Pixels
from ttt3r_ros.settings import MappingSettings
from ttt3r_ros.tracking.focal import estimate_focal
from ttt3r_ros.tracking.frame import MappedFrame
from ttt3r_ros.tracking.segments import next_segment, scaled, Segment, View
from ttt3r_ros.tracking.undistort import lens_of


class BadStamp(UserError):
    """The time of an image does not lie after that of the image before."""


class BadPrediction(UserError):
    """The network gave numbers that are not finite."""


class Prediction(Protocol):
    """What a network says about one image; HostPrediction is one."""

    @property
    def points_camera(self) -> NDArray[np.float32]: ...
    @property
    def confidence(self) -> NDArray[np.float32]: ...
    @property
    def world_T_camera(self) -> Array: ...
    @property
    def gain_mean(self) -> float: ...
    @property
    def gain_min(self) -> float: ...
    @property
    def gain_max(self) -> float: ...


class FramePredictor(Protocol):
    """A network with its device and rule; its state is a value that is never changed."""

    @property
    def image_size(self) -> int: ...
    @property
    def patch(self) -> int: ...
    @property
    def square_crop(self) -> bool: ...
    @property
    def checkpoint_name(self) -> str: ...
    @property
    def checkpoint_sha256(self) -> str: ...
    @property
    def checkpoint_note(self) -> str: ...
    def resize(self, rgb: Pixels, size: tuple[int, int], /) -> Pixels: ...
    def initial_state(self) -> Any: ...
    def step(
        self, rgb_fitted: Pixels, state: Any, /, write: bool = True
    ) -> tuple[Prediction, Any]: ...


@dataclass(frozen=True, eq=False)
class MapperSnapshot:
    """
    Everything that the mapper remembers from frame to frame; a value.

    state: of the network. segment: the current one. views: its last images, newest last, as
    many as the next segment needs. frames, segment_frames: images mapped since the reset and
    in this segment. segment_ends: whether the next image begins a new one. last_stamp_ns: of
    the newest image, or None.
    """

    state: Any
    segment: Segment
    views: tuple[View, ...] = ()
    frames: int = 0
    segment_frames: int = 0
    segment_ends: bool = False
    last_stamp_ns: int | None = None


class OnlineMapper:
    """
    Map one image after the other, in constant memory.

    A frame that is refused, for whatever reason, leaves no trace.
    """

    def __init__(
        self,
        predictor: FramePredictor,
        settings: MappingSettings,
        map_T_world: Array = BODY_T_OPTICAL,
    ) -> None:
        """
        Begin with an empty memory.

        :param predictor: the network.
        :param settings: of the room.
        :param map_T_world: (4, 4), where the first camera stands in the map.
        """
        self._predictor = predictor
        self._settings = settings
        self._map_T_world = map_T_world
        self._memory: MapperSnapshot
        self.reset()

    @property
    def network_name(self) -> str:
        """Give the hash of the network's weights, or their name where there is no file."""
        return self._predictor.checkpoint_sha256 or self._predictor.checkpoint_name

    @property
    def checkpoint_name(self) -> str:
        """Name the network's weights."""
        return self._predictor.checkpoint_name

    @property
    def checkpoint_note(self) -> str:
        """Give what the maker of the weights wants every user to know, mostly nothing."""
        return self._predictor.checkpoint_note

    def add_frame(
        self,
        rgb: Pixels,
        stamp_ns: int,
        intrinsics: CameraIntrinsics | None = None,
        *,
        write: bool = True,
    ) -> MappedFrame:
        """
        Map one image.

        :param rgb: (H, W, 3) uint8; the size may change from image to image.
        :param stamp_ns: when it was taken, nanoseconds; must increase.
        :param intrinsics: of this image, where they are known: it is undistorted, and the
            points lie on the true rays.
        :param write: False only looks where the camera is: the network's state stays as it is,
            and no segment begins.
        :raises UserError: BadImage, BadStamp, CalibrationError or BadPrediction.
        """
        check_image(rgb)
        self._check_stamp(stamp_ns)
        height, width = rgb.shape[:2]
        fit = self.fit(width, height)
        lens = lens_of(intrinsics, fit) if intrinsics else None
        image = fit.apply(lens.undistort(rgb) if lens else rgb, self._predictor.resize)

        memory = self._in_due_segment(self._memory) if write else self._memory
        prediction, state = self._predict(image, memory.state, write)
        points, confidence = prediction.points_camera, prediction.confidence
        if lens:
            points, confidence = lens.rebuild(points, confidence)
        segment = memory.segment
        frame = MappedFrame(
            index=memory.frames,
            stamp_ns=stamp_ns,
            segment=segment.number,
            scale=segment.scale,
            map_T_camera=segment.map_T_camera(prediction.world_T_camera),
            points_camera=points * np.float32(segment.scale),
            confidence=confidence,
            colors=image,
            focal_px=intrinsics.fx if intrinsics else estimate_focal(points) * fit.scale,
            gain_mean=prediction.gain_mean,
            gain_min=prediction.gain_min,
            gain_max=prediction.gain_max,
        )
        self._memory = replace(
            memory,
            state=state,
            views=(*memory.views, _view(image, prediction))[-self._settings.overlap_frames :],
            frames=memory.frames + 1,
            segment_frames=memory.segment_frames + 1,
            last_stamp_ns=stamp_ns,
        )
        return frame

    def fit(self, width: int, height: int) -> ImageFit:
        """
        Say how images of a size are resized and cropped.

        :param width: pixels.
        :param height: pixels.
        :raises BadImage: when no image of this size can be used.
        """
        network = self._predictor
        return ImageFit.for_image(
            width, height, network.image_size, network.patch, network.square_crop
        )

    def reset(self) -> None:
        """Forget everything; the next image is the first one again."""
        self._memory = MapperSnapshot(
            self._predictor.initial_state(), Segment(0, self._map_T_world)
        )

    def start_segment(self) -> None:
        """Let the next image begin a new segment, joined to this one."""
        self._memory = replace(self._memory, segment_ends=self._memory.segment_frames > 0)

    def begin_due_segment(self) -> None:
        """Begin a segment that is due now, so that the next image does not wait for it."""
        self._memory = self._in_due_segment(self._memory)

    def place_camera(self, map_T_camera: Array) -> None:
        """
        Move the current segment so that its newest camera stands elsewhere in the map.

        Without an image in this segment it is the place of its first camera's world.

        :param map_T_camera: (4, 4).
        """
        memory, segment = self._memory, self._memory.segment
        world_T_camera = memory.views[-1].world_T_camera if memory.views else np.eye(4)
        camera_T_world = invert(scaled(world_T_camera, segment.scale))
        self._memory = replace(
            memory, segment=replace(segment, map_T_world=map_T_camera @ camera_T_world)
        )

    def rescale(self, factor: float) -> None:
        """
        Multiply all lengths from now on; the newest camera stays where it is in the map.

        :param factor: above 0.
        """
        segment = self._memory.segment
        camera = self._memory.views[-1].world_T_camera if self._memory.views else np.eye(4)
        map_T_camera = segment.map_T_camera(camera)
        larger = replace(segment, scale=factor * segment.scale)
        self._memory = replace(self._memory, segment=larger)
        self.place_camera(map_T_camera)

    def snapshot(self) -> MapperSnapshot:
        """Give everything that is remembered now."""
        return self._memory

    def restore(self, snapshot: MapperSnapshot) -> None:
        """
        Go back: all that follows is as if it came right after the snapshot.

        :param snapshot: of this mapper, or of another one with the same network.
        """
        self._memory = snapshot

    def _check_stamp(self, stamp_ns: int) -> None:
        last = self._memory.last_stamp_ns
        if last is not None and stamp_ns <= last:
            raise BadStamp(
                f'an image of {stamp_ns} ns came after one of {last} ns: stamps must increase; '
                'reset the mapper when time jumps back'
            )

    def _in_due_segment(self, memory: MapperSnapshot) -> MapperSnapshot:
        """Begin the next segment if it is time: its network sees the last images again."""
        interval = self._settings.reset_interval
        if not (memory.segment_ends or 0 < interval <= memory.segment_frames):
            return memory
        state, views = self._predictor.initial_state(), []
        for old in memory.views:
            try:
                prediction, state = self._predict(old.image, state)
            except BadPrediction:
                # The old segment goes on; the next frame offers another image to begin with.
                return memory
            views.append(_view(old.image, prediction))
        segment = next_segment(
            memory.segment,
            memory.views,
            views,
            self._settings.segment_scale,
            self._predictor.patch**2,
        )
        return replace(
            memory,
            state=state,
            segment=segment,
            views=tuple(views),
            segment_frames=0,
            segment_ends=False,
        )

    def _predict(self, image: Pixels, state: Any, write: bool = True) -> tuple[Prediction, Any]:
        prediction, state = self._predictor.step(image, state, write=write)
        for name in ('points_camera', 'confidence', 'world_T_camera'):
            if not np.isfinite(getattr(prediction, name)).all():
                raise BadPrediction(f'the network gave {name} that are not finite: frame refused')
        return prediction, state


def _view(image: Pixels, prediction: Prediction) -> View:
    # Copies, because a prediction may be cut out of one large array, which would stay.
    depth, confidence = prediction.points_camera[..., 2].copy(), prediction.confidence.copy()
    return View(image, depth, confidence, prediction.world_T_camera)
