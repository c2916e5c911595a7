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
        'Weights: a file (.safetensors, .pth) or small, 512, 224; empty: small, which ships here.',
    )
    device: str = knob(
        'auto',
        'Device: auto, cpu, cuda or cuda:N, or grpc://HOST, a server (ttt3r serve); auto: cuda '
        'where there is a GPU.',
    )
    server_access: str = knob(
        '', 'File access.json of the server; empty: of a server of this machine and user.'
    )
    transfer: str = knob(
        'compact',
        'To and from a server: compact is JPEG and float16, exact loses nothing and is four times '
        'as much.',
        choices=('compact', 'exact'),
    )
    precision: str = knob(
        'auto',
        'Arithmetic: strict is float32, fast bfloat16, int8 needs the least memory; auto: the '
        'faster of strict and fast.',
        choices=('auto', 'strict', 'fast', 'int8'),
    )
    runtime: str = knob(
        'auto',
        'Library of the network; openvino needs a CPU, and strict or int8; auto: openvino where '
        'strict is faster.',
        choices=('auto', 'torch', 'openvino'),
    )
    update_rule: str = knob(
        'ttt3r',
        'Rule that writes an image into the state.',
        choices=('cut3r', 'ttt3r', 'brake', 'filt3r'),
    )
    gain_scale: float = knob(
        -1.0,
        'Factor on the gain of the update rule; negative: as the checkpoint recommends.',
        '',
        -1.0,
        1.0,
    )
