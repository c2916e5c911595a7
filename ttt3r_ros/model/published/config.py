# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The sizes of a published network: from the config string of its file, or from its tensors."""

from __future__ import annotations

import ast
from collections.abc import Mapping
import math
from pathlib import Path
from typing import Any

from torch import Tensor

from ttt3r_ros.model.architecture import Architecture, ArchitectureError
from ttt3r_ros.model.published.files import PUBLISHED_NAMES
from ttt3r_ros.model.published.pth_file import CheckpointError

_MAX_CONFIG_LENGTH = 4000  # the published ones have about 600 characters

# Keywords that change what the network computes, with the only values that are built here.
_NEEDED_CONFIG = {
    'state_pe': '2d',
    'pose_head': True,
    'depth_mode': 'exp',
    'conf_mode': 'exp',
    'pose_mode': 'exp',
}

# Published keywords and the fields of Architecture that they set.
_FIELDS = {
    'enc_embed_dim': 'encoder_width',
    'enc_depth': 'encoder_depth',
    'enc_num_heads': 'encoder_heads',
    'ray_enc_depth': 'ray_encoder_depth',
    'dec_embed_dim': 'decoder_width',
    'dec_depth': 'decoder_depth',
    'dec_num_heads': 'decoder_heads',
    'state_dec_num_heads': 'state_heads',
    'state_size': 'state_tokens',
    'local_mem_size': 'memory_rows',
    'patch_size': 'patch_size',
    'mlp_ratio': 'mlp_ratio',
    'head_type': 'head',
    'rgb_head': 'rgb_head',
    'dpt_feature_dim': 'dpt_width',
    'dpt_last_dim': 'dpt_last_width',
    'dpt_layer_dims': 'dpt_layer_widths',
}


def published_architecture(
    path: Path, tensors: Mapping[str, Tensor], config: str | None
) -> Architecture:
    """
    Return the sizes of a .pth file: from its config string, else as a published one.

    :param path: of the file, for error messages.
    :param tensors: of the file, of any shape, by the names of Network.state_dict.
    :param config: the config string of the file.
    :raises CheckpointError: when the config requires an unsupported option, or there is no
        readable config and no published network looks like this.
    """
    keywords = None if config is None else parse_config(config)
    if keywords is not None:
        try:
            return config_architecture({**_dpt_sizes(tensors), **keywords})
        except ArchitectureError as error:
            raise CheckpointError(f'{path} holds a network not built here: {error}') from None
    if any(name.startswith('downstream_head.dpt_self.') for name in tensors):
        return Architecture.published_512()
    if any(name.startswith('downstream_head.proj.') for name in tensors):
        return Architecture.published_224()
    raise CheckpointError(
        f'{path} has no readable config and is no published network; known are '
        f'{" and ".join(PUBLISHED_NAMES.values())}'
    )


def config_architecture(keywords: Mapping[str, Any]) -> Architecture:
    """
    Return the sizes that published keywords name.

    Sizes that the keywords do not mention are those of the published 512 checkpoint.

    :param keywords: for example {'enc_embed_dim': 1024, 'head_type': 'dpt', ...}; those that do
        not change the network's shape or arithmetic at inference are ignored.
    :raises ArchitectureError: on a value this network cannot follow.
    """
    for keyword, needed in _NEEDED_CONFIG.items():
        value = keywords.get(keyword, needed)
        # Modes come with their bounds, which are those of the mode.
        if (value[0] if isinstance(value, (tuple, list)) and value else value) != needed:
            raise ArchitectureError(f'{keyword} is {value!r}, only {needed!r} is known')
    positions = str(keywords.get('pos_embed', 'RoPE100'))
    if not positions.removeprefix('RoPE').isdecimal():
        raise ArchitectureError(f'pos_embed is {positions!r}, only RoPE and a number is known')
    record = {ours: keywords[theirs] for theirs, ours in _FIELDS.items() if theirs in keywords}
    size = keywords.get('img_size', 224 if record.get('head') == 'linear' else 512)
    record['image_size'] = max(size) if isinstance(size, (tuple, list)) and size else size
    record['square_crop'] = record['image_size'] == 224
    record['rotary_base'] = float(positions.removeprefix('RoPE'))
    if 'dpt_feature_dim' in keywords:
        record.setdefault('dpt_last_width', keywords['dpt_feature_dim'] // 2)
    return Architecture.from_record(record)


def parse_config(config: str) -> dict[str, Any] | None:
    """
    Return the keyword arguments in a published config string; nothing is evaluated.

    :param config: ``Model(Config(a=1, b='x', c=('exp', -inf, inf)))`` or ``Model(a=1, ...)``.
    :returns: the keywords of the innermost call, or None when it is anything else.
    """
    if len(config) > _MAX_CONFIG_LENGTH:
        return None
    try:
        call = ast.parse(config.strip(), mode='eval').body
        while isinstance(call, ast.Call) and len(call.args) == 1 and not call.keywords:
            call = call.args[0]
        if not isinstance(call, ast.Call) or call.args:
            return None
        return {
            keyword.arg: ast.literal_eval(_NamesInfinity().visit(keyword.value))
            for keyword in call.keywords
            if keyword.arg is not None
        }
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None


class _NamesInfinity(ast.NodeTransformer):
    """Turns the name inf into the number; every other name stays for literal_eval to refuse."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace one name."""
        return ast.Constant(math.inf) if node.id == 'inf' else node


def _dpt_sizes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the widths of a DPT head, which no config mentions, from its tensors."""
    head = 'downstream_head.dpt_self.'
    levels = [tensors.get(f'{head}scratch.layer{level}_rn.weight') for level in range(1, 5)]
    last = tensors.get(f'{head}head.2.weight')
    found = [tensor for tensor in (*levels, last) if tensor is not None and tensor.ndim == 4]
    if len(found) < 5:
        return {}
    return {
        'dpt_feature_dim': found[0].shape[0],
        'dpt_last_dim': found[4].shape[0],
        'dpt_layer_dims': tuple(level.shape[1] for level in found[:4]),
    }
