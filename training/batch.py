# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A batch of sequences on the training device, with the true geometry of every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.clips import Clip
from ttt3r_ros.geometry import invert
from ttt3r_ros.model.image_input import normalised


@dataclass(frozen=True)
class Batch:
    """
    B sequences of T frames.

    images: (B, T, 3, H, W) in [-1, 1]. depth: (B, T, H, W) metres along z. rays: (B, H, W, 3),
    camera frame, z = 1: points are rays * depth. first_T_camera: (B, T, 4, 4), metres; `first` is
    the camera of frame 0. intrinsics: (B, 4) fx, fy, cx, cy in pixels.
    """

    images: Tensor
    depth: Tensor
    rays: Tensor
    first_T_camera: Tensor
    intrinsics: Tensor

    @property
    def points(self) -> Tensor:
        """Return the points of each frame: (B, T, H, W, 3), metres, camera frame."""
        return self.rays[:, None] * self.depth[..., None]


def collate(clips: list[Clip], device: torch.device) -> Batch:
    """
    Stack sequences into one batch on a device.

    :param clips: at least one, all of the same length and image size.
    :param device: device of the batch.
    :returns: one sequence for each clip, in the same order.
    """
    rgb = torch.stack([clip.rgb for clip in clips]).to(device)
    depth = torch.stack([clip.depth for clip in clips]).to(device)
    relative = np.stack([invert(clip.world_T_camera[0]) @ clip.world_T_camera for clip in clips])
    lenses = [clip.intrinsics for clip in clips]
    intrinsics = np.array([[c.fx, c.fy, c.cx, c.cy] for c in lenses], dtype=np.float32)
    rays = np.stack([c.rays() for c in lenses])
    return Batch(
        images=normalised(rgb),
        depth=depth.float(),
        rays=torch.from_numpy(rays).to(device),
        first_T_camera=torch.from_numpy(relative.astype(np.float32)).to(device),
        intrinsics=torch.from_numpy(intrinsics).to(device),
    )


def mirror(batch: Batch) -> Batch:
    """Return the batch mirrored left to right: images, depth, rays, poses and intrinsics."""
    flip = torch.diag(torch.tensor([-1.0, 1, 1, 1], device=batch.depth.device))
    rays = batch.rays.flip(2) * flip.diagonal()[:3]
    lens = batch.intrinsics.clone()
    lens[:, 2] = batch.depth.shape[-1] - 1 - lens[:, 2]
    return Batch(
        images=batch.images.flip(-1),
        depth=batch.depth.flip(-1),
        rays=rays,
        first_T_camera=flip @ batch.first_T_camera @ flip,
        intrinsics=lens,
    )


def crop(batch: Batch, height: int, width: int) -> Batch:
    """
    Return the batch with every image cropped to its centre.

    :param height: rows of the crop, at most those of the images.
    :param width: columns of the crop, at most those of the images.
    :returns: cropped images, depth and rays, with the intrinsics of the crop.
    """
    top = (batch.depth.shape[-2] - height) // 2
    left = (batch.depth.shape[-1] - width) // 2
    rows, columns = slice(top, top + height), slice(left, left + width)
    lens = batch.intrinsics - batch.intrinsics.new_tensor([0, 0, left, top])
    return Batch(
        images=batch.images[..., rows, columns],
        depth=batch.depth[..., rows, columns],
        rays=batch.rays[:, rows, columns],
        first_T_camera=batch.first_T_camera,
        intrinsics=lens,
    )


def recolor(batch: Batch, rng: np.random.Generator) -> Batch:
    """
    Return the batch with random brightness, contrast and tint, constant over each sequence.

    :param rng: source of the random numbers.
    """
    size = (len(batch.images), 1, 3, 1, 1)
    shared = (len(batch.images), 1, 1, 1, 1)
    gain = rng.lognormal(0, 0.15, shared) * rng.lognormal(0, 0.05, size)
    shift = rng.normal(0, 0.08, shared) + rng.normal(0, 0.03, size)
    device = batch.images.device
    images = batch.images * torch.as_tensor(gain, dtype=torch.float32, device=device)
    images = images + torch.as_tensor(shift, dtype=torch.float32, device=device)
    return Batch(
        images.clamp(-1, 1), batch.depth, batch.rays, batch.first_T_camera, batch.intrinsics
    )


def flow_targets(batch: Batch, cell: int, patch: int) -> tuple[Tensor, Tensor]:
    """
    Compute the optical flow of the centre of each cell to frame 0 and to the previous frame.

    Computed from the exact geometry. A point outside the other image, or behind the other camera,
    is masked; occlusion is ignored.

    :param cell: edge of a cell, pixels.
    :param patch: pixels per unit of flow.
    :returns: (B, T, 2, H / cell, W / cell, 2) flow to frame 0 and to the previous frame, in
        patches; (B, T, 2, H / cell, W / cell) True where it is defined.
    """
    middle = cell // 2
    rays = batch.rays[:, middle::cell, middle::cell]
    depth = batch.depth[:, :, middle::cell, middle::cell]
    points = rays[:, None] * depth[..., None]  # (B, T, h, w, 3)
    rotation, translation = batch.first_T_camera[..., :3, :3], batch.first_T_camera[..., :3, 3]
    in_first = torch.einsum('btij,bthwj->bthwi', rotation, points) + translation[:, :, None, None]
    before = [0, *range(points.shape[1] - 1)]
    offset = in_first - translation[:, before, None, None]
    in_before = torch.einsum('btji,bthwj->bthwi', rotation[:, before], offset)
    seen = torch.stack([in_first, in_before], dim=2)  # (B, T, 2, h, w, 3)

    fx, fy, cx, cy = (x[:, None, None, None, None] for x in batch.intrinsics.unbind(-1))
    z = seen[..., 2].clamp_min(0.05)
    u, v = fx * seen[..., 0] / z + cx, fy * seen[..., 1] / z + cy
    height, width = batch.depth.shape[-2:]
    inside = (seen[..., 2] > 0.05) & (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
    here_u = fx * rays[:, None, None, ..., 0] + cx
    here_v = fy * rays[:, None, None, ..., 1] + cy
    return torch.stack([u - here_u, v - here_v], dim=-1) / patch, inside
