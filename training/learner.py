# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The network in training: its auxiliary flow head, and the pass over whole sequences."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn, Tensor
from torch.nn.functional import pixel_shuffle

from training.losses import SequencePrediction
from ttt3r_ros.model import Architecture, HeadSelection, Network
from ttt3r_ros.model.attention import CrossAttention, SelfAttention
from ttt3r_ros.model.blocks import DecoderBlock
from ttt3r_ros.model.heads import DptHead
from ttt3r_ros.model.layers import Linear
from ttt3r_ros.model.network import Decoded, ImageTokens
from ttt3r_ros.model.rotary import grid_positions, rotary
from ttt3r_ros.model.state_update import Candidate, RuleMemory, UpdateRule

FLOW_CELL = 4  # pixels
NEIGHBOUR_BIAS = 2.0  # attention then starts about one token wide
SLOW_PAIRS = 2  # pairs of features, of each axis, that hardly turn over the width of an image
FIRST_DEPTH = 2.0  # metres: what an untrained network should predict


class Learner(nn.Module):
    """The network and an auxiliary flow head that is not exported."""

    def __init__(self, architecture: Architecture) -> None:
        """Construct both with their initial weights."""
        super().__init__()
        self.network = Network(architecture)
        self.cells = architecture.patch_size // FLOW_CELL
        self.flow_head = Linear(architecture.decoder_width, 4 * self.cells**2)
        initialise(self.network)
        nn.init.zeros_(self.flow_head.weight)

    def forward(
        self, images: Tensor, rule: UpdateRule, dense: list[int], memory_frames: int
    ) -> SequencePrediction:
        """
        Predict the poses, flow and points of whole sequences.

        :param images: (B, T, 3, H, W) in [-1, 1], T >= 2.
        :param rule: update rule of the state.
        :param dense: indices of the K frames whose points are predicted.
        :param memory_frames: number of frames after which the gradient through the state is cut.
        :returns: the prediction for all B * T frames, with the points of B * K of them.
        """
        network = self.network
        batch, frames = images.shape[:2]
        encoded = network.encode(images.flatten(0, 1))
        tokens = encoded.tokens.unflatten(0, (batch, frames))
        state = network.initial_state(batch)
        detached_rule = DetachedGain(rule)
        decoded: list[Decoded] = []
        for t in range(frames):
            if t and t % memory_frames == 0:
                state = replace(state, tokens=state.tokens.detach(), memory=state.memory.detach())
            step, gain, state = network.advance(
                encoded._replace(tokens=tokens[:, t]), state, rule=detached_rule, write=True
            )
            decoded.append(step)
        poses = torch.stack([step.pose_token for step in decoded], dim=1)
        translation, quaternion = network.downstream_head.pose_head(poses.flatten(0, 1))
        chosen = _join([decoded[t] for t in dense])
        points, confidence = network.predict(chosen, gain, HeadSelection(pose=False)).points()
        last = torch.stack([step.levels.last for step in decoded], dim=1)
        return SequencePrediction(
            dense,
            points.unflatten(0, (len(dense), batch)).transpose(0, 1),
            confidence.unflatten(0, (len(dense), batch)).transpose(0, 1),
            translation.unflatten(0, (batch, frames)),
            quaternion.unflatten(0, (batch, frames)),
            self._flow(last, encoded),
            torch.stack(detached_rule.matches).mean(),
        )

    def _flow(self, tokens: Tensor, grid: ImageTokens) -> Tensor:
        """Map (B, T, N, D) tokens to (B, T, 2, h, w, 2) flow, in patches."""
        values = self.flow_head(tokens).float().transpose(2, 3)
        values = values.unflatten(3, (grid.height, grid.width))
        cells = pixel_shuffle(values, self.cells)  # (B, T, 4, h, w)
        flow: Tensor = cells.unflatten(2, (2, 2)).movedim(3, -1)
        return flow


@dataclass(frozen=True)
class DetachedGain:
    """
    An update rule whose gain is constant for the gradient: the loss does not change the gate.

    Short sequences would train the gate to stay open, which makes long sequences forget.
    matches: () mean match of every frame after the first, with its gradient.
    """

    rule: UpdateRule
    matches: list[Tensor] = field(default_factory=list)

    def start(self, proposed: Tensor) -> RuleMemory:
        """Return the initial memory of the wrapped rule, see UpdateRule."""
        return self.rule.start(proposed)

    def gain(self, candidate: Candidate, memory: RuleMemory) -> tuple[Tensor, RuleMemory]:
        """Return the detached gain and the memory of the wrapped rule, see UpdateRule."""
        self.matches.append(candidate.match.mean())
        gain, memory = self.rule.gain(candidate, memory)
        return gain.detach(), memory


