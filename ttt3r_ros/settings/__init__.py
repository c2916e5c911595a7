# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Every setting of the program, declared once: default, description, unit, range.

declaration.py: what a setting is. The other modules: one for each part of the program.
"""

from ttt3r_ros.settings.declaration import (
    changed,
    Checked,
    knob,
    knobs,
    like,
    named,
    own_knob,
    own_knobs,
    rooms,
    SettingsError,
    values,
    why_refused,
)
from ttt3r_ros.settings.mapping import (
    AS_PUBLISHED,
    CameraSettings,
    MappingSettings,
    MapSettings,
    OccupancySettings,
    OdometrySettings,
    TrackingSettings,
)
from ttt3r_ros.settings.model import (
    ModelSettings,
)
from ttt3r_ros.settings.node import (
    DiagnosticsSettings,
    InputSettings,
    NodeSettings,
    OutputSettings,
    TransformSettings,
)
from ttt3r_ros.settings.players import (
    PlayerSettings,
    RecorderSettings,
    ReplaySettings,
    ViewerSettings,
)
from ttt3r_ros.settings.simulation import (
    DrivenRobotSettings,
    DriveSettings,
    RobotSettings,
    SimulationSettings,
)

__all__ = [
    'AS_PUBLISHED',
    'CameraSettings',
    'Checked',
    'DiagnosticsSettings',
    'DriveSettings',
    'DrivenRobotSettings',
    'InputSettings',
    'MapSettings',
    'MappingSettings',
    'ModelSettings',
    'NodeSettings',
    'OccupancySettings',
    'OdometrySettings',
    'OutputSettings',
    'PlayerSettings',
    'RecorderSettings',
    'ReplaySettings',
    'RobotSettings',
    'SettingsError',
    'SimulationSettings',
    'TrackingSettings',
    'TransformSettings',
    'ViewerSettings',
    'changed',
    'knob',
    'knobs',
    'like',
    'named',
    'own_knob',
    'own_knobs',
    'rooms',
    'values',
    'why_refused',
]
