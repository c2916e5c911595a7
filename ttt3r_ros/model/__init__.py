# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The network: predicts points and pose of an image, and updates the recurrent state."""

from ttt3r_ros.model.architecture import Architecture
from ttt3r_ros.model.network import FramePrediction, HeadSelection, Network
from ttt3r_ros.model.state import RecurrentState
from ttt3r_ros.model.state_update import update_rule

__all__ = [
    'Architecture',
    'FramePrediction',
    'HeadSelection',
    'Network',
    'RecurrentState',
    'update_rule',
]
