# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Whether the camera is mounted as TF has it: wheels and images must move it the same way."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import motion_between
from ttt3r_ros.graph.solver.rotations import log_pose
from ttt3r_ros.tracking.tracked_pose import KeyView

# From key frame to key frame: shorter motions and turns do not show their direction.
LEAST_WAY_M, LEAST_TURN_RAD = 0.1, np.radians(6.0)
REMEMBERED, LEAST_SEEN = 15, 5
# A median beyond this is no error of wheels or images; a wrong mount mostly gives 90 or 180.
MOST_APART_DEG = 45.0
# Networks err in their unit, wheels in their radius, but not by more than this factor.
MOST_FACTOR = 3.0


class MountCheck:
    """Compare the directions of motion of the last key frames, by wheels and by images."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._ways: deque[float] = deque(maxlen=REMEMBERED)
        self._turns: deque[float] = deque(maxlen=REMEMBERED)
        self._factors: deque[float] = deque(maxlen=REMEMBERED)
        self._before: KeyView | None = None

    def check(self, key: KeyView) -> KeyView:
        """
        Compare the motion to a key frame with that of the wheels.

        :param key: the next one of the camera.
        :returns: the key frame; without wheels while they are in doubt.
        """
        before, self._before = self._before, key
        if before is not None and before.track == key.track and key.motion is not None:
            by_wheels = motion_between(before.view.odom_T_camera, key.view.odom_T_camera)
            mounted = key.view.base_T_camera is not None
            if by_wheels is not None and key.by == 'features':
                self.add_length(key.motion.key_T_camera, by_wheels)
                if mounted and not key.slipped:
                    self.add(key.motion.key_T_camera, by_wheels)
        return replace(key, slipped=True) if self.doubt else key

    def add_length(self, by_images: Array, by_wheels: Array) -> None:
        """
        Add how far the camera moved, whether the wheels are believed or not.

        :param by_images: (4, 4), in the unit of the network.
        :param by_wheels: (4, 4), metres.
        """
        seen, driven = (float(np.linalg.norm(pose[:3, 3])) for pose in (by_images, by_wheels))
        if seen > LEAST_WAY_M:
            self._factors.append(driven / seen)

    def add(self, by_images: Array, by_wheels: Array) -> None:
        """
        Add one motion of the camera.

        :param by_images: (4, 4); its unit does not matter.
        :param by_wheels: (4, 4), metres, by the odometry and the mount in TF.
        """
        seen, driven = log_pose(by_images), log_pose(by_wheels)
        turn = min(np.linalg.norm(seen[:3]), np.linalg.norm(driven[:3]))
        if turn > LEAST_TURN_RAD:
            self._turns.append(_apart(seen[:3], driven[:3]))
        elif min(np.linalg.norm(seen[3:]), np.linalg.norm(driven[3:])) > LEAST_WAY_M:
            self._ways.append(_apart(seen[3:], driven[3:]))

    @property
    def unit_doubt(self) -> str:
        """Return that wheels and images differ in their unit, in one sentence; empty: do not."""
        factor = float(np.median(self._factors)) if len(self._factors) >= LEAST_SEEN else 1.0
        if 1 / MOST_FACTOR <= factor <= MOST_FACTOR:
            return ''
        return (
            f'the odometry moves {factor:.2g} times as far as the images show, which is more than '
            f'{MOST_FACTOR:g} times apart: is it in metres, do the wheels slip or stand still?'
        )

    @property
    def doubt(self) -> str:
        """Return what is wrong with the mount in one sentence; empty while nothing is."""
        way, turn = (_median(angles) for angles in (self._ways, self._turns))
        if max(way, turn) < MOST_APART_DEG:
            return ''
        wrong = [
            f'{what} {angle:.0f} degrees from where the odometry and TF have it'
            for what, angle in (('drives', way), ('turns about an axis', turn))
            if angle >= MOST_APART_DEG
        ]
        return (
            f'the camera {" and ".join(wrong)}: is its pose on the robot in TF wrong, does the '
            'camera hang upside down (TF must have it so; the parameter camera.rotation turns its '
            'pictures), or is frame_id not an optical frame (z ahead)? The odometry is not used'
        )


def _median(angles: deque[float]) -> float:
    return float(np.median(angles)) if len(angles) >= LEAST_SEEN else 0.0


def _apart(a: Array, b: Array) -> float:
    cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
