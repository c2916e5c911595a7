# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
CUT3R (arXiv 2501.12387): predicts points from an image and a state, and the next state.

Parameters carry their published names, so a published checkpoint loads as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import nn, Tensor

from ttt3r_ros.model.architecture import Architecture
from ttt3r_ros.model.blocks import DecoderBlock, EncoderBlock
from ttt3r_ros.model.heads import DptHead, Heads, Levels, LinearHead
from ttt3r_ros.model.layers import (
    Conv2d,
    int8_kind,
    Int8Linear,
    LayerNorm,
    Linear,
    normal,
)
from ttt3r_ros.model.pose_memory import PoseMemory
from ttt3r_ros.model.rotary import grid_positions, POSE_TOKEN_POSITION, Rotary, rotary
from ttt3r_ros.model.state import RecurrentState
from ttt3r_ros.model.state_update import Candidate, Ttt3r, UpdateRule

IMAGE_CHANNELS = 3
RAY_CHANNELS = 6

# Of the layers that tolerate it, by precision; and of what int8 layers and the others compute in.
REDUCED = {'fast': torch.bfloat16, 'fast_float16': torch.float16}
BESIDE_INT8 = {
    'int8': torch.bfloat16,
    'int8_float16': torch.float16,
    'int8_float32': torch.float32,
}


@dataclass(frozen=True)
class HeadSelection:
    """Which heads to run."""

    points: bool = True
    pose: bool = True
    world_points: bool = False
    rgb: bool = False


POINTS_AND_POSE = HeadSelection()


@dataclass(frozen=True)
class FramePrediction:
    """
    The prediction for one frame. Fields of heads that did not run are None.

    gain: (B, S) gain of the update of each state token, 0 to 1.
    points_camera: (B, H, W, 3) metres, camera frame; confidence: (B, H, W) > 1.
    translation: (B, 3) metres and quaternion_xyzw: (B, 4): world_T_camera, the world being the
    first camera of the segment. points_world, confidence_world: the same in the world.
    rgb: (B, H, W, 3) in (-1, 1).
    """

    gain: Tensor
    points_camera: Tensor | None = None
    confidence: Tensor | None = None
    translation: Tensor | None = None
    quaternion_xyzw: Tensor | None = None
    points_world: Tensor | None = None
    confidence_world: Tensor | None = None
    rgb: Tensor | None = None

    def points(self) -> tuple[Tensor, Tensor]:
        """
        Return points_camera and confidence.

        :raises ValueError: when they were not computed.
        """
        if self.points_camera is None or self.confidence is None:
            raise ValueError('points were not computed: ask the network for them')
        return self.points_camera, self.confidence

    def pose(self) -> tuple[Tensor, Tensor]:
        """
        Return translation and quaternion_xyzw.

        :raises ValueError: when they were not computed.
        """
        if self.translation is None or self.quaternion_xyzw is None:
            raise ValueError('the pose was not computed: ask the network for it')
        return self.translation, self.quaternion_xyzw


class ImageTokens(NamedTuple):
    """The encoded frame: (B, N, E) tokens of a height x width grid."""

    tokens: Tensor
    height: int
    width: int

    def look(self) -> Tensor:
        """Return the mean of the tokens, the appearance of the whole image: (B, 1, E)."""
        return self.tokens.mean(dim=1, keepdim=True)


class Decoded(NamedTuple):
    """The decoded frame: the levels for the heads and the pose token (B, D)."""

    levels: Levels
    pose_token: Tensor


class PatchEmbedding(nn.Module):
    """Pixels to tokens: an optional convolutional stem, then one strided convolution."""

    def __init__(self, architecture: Architecture, channels: int) -> None:
        """Construct it for an architecture and a number of input channels."""
        super().__init__()
        stem: list[nn.Module] = []
        for width in architecture.stem_widths:
            stem += [Conv2d(channels, width, 3, stride=2, padding=1), nn.GELU()]
            channels = width
        self.stem = nn.Sequential(*stem)
        patch = architecture.patch_size // architecture.stem_stride
        self.proj = Conv2d(channels, architecture.encoder_width, patch, stride=patch)

    def forward(self, pixels: Tensor) -> ImageTokens:
        """
        Embed the patches, row by row.

        :param pixels: (B, channels, H, W).
        """
        grid = self.proj(self.stem(pixels)).float()
        return ImageTokens(grid.flatten(2).transpose(1, 2), *grid.shape[2:])


