# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a run of the mapper leaves behind: a path, a map, some samples and some numbers."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.image_formats import Pixels
from ttt3r_ros.mapping.occupancy import OccupancyGrid
from ttt3r_ros.mapping.voxels import VoxelMap
from ttt3r_ros.settings import MappingSettings
from ttt3r_ros.tracking.frame import MappedFrame
from ttt3r_ros.trajectory import Trajectory

# At most twice as many sample frames are held.
SAMPLES = 8


@dataclass(frozen=True, eq=False)
class Sample:
    """One frame for the eye. rgb: (h, w, 3) uint8. depth: (h, w) float32, metres."""

    index: int
    rgb: Pixels
    depth: NDArray[np.float32]


class Recording:
    """
    Collect frames. Only the path grows with time, by 15 numbers a frame.

    voxels: the map. grid: the plan of its floor. segments: how many were begun. samples:
    evenly spread over all frames.
    """

    def __init__(self, settings: MappingSettings) -> None:
        """
        Begin with nothing.

        :param settings: say which points are kept.
        """
        self.voxels = VoxelMap(settings.voxel_size, settings.max_voxels)
        self.grid = OccupancyGrid(settings)
        self.segments = 0
        self.samples: list[Sample] = []
        self._settings = settings
        self._sample_interval = 1
        self._stamps_ns = array('q')
        self._poses = array('d')
        self._latencies_s = array('d')
        self._focals_px = array('d')

    def __len__(self) -> int:
        """Give the number of frames."""
        return len(self._stamps_ns)

    def add(self, frame: MappedFrame, latency_s: float) -> None:
        """
        Take one frame.

        :param frame: the next one.
        :param latency_s: seconds that it took.
        """
        kept = frame.kept(self._settings.confidence_threshold, self._settings.max_range)
        self.voxels.add(frame.points_map()[kept], frame.colors[kept], frame.confidence[kept])
        self.grid.add(frame, kept, floor_T_camera=None)
        self._sample(frame)
        self.segments = max(self.segments, frame.segment + 1)
        self._stamps_ns.append(frame.stamp_ns)
        self._poses.extend(frame.map_T_camera[:3].ravel())
        self._latencies_s.append(latency_s)
        self._focals_px.append(frame.focal_px)

    def _sample(self, frame: MappedFrame) -> None:
        if len(self) % self._sample_interval:
            return
        self.samples.append(
            Sample(len(self), frame.colors.copy(), frame.points_camera[..., 2].copy())
        )
        if len(self.samples) == 2 * SAMPLES:
            self.samples = self.samples[::2]
            self._sample_interval *= 2

    def trajectory(self) -> Trajectory:
        """Give the path so far."""
        poses = np.zeros((len(self), 4, 4))
        poses[:, :3] = np.array(self._poses).reshape(-1, 3, 4)
        poses[:, 3, 3] = 1.0
        return Trajectory(np.array(self._stamps_ns, dtype=np.int64), poses)

    def latency_ms(self) -> dict[str, float]:
        """Give the percentiles of the latency, milliseconds; needs a frame."""
        percentiles = np.percentile(self._latencies_s, [50, 90, 99, 100]) * 1e3
        return dict(zip(('p50', 'p90', 'p99', 'max'), percentiles.round(3).tolist()))

    def focal_px(self) -> float:
        """Give the median focal length, pixels of the original images; needs a frame."""
        return float(np.median(self._focals_px))
