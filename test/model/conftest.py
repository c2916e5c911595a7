# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The networks that several tests of this room run."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from ttt3r_ros.model import Architecture, Network

MakeNetwork = Callable[..., Network]
TINY = Architecture.tiny()


class Reference(NamedTuple):
    """The tiny network with recorded weights; arrays by name, the images in [-1, 1]."""

    network: Network
    arrays: dict[str, Tensor]
    images: Tensor


@pytest.fixture(scope='session')
def make_network() -> MakeNetwork:
    """Return a function that makes a network whose weights are all random, norms included."""

    def make(architecture: Architecture = TINY, seed: int = 0) -> Network:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            network = Network(architecture).eval()
            for parameter in network.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
        return network.requires_grad_(False)

    return make


@pytest.fixture(scope='session')
def tiny_network(make_network: MakeNetwork) -> Network:
    """Return a network of the tiny sizes; tests do not change it."""
    return make_network()


@pytest.fixture(scope='session')
def reference(shared_data) -> Reference:
    """Return the tiny network with the reference's weights, and what the reference recorded."""
    with np.load(shared_data / 'reference' / 'tiny_ref.npz') as file:
        arrays = {
            name: torch.from_numpy(file[name])
            for name in file.files
            if file[name].dtype.kind != 'U'
        }
    network = Network(Architecture.tiny()).eval().requires_grad_(False)
    network.load_state_dict(
        {name[3:]: weights.float() for name, weights in arrays.items() if name[:3] == 'sd:'}
    )
    images = (arrays['imgs'].movedim(-1, 1).float() / 255 - 0.5) / 0.5
    return Reference(network, arrays, images)
