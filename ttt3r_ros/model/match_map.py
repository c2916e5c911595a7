# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where in an image the state finds what it knows: the match behind TTT3R's gain, per patch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn, Tensor

from ttt3r_ros.model.attention import split_heads
from ttt3r_ros.model.network import HeadSelection, Network
from ttt3r_ros.model.rotary import rotate
from ttt3r_ros.model.state import RecurrentState


def match_per_patch(network: Network, image: Tensor, state: RecurrentState) -> Tensor:
    """
    Compute the attention logit of each image token, averaged over layers, heads and state tokens.

    The match of a state token is averaged over the image instead; both have the same mean.

    :param image: (1, 3, H, W) float32 in [-1, 1].
    :param state: before the image; it is not changed.
    :returns: (rows, columns) float32, a row of patches each.
    """
    layers: list[Tensor] = []

    def note(layer: nn.Module, given: tuple[Any, ...], _: Any) -> None:
        layers.append(_logits(layer, *given))

    hooks = [
        block.cross_attn.register_forward_hook(note)  # type: ignore[union-attr]
        for block in network.dec_blocks_state
    ]
    try:
        network.step(image, state, outputs=HeadSelection(points=False, pose=False), write=False)
    finally:
        for hook in hooks:
            hook.remove()
    patch = network.architecture.patch_size
    rows, columns = (side // patch for side in image.shape[2:])
    of_patches: Tensor = torch.stack(layers).mean(dim=0)[0, 1:]  # the first one is the pose token
    return of_patches.reshape(rows, columns)


def _logits(layer: Any, x: Tensor, context: Tensor, x_turn: Any, context_turn: Any) -> Tensor:
    """Return the logit of each context token, (B, N), averaged over heads and tokens."""
    q = split_heads(layer.projq(x), layer.heads)
    k = split_heads(layer.projk(context), layer.heads)
    if x_turn is not None and context_turn is not None:
        q, k = rotate(q, x_turn), rotate(k, context_turn)
    mean_query = q.float().mean(dim=2, keepdim=True)
    logits: Tensor = (k.float() * mean_query).sum(dim=-1).mean(dim=1) * q.shape[-1] ** -0.5
    return logits
