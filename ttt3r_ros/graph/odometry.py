# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The scale of the map against an odometry that knows the metre, wheels for example."""

from __future__ import annotations

from collections import deque
import math

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert
from ttt3r_ros.tracking.scale import (
    ScaleEstimate,
    SIGMA_OF_MEDIAN,
    SMALLEST_SPREAD,
    weighted_median,
)

STEP_M = 0.25  # by the odometry; shorter ways drown in the noise of a pose
REMEMBERED_STEPS = 40
LEAST_STEPS = 16  # four metres, before anything is said

# What a network gets wrong it gets wrong for about a metre: so many steps are one observation.
STEPS_OF_ONE_ERROR = 4

# A step against which the map moves backwards, or hardly at all, counts as this much too short.
MOST_LOG_RATIO = math.log(10.0)


class OdometryScale:
    """
    Compare the last ten metres of an odometry with the same paths in the map.

    Only paths of a few decimetres are compared, each in the frame of its start, so neither drift
    nor a rotation between the frames matters.
    """

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._log_ratios: deque[float] = deque(maxlen=REMEMBERED_STEPS)
        self._begin: tuple[Array, Array] | None = None

    def add(self, map_T_base: Array, odom_T_base: Array) -> None:
        """
        Add the next pose.

        :param map_T_base: (4, 4), metres of the map.
        :param odom_T_base: (4, 4), at the same time, metres.
        """
        if self._begin is None:
            self._begin = map_T_base, odom_T_base
        begin_map, begin_odom = self._begin
        way = (invert(begin_odom) @ odom_T_base)[:3, 3]
        length = float(np.linalg.norm(way))
        if length < STEP_M:
            return
        # The part of the map's way that goes along: noise across it makes no way longer.
        along = float((invert(begin_map) @ map_T_base)[:3, 3] @ way) / length
        shortest = length * math.exp(-MOST_LOG_RATIO)
        self._log_ratios.append(math.log(length / max(along, shortest)))
        self._begin = map_T_base, odom_T_base

    def interrupt(self) -> None:
        """Leave out the path to the next pose: one of the two is about to jump."""
        self._begin = None

    def rescale(self, factor: float) -> None:
        """
        Apply a new unit of length of the map.

        :param factor: by which its lengths are multiplied.
        """
        self._log_ratios = deque(
            (ratio - math.log(factor) for ratio in self._log_ratios), maxlen=REMEMBERED_STEPS
        )
        self.interrupt()

    def estimate(self) -> ScaleEstimate:
        """
        Estimate the factor from lengths of the map to those of the odometry.

        It is the median, so a wheel that slips for a while, or a step that the network lost,
        does not count.
        """
        if len(self._log_ratios) < LEAST_STEPS:
            return ScaleEstimate(0.0, math.inf)
        ratios, ones = np.array(self._log_ratios), np.ones(len(self._log_ratios))
        median = float(np.median(ratios))
        spread = max(
            SIGMA_OF_MEDIAN * weighted_median(np.abs(ratios - median), ones), SMALLEST_SPREAD
        )
        return ScaleEstimate(median, spread / math.sqrt(len(ratios) / STEPS_OF_ONE_ERROR))
