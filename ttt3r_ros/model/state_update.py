# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
How a frame's candidate state is written into the carried state.

Every rule is one gain per state token: state + gain * (candidate - state). Sources: CUT3R
(arXiv 2501.12387) has gain 1; TTT3R (arXiv 2509.26645) by the match of state and image;
FILT3R (arXiv 2603.18493) by a scalar Kalman filter per token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ttt3r_ros.errors import UserError

RuleMemory = tuple[Tensor, ...]


class UnknownRule(UserError):
    """There is no update rule of that name."""


@dataclass(frozen=True)
class Candidate:
    """
    The inputs of an update rule.

    state: (B, S, D) the state tokens so far. proposed: (B, S, D) the new tokens of the decoder.
    match: (B, S) attention logit averaged over layers, heads and image tokens.
    """

    state: Tensor
    proposed: Tensor
    match: Tensor


class UpdateRule(Protocol):
    """Computes the gain; its memory is passed in and returned."""

    def start(self, proposed: Tensor) -> RuleMemory:
        """
        Return the memory after the first frame of a segment, which is written with gain 1.

        :param proposed: (B, S, D) tokens of the first frame.
        """
        ...

    def gain(self, candidate: Candidate, memory: RuleMemory) -> tuple[Tensor, RuleMemory]:
        """
        Return the gain of a later frame.

        :returns: (B, S) in [0, 1]; the next memory.
        """
        ...


@dataclass(frozen=True)
class Cut3r:
    """CUT3R: gain 1."""

    def start(self, proposed: Tensor) -> RuleMemory:
        """Return an empty memory."""
        return ()

    def gain(self, candidate: Candidate, memory: RuleMemory) -> tuple[Tensor, RuleMemory]:
        """Return 1 for every token."""
        return torch.ones_like(candidate.match), ()


@dataclass(frozen=True)
class Ttt3r:
    """TTT3R: the gain follows from the match between state token and image."""

    def start(self, proposed: Tensor) -> RuleMemory:
        """Return an empty memory."""
        return ()

    def gain(self, candidate: Candidate, memory: RuleMemory) -> tuple[Tensor, RuleMemory]:
        """Return the logistic function of the match."""
        return candidate.match.sigmoid(), ()


@dataclass(frozen=True)
class Brake:
    """TTT3R's gain, reduced where a token continues in the direction of its last step."""

    def start(self, proposed: Tensor) -> RuleMemory:
        """Return no direction, (B, S, D) zeros: the cosine is 0 and the brake one half."""
        return (torch.zeros_like(proposed),)

    def gain(self, candidate: Candidate, memory: RuleMemory) -> tuple[Tensor, RuleMemory]:
        """Return TTT3R's gain times the logistic function of the negative cosine."""
        direction = candidate.proposed - candidate.state
        cosine = torch.cosine_similarity(direction, memory[0], dim=-1)
        return candidate.match.sigmoid() * (-cosine).sigmoid(), (direction,)


@dataclass(frozen=True)
class Filt3r:
    """A scalar Kalman filter per token; its process noise is the change between candidates."""

    average_rate: float = 0.05
    least_noise: float = 0.02
    noise_span: float = 0.48
    steepness: float = 20.0
    threshold: float = 3.0
    first_variance: float = 1.5

    def start(self, proposed: Tensor) -> RuleMemory:
        """Return the candidate, the first variance and an average of 0."""
        variance = torch.full_like(proposed[..., 0], self.first_variance)
        return proposed, variance, torch.zeros_like(variance[:, :1])

    def gain(self, candidate: Candidate, memory: RuleMemory) -> tuple[Tensor, RuleMemory]:
        """Return the Kalman gain for an observation of unit variance."""
        previous, variance, average = memory
        change = (candidate.proposed - previous).norm(dim=-1)  # (B, S)
        mean_change = change.mean(dim=1, keepdim=True)
        blended = average + self.average_rate * (mean_change - average)
        average = torch.where(average > 0, blended, mean_change)
        excess = change / average.clamp_min(1e-12) - self.threshold
        noise = self.least_noise + self.noise_span * (self.steepness * excess).sigmoid()
        predicted = variance + noise
        gain = (predicted / (predicted + 1)).clamp(0.01, 0.99)
        variance = (1 - gain) ** 2 * predicted + gain**2
        return gain, (candidate.proposed, variance, average)


@dataclass(frozen=True)
class Scaled:
    """The gain of another rule times a constant."""

    rule: UpdateRule
    factor: float

    def start(self, proposed: Tensor) -> RuleMemory:
        """Return the initial memory of the other rule."""
        return self.rule.start(proposed)

    def gain(self, candidate: Candidate, memory: RuleMemory) -> tuple[Tensor, RuleMemory]:
        """Return the gain of the other rule times the factor."""
        gain, memory = self.rule.gain(candidate, memory)
        return self.factor * gain, memory


RULES: dict[str, Callable[[], UpdateRule]] = {
    'cut3r': Cut3r,
    'ttt3r': Ttt3r,
    'brake': Brake,
    'filt3r': Filt3r,
}


def update_rule(name: str, gain_scale: float = 1.0) -> UpdateRule:
    """
    Return the update rule of a name.

    :param name: one of RULES.
    :param gain_scale: factor on its gain, 1 as published.
    :raises UnknownRule: listing the names that exist.
    """
    if name not in RULES:
        raise UnknownRule(f'unknown update rule {name!r}: choose one of {", ".join(RULES)}')
    rule = RULES[name]()
    return rule if gain_scale == 1.0 else Scaled(rule, gain_scale)
