# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One training run: sample, predict, update; validate and save at intervals."""

from __future__ import annotations

from dataclasses import asdict
import json
import math
from pathlib import Path
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import sdpa_kernel, SDPBackend
from tqdm import tqdm

from training.batch import Batch, collate, crop, flow_targets, mirror, recolor
from training.clips import ClipPool, ClipSettings
from training.learner import compile_blocks, FLOW_CELL, Learner
from training.log import TrainingLog
from training.losses import LossWeights, sequence_loss
from training.optimizer import Optimizer
from training.parts import load_parts, save_parts
from training.presets import Preset
from training.process_group import ProcessGroup
from training.validate import validate, validation_clips, ValidationErrors
from ttt3r_ros.errors import UserError
from ttt3r_ros.model import update_rule
from ttt3r_ros.model.checkpoint import load_network, save_checkpoint

WARM_UP_STEPS = 200


class Run:
    """One training run in one folder; it can stop after any step and be resumed."""

    def __init__(
        self,
        preset: Preset,
        family: str,
        minutes: float,
        out: Path,
        device: torch.device,
        seed: int,
        command: str,
    ) -> None:
        """
        Construct a new run; `load` resumes one.

        :param preset: network, image size, data and schedule.
        :param family: letters of the world families; a repeated letter gets a higher weight.
        :param minutes: duration of the whole run, including the parts before it was resumed.
        :param out: folder of the run.
        :param device: device of network and batches.
        :param seed: of weights and data.
        :param command: the command line, stored in the metadata of the checkpoint.
        """
        torch.manual_seed(seed)
        self.preset, self.out, self.device = preset, out, device
        self.seconds_planned = 60 * minutes
        self.clips = ClipSettings(family, preset.width, preset.height)
        self.learner = Learner(preset.architecture).to(device)
        self.optimizer = Optimizer(self.learner, rate=preset.rate, average=preset.average)
        if device.type == 'cuda' or torch.backends.mkldnn.is_available():
            self.learner.network.use_bfloat16()
            self.learner.flow_head.to(torch.bfloat16)
        if device.type == 'cuda':
            compile_blocks(self.learner.network)
        self.log = TrainingLog(out)
        self.group = ProcessGroup(device)
        self.seed = seed
        self.command = command
        self.steps = 0
        self._seed_numbers()
        self.frames_of: dict[str, int] = {}
        self.seconds_spent = 0.0
        self.best_score = math.inf
        self._stop_asked = False
        self._exports_later = False

    @property
    def frames_seen(self) -> int:
        """Return the number of training frames so far, over all processes."""
        return sum(self.frames_of.values())

    @property
    def _clip_label(self) -> str:
        """Return the families and the image size of the clips."""
        return f'{self.clips.families} at {self.clips.width}x{self.clips.height}'

    def begin_with(self, checkpoint: Path) -> None:
        """
        Train on from the weights of a checkpoint, and export only what is better than them.

        :param checkpoint: of the architecture of the preset.
        :raises UserError: when it cannot be used, or has another architecture.
        """
        network, info = load_network(checkpoint, 'cpu', 'strict')
        if info.architecture != self.preset.architecture:
            raise UserError(
                f'{checkpoint} is no network of the preset: {info.architecture.preset}'
            )
        self.optimizer.begin_with(
            {f'network.{name}': weights for name, weights in network.state_dict().items()}
        )
        self._exports_later = True

    def stop(self) -> None:
        """Request the end after the current step; rank 0 decides for all processes."""
        self._stop_asked = True

    def save(self) -> None:
        """Write everything that is needed to resume."""
        counters = {
            name: getattr(self, name)
            for name in ('steps', 'frames_of', 'seconds_spent', 'best_score', 'seed')
        }
        save_parts(self.out, {'counters': counters, 'optimizer': self.optimizer.state_dict()})

    def load(self) -> None:
        """
        Resume from the last save in the folder; with other clips the best score starts anew.

        :raises PartsError: when there is no save or it is damaged.
        """
        saved = load_parts(self.out, self.device)
        for name, value in saved['counters'].items():
            setattr(self, name, value)
        if self._clip_label != list(self.frames_of)[-1]:
            self.best_score = math.inf
        self.optimizer.load_state_dict(saved['optimizer'])
        self._seed_numbers()

    def _seed_numbers(self) -> None:
        """Seed the lengths equally in all processes, so that none waits; all else by rank."""
        self.length_rng = np.random.default_rng([self.seed, self.steps])
        self.rng = np.random.default_rng([self.seed, self.steps, 1 + self.group.rank])

    def train(self, check_every_s: float, workers: int, until: float | None = None) -> None:
        """
        Train until the planned duration, `until`, a call of `stop` or an interrupt.

        :param check_every_s: seconds between validations; each also saves.
        :param workers: processes that render.
        :param until: minutes of the run at which to stop early, None for the whole run.
        """
        end = self.seconds_planned if until is None else min(60 * until, self.seconds_planned)
        validation = validation_clips(self.clips, count=8) if self.group.is_leader else {}
        pool = ClipPool(
            self.clips,
            self.preset.pool_clips,
            seed=self.seed + 7919 * self.steps + 104729 * self.group.rank,
            reuse=self.preset.reuse,
            workers=workers,
            device=self.device,
        )
        bar = tqdm(
            total=round(self.seconds_planned),
            initial=round(self.seconds_spent),
            unit='s',
            disable=not self.group.is_leader,
        )
        last_check, started_at = self.seconds_spent, self.seconds_spent
        if self._exports_later and self.group.is_leader:
            self.best_score = self._validate(validation)[1]
        begin = time.monotonic()
        try:
            while self.seconds_spent < end and not self.group.broadcast(self._stop_asked):
                step = self._step(pool)
                self.seconds_spent = self.group.broadcast(started_at + time.monotonic() - begin)
                if not self.group.is_leader:
                    continue
                bar.update(min(round(self.seconds_spent), bar.total) - bar.n)
                if self.steps % 20 == 0:
                    rate = self.frames_seen / self.seconds_spent
                    # Read here only: each number that leaves a GPU waits for it.
                    row = {name: round(float(value), 5) for name, value in step.items()}
                    self.log.add('train', self.frames_seen, {**row, 'frames_per_s': rate})
                    bar.set_postfix(loss=f'{row["loss"]:.3f}', frames=self.frames_seen)
                if self.seconds_spent - last_check >= check_every_s:
                    self._check(validation)
                    last_check = self.seconds_spent
        finally:
            bar.close()
            if self.group.is_leader:
                self._check(validation)

    def _step(self, pool: ClipPool) -> dict[str, Tensor]:
        """Take one step, and return its loss, gradient norm and parts of the loss, () each."""
        done = self.seconds_spent / self.seconds_planned
        frames = self._draw_length(done)
        sequences = max(self.preset.frames_per_step // frames, 1)
        batch = self._draw_batch(pool, sequences, frames)
        dense_count = max(1, round(self.preset.dense_share * frames))
        dense = sorted(self.rng.choice(frames, dense_count, replace=False).tolist())
        rule = str(self.rng.choice(self.preset.rules))
        # On a CPU the plain product is several times faster backwards than the fused kernel.
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)  # of the CPU's kernel, too
        kernel = SDPBackend.MATH if self.device.type == 'cpu' else SDPBackend.FLASH_ATTENTION
        with sdpa_kernel([kernel, SDPBackend.MATH]):
            prediction = self.learner(
                batch.images, update_rule(rule), dense, self.preset.memory_frames
            )
        target = flow_targets(batch, FLOW_CELL, self.preset.architecture.patch_size)
        loss, parts = sequence_loss(prediction, batch, target, LossWeights())
        loss.backward()
        warm = min(1.0, (self.steps + 1) / WARM_UP_STEPS)
        rate = warm * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))) + 1e-3
        norm = self.optimizer.step(rate, self.group)
        self.steps += 1
        seen = self.frames_of.pop(self._clip_label, 0)
        self.frames_of[self._clip_label] = seen + sequences * frames * self.group.size
        return {'loss': loss.detach(), 'gradient': norm, **parts}

    def _draw_length(self, done: float) -> int:
        low, high = [(low, high) for begin, low, high in self.preset.stages if done >= begin][-1]
        return int(self.length_rng.integers(low, high + 1))

    def _draw_batch(self, pool: ClipPool, sequences: int, frames: int) -> Batch:
        batch = collate(pool.draw(sequences, frames, self.rng), self.device)
        if self.rng.random() < 0.5:
            batch = mirror(batch)
        if self.rng.random() < 0.3:
            patch = self.preset.architecture.patch_size
            rows, columns = self.preset.height // patch, self.preset.width // patch
            height = patch * int(self.rng.integers(max(rows // 2, 1), rows + 1))
            width = patch * int(self.rng.integers(max(columns // 2, 1), columns + 1))
            batch = crop(batch, height, width)
        return recolor(batch, self.rng)

    def _check(self, validation: dict[str, Any]) -> None:
        """Validate the averaged weights, export them when they are the best so far, and save."""
        measured, score = self._validate(validation)
        if score < self.best_score:
            self.best_score = score
            self._export(measured)
        self.log.draw()
        self.save()

    def _validate(self, validation: dict[str, Any]) -> tuple[dict[str, ValidationErrors], float]:
        """Return the errors of the averaged weights by family, and their score."""
        self.optimizer.use_averages()
        measured = {
            family: validate(self.learner.network, clips, self.device)
            for family, clips in validation.items()
        }
        self.optimizer.use_masters()
        for family, errors in measured.items():
            values = {**asdict(errors), 'seconds': self.seconds_spent}
            self.log.add('validation', self.frames_seen, {'family': family, **values})
        return measured, sum(measured[family].score for family in set(self.clips.families))

    def _export(self, measured: dict[str, ValidationErrors]) -> None:
        seen = ', '.join(f'{count} of {label}' for label, count in self.frames_of.items())
        metadata = {
            'licence': 'Apache-2.0',
            'note': 'demo checkpoint, trained on simulated worlds only; '
            'for real scenes fetch the published one: ttt3r weights fetch',
            'training': f'{self.frames_seen} frames (of families: {seen}), '
            f'{self.seconds_spent / 60:.0f} minutes on {self.device.type}, seed {self.seed}',
            'command': self.command,
            'reset_interval': str(self.preset.advised_interval),
            'validation': json.dumps(
                {
                    family: {name: round(value, 4) for name, value in asdict(errors).items()}
                    for family, errors in measured.items()
                }
            ),
        }
        tensors = {
            name.removeprefix('network.'): tensor
            for name, tensor in self.optimizer.averages.items()
            if name.startswith('network.')
        }
        architecture = self.preset.architecture
        save_checkpoint(
            self.out / 'best.safetensors', tensors, architecture, metadata, torch.float16
        )
