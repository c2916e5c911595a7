# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The measured network, its operation count, and the peak rate of this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from ttt3r_ros.bench.timed_predictor import TimedPredictor
from ttt3r_ros.model import Architecture, Network
from ttt3r_ros.model.checkpoint import (
    CheckpointInfo,
    load_network,
    load_network_of_images,
    read_info,
    resolve_checkpoint,
)
from ttt3r_ros.model.layers import (
    int8_kind,
    INT8_MOST,
    Int8Linear,
    Int8Product,
    LayerNorm,
)
from ttt3r_ros.model.network import POINTS_AND_POSE
from ttt3r_ros.model.precision import choose_precision
from ttt3r_ros.model.predictor import (
    choose_device,
    choose_runtime,
    chosen_rule,
    compiled_step,
    step_recorder,
)
from ttt3r_ros.settings import ModelSettings

ARITHMETIC = {
    'strict': 'float32',
    'fast': 'bfloat16',
    'fast_float16': 'float16',
    'int8': 'int8 and bfloat16',
    'int8_float16': 'int8 and float16',
    'int8_float32': 'int8 and float32',
}


@dataclass(frozen=True)
class NetworkChoice:
    """
    The network to measure.

    settings: checkpoint, device and precision. preset: of Architecture, for random weights; empty
    for the checkpoint.
    """

    settings: ModelSettings
    preset: str = ''

    @property
    def device(self) -> torch.device:
        """Return the device that the settings choose."""
        return choose_device(self.settings.device)

    @cached_property
    def precision(self) -> str:
        """Return the precision that the settings choose, see `choose_precision`."""
        s = self.settings
        return choose_precision(s.precision, self.device, self.architecture, s.runtime)

    @property
    def runtime(self) -> str:
        """Return the runtime that the settings choose: torch or openvino."""
        info = None if self.preset else read_info(resolve_checkpoint(self.settings.checkpoint))
        return choose_runtime(self.settings.runtime, self.device, self.precision, info)

    @property
    def architecture(self) -> Architecture:
        """
        Return the sizes of the network.

        :raises UserError: when the checkpoint cannot be used.
        """
        if self.preset:
            preset: Architecture = getattr(Architecture, self.preset)()
            return preset
        return read_info(resolve_checkpoint(self.settings.checkpoint)).architecture

    def load(self, precision: str = '') -> tuple[Network, CheckpointInfo | None]:
        """
        Load what points and pose need of the network, or construct it with random weights.

        :param precision: as of `choose_precision`; empty for that of the settings.
        :returns: the network; its checkpoint, None for random weights.
        :raises UserError: when the device or the checkpoint cannot be used.
        """
        precision = precision or self.precision
        if self.preset:
            with torch.device('meta'):
                network = Network.of_images(self.architecture, POINTS_AND_POSE)
            return with_random_weights(network, self.device, precision), None
        path = resolve_checkpoint(self.settings.checkpoint)
        return load_network_of_images(path, self.device, precision)

    def load_whole(self) -> tuple[Network, CheckpointInfo | None]:
        """
        Load the whole network in strict precision, or construct it with random weights.

        :returns: the network; its checkpoint, None for random weights.
        :raises UserError: when the device or the checkpoint cannot be used.
        """
        if self.preset:
            return random_weights(self.architecture, self.device, 'strict'), None
        return load_network(resolve_checkpoint(self.settings.checkpoint), self.device, 'strict')

    def timed(self) -> TimedPredictor:
        """Load the network into a predictor that measures times."""
        network, info = self.load()
        rule = chosen_rule(self.settings, info)
        return TimedPredictor(
            network,
            info,
            device=self.device,
            rule=rule,
            recorder=step_recorder(self.device),
            compiled=compiled_step(self.settings, network, self.precision, rule, info),
        )

    def __str__(self) -> str:
        """Return a description for captions."""
        weights = f'{self.preset}, random weights' if self.preset else 'checkpoint '
        if not self.preset:
            weights += resolve_checkpoint(self.settings.checkpoint).stem
        arithmetic = ARITHMETIC.get(self.precision, self.precision)
        if self.device.type == 'cuda':
            where = torch.cuda.get_device_name(self.device)
        else:
            where = f'cpu, {torch.get_num_threads()} threads, {self.runtime}'
        return f'{weights}, {arithmetic}, {where}'


def random_weights(architecture: Architecture, device: torch.device, precision: str) -> Network:
    """
    Construct a network with fixed random weights, directly on the device and in the precision.

    :param device: device of the weights.
    :param precision: from `choose_precision`.
    """
    with torch.device('meta'):
        network = Network(architecture)
    return with_random_weights(network, device, precision)


def with_random_weights(network: Network, device: torch.device, precision: str) -> Network:
    """
    Fill a network with random weights, directly on the device and in the precision.

    :param network: on the meta device; it is changed.
    :param device: device of the weights.
    :param precision: from `choose_precision`.
    """
    network.requires_grad_(False).use_precision(precision, device).to_empty(device=device)
    generator = torch.Generator(device).manual_seed(0)
    for parameter in network.parameters():
        parameter.normal_(0, 0.02, generator=generator)
    for module in network.modules():
        if isinstance(module, LayerNorm):
            module.reset_parameters()
        elif isinstance(module, Int8Linear):
            module.weight.random_(-INT8_MOST, INT8_MOST + 1, generator=generator)
            module.scale.fill_(0.02 / (INT8_MOST / 3**0.5))  # the deviation of all weights
            module.bias.normal_(0, 0.02, generator=generator)
    return network.eval()


@torch.inference_mode()
def count_gflop(architecture: Architecture, width: int, height: int) -> float:
    """
    Count the floating-point operations of one step with points and pose, attention included.

    Counted on the meta device, without computing anything.

    :param width: of the resized image, pixels.
    :param height: of the resized image, pixels.
    :returns: 1e9 operations, multiplications and additions counted separately.
    """
    with torch.device('meta'):
        network = Network(architecture).eval()
        later = replace(network.initial_state(), frames_seen=1)
        with FlopCounterMode(display=False) as counter:
            network.step(torch.empty(1, 3, height, width), later)
    return float(counter.get_total_flops()) / 1e9


class MatrixProduct:
    """Measures the rate of a large matrix product, the best of all rounds."""

    def __init__(self, device: torch.device, precision: str) -> None:
        """
        Choose the data type; the matrices are allocated in each round.

        :param device: device of the product.
        :param precision: strict: float32; fast: bfloat16; int8: int8 where the device multiplies
            int8, else bfloat16.
        """
        self._dtype = torch.float32 if precision == 'strict' else torch.bfloat16
        self._multiply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = torch.mm
        if precision.startswith('int8') and int8_kind(device) is Int8Product:
            self._dtype, self._multiply = torch.int8, torch._int_mm
        self._side = 8192 if device.type == 'cuda' else 1024
        self._device = device
        self._best_s = float('inf')

    def round(self) -> None:
        """Run one round of products."""
        sides = (self._side, self._side)
        a, b = (torch.randn(sides, device=self._device).to(self._dtype) for _ in range(2))
        for _ in range(10):
            if self._device.type == 'cuda':
                torch.cuda.synchronize(self._device)
            begin = time.perf_counter()
            self._multiply(a, b)
            if self._device.type == 'cuda':
                torch.cuda.synchronize(self._device)
            self._best_s = min(self._best_s, time.perf_counter() - begin)

    @property
    def gflops(self) -> float:
        """Return the best rate so far, 1e9 operations per second."""
        return 2 * self._side**3 / self._best_s / 1e9
