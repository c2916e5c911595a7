# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The measurements of gpu_check, each of which makes a few rows.

Every one is a function of the subject: the device, the sizes of the networks, and the extent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
import subprocess
import sys
import time
from typing import Any

import numpy as np
import torch
from torch import nn, Tensor

from benchmark.speed.against_published import compare
from ttt3r_ros.arrays import Pixels
from ttt3r_ros.bench.network import NetworkChoice, random_weights
from ttt3r_ros.bench.report import AROUND
from ttt3r_ros.bench.run import measure
from ttt3r_ros.bench.timed_predictor import WHOLE
from ttt3r_ros.model import Architecture, HeadSelection, Network, update_rule
from ttt3r_ros.model.blocks import DecoderBlock, EncoderBlock
from ttt3r_ros.model.checkpoint import load_network, resolve_checkpoint
from ttt3r_ros.model.layers import int8_kind, Int8Product, Int8Storage, Linear, PrecisionError
from ttt3r_ros.model.predictor import Predictor, step_recorder
from ttt3r_ros.model.resize import DeviceResize
from ttt3r_ros.settings import MappingSettings, ModelSettings

REPOSITORY = Path(__file__).parents[2]
CPU = torch.device('cpu')

# The goals: an H100, 512x288, points and pose, bfloat16.
MOST_MS = 4.0
LEAST_TIMES_FASTER = 5.0
MOST_DEVICE_MB = 2.5e9 / 2**20
LEAST_NODE_RATE = 60.0
MOST_DRIFT = 1.05  # of time and memory, late over early

# Largest difference after some frames, over the largest number of each output. Float32 is summed
# in other orders; in 16 bit each rounding may fall otherwise.
MOST_DIFFERENCE = {'strict': 1e-5, 'fast': 5e-2, 'fast_float16': 5e-2, 'int8': 1e-1}
EQUALITY_FRAMES = 5


@dataclass(frozen=True)
class Effort:
    """
    The extent of the measurement.

    preset, sizes: of the large network, and of its images (width, height). compared: size of the
    images for comparisons. frames: of a timing.
    long_frames: of the run that tests for constant cost. pairs: of fast and slow steps. seconds:
    of a run of the node. linear: rows, inputs and outputs of a linear layer. camera: size of
    images to resize. backend: of torch.compile. tests: folders or files of the tests marked gpu.
    """

    preset: str
    sizes: tuple[tuple[int, int], ...]
    compared: tuple[int, int]
    frames: int
    long_frames: int
    pairs: int
    seconds: float
    linear: tuple[int, int, int]
    camera: tuple[int, int]
    backend: str
    tests: tuple[str, ...]


FULL = Effort(
    'published_512',
    ((512, 288), (512, 384)),
    compared=(224, 160),
    frames=200,
    long_frames=2_000,
    pairs=15,
    seconds=8.0,
    linear=(576, 1024, 4096),
    camera=(1280, 720),
    backend='inductor',
    tests=('test/model', 'test/simulation', 'test/training'),
)
SMALL = Effort(
    'tiny',
    ((64, 48),),
    compared=(64, 48),
    frames=8,
    long_frames=60,
    pairs=2,
    seconds=1.0,
    linear=(32, 64, 64),
    camera=(128, 96),
    backend='eager',
    tests=('test/model/test_resize.py',),
)


@dataclass(frozen=True)
class Row:
    """
    One result; passed is None where there is no limit to compare with.

    numbers: what else was measured, as JSON values.
    """

    name: str
    wanted: str
    found: str
    passed: bool | None
    numbers: dict[str, Any] = field(default_factory=dict)

    def cells(self) -> list[str]:
        """Return the cells of the table row."""
        verdict = {True: 'PASS', False: 'FAIL', None: 'not judged'}[self.passed]
        return [self.name, self.wanted, self.found, verdict]


