# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A step that is replayed from fixed buffers means what the step itself means."""

from __future__ import annotations

from contextlib import nullcontext
import gc
from types import SimpleNamespace
import weakref

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ttt3r_ros.model import Architecture, HeadSelection, Network, update_rule
from ttt3r_ros.model.predictor import Predictor, random_network
from ttt3r_ros.model.recorded_step import CudaGraphRecorder, MOST_RECORDINGS, RecordingRefused
from ttt3r_ros.model.state_update import RULES


class Repeater:
    """Stands for a CUDA graph on a CPU: it repeats what it was shown, and counts."""

    def __init__(self):
        self.recorded = self.replayed = 0

    def __call__(self, run):
        self.recorded += 1

        def replay():
            self.replayed += 1
            run()

        return replay


def photographs(count, height=32, width=48):
    return np.random.default_rng(3).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def assert_same(one, other):
    for name in ('points_camera', 'confidence', 'world_T_camera', 'gain_mean'):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize('name', RULES)
def test_replayed_steps_equal_steps_one_operation_at_a_time(tiny_network, name):
    rule = update_rule(name, 0.5)
    repeater = Repeater()
    plain, recorded = (
        Predictor(tiny_network, rule=rule),
        Predictor(tiny_network, rule=rule, recorder=repeater),
    )
    state, recorded_state = plain.initial_state(), recorded.initial_state()

    for rgb, write in zip(photographs(6), (True, True, False, True, True, True)):
        told, state = plain.step(rgb, state, write)
        replayed, recorded_state = recorded.step(rgb, recorded_state, write)
        assert_same(replayed, told)
        for key, tensor in state.to_tensors().items():
            torch.testing.assert_close(recorded_state.to_tensors()[key], tensor, rtol=0, atol=0)

    assert repeater.replayed == 6
    assert repeater.recorded == 3  # first of a segment, later, later and not written


def test_a_replayed_step_leaves_states_and_answers_given_before_as_they_were(tiny_network):
    predictor = Predictor(tiny_network, recorder=Repeater())
    first_image, second_image, third_image = photographs(3)
    _, one = predictor.step(first_image, predictor.initial_state())
    told, two = predictor.step(second_image, one)
    kept = one.to_tensors(), two.to_tensors(), told.points_camera.copy()

    predictor.step(third_image, two)

    np.testing.assert_array_equal(told.points_camera, kept[2])
    for state, tensors in zip((one, two), kept):
        for key, tensor in state.to_tensors().items():
            assert torch.equal(tensor, tensors[key])
    again, _ = predictor.step(second_image, one)
    assert_same(again, told)


def test_a_camera_that_changes_its_size_all_the_time_costs_bounded_memory(tiny_network):
    repeater = Repeater()
    predictor = Predictor(tiny_network, recorder=repeater)
    sizes = [(16 * rows, 32) for rows in range(1, MOST_RECORDINGS + 3)]

    for height, width in (*sizes, sizes[-1], sizes[0]):
        predictor.step(photographs(1, height, width)[0], predictor.initial_state())

    assert repeater.recorded == len(sizes) + 1  # the last was kept, the first was not
    assert len(predictor._whole_step._recordings) == MOST_RECORDINGS


def test_a_predictor_that_is_warm_records_no_more(tiny_network):
    repeater = Repeater()
    predictor = Predictor(tiny_network, recorder=repeater)

    predictor.warm_up(640, 480)
    assert repeater.recorded == 3
    state = predictor.initial_state()
    for rgb, write in zip(photographs(4, 48, 64), (True, True, False, True)):
        _, state = predictor.step(rgb, state, write)  # 64x48 is what 640x480 becomes

    assert repeater.recorded == 3
    Predictor(tiny_network).warm_up(640, 480)


def test_a_gpu_is_warm_for_wide_images_too(tiny_network):
    repeater = Repeater()
    predictor = Predictor(tiny_network, device=torch.device('cuda'), recorder=repeater)

    predictor.warm_up(640, 480)

    sizes = [(kind.width, kind.height) for kind in predictor._whole_step._recordings]
    assert sizes == [(64, 48)] * 3 + [(64, 32)] * 3


def test_where_recording_is_refused_steps_are_run_as_they_are(tiny_network, caplog):
    def refuse(run):
        raise RecordingRefused('this driver is too old')

    predictor = Predictor(tiny_network, recorder=refuse)
    plain = Predictor(tiny_network)
    state, plain_state = predictor.initial_state(), plain.initial_state()
    for rgb in photographs(2):
        told, state = predictor.step(rgb, state)
        expected, plain_state = plain.step(rgb, plain_state)
        assert_same(told, expected)

    assert not predictor.recorded
    assert [record.getMessage() for record in caplog.records] == [
        'steps run one operation at a time, slower: this driver is too old'
    ]


def test_a_predictor_that_is_dropped_frees_its_network_at_once():
    """A second network beside one that only a garbage collector frees is too much for a Jetson."""
    network = random_network(torch.device('cpu'), 'strict')
    predictor = Predictor(network, recorder=lambda run: run() or (lambda: None))
    predictor.step(photographs(1)[0], predictor.initial_state())
    alive = weakref.ref(network)
    gc.disable()
    try:
        del network, predictor
        assert alive() is None
    finally:
        gc.enable()


