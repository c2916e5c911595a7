# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The record of a mapping run besides map and path: sample images and statistics."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np

from ttt3r_ros.arrays import Array32, Pixels
from ttt3r_ros.graph.located import LocatedFrame
from ttt3r_ros.intrinsics import CameraIntrinsics

# At most twice as many sample frames are held.
SAMPLES = 8


@dataclass(frozen=True, eq=False)
class Sample:
    """
    An image for the preview.

    index: of the image among the mapped ones. stamp_ns: nanoseconds. rgb: (h, w, 3) uint8.
    depth: (h, w) float32, metres along z. tangent: of half the horizontal field of view.
    """

    index: int
    stamp_ns: int
    rgb: Pixels
    depth: Array32
    tangent: float

    def tangents(self) -> tuple[float, float]:
        """Return the tangents of half the horizontal and half the vertical field of view."""
        height, width = self.depth.shape
        return self.tangent, self.tangent * height / width


class RunRecord:
    """
    Collects the results of frames; it grows with time by two numbers a frame.

    segments: number of segments so far. lost: number of frames whose place in the map is not
    known. samples: evenly spread over all frames. calibrations: each with the stamp of the first
    frame that it holds for, nanoseconds, up to the next one; empty without calibration.
    """

    def __init__(self) -> None:
        """Construct an empty record."""
        self.segments = 0
        self.lost = 0
        self.samples: list[Sample] = []
        self.calibrations: list[tuple[int, CameraIntrinsics]] = []
        self._sample_interval = 1
        self._latencies_s = array('d')
        self._focals_px = array('d')

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._latencies_s)

    def add(
        self,
        located: LocatedFrame,
        latency_s: float,
        calibration: CameraIntrinsics | None = None,
    ) -> None:
        """
        Record one frame.

        :param located: the result of the next frame.
        :param latency_s: its processing time, seconds.
        :param calibration: of its image, where there is one.
        """
        in_force = self.calibrations[-1][1] if self.calibrations else None
        if calibration is not None and calibration != in_force:
            self.calibrations.append((located.stamp_ns, calibration))
        tracked = located.tracked
        self._sample(located)
        self.segments = max(self.segments, tracked.segment + 1)
        self.lost += not located.in_map
        self._latencies_s.append(latency_s)
        self._focals_px.append(tracked.camera.fx)

    def _sample(self, located: LocatedFrame) -> None:
        if len(self) % self._sample_interval:
            return
        pointmap, camera = located.pointmap, located.tracked.camera
        self.samples.append(
            Sample(
                len(self),
                located.tracked.stamp_ns,
                pointmap.colors.copy(),
                pointmap.depth.copy(),
                camera.width / (2 * camera.fx),
            )
        )
        if len(self.samples) == 2 * SAMPLES:
            self.samples = self.samples[::2]
            self._sample_interval *= 2

    def latency_ms(self) -> dict[str, float]:
        """Return percentiles of the latency, milliseconds, of at least one frame."""
        percentiles = np.percentile(self._latencies_s, [50, 90, 99, 100]) * 1e3
        return dict(zip(('p50', 'p90', 'p99', 'max'), percentiles.round(3).tolist()))

    def focal_px(self) -> float:
        """Return the median focal length, pixels of the original images, of at least one frame."""
        return float(np.median(self._focals_px))
