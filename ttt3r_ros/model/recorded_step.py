# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
A step that is recorded once and replayed for every frame: on CUDA, one launch per frame.

A step of the published network launches about 1700 kernels, each of which costs the host more
time than the device. A CUDA graph contains all of them. It reads and writes fixed buffers, so
images and states are copied in and out of them on the device; images and outputs are transferred
through pinned memory, and the host waits once per frame, for the outputs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
import gc

import torch
from torch import Tensor

from ttt3r_ros.arrays import Array32, Pixels
from ttt3r_ros.model.state import RecurrentState

MOST_RECORDINGS = 8  # cameras that change their image size all the time cost no more memory
WARM_UP_RUNS = 3

# (pixels (h, w, 3) uint8 on the device, state, write) -> (P,) float32 of outputs, next state.
Step = Callable[[Tensor, RecurrentState, bool], tuple[Tensor, RecurrentState]]
StepRecorder = Callable[[Callable[[], None]], Callable[[], None]]


class RecordingRefused(Exception):
    """This device or driver cannot record the step."""


@dataclass(frozen=True)
class Kind:
    """The key of a recording: Python branches on these values, and a graph has no branches."""

    height: int
    width: int
    fresh: bool
    remembers: int
    write: bool


class CudaGraphRecorder:
    """Records CUDA graphs that share the memory of their intermediate values."""

    def __init__(self) -> None:
        """Create the shared memory pool, and the stream, whose libraries hold buffers for ever."""
        self._pool = torch.cuda.graph_pool_handle()
        self._side = torch.cuda.Stream()

    def __call__(self, run: Callable[[], None]) -> Callable[[], None]:
        """
        Record a function.

        :param run: uses fixed tensors only, and does not synchronize with the device.
        :returns: a function that replays it.
        :raises RecordingRefused: when it does synchronize, or the driver is too old.
        :raises RuntimeError: when the device can no longer be used at all.
        """
        graph, side = torch.cuda.CUDAGraph(), self._side
        try:
            # Libraries choose their kernels and set themselves up before, not while recording.
            with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
                side.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(side):
                    for _ in range(WARM_UP_RUNS):
                        run()
                torch.cuda.current_stream().wait_stream(side)
                recording = torch.cuda.graph(
                    graph, self._pool, side, capture_error_mode='thread_local'
                )
                with _nothing_collected(), recording:
                    run()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if _device_is_lost():
                raise
            raise RecordingRefused(str(error)) from error
        return graph.replay


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Collect cycles before the block and none within it: freeing a graph ends a recording."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _device_is_lost() -> bool:
    """Return whether an error stays: after an invalid access each later call fails, too."""
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


class RecordedStep:
    """A step with the results of the original; states are copies, not shared buffers."""

    def __init__(self, step: Step, recorder: StepRecorder) -> None:
        """
        Construct it; steps are recorded at their first call.

        :param step: the step to record.
        :param recorder: records it.
        """
        self._step, self._recorder = step, recorder
        self._recordings: OrderedDict[Kind, _RecordedGraph] = OrderedDict()

    def __call__(
        self, rgb: Pixels, state: RecurrentState, write: bool
    ) -> tuple[Array32, RecurrentState]:
        """
        Process one image.

        :param rgb: (h, w, 3) uint8, on the host.
        :param state: on the device; it is not changed.
        :param write: False: do not update the state tokens and the memory.
        :returns: (P,) output of the step, on the host; the next state.
        :raises RecordingRefused: by the recorder.
        """
        height, width = rgb.shape[:2]
        kind = Kind(height, width, state.fresh, len(state.rule_memory), write)
        with torch.cuda.device_of(state.tokens):
            if kind not in self._recordings:
                recording = _RecordedGraph(self._step, self._recorder, kind, state)
                self._recordings[kind] = recording
                if len(self._recordings) > MOST_RECORDINGS:
                    self._recordings.popitem(last=False)
            self._recordings.move_to_end(kind)
            return self._recordings[kind].play(rgb, state)


class _RecordedGraph:
    """One kind of step, with the buffers that it reads and writes."""

    def __init__(
        self, step: Step, recorder: StepRecorder, kind: Kind, state: RecurrentState
    ) -> None:
        device = state.tokens.device
        pinned = device.type == 'cuda'
        shape = (kind.height, kind.width, 3)
        self._rgb = torch.zeros(shape, dtype=torch.uint8, pin_memory=pinned)
        self._pixels = torch.zeros(shape, dtype=torch.uint8, device=device)
        self._before = state.clone()
        # Run once to learn the sizes of what comes out.
        output, after = step(self._pixels, self._before, kind.write)
        self._output, self._after = output.clone(), after.clone()
        self._output_on_host = torch.empty(output.shape, dtype=output.dtype, pin_memory=pinned)

        def run() -> None:
            output, after = step(self._pixels, self._before, kind.write)
            self._output.copy_(output)
            _copy_state(after, self._after)

        self._replay = recorder(run)

    def play(self, rgb: Pixels, state: RecurrentState) -> tuple[Array32, RecurrentState]:
        self._rgb.numpy()[...] = rgb
        self._pixels.copy_(self._rgb, non_blocking=True)
        _copy_state(state, self._before)
        self._replay()
        self._output_on_host.copy_(self._output, non_blocking=True)
        after = replace(self._after.clone(), frames_seen=state.frames_seen + 1)
        if self._output.is_cuda:
            torch.cuda.current_stream().synchronize()
        return self._output_on_host.numpy().copy(), after


def _copy_state(source: RecurrentState, target: RecurrentState) -> None:
    target.tokens.copy_(source.tokens)
    target.memory.copy_(source.memory)
    for kept, tensor in zip(target.rule_memory, source.rule_memory):
        kept.copy_(tensor)
