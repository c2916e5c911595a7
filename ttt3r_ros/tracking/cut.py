# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Whether an image shows another place than the one before: a cut, or a camera carried away."""

from __future__ import annotations

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import rotation_angle
from ttt3r_ros.tracking.features import resemblance, Tracks
from ttt3r_ros.tracking.tracked_pose import CONTINUOUS, FollowState

# In a film, two images that both have so many features resemble each other so much, however fast
# the camera turns; unless it was carried away.
RICH, LEAST_RESEMBLANCE = 60, 0.4

# Wheels that have moved by more than this explain a change of the view.
DRIVEN_M, DRIVEN_RAD = 0.5, np.radians(20.0)


def is_cut(wheels: Array | None, fresh: Tracks, state: FollowState) -> bool:
    """
    Decide whether an image whose features are lost has nothing to do with the one before.

    :param wheels: (4, 4) metres, by the wheels since the image before, of the camera; or None.
    :param fresh: the features that it could begin with.
    :param state: after the image before.
    """
    if wheels is not None:
        far = np.linalg.norm(wheels[:3, 3]) > DRIVEN_M
        if far or rotation_angle(wheels[:3, :3]) > DRIVEN_RAD:
            return False  # the robot has driven on since
    old = state.tracks
    rich = min(len(old), len(fresh)) >= RICH
    return (
        rich
        and state.continuous >= CONTINUOUS
        and resemblance(old.gray, fresh.gray) < LEAST_RESEMBLANCE
    )
