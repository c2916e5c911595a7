# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The heads: decoded tokens to points, confidence, colours and the camera pose."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn, Tensor
from torch.nn.functional import interpolate, pixel_shuffle

from ttt3r_ros.model.architecture import Architecture
from ttt3r_ros.model.blocks import ModulatedBlock
from ttt3r_ros.model.layers import Conv2d, ConvTranspose2d, Mlp
from ttt3r_ros.model.rotary import Rotary

POINT_CHANNELS = 4  # x, y, z and confidence, all before their non-linearity
COLOR_CHANNELS = 3


class Levels(NamedTuple):
    """
    The tokens a head reads, from fine to coarse.

    encoder: (B, N, E). middle, late: (B, N, D) image tokens after half and three quarters of
    the decoder. last: (B, N, D) after its final norm. height, width: the token grid.
    """

    encoder: Tensor
    middle: Tensor
    late: Tensor
    last: Tensor
    height: int
    width: int

    def map(self, change: Callable[[Tensor], Tensor]) -> Levels:
        """
        Return the same grid with other tokens.

        :param change: takes the tokens of one level to new ones.
        """
        return self._replace(
            encoder=change(self.encoder),
            middle=change(self.middle),
            late=change(self.late),
            last=change(self.last),
        )


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions around a skip."""

    def __init__(self, width: int) -> None:
        """Construct it for `width` channels."""
        super().__init__()
        self.conv1 = Conv2d(width, width, 3, padding=1)
        self.conv2 = Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """
        Apply the unit.

        :param x: (B, C, H, W).
        :returns: (B, C, H, W).
        """
        y: Tensor = x + self.conv2(self.conv1(x.relu()).relu())
        return y


class Fusion(nn.Module):
    """Add a finer level to a coarser one and double the resolution."""

    def __init__(self, width: int) -> None:
        """Construct it for `width` channels."""
        super().__init__()
        self.out_conv = Conv2d(width, width, 1)
        self.resConfUnit1 = ResidualUnit(width)  # of the finer level: unused at the coarsest
        self.resConfUnit2 = ResidualUnit(width)

    def forward(self, x: Tensor, finer: Tensor | None) -> Tensor:
        """
        Fuse two levels.

        :param x: (B, C, H, W).
        :param finer: (B, C, H, W), or None for the coarsest level.
        :returns: (B, C, 2 H, 2 W).
        """
        if finer is not None:
            x = x + self.resConfUnit1(finer)
        # A 1x1 convolution commutes with the enlargement, whose weights sum to one, so it runs
        # on a quarter of the pixels.
        x = self.out_conv(self.resConfUnit2(x))
        return interpolate(x, scale_factor=2, mode='bilinear', align_corners=True)


class Scratch(nn.Module):
    """The convolutions of a DPT head after its four levels, under their published names."""

    def __init__(self, width: int, level_widths: tuple[int, ...]) -> None:
        """Construct it for `width` channels."""
        super().__init__()
        for level, level_width in enumerate(level_widths, start=1):
            layer = Conv2d(level_width, width, 3, padding=1, bias=False)
            self.add_module(f'layer{level}_rn', layer)
            self.add_module(f'refinenet{level}', Fusion(width))

    def forward(self, levels: list[Tensor]) -> Tensor:
        """
        Fuse four levels, from coarse to fine.

        :param levels: four of (B, level width, H / 2^i, W / 2^i), from fine to coarse.
        :returns: (B, width, 2 H, 2 W).
        """
        reduced: list[Tensor] = [
            self.get_submodule(f'layer{level}_rn')(x) for level, x in enumerate(levels, start=1)
        ]
        x: Tensor = self.get_submodule('refinenet4')(reduced[3], None)
        # An odd grid was rounded up when it was halved.
        x = x[:, :, : reduced[2].shape[2], : reduced[2].shape[3]]
        for level in (3, 2, 1):
            x = self.get_submodule(f'refinenet{level}')(x, reduced[level - 1])
        return x


class Enlarge(nn.Module):
    """Double the resolution; it has no weights."""

    def forward(self, x: Tensor) -> Tensor:
        """
        Interpolate bilinearly.

        :param x: (B, C, H, W).
        :returns: (B, C, 2 H, 2 W).
        """
        return interpolate(x, scale_factor=2, mode='bilinear', align_corners=True)


class DptHead(nn.Module):
    """Dense prediction from four levels of tokens (DPT, arXiv 2103.13413)."""

    def __init__(self, architecture: Architecture, channels: int) -> None:
        """Construct it for an architecture and a number of output channels."""
        super().__init__()
        a, b, c, d = architecture.dpt_layer_widths
        encoder, decoder = architecture.encoder_width, architecture.decoder_width
        width, last = architecture.dpt_width, architecture.dpt_last_width
        self.act_postprocess = nn.ModuleList(
            [
                nn.Sequential(Conv2d(encoder, a, 1), ConvTranspose2d(a, a, 4, stride=4)),
                nn.Sequential(Conv2d(decoder, b, 1), ConvTranspose2d(b, b, 2, stride=2)),
                nn.Sequential(Conv2d(decoder, c, 1)),
                nn.Sequential(Conv2d(decoder, d, 1), Conv2d(d, d, 3, stride=2, padding=1)),
            ]
        )
        self.scratch = Scratch(width, architecture.dpt_layer_widths)
        self.head = nn.Sequential(
            Conv2d(width, width // 2, 3, padding=1),
            Enlarge(),
            Conv2d(width // 2, last, 3, padding=1),
            nn.ReLU(),
            Conv2d(last, channels, 1),
        )

    def forward(self, levels: Levels) -> Tensor:
        """
        Predict a value for every pixel.

        :returns: (B, channels, H, W) float32, H and W 16 times the token grid.
        """
        grid = (levels.height, levels.width)
        tokens = (levels.encoder, levels.middle, levels.late, levels.last)
        maps = [
            project(torch.unflatten(x.transpose(1, 2), 2, grid))
            for project, x in zip(self.act_postprocess, tokens)
        ]
        y: Tensor = self.head(self.scratch(maps))
        return y.float()


class LinearHead(Mlp):
    """Dense prediction from the last tokens alone, a patch of pixels per token."""

    def __init__(self, architecture: Architecture, channels: int) -> None:
        """Construct it for an architecture and a number of output channels."""
        patch, width = architecture.patch_size, architecture.decoder_width
        super().__init__(width, architecture.mlp_ratio * width, channels * patch**2)
        self.patch = patch

    def forward(self, levels: Levels) -> Tensor:  # type: ignore[override]
        """
        Predict a value for every pixel.

        :returns: (B, channels, H, W) float32, H and W `patch` times the token grid.
        """
        values = super().forward(levels.last).transpose(1, 2)
        grid = torch.unflatten(values, 2, (levels.height, levels.width))
        return pixel_shuffle(grid, self.patch).float()


class PoseHead(nn.Module):
    """The camera pose from the pose token."""

    def __init__(self, architecture: Architecture) -> None:
        """Construct it for an architecture."""
        super().__init__()
        width = architecture.decoder_width
        self.mlp = Mlp(width, architecture.mlp_ratio * width, 7)

    def forward(self, pose_token: Tensor) -> tuple[Tensor, Tensor]:
        """
        Predict the pose of the camera in the world (the segment's first camera).

        :param pose_token: (B, D).
        :returns: (B, 3) metres; (B, 4) unit quaternion x y z w with w >= 0.
        """
        raw: Tensor = self.mlp(pose_token).float()
        quaternion_wxyz = nn.functional.normalize(raw[:, 3:], dim=-1, eps=1e-12)
        w = quaternion_wxyz[:, :1]
        quaternion_wxyz = torch.where(w < 0, -quaternion_wxyz, quaternion_wxyz)
        return stretch(raw[:, :3]), quaternion_wxyz.roll(-1, dims=-1)


def stretch(vectors: Tensor) -> Tensor:
    """
    Scale vectors of length r to length expm1(r), as the network predicts logarithmic lengths.

    :param vectors: (..., 3) float32.
    :returns: (..., 3) float32.
    """
    # torch.linalg.vector_norm over three neighbouring numbers is a hundred times slower. The
    # floor lies under the root, where the gradient of a root without it is infinite at zero.
    length = vectors.square().sum(dim=-1, keepdim=True).clamp_min(1e-16).sqrt()
    return vectors * (length.expm1() / length)


class Heads(nn.Module):
    """All heads of one network; each runs only when its output is requested."""

    def __init__(self, architecture: Architecture) -> None:
        """Construct the heads of the architecture."""
        super().__init__()
        self.kind = architecture.head
        names = {
            'dpt': ('dpt_self', 'dpt_cross', 'dpt_rgb'),
            'linear': ('proj', 'cross_proj', 'rgb_proj'),
        }[architecture.head]
        self.self_name, self.world_name, self.rgb_name = names
        make = DptHead if architecture.head == 'dpt' else LinearHead
        self.pose_head = PoseHead(architecture)
        self.add_module(self.self_name, make(architecture, POINT_CHANNELS))
        if architecture.rgb_head:
            self.add_module(self.rgb_name, make(architecture, COLOR_CHANNELS))
        if architecture.world_head:
            self.add_module(self.world_name, make(architecture, POINT_CHANNELS))
            self.final_transform = nn.ModuleList(
                ModulatedBlock(
                    architecture.decoder_width, architecture.decoder_heads, architecture.mlp_ratio
                )
                for _ in range(architecture.world_depth)
            )

    def drop_unused(self) -> None:
        """Leave out, in place, the layers of dense heads that none of them reads."""
        for module in self.modules():
            if isinstance(module, Scratch):
                del module.get_submodule('refinenet4').resConfUnit1

    def camera_points(self, levels: Levels) -> tuple[Tensor, Tensor]:
        """
        Predict points in this camera's frame.

        :returns: (B, H, W, 3) metres; (B, H, W) confidence > 1.
        """
        raw = self.get_submodule(self.self_name)(levels).movedim(1, -1)
        xyz = raw[..., :3]
        if self.kind == 'linear':
            xyz = xyz * xyz[..., 2:].sign()
        return stretch(xyz), 1 + raw[..., 3].exp()

    def world_points(
        self, levels: Levels, pose_token: Tensor, turn: Rotary
    ) -> tuple[Tensor, Tensor]:
        """
        Predict points in the world (the segment's first camera).

        :param pose_token: (B, D), the condition.
        :param turn: rotation of the image tokens.
        :returns: (B, H, W, 3) metres; (B, H, W) confidence > 1.
        """
        tokens = levels.last
        for block in self.final_transform:
            tokens = block(tokens, pose_token, turn)
        raw = self.get_submodule(self.world_name)(levels._replace(last=tokens)).movedim(1, -1)
        return stretch(raw[..., :3]), 1 + raw[..., 3].exp()

    def colors(self, levels: Levels) -> Tensor:
        """
        Predict the image's own colours, a training aid.

        :returns: (B, H, W, 3) in (-1, 1).
        """
        raw: Tensor = self.get_submodule(self.rgb_name)(levels).movedim(1, -1)
        return ((raw.sigmoid() * (1 - 2e-6) + 1e-6) - 0.5) * 2
