# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One image and a recurrent state in, points, a pose and a new state out."""

from ttt3r_ros.model.architecture import Architecture
from ttt3r_ros.model.network import FramePrediction, Network, Outputs
from ttt3r_ros.model.state import RecurrentState
from ttt3r_ros.model.state_update import update_rule

__all__ = [
    'Architecture',
    'FramePrediction',
    'Network',
    'Outputs',
    'RecurrentState',
    'update_rule',
]