@dataclass(frozen=True)
class Subject:
    """What is measured where."""

    device: torch.device
    effort: Effort

    @property
    def on_gpu(self) -> bool:
        """Return whether results can be compared with the goals."""
        return self.device.type == 'cuda'

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of the images of the goals."""
        return self.effort.sizes[0]

    @cached_property
    def architecture(self) -> Architecture:
        """Return the sizes of the large network, without what points and pose never use."""
        preset: Architecture = getattr(Architecture, self.effort.preset)()
        return replace(preset, ray_encoder=False, world_head=False, rgb_head=False)

    def network(self, precision: str) -> Network:
        """Return the large network, whose random weights are the same each time."""
        return random_weights(self.architecture, self.device, precision)

    def predictor(self, network: Network) -> Predictor:
        """Return the predictor of a network as in the product."""
        return Predictor(network, device=self.device, recorder=step_recorder(self.device))

    def shipped(self, precision: str, device: torch.device | None = None) -> Network:
        """Return the checkpoint that ships, on this device unless another is given."""
        return load_network(resolve_checkpoint('small'), device or self.device, precision)[0]

    def synchronize(self) -> None:
        """Wait for the device."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)


def noise(width: int, height: int, count: int = 4) -> list[Pixels]:
    """Return images of noise, (height, width, 3) uint8."""
    shape = (count, height, width, 3)
    return list(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def normal_images(subject: Subject) -> Tensor:
    """Return the images for comparisons of networks: (T, 3, H, W) in [-1, 1]."""
    width, height = subject.effort.compared
    images = np.random.default_rng(0).uniform(-1, 1, (EQUALITY_FRAMES, 3, height, width))
    return torch.from_numpy(images.astype(np.float32))


@torch.inference_mode()
def largest_difference(network: Network, other: Network, images: Tensor) -> float:
    """
    Run two networks on the same images, each with its own states.

    :param images: (T, 3, H, W) in [-1, 1].
    :returns: largest difference of any output or state, over the largest value in that tensor.
    """
    rule, worst = update_rule('ttt3r'), 0.0
    a = network.architecture
    outputs = HeadSelection(world_points=a.world_head, rgb=a.rgb_head)
    state, other_state = network.initial_state(), other.initial_state()
    device, other_device = (n.pose_token.device for n in (network, other))
    for image in images:
        one, state = network.step(image[None].to(device), state, rule=rule, outputs=outputs)
        two, other_state = other.step(
            image[None].to(other_device), other_state, rule=rule, outputs=outputs
        )
        pairs = [(getattr(one, field.name), getattr(two, field.name)) for field in fields(one)]
        pairs += [(state.tokens, other_state.tokens), (state.memory, other_state.memory)]
        for x, y in pairs:
            if x is not None and x.numel():
                x, y = x.cpu(), y.cpu()
                worst = max(worst, ((x - y).abs().max() / x.abs().max().clamp_min(1)).item())
    return worst


def _equal(name: str, worst: float, most: float) -> Row:
    return Row(name, f'at most {most:g}', f'{worst:.2g}', worst <= most, {'worst': worst})


def devices_agree(subject: Subject) -> Iterator[Row]:
    """Compare the CPU with the device: every part of a tiny network, and the shipped one."""
    # Without the published encoder's float16, where two sums fall to different sides.
    every_part = replace(Architecture.tiny(), half_rotation=False)
    for precision in ('strict', 'fast'):
        pairs = {
            'tiny': [random_weights(every_part, CPU, precision) for _ in range(2)],
            'shipped': [subject.shipped(precision, CPU) for _ in range(2)],
        }
        for name, (here, there) in pairs.items():
            worst = largest_difference(here, there.to(subject.device), normal_images(subject))
            title = f'CPU and {subject.device.type} agree: {name}, {precision}'
            yield _equal(title, worst, MOST_DIFFERENCE[precision])


def graph_equals_steps(subject: Subject) -> Iterator[Row]:
    """Compare steps from a CUDA graph with the same steps, operation by operation."""
    for precision in ('strict', 'fast'):
        network = subject.shipped(precision)
        plain, replayed = Predictor(network, device=subject.device), subject.predictor(network)
        state, other, worst = plain.initial_state(), replayed.initial_state(), 0.0
        for rgb in noise(*subject.effort.compared, EQUALITY_FRAMES):
            one, state = plain.step(rgb, state)
            two, other = replayed.step(rgb, other)
            apart = np.abs(one.points_camera - two.points_camera).max()
            worst = max(worst, float(apart / np.abs(one.points_camera).max()))
        row = _equal(f'a graph equals its steps: {precision}', worst, MOST_DIFFERENCE[precision])
        if subject.on_gpu and not replayed.recorded:
            row = replace(row, found='recording was refused', passed=False)
        yield row


def _impossible(subject: Subject, precision: str) -> str | None:
    """Return why the device does not compute in a precision, None where it does."""
    try:
        if precision == 'int8':
            int8_kind(subject.device)
    except PrecisionError as error:
        return str(error)
    return None


def precisions_agree(subject: Subject) -> Iterator[Row]:
    """Compare 16 bit and int8 with strict, on the device."""
    for precision in ('fast', 'fast_float16', 'int8'):
        if (reason := _impossible(subject, precision)) is not None:
            yield Row(f'strict and {precision} agree', '-', reason, None)
            continue
        strict, other = subject.shipped('strict'), subject.shipped(precision)
        worst = largest_difference(strict, other, normal_images(subject))
        yield _equal(f'strict and {precision} agree', worst, MOST_DIFFERENCE[precision])


def times_of_steps(subject: Subject, predictor: Predictor, frames: int) -> np.ndarray:
    """
    Time steps as in the product, from the image on the host to the outputs there.

    :param frames: number of steps after those that record.
    :returns: (frames,) milliseconds.
    """
    predictor.warm_up(*subject.size)
    images, state = noise(*subject.size), predictor.initial_state()
    times = np.zeros(frames)
    for number in range(-3, frames):
        begin = time.perf_counter()
        _, state = predictor.step(images[number % len(images)], state)
        if number >= 0:
            times[number] = 1e3 * (time.perf_counter() - begin)
    return times


def steps(subject: Subject) -> Iterator[Row]:
    """Time the step of the large network in each size of images, and its memory."""
    for size in subject.effort.sizes:
        here = replace(subject, effort=replace(subject.effort, sizes=(size,)))
        if subject.on_gpu:
            torch.cuda.empty_cache()
            free_before = torch.cuda.mem_get_info(subject.device)[0]
            torch.cuda.reset_peak_memory_stats(subject.device)
        begin = time.perf_counter()
        predictor = here.predictor(here.network('fast'))
        predictor.warm_up(*size)
        numbers: dict[str, Any] = {'load_and_record_s': time.perf_counter() - begin}
        if subject.on_gpu:
            numbers['recording_mb'] = torch.cuda.max_memory_allocated(subject.device) / 2**20
            torch.cuda.reset_peak_memory_stats(subject.device)
        times = times_of_steps(here, predictor, subject.effort.frames)
        numbers |= {
            'median_ms': float(np.median(times)),
            'p99_ms': float(np.percentile(times, 99)),
        }
        judged = subject.on_gpu and size == subject.size
        yield Row(
            f'network {size[0]}x{size[1]}, upload to download, median',
            f'at most {MOST_MS:g} ms',
            f'{numbers["median_ms"]:.2f} ms',
            numbers['median_ms'] <= MOST_MS if judged else None,
            numbers,
        )
        if subject.on_gpu:
            peak = torch.cuda.max_memory_allocated(subject.device) / 2**20
            taken = (free_before - torch.cuda.mem_get_info(subject.device)[0]) / 2**20
            yield Row(
                f'peak of device memory, {size[0]}x{size[1]}',
                f'at most {MOST_DEVICE_MB:.0f} MB',
                f'{peak:.0f} MB',
                peak <= MOST_DEVICE_MB,
                {'peak_mb': peak, 'taken_from_the_device_mb': taken},
            )


def other_precisions(subject: Subject) -> Iterator[Row]:
    """Time the step of the large network in the precisions that are not the default."""
    for precision in ('int8', 'fast_float16', 'strict'):
        if (reason := _impossible(subject, precision)) is not None:
            yield Row(f'network in {precision}', '-', reason, None)
            continue
        predictor = subject.predictor(subject.network(precision))
        times = times_of_steps(subject, predictor, max(subject.effort.frames // 4, 2))
        median = float(np.median(times))
        yield Row(f'network in {precision}', '-', f'{median:.2f} ms', None, {'median_ms': median})


@torch.inference_mode()
def batches(subject: Subject) -> Iterator[Row]:
    """Time steps of several images at once, recorded, without transfers."""
    network, rule = subject.network('fast'), update_rule('ttt3r')
    width, height = subject.size
    for count in (1, 2, 4):
        image = torch.zeros(count, 3, height, width, device=subject.device)
        state = replace(network.initial_state(count).clone(), frames_seen=1)

        def run(image: Tensor = image, state: Any = state) -> None:
            network.step(image, state, rule=rule)

        milliseconds = _rate(subject, run) / count
        numbers = {'batch': count, 'ms_an_image': milliseconds}
        yield Row(f'a batch of {count}, an image', '-', f'{milliseconds:.2f} ms', None, numbers)


def _rate(subject: Subject, run: Callable[[], None]) -> float:
    """Return the milliseconds of a function, recorded where the device can."""
    recorder = step_recorder(subject.device)
    replay = run if recorder is None else recorder(run)
    replay()
    subject.synchronize()
    repeats = max(subject.effort.frames // 4, 2)
    begin = time.perf_counter()
    for _ in range(repeats):
        replay()
    subject.synchronize()
    return 1e3 * (time.perf_counter() - begin) / repeats


def constant_cost(subject: Subject) -> Iterator[Row]:
    """Run thousands of steps: time and memory are the same late and early."""
    frames = subject.effort.long_frames
    predictor = subject.predictor(subject.network('fast'))
    window = frames // 20
    predictor.warm_up(*subject.size)
    images, state = noise(*subject.size), predictor.initial_state()
    times, memory = np.zeros(frames), np.zeros(frames)
    for number in range(frames):
        begin = time.perf_counter()
        _, state = predictor.step(images[number % len(images)], state)
        times[number] = 1e3 * (time.perf_counter() - begin)
        if subject.on_gpu:
            memory[number] = torch.cuda.memory_allocated(subject.device)
    early, late = (
        float(np.median(part)) for part in (times[window : 2 * window], times[-window:])
    )
    yield Row(
        f'a step after {frames} frames over one after {window}',
        f'at most {MOST_DRIFT:g}',
        f'{late / early:.3f}',
        late / early <= MOST_DRIFT if subject.on_gpu else None,
        {'early_ms': early, 'late_ms': late},
    )
    if subject.on_gpu:
        drift = float(memory[-1] / memory[window])
        name = f'device memory after {frames} frames over that after {window}'
        yield Row(name, f'at most {MOST_DRIFT:g}', f'{drift:.3f}', drift <= MOST_DRIFT)


def against_published(subject: Subject) -> Iterator[Row]:
    """Compare with the way of the published implementation, on the same weights, in turns."""
    settings = ModelSettings(device=str(subject.device), precision='fast')
    comparison = compare(
        NetworkChoice(settings, subject.effort.preset), subject.size, subject.effort.pairs
    )
    yield Row(
        'times faster than the published way',
        f'at least {LEAST_TIMES_FASTER:g}',
        f'{comparison.ratio:.2f}',
        comparison.ratio >= LEAST_TIMES_FASTER if subject.on_gpu else None,
        comparison.to_json(),
    )


def node(subject: Subject) -> Iterator[Row]:
    """Time whole frames as the node runs them: decode, resize, network, map and message."""
    settings = ModelSettings(device=str(subject.device), precision='fast')
    for size in subject.effort.sizes:
        measured = measure(
            NetworkChoice(settings, subject.effort.preset),
            MappingSettings(),
            size,
            subject.effort.frames,
            subject.effort.seconds,
        )
        medians = {name: spread.median for name, spread in measured.stages.items()}
        # Frames that are timed stage by stage are slower: they are no part of this.
        around = sum(medians.get(name, 0.0) for name in AROUND)
        rate = 1e3 / (around + medians[WHOLE])
        judged = subject.on_gpu and size == subject.size
        yield Row(
            f'node {size[0]}x{size[1]}: one frame after the other',
            f'at least {LEAST_NODE_RATE:g} images/s',
            f'{rate:.1f} images/s, around the network {around:.1f} ms',
            rate >= LEAST_NODE_RATE if judged else None,
            measured.to_json(),
        )


def transfers(subject: Subject) -> Iterator[Row]:
    """Time the resize on the device with its copies, and the last copy of the outputs."""
    rgb, resize = noise(*subject.effort.camera, 1)[0], DeviceResize(subject.device)
    outputs = np.zeros(4 * subject.size[0] * subject.size[1], np.float32)
    for name, run in (
        ('resize on the device', lambda: resize(rgb, subject.size)),
        ('copy of the outputs on the host', outputs.copy),
    ):
        run()
        times = []
        for _ in range(subject.effort.frames):
            begin = time.perf_counter()
            run()
            times.append(1e3 * (time.perf_counter() - begin))
        median = float(np.median(times))
        yield Row(name, '-', f'{median:.3f} ms', None, {'median_ms': median})


@torch.inference_mode()
def int8_layers(subject: Subject) -> Iterator[Row]:
    """Time one linear layer: bfloat16, int8 weights made bfloat16 each time, and int8 products."""
    rows, inputs, outputs = subject.effort.linear
    plain = Linear(inputs, outputs).to(subject.device)
    x = torch.randn(1, rows, inputs, device=subject.device)
    layers: dict[str, nn.Module] = {
        'int8 weights': Int8Storage(plain),
        'int8 products': Int8Product(plain),
        'bfloat16': plain.to(torch.bfloat16),
    }
    for name, layer in layers.items():

        def run(layer: nn.Module = layer) -> None:
            layer(x)

        milliseconds = _rate(subject, run)
        found = f'{1e3 * milliseconds:.1f} us'
        yield Row(f'linear layer, {name}', '-', found, None, {'ms': milliseconds})


def compiled_blocks(subject: Subject) -> Iterator[Row]:
    """Time the step where torch.compile fuses what is in a block, and compare it."""
    plain, network = subject.network('fast'), subject.network('fast')
    for block in network.modules():
        if isinstance(block, (EncoderBlock, DecoderBlock)):
            block.compile(backend=subject.effort.backend, dynamic=False)
    begin = time.perf_counter()
    median = float(np.median(times_of_steps(subject, subject.predictor(network), 20)))
    numbers = {'median_ms': median, 'compile_s': time.perf_counter() - begin}
    yield Row('network with compiled blocks', '-', f'{median:.2f} ms', None, numbers)
    width, height = subject.size
    images = torch.rand(2, 3, height, width) * 2 - 1
    worst = largest_difference(plain, network, images)
    yield _equal('compiled blocks agree', worst, MOST_DIFFERENCE['fast'])


def gpu_tests(subject: Subject) -> Iterator[Row]:
    """Run the tests that need a GPU, those of the renderer and of training too."""
    command = [sys.executable, '-m', 'pytest', '-q', '-m', 'gpu', '-p', 'no:cacheprovider']
    done = subprocess.run(
        [*command, *subject.effort.tests],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    lines = done.stdout.strip().splitlines() or ['no output']
    # Without a device they are skipped, which shows nothing.
    judged = None if 'passed' not in lines[-1] and not done.returncode else not done.returncode
    yield Row(
        'tests marked gpu', 'pass', lines[-1].strip('= '), judged, {'output': done.stdout[-4000:]}
    )


# In the order of what is missed most where the run is cut.
MEASUREMENTS: tuple[Callable[[Subject], Iterator[Row]], ...] = (
    steps,
    devices_agree,
    graph_equals_steps,
    precisions_agree,
    constant_cost,
    against_published,
    batches,
    node,
    other_precisions,
    transfers,
    int8_layers,
    gpu_tests,
    compiled_blocks,
)
