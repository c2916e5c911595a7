# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Views of a point cloud: in perspective from behind the cameras, and from above."""

from __future__ import annotations

from dataclasses import dataclass
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.geometry import transform
from ttt3r_ros.mapping.voxels import VoxelCloud

BACKGROUND = (246, 246, 244)

# Rendered so many times larger and averaged: points have soft edges.
FINER = 2
MOST_RADIUS_PX = 5.0
MOST_POINTS = 600_000

# A disc of this part of a voxel covers the gaps between neighbours.
DISC = 0.65

# Points nearer to the eye throw a shadow on those behind them, which shows edges.
SHADOW, SHADOW_STEP_PX = 0.8, 2

# So much of a cloud has to be in view along each axis; the rest are outliers.
IN_VIEW = (3.0, 97.0)

# Cameras that look less alike than this turn around: a room, seen best from high above.
LOOK_ALIKE = 0.55
BESIDE, DOWN, DOWN_IN_ROOM = math.radians(24), math.radians(32), math.radians(52)

# What lies higher above the path hides the floor: ceilings, lamps.
HEADROOM_M = 0.3

NOTHING: Array = np.empty((0, 3))


@dataclass(frozen=True, eq=False)
class View:
    """
    A virtual camera.

    map_T_view: (4, 4) of its optical frame, metres. focal_px: pixels; of a view from above, which
    is no perspective, pixels per metre. width, height: of the picture, pixels. from_above:
    whether it is that.
    """

    map_T_view: Array
    focal_px: float
    width: int
    height: int
    from_above: bool = False

    def project(self, points: NDArray[np.floating]) -> tuple[Array, Array]:
        """
        Project points into the picture.

        :param points: (N, 3) metres, map frame.
        :returns: (N, 2) columns and rows, pixels; (N,) depth, metres, where only what is above 0
            is before the view.
        """
        inside = (np.asarray(points) - self.map_T_view[:3, 3]) @ self.map_T_view[:3, :3]
        depth = inside[:, 2]
        scale = self.scale_at(depth)
        middle = np.array([self.width / 2, self.height / 2])
        return inside[:, :2] * scale[:, None] + middle, depth

    def scale_at(self, depth: Array) -> Array:
        """
        Return the size of a metre at a depth.

        :param depth: (N,) metres.
        :returns: (N,) pixels.
        """
        if self.from_above:
            return np.full(len(depth), self.focal_px)
        return self.focal_px / np.maximum(depth, 1e-3)

    def finer(self, factor: int) -> View:
        """
        Return the same view in more pixels.

        :param factor: on both sides.
        """
        size = self.width * factor, self.height * factor
        return View(self.map_T_view, self.focal_px * factor, *size, self.from_above)


# ---- where to look from


def below_ceiling(cloud: VoxelCloud, poses: Array) -> VoxelCloud:
    """
    Return the points that do not hide the floor from above.

    :param cloud: the map.
    :param poses: (N, 4, 4) map_T_camera, metres.
    """
    return _chosen(cloud, cloud.points[:, 2] <= poses[:, 2, 3].max() + HEADROOM_M)


def perspective(
    cloud: VoxelCloud, poses: Array, width: int, height: int, also: Array = NOTHING
) -> View:
    """
    Return a view from behind the cameras, or into the room in which they turn around.

    :param cloud: what has to be in view, nearly all of it; may be empty.
    :param poses: (N, 4, 4) map_T_camera, metres, all in view, N >= 1.
    :param width: of the picture, pixels.
    :param height: of the picture, pixels.
    :param also: (M, 3) metres, map frame, all in view.
    """
    looks = poses[:, :3, 2].mean(axis=0)
    heading = math.atan2(looks[1], looks[0])
    down = DOWN if alike(poses) else DOWN_IN_ROOM
    # From the side on which the cameras have less in their way: the path stays visible.
    rotation = _looking(heading + BESIDE, down)
    focal = 0.5 * width / math.tan(math.radians(27))
    points, cameras = _core(cloud.points), np.concatenate([poses[:, :3, 3], also])
    middle = 0.5 * (points.min(axis=0) + points.max(axis=0)) if len(points) else cameras.mean(0)
    half = 0.94 * np.array([width, height]) / 2 / focal  # tangents of the edges
    for _ in range(4):
        view = View(
            transform(rotation, _eye(points, cameras, middle, rotation, half)),
            focal,
            width,
            height,
        )
        pixels, depth = view.project(np.concatenate([points, cameras]))
        shift = 0.5 * (pixels.min(axis=0) + pixels.max(axis=0)) - [width / 2, height / 2]
        middle = middle + rotation[:, :2] @ (shift * np.median(depth) / focal)
    return view


def alike(poses: Array) -> bool:
    """
    Return whether cameras look into about the same direction.

    :param poses: (N, 4, 4) map_T_camera, N >= 1.
    """
    return bool(np.linalg.norm(poses[:, :3, 2].mean(axis=0)) > LOOK_ALIKE)


def _looking(heading: float, down: float) -> Array:
    """Return the rotation of an optical frame that looks along a heading, and down."""
    z = np.array(
        [math.cos(heading) * math.cos(down), math.sin(heading) * math.cos(down), -math.sin(down)]
    )
    x = np.array([math.sin(heading), -math.cos(heading), 0.0])
    return np.stack([x, np.cross(z, x), z], axis=1)


