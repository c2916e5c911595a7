# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is measured between key frames, and what is estimated from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
import struct

import numpy as np
from scipy.spatial.transform import Rotation

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import transform

SIZE = 7  # unknowns of a key frame: rotation, translation, log scale


@dataclass(frozen=True, eq=False)
class Motion:
    """
    A measured pose of one key frame as seen from another.

    here, there: their numbers. here_T_there: (4, 4). covariance: (6, 6) of rotation and
    translation, to its right. scaled: whether its translation is in the unit of here's depth
    (1) or metres (0). kernel: width of the Cauchy kernel, sigmas; inf trusts it as it is. arm:
    (3,) metres, added to the translation whatever its unit, along the axes of here.
    """

    here: int
    there: int
    here_T_there: Array
    covariance: Array
    scaled: float = 1.0
    kernel: float = 3.0
    arm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @cached_property
    def row(self) -> bytes:
        """
        Return all but the numbers, 57 float64; the covariance as its inverse Cholesky factor.

        Bytes are joined in a third of the time of arrays.
        """
        whitening = np.linalg.inv(np.linalg.cholesky(self.covariance))
        return np.concatenate(
            [self.here_T_there.ravel(), whitening.ravel(), [self.scaled, self.kernel, *self.arm]]
        ).tobytes()

    def renumbered(self, by: int) -> Motion:
        """
        Return the same between key frames with other numbers.

        :param by: what is added to them.
        """
        return replace(self, here=self.here + by, there=self.there + by)


@dataclass(frozen=True)
class ScaleStep:
    """A measured log scale of there's depth minus that of here's, with its sigma and kernel."""

    here: int
    there: int
    log_ratio: float
    sigma: float
    kernel: float = 2.0

    @cached_property
    def row(self) -> bytes:
        """Return all but the numbers, 3 float64."""
        return struct.pack('3d', self.log_ratio, self.sigma, self.kernel)

    def renumbered(self, by: int) -> ScaleStep:
        """
        Return the same between key frames with other numbers.

        :param by: what is added to them.
        """
        return replace(self, here=self.here + by, there=self.there + by)


@dataclass(frozen=True)
class ScaleFix:
    """A measured log scale of a key frame's depth, with its sigma and kernel."""

    here: int
    log_scale: float
    sigma: float
    kernel: float = 2.0

    @cached_property
    def row(self) -> bytes:
        """Return all but the number, 3 float64."""
        return struct.pack('3d', self.log_scale, self.sigma, self.kernel)


@dataclass(frozen=True, eq=False)
class Estimate:
    """
    Estimated poses and scales.

    poses: (K, 4, 4) map_T_camera. log_scales: (K,).
    """

    poses: Array
    log_scales: Array

    def moved(self, step: Array) -> Estimate:
        """
        Return the estimate after a step.

        :param step: (K, 7), rotation and translation to the right of the poses, log scale.
        """
        turn = self.poses[:, :3, :3]
        rotation = turn @ Rotation.from_rotvec(step[:, :3]).as_matrix()
        position = self.poses[:, :3, 3] + np.einsum('nij,nj->ni', turn, step[:, 3:6])
        return Estimate(transform(rotation, position), self.log_scales + step[:, 6])
