# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The tensors of published files and those of Network.state_dict.

Both have the same names but for three things: a prefix of the training, a state decoder that may
be missing, and second names (aliases) of the first layers of each DPT head.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ttt3r_ros.model.published.pth_file import CheckpointError


def own_tensors(path: Path, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """
    Return the tensors of a published file under the names of Network.state_dict.

    :param path: of the file, for error messages.
    :param published: tensors of any shape, by the names of the file.
    :raises CheckpointError: when an alias differs from its original.
    """
    return without_aliases(path, _with_state_decoder(_without_prefix(published)))


def with_aliases(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """
    Return the tensors of Network.state_dict under all names that a published file has.

    :param tensors: of Network.state_dict, of any shape.
    """
    named = dict(tensors)
    for name, tensor in tensors.items():
        head, is_aliased, level = name.partition('.scratch.layer')
        if is_aliased and level.endswith('_rn.weight'):
            index = int(level.removesuffix('_rn.weight')) - 1
            named[f'{head}.scratch.layer_rn.{index}.weight'] = tensor
    return named


def without_aliases(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """
    Drop the aliases of the first layers of DPT heads, after a comparison with the originals.

    :param path: of their file, for error messages.
    :param tensors: by name, of any shape.
    :raises CheckpointError: when an alias differs from its original.
    """
    kept = {}
    for name, tensor in tensors.items():
        prefix, is_alias, level = name.partition('.scratch.layer_rn.')
        if not is_alias:
            kept[name] = tensor
            continue
        index = level.removesuffix('.weight')
        original = (
            f'{prefix}.scratch.layer{int(index) + 1 if index.isdecimal() else "?"}_rn.weight'
        )
        if original not in tensors or not torch.equal(tensor, tensors[original]):
            raise CheckpointError(f'{path}: {name} must equal {original}; fetch or copy it again')
    return kept


def _without_prefix(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Drop what data-parallel training puts before every name."""
    if all(name.startswith('module.') for name in tensors):
        return {name.removeprefix('module.'): tensor for name, tensor in tensors.items()}
    return tensors


def _with_state_decoder(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Start the state decoder from the image decoder where a file holds only that one."""
    if any(name.startswith('dec_blocks_state') for name in tensors):
        return tensors
    copies = {
        name.replace('dec_blocks', 'dec_blocks_state', 1): tensor.clone()
        for name, tensor in tensors.items()
        if name.startswith('dec_blocks')
    }
    return {**tensors, **copies}
