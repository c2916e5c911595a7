# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The results of a measurement, as tables and as JSON values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ttt3r_ros.bench.tables import Table
from ttt3r_ros.bench.timed_predictor import STAGES, WHOLE

DECODE, MAPPER, VOXELS, MESSAGE, FRAME = 'decode', 'mapper', 'voxel map', 'message', 'frame'
AROUND = (DECODE, MAPPER, VOXELS, MESSAGE)
ORDER = (DECODE, MAPPER, *STAGES, VOXELS, MESSAGE)
MEANING = {
    DECODE: 'decode (JPEG)',
    MAPPER: 'mapper (resize, checks, focal length)',
    MESSAGE: 'message (PointCloud2)',
    WHOLE: 'network, upload to download, as in the node',
    FRAME: 'whole frame',
}


@dataclass(frozen=True)
class Spread:
    """Median and 99th percentile, milliseconds."""

    median: float
    p99: float

    @classmethod
    def of(cls, milliseconds: list[float]) -> Spread:
        """Return the summary of at least one number."""
        return cls(*np.percentile(milliseconds, [50, 99]).tolist())


@dataclass(frozen=True)
class Cost:
    """
    Time and memory at a frame of the run.

    network_ms, frame_ms: medians of up to 100 frames before it. voxels: of the map.
    resident_mb: of the process. device_mb: allocated on the device, or None.
    """

    frame: int
    network_ms: float
    frame_ms: float
    voxels: int
    resident_mb: float
    device_mb: float | None


@dataclass(frozen=True)
class Fork:
    """
    Alternating steps from an early and from a late state.

    steps: number from each state. frames: number before each state. milliseconds: medians.
    """

    steps: int
    frames: tuple[int, int]
    milliseconds: tuple[float, float]

    @property
    def ratio(self) -> float:
        """Return the time from the late state over that from the early state."""
        return self.milliseconds[1] / self.milliseconds[0]


@dataclass(frozen=True)
class Memory:
    """Mebibytes of the process before the network was loaded, and the peak; same for CUDA."""

    before_mb: float
    peak_mb: float
    device_peak_mb: float | None

    @property
    def growth_mb(self) -> float:
        """Return the memory that network and mapping added to the process."""
        return self.peak_mb - self.before_mb


@dataclass(frozen=True)
class Measured:
    """
    The results of one run.

    stages: by stage, WHOLE and FRAME included. gflop: of one step of the network. peak_gflops:
    of a matrix product in the network's precision, in the same run.
    """

    frames: int
    resolution: tuple[int, int]
    network_resolution: tuple[int, int]
    segments_of: int
    stages: dict[str, Spread]
    frames_per_s: float
    gflop: float
    peak_gflops: float
    memory: Memory
    costs: list[Cost]
    fork: Fork | None

    @property
    def part_of_peak(self) -> float:
        """Return the rate of the network over that of the matrix product."""
        return self.gflop / self.stages[WHOLE].median * 1e3 / self.peak_gflops

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON values."""
        record = asdict(self) | {'part_of_peak': self.part_of_peak}
        record['memory']['growth_mb'] = self.memory.growth_mb
        if self.fork:
            record['fork']['ratio'] = self.fork.ratio
        return record

    def tables(self, what: str) -> list[Table]:
        """
        Return the results as tables.

        :param what: the network, for the captions.
        """
        return [self._stage_table(what), self._totals(), self._cost_table()]

    def _stage_table(self, what: str) -> Table:
        order = [name for name in (*ORDER, WHOLE, FRAME) if name in self.stages]
        whole = self.stages[FRAME].median
        rows = [
            [
                MEANING.get(name, name),
                f'{self.stages[name].median:.2f}',
                f'{self.stages[name].p99:.2f}',
                f'{self.stages[name].median / whole:.0%}',
            ]
            for name in order
        ]
        size, inside = ('x'.join(map(str, s)) for s in (self.resolution, self.network_resolution))
        caption = f'{what}: images of {size}, {inside} in the network, {self.frames} frames'
        return Table(caption, ['stage', 'median [ms]', 'p99 [ms]', 'of the frame'], rows)

    def _totals(self) -> Table:
        memory = self.memory
        rows = [
            ['frames a second', f'{self.frames_per_s:.1f}'],
            ['GFLOP a step of the network', f'{self.gflop:.3g}'],
            ['GFLOP/s of the network', f'{self.gflop / self.stages[WHOLE].median * 1e3:.3g}'],
            ['GFLOP/s of a matrix product here', f'{self.peak_gflops:.3g}'],
            ['part of that peak', f'{self.part_of_peak:.1%}'],
            ['memory before the network [MB]', f'{memory.before_mb:.0f}'],
            ['peak memory while mapping [MB]', f'{memory.peak_mb:.0f}'],
            ['growth by network and map [MB]', f'{memory.growth_mb:.0f}'],
        ]
        if memory.device_peak_mb is not None:
            rows.append(['peak device memory [MB]', f'{memory.device_peak_mb:.0f}'])
        often = f'segments of {self.segments_of}' if self.segments_of else 'one segment'
        return Table(f'Totals, {often}', ['', 'measured'], rows)

    def _cost_table(self) -> Table:
        head = ['at frame', 'network [ms]', 'whole frame [ms]', 'voxels', 'memory [MB]']
        rows = [
            [
                str(cost.frame),
                f'{cost.network_ms:.2f}',
                f'{cost.frame_ms:.2f}',
                str(cost.voxels),
                f'{cost.resident_mb:.0f}'
                + ('' if cost.device_mb is None else f' + {cost.device_mb:.0f} on the device'),
            ]
            for cost in self.costs
        ]
        caption = 'Cost along the run, medians'
        if self.fork:
            young, old = self.fork.frames
            caption += (
                f'; from the state after {old} frames a step takes {self.fork.ratio:.3f} times as '
                f'long as from that after {young} ({self.fork.steps} of each, in turns)'
            )
        return Table(caption, head, rows)
