# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A predictor that measures the time of each stage of the network."""

from __future__ import annotations

from collections import defaultdict
import itertools
import time
from typing import Any

import torch
from torch import nn

from ttt3r_ros.arrays import Pixels
from ttt3r_ros.model import HeadSelection, Network, RecurrentState
from ttt3r_ros.model.checkpoint import CheckpointInfo
from ttt3r_ros.model.predictor import HostPrediction, Predictor, to_host, WholeStep
from ttt3r_ros.model.recorded_step import StepRecorder
from ttt3r_ros.model.state_update import UpdateRule

MEMORY = 'memory'
STAGES = ('upload', 'encoder', 'decoders', MEMORY, 'heads', 'download')
WHOLE = 'network'


class DeviceTimer:
    """Time stamps on the host, or on the stream of a CUDA device without synchronization."""

    def __init__(self, device: torch.device) -> None:
        """
        Choose the source of time stamps.

        :param device: device of the network.
        """
        self._has_stream = device.type == 'cuda'

    def now(self) -> Any:
        """Return a time stamp, for `milliseconds`."""
        if not self._has_stream:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def milliseconds(self, begin: Any, end: Any) -> float:
        """
        Return the time between two time stamps; waits until the second is reached.

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

    times: milliseconds of each step by stage, WHOLE being the step of Predictor. Hooks measure
    the pose memory, which runs within the decoders, as a separate stage.
    """

    def __init__(
        self,
        network: Network,
        checkpoint: CheckpointInfo | None,
        *,
        device: torch.device,
        rule: UpdateRule,
        recorder: StepRecorder | None = None,
        compiled: WholeStep | None = None,
    ) -> None:
        """
        Construct the predictor, see Predictor.

        :param network: on `device`, in its precision.
        :param checkpoint: origin of the weights, None for random ones.
        :param recorder: as for Predictor; stages are always run one operation at a time.
        :param compiled: as for Predictor; stages are always run by torch.
        """
        super().__init__(
            network, checkpoint, device=device, rule=rule, recorder=recorder, compiled=compiled
        )
        self.staged = False
        self.times: defaultdict[str, list[float]] = defaultdict(list)
        self._timer = DeviceTimer(device)
        self._memory_moments: list[Any] = []
        if self.architecture.pose_memory:
            memory = network.pose_retriever
            for part in (memory.proj_q, *memory.read_blocks, *memory.write_blocks):
                part.register_forward_pre_hook(self._note)
                part.register_forward_hook(self._note)

    def _note(self, part: nn.Module, *_: Any) -> None:
        if self.staged:
            self._memory_moments.append(self._timer.now())

    def step(
        self, rgb: Pixels, state: RecurrentState, write: bool = True
    ) -> tuple[HostPrediction, RecurrentState]:
        """
        Process one resized image, and record the time.

        :param rgb: (h, w, 3) uint8.
        :param state: of the frame before; it is not changed.
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
        network, now = self._network, self._timer.now
        self._memory_moments.clear()
        moments = [now()]
        image = self.upload(rgb)
        moments.append(now())
        encoded = network.encode(image)
        moments.append(now())
        decoded, gain, state = network.advance(encoded, state, rule=self._rule, write=write)
        moments.append(now())
        prediction = network.predict(decoded, gain, HeadSelection())
        moments.append(now())
        on_host = to_host(prediction)
        moments.append(now())

        spans = [self._timer.milliseconds(a, b) for a, b in itertools.pairwise(moments)]
        pairs = zip(self._memory_moments[::2], self._memory_moments[1::2])
        memory = sum(self._timer.milliseconds(a, b) for a, b in pairs)
        upload, encoder, advance, heads, download = spans
        for stage, milliseconds in zip(
            STAGES, (upload, encoder, advance - memory, memory, heads, download)
        ):
            self.times[stage].append(milliseconds)
        return on_host, state
