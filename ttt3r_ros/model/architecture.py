# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The sizes of networks, and the presets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
import math
from typing import Any

from ttt3r_ros.errors import UserError
from ttt3r_ros.image_fit import ImageFit

# A file may claim any size: beyond these it is damaged, and would be built for hours.
MOST_DEPTH = 128
MOST_SIZE = 2**16

PRESETS = ('published_512', 'published_224', 'base', 'small', 'tiny')


class ArchitectureError(UserError):
    """The sizes of a network are inconsistent."""


@dataclass(frozen=True)
class Architecture:
    """
    The sizes of one network. The defaults are those of the public 512 checkpoint.

    image_size is the longer side of the images it was trained on (the shorter side where
    square_crop is set). ray_encoder, world_head, rgb_head and pose_memory: which optional
    parts exist. stem_widths puts strided 3x3 convolutions before the patch embedding; empty is
    the published plain embedding. dpt_layer_widths belong to the four levels of a DPT head,
    from fine to coarse.
    """

    image_size: int = 512
    square_crop: bool = False
    patch_size: int = 16
    stem_widths: tuple[int, ...] = ()
    encoder_width: int = 1024
    encoder_depth: int = 24
    encoder_heads: int = 16
    half_rotation: bool = True
    ray_encoder: bool = True
    ray_encoder_depth: int = 2
    ray_encoder_heads: int = 16
    decoder_width: int = 768
    decoder_depth: int = 12
    decoder_heads: int = 12
    state_heads: int = 16
    state_tokens: int = 768
    pose_memory: bool = True
    memory_rows: int = 256
    memory_depth: int = 2
    mlp_ratio: int = 4
    rotary_base: float = 100.0
    head: str = 'dpt'
    dpt_width: int = 256
    dpt_last_width: int = 128
    dpt_layer_widths: tuple[int, ...] = (96, 192, 384, 768)
    world_head: bool = True
    world_depth: int = 2
    rgb_head: bool = True

    def __post_init__(self) -> None:
        """
        Check that the sizes are consistent.

        :raises ArchitectureError: naming the sizes.
        """
        self._check_bounds()
        if self.head not in ('dpt', 'linear'):
            raise ArchitectureError(f'head is {self.head!r}, it must be dpt or linear')
        if len(self.dpt_layer_widths) != 4:
            raise ArchitectureError('dpt_layer_widths needs four widths')
        if self.decoder_depth < 2:
            raise ArchitectureError('heads read half of the decoder: decoder_depth must be >= 2')
        if self.head == 'dpt' and self.patch_size != 16:
            raise ArchitectureError('a DPT head enlarges by 16: patch_size must be 16')
        if self.patch_size % self.stem_stride:
            raise ArchitectureError('each stem convolution halves: they do not fit patch_size')
        _check_heads('encoder', self.encoder_width, self.encoder_heads)
        _check_heads('decoder', self.decoder_width, self.decoder_heads)
        _check_heads('state decoder', self.decoder_width, self.state_heads)

    def _check_bounds(self) -> None:
        for name, value in vars(self).items():
            sizes = value if isinstance(value, tuple) else (value,)
            if any(type(size) is int for size in sizes) or isinstance(value, tuple):
                depth = name.endswith('_depth')
                low, high = (0, MOST_DEPTH) if depth else (1, MOST_SIZE)
                if not all(type(size) is int and low <= size <= high for size in sizes):
                    raise ArchitectureError(f'{name} is {value!r}, allowed is {low} to {high}')
        if len(self.stem_widths) > 4:
            raise ArchitectureError(f'{len(self.stem_widths)} stem convolutions, at most 4 fit')
        if not (math.isfinite(self.rotary_base) and self.rotary_base > 0):
            raise ArchitectureError(f'rotary_base is {self.rotary_base}, it must be positive')

    def check_ray_encoder(self) -> None:
        """
        Check that the network can encode ray maps.

        Called for the first ray map only: published networks have 16 heads in that encoder for
        any width, and images do not use it.

        :raises ArchitectureError: when there is no encoder for them, or its heads do not divide
            the width.
        """
        if not self.ray_encoder:
            raise ArchitectureError('this network has no ray-map encoder')
        _check_heads('ray encoder', self.encoder_width, self.ray_encoder_heads)

    @property
    def stem_stride(self) -> int:
        """Return the factor by which the stem reduces the resolution."""
        return int(2 ** len(self.stem_widths))

    def fit(self, width: int, height: int) -> ImageFit:
        """
        Return how images of a size are resized and cropped.

        :param width: of the original image, pixels.
        :param height: of the original image, pixels.
        :raises BadImage: when the crop would contain no patch, or a side has one pixel.
        """
        return ImageFit.for_image(
            width, height, self.image_size, self.patch_size, self.square_crop
        )

    @property
    def preset(self) -> str:
        """Return the name in PRESETS of these sizes, or 'another'."""
        return next((name for name in PRESETS if getattr(Architecture, name)() == self), 'another')

    @classmethod
    def published_512(cls) -> Architecture:
        """Return the sizes of cut3r_512_dpt_4_64."""
        return cls()

    @classmethod
    def published_224(cls) -> Architecture:
        """Return the sizes of cut3r_224_linear_4."""
        return cls(image_size=224, square_crop=True, head='linear')

    @classmethod
    def base(cls) -> Architecture:
        """
        Return the largest sizes that may ship: 13.7 million parameters, 27 MB in half precision.

        State tokens stand on a grid of positions. That of 182, 13 rows of 14, reaches over the
        patches of 224x160: motion was seen two to four times worse where an image reached
        beyond its state (64 tokens, 8 rows of 8).
        """
        return cls(
            image_size=224,
            stem_widths=(32, 64),
            encoder_width=192,
            encoder_depth=6,
            encoder_heads=4,
            half_rotation=False,
            ray_encoder=False,
            decoder_width=192,
            decoder_depth=4,
            decoder_heads=4,
            state_heads=4,
            state_tokens=182,
            memory_rows=32,
            memory_depth=1,
            dpt_width=64,
            dpt_last_width=32,
            dpt_layer_widths=(32, 64, 96, 128),
            world_head=False,
            rgb_head=False,
        )

    @classmethod
    def small(cls) -> Architecture:
        """
        Return the sizes of the checkpoint that ships: 3.3 million parameters.

        Two CPU cores can train them. The state is that of `base`.
        """
        return cls(
            image_size=224,
            stem_widths=(16, 32, 64),
            encoder_width=128,
            encoder_depth=4,
            encoder_heads=4,
            half_rotation=False,
            ray_encoder=False,
            decoder_width=128,
            decoder_depth=4,
            decoder_heads=4,
            state_heads=4,
            state_tokens=182,
            pose_memory=False,
            dpt_width=32,
            dpt_last_width=16,
            dpt_layer_widths=(16, 24, 32, 48),
            world_head=False,
            rgb_head=False,
        )

    @classmethod
    def tiny(cls) -> Architecture:
        """Return small sizes for tests, with every optional part."""
        return cls(
            image_size=64,
            encoder_width=64,
            encoder_depth=2,
            encoder_heads=4,
            ray_encoder_heads=16,
            decoder_width=32,
            decoder_depth=4,
            decoder_heads=2,
            state_heads=4,
            state_tokens=20,
            memory_rows=12,
            dpt_width=16,
            dpt_last_width=8,
            dpt_layer_widths=(8, 12, 16, 24),
        )

    def to_record(self) -> dict[str, Any]:
        """Return the sizes as JSON values."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Architecture:
        """
        Return the sizes that to_record wrote.

        :raises ArchitectureError: on an unknown name or a value of a wrong kind.
        """
        kinds = {field.name: type(field.default) for field in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in record.items():
            if name not in kinds:
                raise ArchitectureError(f'unknown size {name!r} in the architecture')
            if kinds[name] is tuple and isinstance(value, list):
                value = tuple(value)
            if kinds[name] is float and type(value) is int:
                value = float(value)
            if type(value) is not kinds[name]:
                raise ArchitectureError(f'{name} must be {kinds[name].__name__}, not {value!r}')
            values[name] = value
        return cls(**values)


def _check_heads(name: str, width: int, heads: int) -> None:
    if width % heads or (width // heads) % 4:
        raise ArchitectureError(
            f'{name}: width {width} over {heads} heads is no multiple of 4 for each'
        )
