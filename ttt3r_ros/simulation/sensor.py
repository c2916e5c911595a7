# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Faults of an image sensor: exposure, colour, vignetting, blur and noise."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from ttt3r_ros.arrays import Pixels
from ttt3r_ros.simulation.scalar import f32, larger, scalar, smaller
from ttt3r_ros.simulation.tables import record, Records, records
from ttt3r_ros.simulation.textures import clamp01, scrambled

SETTINGS = np.dtype(
    [
        ('gain', np.float32, 3),  # see Sensor
        ('contrast', np.float32),
        ('vignetting', np.float32),
        ('side', np.float32),  # share of a neighbour in a pixel, of the blur along one axis
        ('noise', np.float32),
        ('seed', np.int64),
    ],
    align=True,
)


@dataclass(frozen=True)
class Sensor:
    """
    An imperfect image sensor.

    gain: factor on the grey levels of red, green and blue. contrast: exponent on grey levels,
    1 keeps them. vignetting: share of light lost in the corners. blur: standard deviation of
    the lens blur, pixels, up to about 1. noise: standard deviation, grey levels of 255, in
    mid-grey.
    """

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    contrast: float = 1.0
    vignetting: float = 0.1
    blur: float = 0.4
    noise: float = 2.0

    @classmethod
    def random(cls, rng: np.random.Generator) -> Sensor:
        """Draw a sensor, for training."""
        exposure = math.exp(rng.normal(0.0, 0.18))
        tint = np.exp(rng.normal(0.0, 0.05, 3))
        return cls(
            gain=(exposure * tint[0], exposure * tint[1], exposure * tint[2]),
            contrast=math.exp(rng.normal(0.0, 0.12)),
            vignetting=rng.uniform(0.0, 0.35),
            blur=rng.uniform(0.0, 0.7),
            noise=rng.uniform(0.0, 5.0),
        )

    def capture(self, rgb: Pixels, seed: int = 0) -> Pixels:
        """
        Return images as this sensor captures them.

        :param rgb: (T, H, W, 3) as rendered.
        :param seed: of the noise; equal seeds result in equal noise.
        :returns: (T, H, W, 3).
        """
        taken = np.empty_like(rgb)
        capture_frames(np.ascontiguousarray(rgb), self.settings(seed)[0], taken)
        return taken

    def settings(self, seed: int) -> Records:
        """
        Return the settings that `capture_pixel` takes.

        :param seed: of the noise.
        :returns: one row of SETTINGS.
        """
        side = math.exp(-0.5 / max(self.blur, 1e-3) ** 2)
        row = record(
            SETTINGS,
            gain=self.gain,
            contrast=self.contrast,
            vignetting=self.vignetting,
            side=side / (1 + 2 * side),
            noise=self.noise,
            seed=seed,
        )
        return records(SETTINGS, [row])


@scalar
def noise_of_pixel(seed: int, frame: int, place: int) -> float:
    """Return a random number of about normal distribution, mean 0, standard deviation 1."""
    bits = scrambled(place, frame, seed)
    # The sum of four uniform numbers of six bits has variance 4 (64^2 - 1) / 12.
    total = (bits & 63) + ((bits >> 6) & 63) + ((bits >> 12) & 63) + (bits >> 18)
    return (f32(total) - f32(126.0)) * f32(1.0 / 36.95)


@scalar
def capture_pixel(
    rgb: Pixels,
    settings: np.record,
    frame: int,
    row: int,
    column: int,
    channel: int,
) -> int:
    """
    Return one value of the captured image, 0 to 255.

    :param rgb: (T, H, W, 3) uint8, as rendered.
    """
    height, width = rgb.shape[1], rgb.shape[2]
    side = settings.side
    if side > f32(1e-3):
        level = f32(0.0)
        for i in range(-1, 2):
            other = smaller(larger(row + i, 0), height - 1)
            share = side if i != 0 else f32(1.0) - f32(2.0) * side
            left = f32(rgb[frame, other, larger(column - 1, 0), channel])
            right = f32(rgb[frame, other, smaller(column + 1, width - 1), channel])
            here = f32(rgb[frame, other, column, channel])
            level += share * (side * (left + right) + (f32(1.0) - f32(2.0) * side) * here)
    else:
        level = f32(rgb[frame, row, column, channel])
    x = f32(2.0) * f32(column) / f32(width) - f32(1.0)
    y = f32(2.0) * f32(row) / f32(height) - f32(1.0)
    level *= settings.gain[channel] * (f32(1.0) - settings.vignetting * f32(0.5) * (x * x + y * y))
    level = clamp01(level * f32(1.0 / 255.0))
    if settings.contrast != f32(1.0):
        level = level**settings.contrast
    # Shot noise grows with the light: more in the bright parts, some in the dark ones.
    strength: float = settings.noise * (f32(0.6) + f32(0.8) * level)
    place = (row * width + column) * 3 + channel
    level = f32(255.0) * level + strength * noise_of_pixel(int(settings.seed), frame, place)
    return int(smaller(larger(level + f32(0.5), f32(0.0)), f32(255.0)))


@scalar
def capture_frames(rgb: Pixels, settings: np.record, taken: Pixels) -> None:
    """Fill `taken` from `rgb`, both (T, H, W, 3)."""
    for frame in range(rgb.shape[0]):
        for row in range(rgb.shape[1]):
            for column in range(rgb.shape[2]):
                for channel in range(3):
                    taken[frame, row, column, channel] = capture_pixel(
                        rgb, settings, frame, row, column, channel
                    )
