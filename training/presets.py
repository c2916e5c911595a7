# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The training presets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ttt3r_ros.errors import UserError
from ttt3r_ros.model import Architecture


@dataclass(frozen=True)
class Preset:
    """
    Network, image size, data and schedule of a training run.

    frames_per_step: number of sequences times their length. stages: fraction of the run at which
    the stage begins, shortest and longest sequence in frames. dense_share: fraction of the frames
    whose points are in the loss of a step; poses and flow of all frames are. rules: update rules
    of the state, one drawn for each step. average: decay of the averaged weights.
    advised_interval: recommended number of frames in a segment.
    """

    architecture: Architecture
    width: int
    height: int
    frames_per_step: int
    rate: float
    pool_clips: int
    reuse: float
    dense_share: float
    stages: tuple[tuple[float, int, int], ...] = ((0.0, 2, 4), (0.3, 4, 8), (0.75, 8, 16))
    rules: tuple[str, ...] = ('cut3r', 'ttt3r')
    memory_frames: int = 8
    average: float = 0.999
    advised_interval: int = 0

    def at(self, width: int, height: int) -> Preset:
        """
        Return the preset for another image size, which is also stored in the architecture.

        :param width: pixels.
        :param height: pixels.
        :raises UserError: when a side is no multiple of the patch size.
        """
        patch = self.architecture.patch_size
        if width % patch or height % patch:
            raise UserError(f'{width}x{height}: width and height have to be multiples of {patch}')
        architecture = replace(self.architecture, image_size=max(width, height))
        return replace(self, architecture=architecture, width=width, height=height)


PRESETS = {
    # 13.7 M parameters: for a GPU; no run has trained it yet.
    'base': Preset(Architecture.base(), 224, 160, 512, 1e-3, 512, 4.0, 0.5),
    # 3.3 M parameters, the checkpoint that ships: two CPU cores train it, first on 128x96.
    'small': Preset(
        Architecture.small(),
        width=224,
        height=160,
        frames_per_step=64,
        rate=3e-3,
        pool_clips=128,
        reuse=6.0,
        dense_share=0.5,
        stages=((0.0, 2, 3), (0.35, 2, 6), (0.6, 4, 8), (0.9, 8, 16)),
        average=0.99,
        advised_interval=3,
    ),
    # The checkpoint that ships, trained on on a GPU: eight times its images in a step, long
    # sequences, and a rate that keeps what is learnt.
    'more': Preset(
        Architecture.small(),
        width=224,
        height=160,
        frames_per_step=512,
        rate=1e-3,
        pool_clips=512,
        reuse=4.0,
        dense_share=0.5,
        stages=((0.0, 4, 8), (0.5, 8, 16)),
        advised_interval=3,
    ),
    # For the smoke test.
    'tiny': Preset(Architecture.tiny(), 64, 48, 16, 1e-3, 4, 8.0, 1.0),
}