class Network(nn.Module):
    """The whole network. It has no state between calls: the state is passed in and returned."""

    def __init__(self, architecture: Architecture) -> None:
        """Construct it with random weights."""
        super().__init__()
        a = self.architecture = architecture
        self.patch_embed = PatchEmbedding(a, IMAGE_CHANNELS)
        self.enc_blocks = nn.ModuleList(
            EncoderBlock(a.encoder_width, a.encoder_heads, a.mlp_ratio, a.half_rotation)
            for _ in range(a.encoder_depth)
        )
        self.enc_norm = LayerNorm(a.encoder_width)
        if a.ray_encoder:
            self.patch_embed_ray_map = PatchEmbedding(a, RAY_CHANNELS)
            self.enc_blocks_ray_map = nn.ModuleList(
                EncoderBlock(a.encoder_width, a.ray_encoder_heads, a.mlp_ratio)
                for _ in range(a.ray_encoder_depth)
            )
            self.enc_norm_ray_map = LayerNorm(a.encoder_width)
            # Training hides inputs behind these; they are here because checkpoints hold them.
            self.masked_img_token = nn.Parameter(normal(1, a.encoder_width, deviation=0.02))
            self.masked_ray_map_token = nn.Parameter(normal(1, a.encoder_width, deviation=0.02))
        self.register_tokens = nn.Embedding(
            a.state_tokens, a.encoder_width, _weight=normal(a.state_tokens, a.encoder_width)
        )
        self.decoder_embed_state = Linear(a.encoder_width, a.decoder_width)
        self.decoder_embed = Linear(a.encoder_width, a.decoder_width)
        self.pose_token = nn.Parameter(normal(1, 1, a.decoder_width, deviation=0.02))
        if a.pose_memory:
            self.pose_retriever = PoseMemory(a)
        self.dec_blocks_state = nn.ModuleList(
            DecoderBlock(a.decoder_width, a.state_heads, a.mlp_ratio)
            for _ in range(a.decoder_depth)
        )
        self.dec_blocks = nn.ModuleList(
            DecoderBlock(a.decoder_width, a.decoder_heads, a.mlp_ratio)
            for _ in range(a.decoder_depth)
        )
        self.dec_norm_state = LayerNorm(a.decoder_width)
        self.dec_norm = LayerNorm(a.decoder_width)
        self.downstream_head = Heads(a)

    @classmethod
    def of_images(cls, architecture: Architecture, outputs: HeadSelection) -> Network:
        """
        Construct the part of a network that steps on images read, for some outputs.

        It predicts the same; it is neither trained nor saved.

        :param architecture: of the whole network.
        :param outputs: all that it will be asked for besides points and pose, which it always has.
        """
        network = cls(
            replace(
                architecture,
                ray_encoder=False,
                world_head=architecture.world_head and outputs.world_points,
                rgb_head=architecture.rgb_head and outputs.rgb,
            )
        )
        network.downstream_head.drop_unused()
        if architecture.pose_memory:
            network.pose_retriever.use_shortcuts()
        return network

    def initial_state(self, batch_size: int = 1) -> RecurrentState:
        """Return the state before the first frame of a segment."""
        tokens = self.decoder_embed_state(self.register_tokens.weight[None]).float()
        if self.architecture.pose_memory:
            memory = self.pose_retriever.mem
        else:
            memory = tokens.new_zeros(1, 0, 2 * self.architecture.decoder_width)
        return RecurrentState(tokens.expand(batch_size, -1, -1), memory.expand(batch_size, -1, -1))

    def step(
        self,
        image: Tensor | None,
        state: RecurrentState,
        *,
        ray_map: Tensor | None = None,
        rule: UpdateRule = Ttt3r(),
        outputs: HeadSelection = HeadSelection(),
        write: bool = True,
    ) -> tuple[FramePrediction, RecurrentState]:
        """
        Process one frame.

        :param image: (B, 3, H, W) float32 in [-1, 1], H and W multiples of the patch size; or
            None for a frame that is only a ray map: it is predicted and not written.
        :param state: of the same batch size; it is not changed.
        :param ray_map: (B, 6, H, W) float32, or None.
        :param rule: update rule of the state.
        :param outputs: which heads to run.
        :param write: False: do not update the state tokens and the memory.
        :returns: the prediction, which does not depend on `write`, and the next state.
        """
        encoded = self.encode(image, ray_map)
        decoded, gain, state = self.advance(
            encoded, state, rule=rule, write=write and image is not None
        )
        return self.predict(decoded, gain, outputs), state

    def encode(self, image: Tensor | None, ray_map: Tensor | None = None) -> ImageTokens:
        """
        Encode a frame, without a state.

        :param image: (B, 3, H, W) in [-1, 1], or None.
        :param ray_map: (B, 6, H, W), or None.
        :raises ValueError: when both are None, or a side is no multiple of the patch size.
        """
        if image is None and ray_map is None:
            raise ValueError('a frame needs an image, a ray map or both')
        patch = self.architecture.patch_size
        for pixels in (image, ray_map):
            if pixels is not None and any(side % patch for side in pixels.shape[-2:]):
                size = tuple(pixels.shape[-2:])
                raise ValueError(f'sides must be multiples of {patch}, the frame is {size}')
        if ray_map is None:
            return self._encode_image(image)
        of_rays = self._encode_ray_map(ray_map)
        if image is None:
            return of_rays
        of_image = self._encode_image(image)
        return of_image._replace(tokens=of_image.tokens + of_rays.tokens)

    def advance(
        self, encoded: ImageTokens, state: RecurrentState, *, rule: UpdateRule, write: bool
    ) -> tuple[Decoded, Tensor, RecurrentState]:
        """
        Decode an encoded frame with the state, and update the state.

        :returns: the decoded frame, (B, S) the gain of the update, and the next state.
        """
        if state.fresh or not self.architecture.pose_memory:
            query = self._blank_query(encoded)
        else:
            query = self.pose_retriever.read(encoded.look(), state.memory)
        decoded, proposed, match = self.decode(encoded, query, state.tokens)
        memory = self.remember(encoded, decoded, state.memory) if write else state.memory
        gain, state = state.advanced(rule, Candidate(state.tokens, proposed, match), memory, write)
        return decoded, gain, state

    def pose_query(self, encoded: ImageTokens, memory: Tensor, fresh: Tensor) -> Tensor:
        """
        Return the pose token that enters the decoder, where `fresh` is a tensor.

        :param memory: (B, M, V) of the state.
        :param fresh: (1,) bool, whether it is the first image of a segment.
        :returns: (B, 1, D).
        """
        blank = self._blank_query(encoded)
        if not self.architecture.pose_memory:
            return blank
        return torch.where(fresh, blank, self.pose_retriever.read(encoded.look(), memory))

    def remember(self, encoded: ImageTokens, decoded: Decoded, memory: Tensor) -> Tensor:
        """
        Return the pose memory after a frame; unchanged where the network has none.

        :param memory: (B, M, V) of the state.
        """
        if not self.architecture.pose_memory:
            return memory
        return self.pose_retriever.write(encoded.look(), decoded.pose_token[:, None], memory)

    def _blank_query(self, encoded: ImageTokens) -> Tensor:
        return self.pose_token.expand(len(encoded.tokens), -1, -1)

    def predict(self, decoded: Decoded, gain: Tensor, outputs: HeadSelection) -> FramePrediction:
        """
        Run the requested heads.

        :param decoded: from advance.
        :param gain: (B, S) from advance.
        :raises ValueError: when the network does not have such a head.
        """
        a = self.architecture
        if (outputs.world_points and not a.world_head) or (outputs.rgb and not a.rgb_head):
            raise ValueError('this network has no head for an output that was asked for')
        levels, pose_token = decoded
        prediction = FramePrediction(gain)
        if outputs.points:
            points, confidence = self.downstream_head.camera_points(levels)
            prediction = replace(prediction, points_camera=points, confidence=confidence)
        if outputs.pose:
            translation, quaternion = self.downstream_head.pose_head(pose_token)
            prediction = replace(prediction, translation=translation, quaternion_xyzw=quaternion)
        if outputs.world_points:
            turn = self._turn(
                grid_positions(levels.height, levels.width, pose_token.device),
                self.architecture.decoder_heads,
            )
            points, confidence = self.downstream_head.world_points(levels, pose_token, turn)
            prediction = replace(prediction, points_world=points, confidence_world=confidence)
        if outputs.rgb:
            prediction = replace(prediction, rgb=self.downstream_head.colors(levels))
        return prediction

    def use_precision(self, precision: str, device: torch.device) -> Network:
        """
        Choose the arithmetic of the layers, in place.

        :param precision: strict, a key of REDUCED or one of BESIDE_INT8.
        :param device: device of the network.
        :raises PrecisionError: when the device does not support the precision.
        """
        if precision in BESIDE_INT8:
            self.use_int8(int8_kind(device), BESIDE_INT8[precision])
        elif precision in REDUCED:
            self.use_reduced(REDUCED[precision])
        # Tokens become pictures whose channels are last; convolutions keep it so only when their
        # weights are, which on a CPU makes a dense head up to twice as fast in float32.
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                module.weight.data = module.weight.contiguous(memory_format=torch.channels_last)
        return self

    def use_bfloat16(self) -> Network:
        """Convert the layers that tolerate it to bfloat16, in place, see use_reduced."""
        return self.use_reduced(torch.bfloat16)

    def use_reduced(self, dtype: torch.dtype) -> Network:
        """
        Convert the layers that tolerate it to 16 bit, in place.

        Norms, the residual streams, the state, rotations, the gain, the pose head and the last
        layer of every dense head stay in float32.

        :param dtype: bfloat16 or float16.
        """
        exact = self._exact_layers()
        for module in self.modules():
            weighted = isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))
            if weighted and module not in exact:
                module.to(dtype)
        return self

    def use_int8(self, kind: type[Int8Linear], dtype: torch.dtype = torch.bfloat16) -> Network:
        """
        Convert the linear layers that tolerate it to int8 weights, in place, one by one.

        :param kind: class of the int8 layers; `int8_kind` chooses it for a device.
        :param dtype: of their outputs, and of all other layers as after use_reduced.
        """
        exact = self._exact_layers()
        for parent in list(self.modules()):
            for name, layer in list(parent.named_children()):
                if isinstance(layer, nn.Linear) and layer not in exact:
                    setattr(parent, name, kind(layer, dtype))
        return self if dtype == torch.float32 else self.use_reduced(dtype)

    def _exact_layers(self) -> set[nn.Module]:
        """Return the layers that compute in float32 in every precision."""
        heads = self.downstream_head
        exact: set[nn.Module] = set(heads.pose_head.modules())
        exact |= {head.head[-1] for head in heads.modules() if isinstance(head, DptHead)}
        exact |= {head.fc2 for head in heads.modules() if isinstance(head, LinearHead)}
        return exact

    def _encode_image(self, image: Tensor | None) -> ImageTokens:
        encoded: ImageTokens = self.patch_embed(image)
        return self._run_encoder(
            encoded, self.enc_blocks, self.enc_norm, self.architecture.encoder_heads
        )

    def _encode_ray_map(self, ray_map: Tensor) -> ImageTokens:
        self.architecture.check_ray_encoder()
        return self._run_encoder(
            self.patch_embed_ray_map(ray_map),
            self.enc_blocks_ray_map,
            self.enc_norm_ray_map,
            self.architecture.ray_encoder_heads,
        )

    def _run_encoder(
        self, encoded: ImageTokens, blocks: nn.ModuleList, norm: LayerNorm, heads: int
    ) -> ImageTokens:
        x, height, width = encoded
        head_width = self.architecture.encoder_width // heads
        positions = grid_positions(height, width, x.device)
        turn = rotary(positions, head_width, self.architecture.rotary_base)
        for block in blocks:
            x = block(x, turn)
        return ImageTokens(norm(x), height, width)

    def decode(
        self, encoded: ImageTokens, pose_query: Tensor, state_tokens: Tensor
    ) -> tuple[Decoded, Tensor, Tensor]:
        """
        Run both decoders in parallel; each layer attends to the previous layer of the other.

        :param pose_query: (B, 1, D).
        :param state_tokens: (B, S, D).
        :returns: the decoded frame; (B, S, D) proposed state; (B, S) match.
        """
        a = self.architecture
        tokens, height, width = encoded
        positions = grid_positions(height, width, tokens.device)
        pose_position = torch.full_like(positions[:1], POSE_TOKEN_POSITION)
        positions = torch.cat([pose_position, positions])
        state_positions = self._state_positions(tokens.device)
        image_turn = self._turn(positions, a.decoder_heads)
        image_turn_in_state = self._turn(positions, a.state_heads)
        state_turn = self._turn(state_positions, a.state_heads)
        state_turn_in_image = self._turn(state_positions, a.decoder_heads)

        x = torch.cat([pose_query, self.decoder_embed(tokens)], dim=1)
        s = state_tokens
        match = torch.zeros_like(s[..., 0])
        layers = []
        for state_block, image_block in zip(self.dec_blocks_state, self.dec_blocks):
            s_next, logits = state_block(s, x, state_turn, image_turn_in_state)
            x, _ = image_block(x, s, image_turn, state_turn_in_image)
            s = s_next
            match = match + logits.mean() / a.decoder_depth
            layers.append(x)
        last = self.dec_norm(x)
        levels = Levels(
            encoder=tokens,
            middle=layers[a.decoder_depth // 2 - 1][:, 1:],
            late=layers[a.decoder_depth * 3 // 4 - 1][:, 1:],
            last=last[:, 1:],
            height=height,
            width=width,
        )
        return Decoded(levels, last[:, 0]), self.dec_norm_state(s), match

    def _state_positions(self, device: torch.device) -> Tensor:
        """Return positions of the state tokens on a nearly square grid of even width: (S, 2)."""
        count = self.architecture.state_tokens
        width = int(count**0.5)
        width += width % 2
        index = torch.arange(count, device=device)
        return torch.stack([index // width, index % width], dim=-1)

    def _turn(self, positions: Tensor, heads: int) -> Rotary:
        head_width = self.architecture.decoder_width // heads
        return rotary(positions, head_width, self.architecture.rotary_base)
