# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Every knob of the program, once: default, sentence, unit, range."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ttt3r_ros.errors import UserError


class SettingsError(UserError):
    """A setting has the wrong type or lies outside its range."""


def knob(
    default: Any,
    sentence: str,
    unit: str = '',
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """
    Declare one setting of a dataclass.

    :param default: the value that works for most; its type is the setting's type.
    :param sentence: what the setting does, one sentence for people.
    :param unit: physical unit, empty where there is none.
    :param low: smallest value allowed, or None.
    :param high: largest value allowed, or None.
    :param choices: the only strings allowed; empty means any.
    :returns: a dataclass field that carries all of it as metadata.
    """
    return dataclasses.field(
        default=default,
        metadata={
            'sentence': sentence,
            'unit': unit,
            'low': low,
            'high': high,
            'choices': choices,
        },
    )


def check(settings: Any) -> None:
    """
    Refuse settings of a wrong type or outside their range.

    :param settings: an instance of one of the dataclasses below.
    :raises SettingsError: naming the first bad setting, its value and what is allowed.
    """
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        wanted = type(field.default)
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise SettingsError(
                f'{field.name} must be {wanted.__name__}, not {value!r} ({type(value).__name__})'
            )
        _check_range(field, value)


def _check_range(field: dataclasses.Field[Any], value: Any) -> None:
    low, high = field.metadata['low'], field.metadata['high']
    choices, unit = field.metadata['choices'], field.metadata['unit']
    if choices and value not in choices:
        raise SettingsError(f'{field.name} must be one of {", ".join(choices)}, not {value!r}')
    # Written so that NaN, which compares false with everything, is refused too.
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        allowed = f'{"-inf" if low is None else low} to {"inf" if high is None else high}'
        raise SettingsError(f'{field.name} is {value}, allowed is {allowed} {unit}'.rstrip())


class Checked:
    """Base of all settings: a wrong value fails in the constructor."""

    def __post_init__(self) -> None:
        """Check every field."""
        check(self)


@dataclass(frozen=True)
class ModelSettings(Checked):
    """How the network is loaded and how its state is written."""

    checkpoint: str = knob(
        '',
        'Checkpoint: a file (.safetensors, .pth) or a name (small, 512, 224); empty: best here.',
    )
    device: str = knob('auto', 'Where the network runs: auto, cpu, cuda or cuda:N.')
    precision: str = knob(
        'auto',
        'Arithmetic: strict is float32 throughout, fast uses bfloat16 where it is exact enough; '
        'auto picks fast where the device has fast bfloat16.',
        choices=('auto', 'strict', 'fast'),
    )
    update_rule: str = knob(
        'ttt3r',
        'How a frame is written into the recurrent state.',
        choices=('cut3r', 'ttt3r', 'brake', 'filt3r'),
    )
    gain_scale: float = knob(1.0, 'Factor on the gain of the update rule.', '', 0.0, 1.0)


@dataclass(frozen=True)
class MappingSettings(Checked):
    """How frames become a trajectory and a map."""

    reset_interval: int = knob(
        0, 'Start a new segment after this many frames; 0 never does.', 'frames', 0, 1_000_000
    )
    overlap_frames: int = knob(
        1, 'Frames of the old segment that are fed again to the new one.', 'frames', 1, 16
    )
    segment_scale: str = knob(
        'auto',
        'Scale between segments: auto estimates it and keeps 1 unless the evidence is strong, '
        'fixed always keeps 1, free always applies the estimate.',
        choices=('auto', 'fixed', 'free'),
    )
    confidence_threshold: float = knob(
        1.5, 'Points of a lower confidence stay out of the map.', '', 1.0, 1000.0
    )
    voxel_size: float = knob(0.05, 'Edge of one voxel of the map.', 'm', 0.001, 10.0)
    max_voxels: int = knob(
        2_000_000,
        'Most voxels kept; beyond it the oldest are dropped.',
        'voxels',
        1000,
        100_000_000,
    )
    max_range: float = knob(
        20.0, 'Points farther from the camera stay out of the map.', 'm', 0.1, 1e4
    )