def _eye(points: Array, cameras: Array, middle: Array, rotation: Array, half: Array) -> Array:
    """Return the nearest place from which all is in view, (3,) metres."""
    far = 0.5
    for each, part in ((points, 98.0), (cameras, 100.0)):
        if len(each):
            inside = (each - middle) @ rotation
            needed = np.max(np.abs(inside[:, :2]) / half, axis=1) - inside[:, 2]
            far = max(far, float(np.percentile(needed, part)))
    place: Array = middle - far * rotation[:, 2]
    return place


def above(low: Array, high: Array, pixel: float) -> View:
    """
    Return a view from above, x to the right and y up.

    :param low: (2,) smallest x and y, metres, map frame.
    :param high: (2,) largest x and y, metres, map frame.
    :param pixel: edge of a pixel, metres.
    """
    rotation = np.diag([1.0, -1.0, -1.0])
    width, height = np.maximum(np.ceil((high - low) / pixel), 1).astype(int).tolist()
    corner = np.array([low[0] + width * pixel / 2, low[1] + height * pixel / 2, 1e4])
    return View(transform(rotation, corner), 1 / pixel, width, height, from_above=True)


def _core(points: NDArray[np.floating]) -> Array:
    """Return the points without outliers."""
    if not len(points):
        return np.empty((0, 3))
    low, high = np.percentile(points, IN_VIEW, axis=0)
    return np.asarray(points[((points >= low) & (points <= high)).all(axis=1)], np.float64)


# ---- rendering


def rendered(cloud: VoxelCloud, view: View, voxel_size: float) -> Pixels:
    """
    Render points as discs of the size of their voxels, with shadows at edges of depth.

    :param cloud: the map.
    :param view: from where.
    :param voxel_size: edge of a voxel of the map, metres.
    :returns: (height, width, 4) uint8 RGBA, transparent where nothing is.
    """
    fine = view.finer(FINER)
    if len(cloud.points) > MOST_POINTS:
        cloud = _chosen(
            cloud, np.arange(0, len(cloud.points), 1 + len(cloud.points) // MOST_POINTS)
        )
    pixels, depth = fine.project(cloud.points)
    before = depth > 0
    scale = fine.scale_at(depth[before])
    radius = np.clip(DISC * voxel_size * scale, 0.5, MOST_RADIUS_PX * FINER)
    which, distance = _nearest_points(
        pixels[before], depth[before], radius, (fine.height, fine.width)
    )
    picture = np.zeros((fine.height, fine.width, 4), np.float32)
    seen = which >= 0
    picture[seen, :3] = cloud.colors[before][which[seen]]
    picture[seen, 3] = 255
    picture[..., :3] *= _light(np.where(seen, distance, np.inf), view.from_above)[..., None]
    # Averaged with weights: what is transparent has no colour.
    picture[..., :3] *= picture[..., 3:] / 255
    size = view.width, view.height
    small: Array32 = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    small[..., :3] /= np.maximum(small[..., 3:] / 255, 1e-6)
    return np.asarray(np.clip(np.round(small), 0, 255), np.uint8)


def _nearest_points(
    pixels: Array, depth: Array, radius: Array, size: tuple[int, int]
) -> tuple[NDArray[np.int64], Array]:
    """
    Return which point is seen in each pixel, and how far it is.

    :param pixels: (N, 2) columns and rows.
    :param depth: (N,) metres.
    :param radius: (N,) of the discs, pixels.
    :param size: (height, width) of the picture.
    :returns: (height, width) indices, -1 for none; (height, width) metres.
    """
    height, width = size
    which = np.full(height * width, -1)
    distance = np.full(height * width, np.inf)
    whole = np.round(radius).astype(int)
    for r in np.unique(whole):
        mine = np.flatnonzero(whole == r)
        # Of equal indices numpy keeps the last assignment: the nearest point comes last.
        mine = mine[np.argsort(-depth[mine], kind='stable')]
        place = np.floor(pixels[mine]).astype(np.int64)
        for dy in range(-r, r + 1):
            for dx in range(-r, r + 1):
                if dx * dx + dy * dy > r * r + r:
                    continue
                u, v = place[:, 0] + dx, place[:, 1] + dy
                inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
                at, who = v[inside] * width + u[inside], mine[inside]
                nearer = depth[who] < distance[at]
                which[at[nearer]], distance[at[nearer]] = who[nearer], depth[who[nearer]]
    return which.reshape(size), distance.reshape(size)


def _light(distance: Array, from_above: bool) -> Array:
    """
    Return how bright each pixel is: darker beside what is nearer.

    :param distance: (height, width) metres, infinite where nothing is.
    :param from_above: whether distances count in metres, not relative to each other.
    """
    with np.errstate(divide='ignore', invalid='ignore'):
        height = distance if from_above else 6 * np.log(distance)
        shadow = np.zeros_like(distance)
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
            neighbour = np.roll(height, step * SHADOW_STEP_PX, axis=axis)
            drop = height - neighbour
            shadow += np.where(np.isfinite(drop), np.clip(drop, 0.0, 0.3), 0.0)
    return np.asarray(np.exp(-SHADOW * shadow), np.float64)


def on_background(picture: Pixels) -> Pixels:
    """
    Put a picture on the background.

    :param picture: (height, width, 4) uint8 RGBA.
    :returns: (height, width, 3) uint8 RGB.
    """
    opaque = picture[..., 3:].astype(np.float32) / 255
    mixed = picture[..., :3] * opaque + np.array(BACKGROUND, np.float32) * (1 - opaque)
    return np.asarray(np.round(mixed), np.uint8)


def _chosen(cloud: VoxelCloud, rows: NDArray[np.generic]) -> VoxelCloud:
    return VoxelCloud(cloud.points[rows], cloud.colors[rows], cloud.confidence[rows])
