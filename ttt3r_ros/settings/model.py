# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How the network is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from ttt3r_ros.settings.declaration import Checked, knob


@dataclass(frozen=True)
class ModelSettings(Checked):
    """How the network is loaded and how its state is written."""

    room = 'model'

    checkpoint: str = knob(
        '',
        'Weights: a file (.safetensors, .pth) or a name (small, 512, 224); empty: small, which '
        'is part of the package.',
    )
    device: str = knob(
        'auto',
        'Device of the network: auto, cpu, cuda or cuda:N; auto is cuda where there is a GPU.',
    )
    precision: str = knob(
        'auto',
        'Arithmetic: strict is float32, fast is bfloat16 where it is exact enough, int8 stores '
        'most weights as int8, for small GPUs and for large networks on CPUs; auto is fast where '
        'bfloat16 is faster, else strict: on a CPU large networks are timed once, small ones are '
        'strict.',
        choices=('auto', 'strict', 'fast', 'int8'),
    )
    runtime: str = knob(
        'auto',
        'Library that computes the network: torch or openvino (CPUs, precision strict); auto is '
        'openvino where it is installed and faster, else torch.',
        choices=('auto', 'torch', 'openvino'),
    )
    update_rule: str = knob(
        'ttt3r',
        'Rule that writes a frame into the recurrent state.',
        choices=('cut3r', 'ttt3r', 'brake', 'filt3r'),
    )
    gain_scale: float = knob(
        -1.0,
        'Factor on the gain of the update rule; negative: the value that the checkpoint '
        'recommends for this rule (mostly 1).',
        '',
        -1.0,
        1.0,
    )