class Cuda:
    """The parts of torch.cuda that record, without a device."""

    def __init__(self, monkeypatch):
        self.streams, self.recorded_on, self.seen = 0, [], []
        self.lost = False
        for name in ('CUDAGraph', 'Stream', 'current_stream', 'graph', 'stream', 'synchronize'):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        monkeypatch.setattr(torch.cuda, 'graph_pool_handle', lambda: 'pool')

    def Stream(self):
        self.streams += 1
        return SimpleNamespace(wait_stream=lambda other: None)

    def CUDAGraph(self):
        return SimpleNamespace(replay='replay')

    def current_stream(self):
        return SimpleNamespace(wait_stream=lambda other: None)

    def stream(self, stream):
        return nullcontext()

    def graph(self, graph, pool, stream, capture_error_mode):
        self.recorded_on.append(stream)
        return nullcontext()

    def synchronize(self):
        if self.lost:
            raise RuntimeError('CUDA error: an illegal memory access was encountered')

    def run(self):
        cudnn = torch.backends.cudnn
        self.seen.append((cudnn.benchmark, cudnn.allow_tf32, gc.isenabled()))


@pytest.fixture
def cuda(monkeypatch):
    return Cuda(monkeypatch)


def test_all_recordings_share_a_stream_and_its_buffers(cuda):
    recorder = CudaGraphRecorder()

    assert [recorder(cuda.run) for _ in range(3)] == ['replay'] * 3

    assert cuda.streams == 1
    assert len(cuda.recorded_on) == 3
    assert len({id(stream) for stream in cuda.recorded_on}) == 1


def test_nothing_recorded_rounds_float32_and_no_cycle_is_freed_meanwhile(cuda):
    CudaGraphRecorder()(cuda.run)

    *warm_up, recorded = cuda.seen
    assert warm_up == [(True, False, True)] * 3
    assert recorded == (True, False, False)
    assert gc.isenabled()


def test_a_predictor_on_cuda_multiplies_float32_as_float32(tiny_network):
    cudnn, cublas = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, cublas.allow_tf32
    cudnn.allow_tf32 = cublas.allow_tf32 = True
    try:
        Predictor(tiny_network, device=torch.device('cuda'))

        assert not cudnn.allow_tf32
        assert not cublas.allow_tf32
    finally:
        cudnn.allow_tf32, cublas.allow_tf32 = before


@pytest.mark.parametrize('lost', [False, True])
def test_a_device_that_is_lost_is_no_refusal(cuda, lost):
    cuda.lost = lost

    def fail():
        raise RuntimeError('the first error')

    with pytest.raises(RuntimeError if lost else RecordingRefused, match='the first error'):
        CudaGraphRecorder()(fail)


class NothingOnTheHost(TorchDispatchMode):
    """Refuses operations on tensors of another device than meta: they would make it wait."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        for leaf in tree_leaves((args, kwargs, result)):
            if isinstance(leaf, torch.Tensor):
                assert leaf.device.type == 'meta', f'{operation} works on the host'
        return result


@pytest.mark.parametrize(
    ('sizes', 'name'), [*(('tiny', name) for name in RULES), ('published_512', 'ttt3r')]
)
@torch.inference_mode()
def test_a_step_asks_the_host_for_nothing(sizes, name):
    """On the meta device there are no numbers that a branch could depend on, either."""
    with torch.device('meta'):
        network = Network(getattr(Architecture, sizes)()).eval()
        image = torch.empty(1, 3, 64, 96)
    if sizes != 'tiny':
        network.use_bfloat16()
    state = network.initial_state()
    outputs = HeadSelection(
        world_points=network.architecture.world_head, rgb=network.architecture.rgb_head
    )

    with NothingOnTheHost():
        for write in (True, True, False):
            told, state = network.step(
                image, state, rule=update_rule(name), outputs=outputs, write=write
            )

    assert told.points_camera.shape == (1, 64, 96, 3)


@pytest.mark.gpu
@pytest.mark.parametrize('name', RULES)
def test_cuda_graphs_equal_steps_one_operation_at_a_time(name):
    device = torch.device('cuda')
    network = random_network(device, 'strict')
    rule = update_rule(name, 0.5)
    plain = Predictor(network, device=device, rule=rule)
    recorded = Predictor(network, device=device, rule=rule, recorder=CudaGraphRecorder())
    state, recorded_state = plain.initial_state(), recorded.initial_state()

    for rgb, write in zip(photographs(6), (True, True, False, True, True, True)):
        told, state = plain.step(rgb, state, write)
        replayed, recorded_state = recorded.step(rgb, recorded_state, write)
        np.testing.assert_allclose(replayed.points_camera, told.points_camera, atol=1e-4)
        torch.testing.assert_close(recorded_state.tokens, state.tokens, rtol=0, atol=1e-4)

    assert recorded.recorded, 'recording was refused'


@pytest.mark.gpu
def test_a_graph_costs_one_launch_and_one_wait_a_frame():
    device = torch.device('cuda')
    predictor = Predictor(
        random_network(device, 'fast'), device=device, recorder=CudaGraphRecorder()
    )
    images, state = photographs(4), predictor.initial_state()
    for rgb in images[:3]:
        _, state = predictor.step(rgb, state)

    with torch.profiler.profile(activities=list(torch.profiler.ProfilerActivity)[:2]) as seen:
        predictor.step(images[3], state)

    calls = {event.key: event.count for event in seen.key_averages()}
    assert calls['cudaGraphLaunch'] == 1
    assert calls.get('cudaStreamSynchronize', 0) + calls.get('cudaDeviceSynchronize', 0) <= 2
