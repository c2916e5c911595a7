# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The networks and checkpoints that several tests of this room use."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from ttt3r_ros.model import Architecture, Network
from ttt3r_ros.model.published.names import with_aliases

MakeNetwork = Callable[..., Network]
TINY = Architecture.tiny()
SavePth = Callable[..., Path]
TINY_CONFIG = (
    "Model(Config(freeze='encoder', state_size=20, state_pe='2d', pos_embed='RoPE100', "
    "rgb_head=True, pose_head=True, patch_embed_cls='Any', img_size=(64, 64), head_type='dpt', "
    "output_mode='pts3d+pose', depth_mode=('exp', -inf, inf), conf_mode=('exp', 1, inf), "
    "pose_mode=('exp', -inf, inf), enc_embed_dim=64, enc_depth=2, enc_num_heads=4, "
    'dec_embed_dim=32, dec_depth=4, dec_num_heads=2, state_dec_num_heads=4, local_mem_size=12, '
    'landscape_only=False))'
)


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


@pytest.fixture(scope='module')
def tensors() -> dict[str, Tensor]:
    """Return the tensors of a tiny network under the published names, aliases included."""
    torch.manual_seed(0)
    return with_aliases(Network(TINY).state_dict())


@pytest.fixture
def tiny_config() -> str:
    """Return the configuration of that network as a published file has it."""
    return TINY_CONFIG


@pytest.fixture
def save_pth() -> SavePth:
    """Return a function that writes a file with the structure of a published one."""

    def save(path: Path, tensors: Any, args: Any = None, **others: Any) -> Path:
        if args is None:
            args = argparse.Namespace(model=TINY_CONFIG, lr=1e-4)
        torch.save({'model': tensors, 'args': args, 'epoch': 3, **others}, path)
        return path

    return save
