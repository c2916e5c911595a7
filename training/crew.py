# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Several processes that train one network together, each on its own data.

`torchrun --nproc-per-node N -m training.train ...` starts them. On a CPU, N processes of one
thread are faster than one of N: the operations of a small network are too short to share.
"""

from __future__ import annotations

import atexit
import os

import torch
from torch import distributed, Tensor


class Crew:
    """The processes of one run; mostly there is only one."""

    def __init__(self) -> None:
        """Join the others that torchrun has started, if it has."""
        self.size = int(os.environ.get('WORLD_SIZE', '1'))
        self.rank = int(os.environ.get('RANK', '0'))
        if self.size > 1 and not distributed.is_initialized():
            distributed.init_process_group('gloo')
            # Its threads must have ended before the interpreter takes itself apart.
            atexit.register(distributed.destroy_process_group)

    @property
    def leads(self) -> bool:
        """Tell whether this process measures, saves and talks."""
        return self.rank == 0

    def average(self, tensors: list[Tensor]) -> None:
        """
        Replace tensors by their mean over the crew, in place.

        :param tensors: of the same shapes in every process.
        """
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.size
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors])):
            tensor.copy_(part.view_as(tensor))

    def agree(self, number: float) -> float:
        """Give every process the leader's number."""
        if self.size == 1:
            return number
        told = torch.tensor(number, dtype=torch.float64)
        distributed.broadcast(told, 0)
        return float(told)
