# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A predictor that notes how long each stage of the network takes."""

from __future__ import annotations

from collections import defaultdict
import itertools
import time
from typing import Any

import torch
from torch import nn

from ttt3r_ros.arrays import Pixels
from ttt3r_ros.model import Network, Outputs, RecurrentState
from ttt3r_ros.model.checkpoint import CheckpointInfo
from ttt3r_ros.model.predictor import HostPrediction, Predictor, to_host
from ttt3r_ros.model.recorded_step import Recorder
from ttt3r_ros.model.state_update import UpdateRule

MEMORY = 'memory'
STAGES = ('upload', 'encoder', 'decoders', MEMORY, 'heads', 'download')
WHOLE = 'network'


class Clock:
    """Moments on the host or, without waiting for it, on the stream of a CUDA device."""

    def __init__(self, device: torch.device) -> None:
        """
        Choose.

        :param device: where the network runs.
        """
        self._has_stream = device.type == 'cuda'

    def now(self) -> Any:
        """Give this moment."""
        if not self._has_stream:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def milliseconds(self, begin: Any, end: Any) -> float:
        """
        Give the time between two moments; waits for the second one.

        :param begin: from now().
        :param end: from now(), later.
        """
        if not self._has_stream:
            return float(end - begin) * 1e3
        end.synchronize()
        return float(begin.elapsed_time(end))


class TimedPredictor(Predictor):
    """
    A predictor whose steps are timed: as a whole, or stage by stage while `staged`.

    times: milliseconds of each step by stage, WHOLE being the product's own step. The memory
    of the poses runs within the decoders' stage and is taken out of it by hooks.
    """

    def __init__(
        self,
        network: Network,
        checkpoint: CheckpointInfo | None,
        *,
        device: torch.device,
        rule: UpdateRule,
        recorder: Recorder | None = None,
    ) -> None:
        """
        Take over a network, as Predictor does.

        :param network: on `device`, in its precision.
        :param checkpoint: where the weights came from; None for random ones.
        :param recorder: as for Predictor; stages are always run one operation at a time.
        """
        super().__init__(network, checkpoint, device=device, rule=rule, recorder=recorder)
        self.staged = False
        self.times: defaultdict[str, list[float]] = defaultdict(list)
        self._clock = Clock(device)
        self._memory_moments: list[Any] = []
        if self.architecture.pose_memory:
            memory = network.pose_retriever
            for part in (memory.proj_q, *memory.read_blocks, *memory.write_blocks):
                part.register_forward_pre_hook(self._note)
                part.register_forward_hook(self._note)

    def _note(self, part: nn.Module, *_: Any) -> None:
        if self.staged:
            self._memory_moments.append(self._clock.now())

    def step(
        self, rgb: Pixels, state: RecurrentState, write: bool = True
    ) -> tuple[HostPrediction, RecurrentState]:
        """
        Take one fitted image, and note how long it took.

        :param rgb: (h, w, 3) uint8.
        :param state: is not changed.
        :param write: as for Predictor.
        """
        if self.staged:
            return self._step_by_stages(rgb, state, write)
        begin = time.perf_counter()
        result = super().step(rgb, state, write)
        self.times[WHOLE].append((time.perf_counter() - begin) * 1e3)
        return result

    @torch.inference_mode()
    def _step_by_stages(
        self, rgb: Pixels, state: RecurrentState, write: bool
    ) -> tuple[HostPrediction, RecurrentState]:
        network, now = self._network, self._clock.now
        self._memory_moments.clear()
        moments = [now()]
        image = self.upload(rgb)
        moments.append(now())
        encoded = network.encode(image)
        moments.append(now())
        decoded, gain, state = network.advance(encoded, state, rule=self._rule, write=write)
        moments.append(now())
        prediction = network.predict(decoded, gain, Outputs())
        moments.append(now())
        on_host = to_host(prediction)
        moments.append(now())

        spans = [self._clock.milliseconds(a, b) for a, b in itertools.pairwise(moments)]
        pairs = zip(self._memory_moments[::2], self._memory_moments[1::2])
        memory = sum(self._clock.milliseconds(a, b) for a, b in pairs)
        upload, encoder, advance, heads, download = spans
        for stage, milliseconds in zip(
            STAGES, (upload, encoder, advance - memory, memory, heads, download)
        ):
            self.times[stage].append(milliseconds)
        return on_host, state
