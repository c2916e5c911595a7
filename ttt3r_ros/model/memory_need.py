# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Estimate of the memory of a network on its device, before it is loaded."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from ttt3r_ros.model.architecture import Architecture
from ttt3r_ros.model.checkpoint import read_info, resolve_checkpoint
from ttt3r_ros.model.layers import Int8Storage
from ttt3r_ros.model.network import BESIDE_INT8, Network, POINTS_AND_POSE, REDUCED
from ttt3r_ros.model.precision import choose_precision
from ttt3r_ros.model.predictor import choose_device, RANDOM_CHECKPOINT
from ttt3r_ros.settings import ModelSettings

# What CUDA and its libraries take on a device before the first tensor, about.
CUDA_BYTES = 500_000_000
PRECISIONS = ('strict', 'fast', 'int8')
_MEMINFO = Path('/proc/meminfo')
_AVAILABLE = 'MemAvailable:'


@dataclass(frozen=True)
class MemoryNeed:
    """
    Bytes on one device.

    weights: of what is loaded of the network. step: peak of one frame, without the weights.
    libraries: of the device itself. free: free memory now, None where unknown.
    """

    device: str
    precision: str
    weights: int
    step: int
    libraries: int
    free: int | None

    @property
    def total(self) -> int:
        """Return the sum."""
        return self.weights + self.step + self.libraries

    @property
    def fits(self) -> bool:
        """Return whether the sum is free, or the free memory is unknown."""
        return self.free is None or self.total <= self.free

    def __str__(self) -> str:
        """Return one sentence, with the options to reduce the need where it does not fit."""
        parts = f'weights {_mega(self.weights)}, a frame {_mega(self.step)}'
        if self.libraries:
            parts += f', CUDA {_mega(self.libraries)}'
        free = '' if self.free is None else f'; {_mega(self.free)} are free'
        sentence = (
            f'{self.device} will need about {_mega(self.total)} in precision {self.precision} '
            f'({parts}){free}'
        )
        if self.fits:
            return sentence
        if self.precision.startswith('int8'):
            return f'{sentence}, which is too little: use a smaller checkpoint'
        return f'{sentence}, which is too little: use precision int8, or a smaller checkpoint'


def expected_memory(settings: ModelSettings) -> MemoryNeed:
    """
    Estimate the memory for settings, from the sizes of the checkpoint.

    :param settings: of the network; images are assumed to be 4:3.
    :raises UserError: when the device or the checkpoint cannot be used.
    """
    device = choose_device(settings.device)
    if settings.checkpoint == RANDOM_CHECKPOINT:
        a = Architecture.tiny()
    else:
        a = read_info(resolve_checkpoint(settings.checkpoint)).architecture
    precision = choose_precision(settings.precision, device, a, settings.runtime)
    fit = a.fit(640, 480)
    return memory_need(a, precision, device, fit.width, fit.height)


def memory_need(
    architecture: Architecture, precision: str, device: torch.device, width: int, height: int
) -> MemoryNeed:
    """
    Estimate the memory of a network.

    :param precision: from `choose_precision`.
    :param device: device of the network.
    :param width: of the fitted images.
    :param height: of the fitted images.
    """
    return MemoryNeed(
        str(device),
        precision,
        weight_bytes(architecture, precision),
        step_bytes(architecture, precision, device, width, height),
        CUDA_BYTES if device.type == 'cuda' else 0,
        free_bytes(device),
    )


def weight_bytes(architecture: Architecture, precision: str) -> int:
    """
    Count the bytes of the weights that points and pose need, without allocating them.

    :param precision: from `choose_precision`.
    """
    with torch.device('meta'):
        network = Network.of_images(architecture, POINTS_AND_POSE)
    # All kinds of int8 layers store the same.
    if precision in BESIDE_INT8:
        network.use_int8(Int8Storage, BESIDE_INT8[precision])
    elif precision in REDUCED:
        network.use_reduced(REDUCED[precision])
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


def step_bytes(
    architecture: Architecture, precision: str, device: torch.device, width: int, height: int
) -> int:
    """
    Estimate the peak of one step with points and pose, without weights and state.

    The peak is the end of a dense head, the MLP of a block or that of the pose memory.

    :param precision: from `choose_precision`.
    :param device: device of the network.
    :param width: of the fitted image.
    :param height: of the fitted image.
    """
    a = architecture
    number = 4 if precision in ('strict', 'int8_float32') else 2
    pixels = width * height
    patches = pixels / a.patch_size**2

    # Of each MLP: the residual stream, its norm and, before the GELU and after it, the hidden
    # layer; int8 x int8 makes int32 and float32 of it first.
    hidden = 8 + 4 if precision.startswith('int8') else 2 * number
    rows = {a.encoder_width: patches, a.decoder_width: max(patches + 1, a.state_tokens)}
    if a.pose_memory:
        rows[2 * a.decoder_width] = a.memory_rows
    block = max(count * wide * (3 * 4 + a.mlp_ratio * hidden) for wide, count in rows.items())

    # What the heads will read.
    levels = 4 * patches * (a.encoder_width + 4 * a.decoder_width)
    if a.head == 'linear':
        head = patches * a.decoder_width * (4 + a.mlp_ratio * hidden) + 3 * 4 * 4 * pixels
    else:
        maps = sum(w / 4**i for i, w in enumerate(a.dpt_layer_widths)) / 16
        # A processor without bfloat16 copies the nine neighbours of each pixel beside each other.
        unfolds = number == 2 and device.type == 'cpu' and not _convolves_bfloat16()
        enlarged = number * ((1 + 9 * unfolds) * a.dpt_width / 2 + a.dpt_last_width)
        ended = (number + 4) * a.dpt_last_width + 4 * 4 if number == 2 else 0
        fused = number * a.dpt_width * 6 / 16
        head = pixels * (number * maps + max(enlarged, ended, fused)) + 2 * 4 * 4 * pixels
    return int(levels + max(block, head))


def _convolves_bfloat16() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def free_bytes(device: torch.device) -> int | None:
    """
    Return the free memory of a device.

    :returns: bytes, None where unknown.
    """
    if device.type == 'cuda':
        return int(torch.cuda.mem_get_info(device)[0])
    with suppress(OSError):
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith(_AVAILABLE):
                return 1024 * int(line.split()[1])
    return None


def _mega(size: int) -> str:
    return f'{size / 1e6:.0f} MB'
