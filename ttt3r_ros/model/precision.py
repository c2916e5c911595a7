# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The choice of a precision: by what this processor is measured to be fast at.

bfloat16 makes a network of the published size twice as fast or half as fast, as the processor has
instructions for it; no flag shows which: with AVX512-BF16 alone both were measured. A shortened
network is timed in both once; the times are cached by processor, sizes, threads and torch.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
import json
import logging
from pathlib import Path
import time

import numpy as np
import torch

from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.errors import UserError
from ttt3r_ros.model.architecture import Architecture
from ttt3r_ros.model.cache_folder import cache_folder, digest, processor
from ttt3r_ros.model.network import HeadSelection, Network
from ttt3r_ros.model.state_update import Ttt3r

LOGGER = logging.getLogger(__name__)

# Narrow layers lose to conversions what products gain: bfloat16 changed a step by -30 to +12 %.
LEAST_WIDTH = 512
# It is chosen where it is faster by so much, as float32 is the more exact.
GAIN = 1.1
ROUNDS = 3
# Compute capabilities whose tensor cores multiply bfloat16, and float16 only.
AMPERE, VOLTA = 8, 7
LONGEST_SIDE, MOST_STATE_TOKENS = 128, 192


def choose_precision(
    name: str, device: torch.device, architecture: Architecture, runtime: str = 'auto'
) -> str:
    """
    Return the precision of a setting: strict, or a key of REDUCED or BESIDE_INT8.

    :param name: auto, strict, fast or int8.
    :param device: device of the network.
    :param architecture: sizes of the network.
    :param runtime: of the settings; OpenVINO computes in float32 what is not int8.
    """
    if device.type == 'cuda':
        return _on_cuda(name, device)
    if name == 'auto':
        return 'fast' if bfloat16_pays(architecture) else 'strict'
    if name == 'int8' and (runtime == 'openvino' or not bfloat16_pays(architecture)):
        return 'int8_float32'
    return name


def _on_cuda(name: str, device: torch.device) -> str:
    """Choose by the hardware; torch would emulate bfloat16 where there is none, slowly."""
    major, _ = torch.cuda.get_device_capability(device)
    if major >= AMPERE:
        return 'fast' if name == 'auto' else name
    if major >= VOLTA:
        half = {'auto': 'fast_float16', 'fast': 'fast_float16', 'int8': 'int8_float16'}
        return half.get(name, name)
    return {'auto': 'strict', 'int8': 'int8_float32'}.get(name, name)


def bfloat16_pays(architecture: Architecture) -> bool:
    """
    Return whether a network is faster in bfloat16 than in float32 on this processor.

    A measurement decides, which takes a few seconds for the published sizes and is cached.

    :param architecture: sizes of the network.
    """
    if architecture.encoder_width < LEAST_WIDTH:
        return False
    key = digest(
        [
            processor(),
            str(architecture.to_record()),
            str(torch.get_num_threads()),
            torch.__version__,
        ]
    )
    path = cache_folder() / 'precision.json'
    known = _read(path)
    if key not in known:
        LOGGER.info('measuring bfloat16 against float32 on this processor, a few seconds')
        known[key] = step_times(architecture)
        _write(path, known)
    return known[key]['strict'] > GAIN * known[key]['fast']


@torch.inference_mode()
def step_times(architecture: Architecture) -> dict[str, float]:
    """
    Time a step in strict and fast precision, in turns, on the CPU.

    Few blocks are run, on a small image, and counted as often as the network has them.

    :param architecture: sizes of the network.
    :returns: milliseconds by precision, the least of a few.
    """
    a = architecture
    short = replace(
        a,
        encoder_depth=1,
        decoder_depth=2,
        memory_depth=1,
        state_tokens=min(a.state_tokens, MOST_STATE_TOKENS),
        ray_encoder=False,
        world_head=False,
        rgb_head=False,
    )
    repeats = np.array([a.encoder_depth, a.decoder_depth / 2, 1])
    width = min(a.image_size, LONGEST_SIDE) // a.patch_size * a.patch_size
    image = torch.zeros(1, 3, width * 3 // 4 // a.patch_size * a.patch_size, width)
    networks = {name: _random(short, name) for name in ('strict', 'fast')}
    taken: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(ROUNDS):
        for name, network in networks.items():
            taken[name].append(1e3 * float(repeats @ _stage_times(network, image)))
    return {name: min(milliseconds) for name, milliseconds in taken.items()}


def _random(architecture: Architecture, precision: str) -> Network:
    device = torch.device('cpu')
    with torch.device('meta'):
        network = Network(architecture).requires_grad_(False)
    network.use_precision(precision, device).to_empty(device=device)
    for parameter in network.parameters():
        parameter.fill_(0.01)  # what was in memory may be slow numbers
    return network.eval()


def _stage_times(network: Network, image: torch.Tensor) -> np.ndarray:
    """Return the seconds of encoder, decoders and heads of the first step of a segment."""
    state = network.initial_state()
    moments = [time.perf_counter()]
    encoded = network.encode(image)
    moments.append(time.perf_counter())
    decoded, gain, _ = network.advance(encoded, state, rule=Ttt3r(), write=True)
    moments.append(time.perf_counter())
    network.predict(decoded, gain, HeadSelection())
    moments.append(time.perf_counter())
    return np.diff(moments)


def _read(path: Path) -> dict[str, dict[str, float]]:
    """Return the cached times; empty where there are none, or none that can be read."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        return {
            key: {name: float(times[name]) for name in ('strict', 'fast')}
            for key, times in json.loads(path.read_text()).items()
        }
    return {}


def _write(path: Path, known: dict[str, dict[str, float]]) -> None:
    """Cache times, where the folder can be written."""
    with suppress(OSError, UserError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write((json.dumps(known, indent=1) + '\n').encode())
