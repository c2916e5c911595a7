# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How much of the state each image rewrote, as a file and as a picture."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import IO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array32, Pixels
from ttt3r_ros.graph.located import LocatedFrame
from ttt3r_ros.units import NANOSECONDS

# At most twice as many images are drawn over; of so many numbers at most the tokens are kept.
SAMPLES = 6
MOST_NUMBERS = 50_000_000


@dataclass(frozen=True, eq=False)
class MatchSample:
    """
    An image with the match of its patches.

    seconds: since the first image. rgb: (h, w, 3) uint8. match: (rows, columns) float32 in [0, 1].
    """

    seconds: float
    rgb: Pixels
    match: Array32


class GateRecord:
    """Collects the gain of each state token at each image, as long as there is room for them."""

    def __init__(self) -> None:
        """Construct an empty record."""
        self.samples: list[MatchSample] = []
        self._sample_interval = 1
        self._stamps = array('q')
        self._means = array('d')
        self._segments = array('l')
        self._gains: list[NDArray[np.float16]] = []

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._stamps)

    def add(self, located: LocatedFrame) -> None:
        """Record one image."""
        tracked = located.tracked
        self._stamps.append(tracked.stamp_ns)
        self._means.append(tracked.gain_mean)
        self._segments.append(tracked.segment)
        gains = np.asarray(tracked.gains, np.float16)
        if len(self._gains) == len(self) - 1 and len(self) * gains.size <= MOST_NUMBERS:
            self._gains.append(gains)

    @property
    def is_sample(self) -> bool:
        """Return whether the next image is one of those that are drawn over."""
        return len(self) % self._sample_interval == 0

    def add_sample(self, located: LocatedFrame, match: Array32) -> None:
        """
        Record the match of an image that has been added.

        :param match: (rows, columns) in [0, 1], of its patches.
        """
        seconds = (located.tracked.stamp_ns - self._stamps[0]) / NANOSECONDS
        self.samples.append(MatchSample(seconds, located.tracked.view.image.copy(), match))
        if len(self.samples) == 2 * SAMPLES:
            self.samples = self.samples[::2]
            self._sample_interval *= 2

    def write(self, file: IO[bytes], rule: str) -> None:
        """
        Write a NumPy archive.

        stamps_ns: (T,) int64. mean: (T,) float64. segment: (T,) int. gains: (K, S) float16 of the
        first K images. update_rule: name.

        :param file: open for binary writing.
        :param rule: of the state.
        """
        gains = np.stack(self._gains) if self._gains else np.empty((0, 0), np.float16)
        np.savez_compressed(
            file,
            stamps_ns=np.array(self._stamps, np.int64),
            mean=np.array(self._means),
            segment=np.array(self._segments, np.int64),
            gains=gains,
            update_rule=rule,
        )

    def draw(self, file: IO[bytes], title: str) -> None:
        """
        Draw the gain over time, each state token over time, and the match over some images.

        :param file: open for binary writing; gets a PNG.
        :param title: one line.
        """
        figure = Figure(figsize=(12, 7.6), dpi=100, layout='constrained')
        FigureCanvasAgg(figure)
        figure.suptitle(title.encode(errors='replace').decode(), fontsize=11, parse_math=False)
        parts = figure.subfigures(2, 1, height_ratios=[2, 1], squeeze=False)
        over_time, over_images = parts[:, 0]
        self._draw_time(over_time)
        chosen = np.linspace(0, len(self.samples) - 1, min(SAMPLES, len(self.samples)))
        shown = [self.samples[number] for number in chosen.round().astype(int)]
        for axes, sample in zip(over_images.subplots(1, SAMPLES, squeeze=False)[0], shown):
            height, width = sample.rgb.shape[:2]
            extent = 0, width, height, 0
            axes.imshow(sample.rgb, extent=extent)
            drawn = axes.imshow(
                sample.match, cmap='magma', alpha=0.55, vmin=0, vmax=1, extent=extent
            )
            axes.set_title(f'{sample.seconds:.1f} s', fontsize=9)
        for axes in over_images.axes:
            axes.set_axis_off()
        if shown:
            over_images.colorbar(
                drawn, ax=over_images.axes, label='match of patch and state', shrink=0.7
            )
        figure.savefig(file, format='png')

    def _draw_time(self, figure: FigureBase) -> None:
        seconds = (np.array(self._stamps) - self._stamps[0]) / NANOSECONDS
        line, heat = figure.subplots(2, 1, sharex=True)
        gains = np.array([gain.astype(np.float32) for gain in self._gains])
        kept = len(gains)
        line.plot(seconds, self._means, color='#0072b2', lw=1.4, label='mean of the state tokens')
        if kept:
            low, high = np.percentile(gains, [10, 90], axis=1)
            line.fill_between(
                seconds[:kept], low, high, color='#0072b2', alpha=0.2, lw=0, label='80 % of them'
            )
            order = np.argsort(gains.mean(axis=0))
            heat.pcolormesh(
                seconds[:kept],
                np.arange(len(order)),
                gains[:, order].T,
                cmap='magma',
                vmin=0,
                vmax=1,
                shading='nearest',
                rasterized=True,
            )
        begins = seconds[1:][np.diff(np.array(self._segments)) > 0]
        line.vlines(begins, 0, 1, color='#999', lw=0.5, label='a segment begins')
        line.set(ylabel='gain', ylim=(0, 1))
        line.legend(loc='upper right', fontsize=8, frameon=False)
        line.set_title('0: the image leaves the state as it is, 1: replaces it', fontsize=9)
        heat.set(xlabel='time [s]', ylabel='state token, sorted')
        heat.set_title('gain of each of them: black 0, pale 1', fontsize=9)
