# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Muon for matrices, AdamW for all other parameters, on float32 master weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn, Tensor

from training.process_group import ProcessGroup


class Optimizer:
    """
    Updates float32 master weights and their exponential moving average.

    The network itself may be in bfloat16: it gets the rounded masters after every step. Muon
    (torch.optim.Muon, steps scaled to AdamW's) takes the matrices of the transformer blocks,
    AdamW everything else: convolutions, embeddings, norms, biases, last layers.
    """

    def __init__(
        self, module: nn.Module, *, rate: float, weight_decay: float = 0.02, average: float = 0.999
    ) -> None:
        """
        Copy the parameters of a module as master weights.

        :param module: the network; every step writes its parameters.
        :param rate: highest learning rate, of both optimizers.
        :param weight_decay: of the matrices.
        :param average: decay of the moving average, per step.
        """
        self._rate = rate
        self._average = average
        self._named = dict(module.named_parameters())
        self.masters = {
            name: parameter.detach().float().clone() for name, parameter in self._named.items()
        }
        self.averages = {name: master.clone() for name, master in self.masters.items()}
        matrices = [self.masters[n] for n, p in self._named.items() if _is_hidden_matrix(n, p)]
        others = [self.masters[n] for n, p in self._named.items() if not _is_hidden_matrix(n, p)]
        self._optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(
                matrices, lr=rate, weight_decay=weight_decay, adjust_lr_fn='match_rms_adamw'
            ),
            torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.95), weight_decay=0.0),
        ]
        self._steps = 0

    def step(
        self, rate_factor: float, group: ProcessGroup | None = None, clip: float = 1.0
    ) -> Tensor:
        """
        Apply the gradients of the module's parameters, and clear them.

        :param rate_factor: factor on the learning rate, 0 to 1.
        :param group: processes whose gradients are averaged, None for this process alone.
        :param clip: largest norm of the whole gradient.
        :returns: () norm before clipping; where it is not finite the weights stay as they were.
        """
        for name, parameter in self._named.items():
            gradient = parameter.grad
            self.masters[name].grad = None if gradient is None else gradient.float()
            parameter.grad = None
        if group is not None:
            group.average([m.grad for m in self.masters.values() if m.grad is not None])
        norm = torch.nn.utils.clip_grad_norm_(list(self.masters.values()), clip)
        if not torch.isfinite(norm):
            return norm
        for optimizer in self._optimizers:
            for parameters in optimizer.param_groups:
                parameters['lr'] = self._rate * rate_factor
            optimizer.step()
        self._steps += 1
        # A young average forgets its start sooner.
        decay = min(self._average, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(list(self.averages.values()), list(self.masters.values()), 1 - decay)
        self._publish(self.masters)
        return norm

    def begin_with(self, weights: dict[str, Tensor]) -> None:
        """
        Set the weights before the first step.

        :param weights: by the names of the module's parameters; others stay as they are.
        """
        for name, tensor in weights.items():
            for ours in (self.masters, self.averages):
                ours[name].copy_(tensor)
        self.use_masters()

    def use_averages(self) -> None:
        """Write the moving averages into the module, for validation or export."""
        self._publish(self.averages)

    def use_masters(self) -> None:
        """Write the master weights into the module, to continue training."""
        self._publish(self.masters)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that is needed to resume training."""
        return {
            'masters': self.masters,
            'averages': self.averages,
            'optimizers': [optimizer.state_dict() for optimizer in self._optimizers],
            'steps': self._steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what state_dict returned."""
        for ours, name in ((self.masters, 'masters'), (self.averages, 'averages')):
            for key, tensor in state[name].items():
                ours[key].copy_(tensor)
        for optimizer, saved in zip(self._optimizers, state['optimizers']):
            optimizer.load_state_dict(saved)
        self._steps = state['steps']
        self.use_masters()

    @torch.no_grad()
    def _publish(self, source: dict[str, Tensor]) -> None:
        torch._foreach_copy_(list(self._named.values()), [source[n] for n in self._named])


def _is_hidden_matrix(name: str, parameter: Tensor) -> bool:
    inside = '_blocks' in name or 'final_transform' in name
    return parameter.ndim == 2 and inside and min(parameter.shape) > 1
