# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Data-parallel training: several processes train one network, each on its own data.

`torchrun --nproc-per-node N -m training.train ...` starts them. On a CPU, N processes of one
thread each are faster than one process of N threads: the operations of a small network are too
short to be split between threads.
"""

from __future__ import annotations

import atexit
import os

import torch
from torch import distributed, Tensor

from ttt3r_ros.errors import UserError


def own_device(device: torch.device) -> torch.device:
    """
    Return the device of this process, one of several that torchrun may have started.

    :param device: that the user chose; each process gets a GPU of its own instead of the first.
    :raises UserError: when there are more processes than GPUs.
    """
    if device.type != 'cuda' or 'LOCAL_RANK' not in os.environ:
        return device
    rank, count = int(os.environ['LOCAL_RANK']), torch.cuda.device_count()
    if rank >= count:
        raise UserError(f'process {rank} has no GPU, there are {count}: use --nproc-per-node')
    torch.cuda.set_device(rank)  # the renderer uses the current one
    return torch.device('cuda', rank)


class ProcessGroup:
    """The processes of one training run; without torchrun there is one."""

    def __init__(self, device: torch.device = torch.device('cpu')) -> None:
        """
        Join the process group that torchrun started, where it did.

        :param device: of the tensors to average.
        """
        self.size = int(os.environ.get('WORLD_SIZE', '1'))
        self.rank = int(os.environ.get('RANK', '0'))
        if self.size > 1 and not distributed.is_initialized():
            on_gpu = device.type == 'cuda'
            distributed.init_process_group('cpu:gloo,cuda:nccl' if on_gpu else 'gloo')
            # Its threads must have ended before the interpreter takes itself apart.
            atexit.register(distributed.destroy_process_group)

    @property
    def is_leader(self) -> bool:
        """Return whether this process validates, saves and writes the log: rank 0."""
        return self.rank == 0

    def average(self, tensors: list[Tensor]) -> None:
        """
        Replace tensors by their mean over all processes, in place.

        :param tensors: of any shapes, the same in every process.
        """
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.size
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors])):
            tensor.copy_(part.view_as(tensor))

    def broadcast(self, number: float) -> float:
        """
        Return the number of rank 0 in every process.

        :param number: the value of this process; only that of rank 0 counts.
        """
        if self.size == 1:
            return number
        shared = torch.tensor(number, dtype=torch.float64)
        distributed.broadcast(shared, 0)
        return float(shared)
