# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
One camera in, a metric map out.

    run = ttt3r_ros.map('video.mp4')
    run.cloud.save('map.ply')

Importing it loads nothing; each of the names below loads what it needs when it is used first.
"""

from importlib import import_module
from typing import Any, TYPE_CHECKING

import ttt3r_ros.threads  # noqa: F401 - before all that loads torch

if TYPE_CHECKING:
    from ttt3r_ros.api.camera import CameraMapper
    from ttt3r_ros.api.cloud import Cloud
    from ttt3r_ros.api.mapped import map_images as map
    from ttt3r_ros.api.mapped import Run
    from ttt3r_ros.errors import UserError
    from ttt3r_ros.inputs.calibration_files import read_intrinsics
    from ttt3r_ros.intrinsics import CameraIntrinsics
    from ttt3r_ros.trajectory import read_trajectory, Trajectory

__all__ = [
    'CameraIntrinsics',
    'CameraMapper',
    'Cloud',
    'Run',
    'Trajectory',
    'UserError',
    'map',
    'read_intrinsics',
    'read_trajectory',
]

_OFFERED = {
    'map': ('api.mapped', 'map_images'),
    'Run': ('api.mapped', 'Run'),
    'CameraMapper': ('api.camera', 'CameraMapper'),
    'Cloud': ('api.cloud', 'Cloud'),
    'CameraIntrinsics': ('intrinsics', 'CameraIntrinsics'),
    'read_intrinsics': ('inputs.calibration_files', 'read_intrinsics'),
    'Trajectory': ('trajectory', 'Trajectory'),
    'read_trajectory': ('trajectory', 'read_trajectory'),
    'UserError': ('errors', 'UserError'),
}


def __getattr__(name: str) -> Any:
    """Return what the package offers by a name, loading it now."""
    if name not in _OFFERED:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    module, inner = _OFFERED[name]
    value = globals()[name] = getattr(import_module(f'{__name__}.{module}'), inner)
    return value


def __dir__() -> list[str]:
    """Return the names of the package, also of what is not loaded yet."""
    return sorted({*globals(), *_OFFERED})
