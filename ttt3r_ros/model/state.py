# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The recurrent state: a value that can be copied, saved, restored and compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ttt3r_ros.model.state_update import Candidate, RuleMemory, UpdateRule


@dataclass(frozen=True)
class RecurrentState:
    """
    Everything that the network carries from frame to frame; its tensors are never modified.

    tokens: (B, S, D) float32 state tokens. memory: (B, M, V) float32 pose memory (no rows where
    the network has none). rule_memory: memory of the update rule, empty before the first
    frame. frames_seen: frames since the start of the segment, including those not written.
    """

    tokens: Tensor
    memory: Tensor
    rule_memory: RuleMemory = ()
    frames_seen: int = 0

    @property
    def fresh(self) -> bool:
        """Return whether the next frame is the first of a segment."""
        return self.frames_seen == 0

    def advanced(
        self, rule: UpdateRule, candidate: Candidate, memory: Tensor, write: bool
    ) -> tuple[Tensor, RecurrentState]:
        """
        Apply an update rule.

        :param candidate: of the frame.
        :param memory: (B, M, V) pose memory after the frame.
        :param write: False: count the frame only.
        :returns: (B, S) the gain of the update; the next state.
        """
        seen = replace(self, frames_seen=self.frames_seen + 1)
        if not write:
            return torch.zeros_like(candidate.match), seen
        if self.fresh:
            gain, rule_memory = torch.ones_like(candidate.match), rule.start(candidate.proposed)
            tokens = candidate.proposed
        else:
            # The rule has no memory yet where the first frame was not written.
            rule_memory = self.rule_memory or rule.start(self.tokens)
            gain, rule_memory = rule.gain(candidate, rule_memory)
            tokens = self.tokens + gain[..., None] * (candidate.proposed - self.tokens)
        return gain, replace(seen, tokens=tokens, memory=memory, rule_memory=rule_memory)

    def clone(self) -> RecurrentState:
        """Return a copy of every tensor."""
        return self._each(lambda tensor: tensor.clone(memory_format=torch.contiguous_format))

    def to(self, device: torch.device | str) -> RecurrentState:
        """Return the state on a device."""
        return self._each(lambda tensor: tensor.to(device))

    def to_tensors(self) -> dict[str, Tensor]:
        """Return named copies of the tensors, for a safetensors file."""
        copy = self.clone()
        named = {f'rule_memory.{i}': tensor for i, tensor in enumerate(copy.rule_memory)}
        counter = torch.tensor(self.frames_seen)
        return {'tokens': copy.tokens, 'memory': copy.memory, 'frames_seen': counter, **named}

    @classmethod
    def from_tensors(cls, named: dict[str, Tensor]) -> RecurrentState:
        """
        Return the state of named tensors.

        :param named: by the names of to_tensors, with the shapes of the fields.
        """
        count = sum(name.startswith('rule_memory.') for name in named)
        return cls(
            named['tokens'],
            named['memory'],
            tuple(named[f'rule_memory.{i}'] for i in range(count)),
            int(named['frames_seen']),
        )

    def _each(self, change: Callable[[Tensor], Tensor]) -> RecurrentState:
        return replace(
            self,
            tokens=change(self.tokens),
            memory=change(self.memory),
            rule_memory=tuple(change(tensor) for tensor in self.rule_memory),
        )
