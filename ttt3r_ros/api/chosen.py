# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Settings by the names of the command line, and calibrations by their file."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from ttt3r_ros.inputs.calibration_files import read_intrinsics
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.settings import (
    changed,
    MappingSettings,
    ModelSettings,
    named,
    own_knobs,
    rooms,
    SettingsError,
)

Setting = str | float | bool


def chosen_settings(
    given: dict[str, Setting], before: dict[str, Any] | None = None
) -> tuple[ModelSettings, MappingSettings]:
    """
    Return the settings of the network and of the mapper.

    :param given: by the name of the option of `ttt3r map`, such as voxel_size; the others have
        their defaults, with the values that the checkpoint advises.
    :param before: what they have where nothing is given, by full name.
    :raises SettingsError: when a name is unknown or a value wrong.
    """
    model, left = named(changed(ModelSettings(), before or {}), dict(given))
    mapping, left = named(changed(MappingSettings(), before or {}), left)
    if left:
        raise SettingsError(_unknown(next(iter(left))))
    return model, mapping


def _unknown(name: str) -> str:
    known = [
        room.flat_name(field)
        for kind in (ModelSettings, MappingSettings)
        for room in rooms(kind)
        for field in own_knobs(room)
    ]
    near = difflib.get_close_matches(name, known, 1)
    hint = f': is {near[0]} meant?' if near else f': there are {", ".join(known)}'
    return f'there is no setting {name!r}{hint}'


def chosen_intrinsics(given: CameraIntrinsics | str | Path | None) -> CameraIntrinsics | None:
    """
    Return the calibration of a camera.

    :param given: itself, its file, or None.
    :raises CalibrationError: when the file cannot be used.
    """
    return read_intrinsics(Path(given)) if isinstance(given, str | Path) else given