def _join(decoded: list[Decoded]) -> Decoded:
    """Concatenate frames along the batch."""
    levels = [step.levels for step in decoded]
    joined = levels[0]._replace(
        encoder=torch.cat([level.encoder for level in levels]),
        middle=torch.cat([level.middle for level in levels]),
        late=torch.cat([level.late for level in levels]),
        last=torch.cat([level.last for level in levels]),
    )
    return Decoded(joined, torch.cat([step.pose_token for step in decoded]))


def compile_blocks(network: Network, backend: str = 'inductor') -> None:
    """
    Compile each transformer block at its first call, in place.

    One compilation serves all blocks of a kind and any batch size and length. On a CPU it takes
    minutes and makes a step 5 to 25 % faster; on a GPU the launches of single kernels would
    otherwise dominate.

    :param backend: of torch.compile.
    """
    for blocks in (network.enc_blocks, network.dec_blocks_state, network.dec_blocks):
        for block in blocks:
            block.compile(backend=backend, dynamic=True, fullgraph=True)


@torch.no_grad()
def initialise(network: Network) -> None:
    """
    Set the initial weights, in place.

    Queries and keys share a bias, so that every token first attends to its neighbourhood: rotated
    by position (RoPE), equal vectors have the largest dot product at equal positions. In the
    layers that TTT3R's gain is computed from, the mean of the logits is set back to zero. The
    dense head starts at a plausible depth and the pose head at no motion.
    """
    for module in network.modules():
        if isinstance(module, (Linear, nn.Conv2d, nn.ConvTranspose2d)):
            if isinstance(module, Linear):
                nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for name, module in network.named_modules():
        if 'pose_retriever' in name:
            continue
        if isinstance(module, SelfAttention):
            width = module.proj.out_features
            module.qkv.bias[: 2 * width] = NEIGHBOUR_BIAS
        if isinstance(module, CrossAttention):
            module.projq.bias.fill_(NEIGHBOUR_BIAS)
            module.projk.bias.fill_(NEIGHBOUR_BIAS)
    for block in network.dec_blocks_state:
        assert isinstance(block, DecoderBlock)
        _open_gain_half(block.cross_attn, network.architecture)
    network.register_tokens.weight.normal_(std=0.5)
    pose_out = network.downstream_head.pose_head.mlp.fc2
    pose_out.weight.mul_(0.1)
    pose_out.bias.copy_(torch.tensor([0, 0, 0, 1.0, 0, 0, 0]))
    dense_head = network.downstream_head.dpt_self
    assert isinstance(dense_head, DptHead)
    dense_out = dense_head.head[-1]
    assert isinstance(dense_out, nn.Conv2d)
    assert dense_out.bias is not None
    dense_out.weight.mul_(0.1)
    dense_out.bias.copy_(torch.tensor([0, 0, float(np.log1p(FIRST_DEPTH)), 0]))


def _open_gain_half(attention: CrossAttention, architecture: Architecture) -> None:
    """
    Set the mean of the logits that the biases alone cause to zero.

    TTT3R's gain is the logistic function of a state token's mean logit. With the shared bias it
    would start at 1 and stay there, as the loss does not depend on it. Features of the lowest
    rotation frequency add the same value to all logits of a query, which softmax cancels: they
    compensate the mean.
    """
    side = architecture.image_size // architecture.patch_size
    head_width = architecture.decoder_width // attention.heads
    turn = rotary(grid_positions(side, side), head_width, architecture.rotary_base)
    nothing = torch.zeros(1, side * side, architecture.decoder_width)
    slow = attention.projk.bias.view(attention.heads, 4, -1)[..., -SLOW_PAIRS:]

    def mean_logit(slow_bias: float) -> Tensor:
        slow.fill_(slow_bias)
        match: Tensor = attention(nothing, nothing, turn, turn)[1].mean()
        return match.mean()

    fast = mean_logit(0.0)
    mean_logit(float(-fast / (mean_logit(1.0) - fast)))
