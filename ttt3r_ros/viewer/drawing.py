# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A scene in the browser's scene: a part that has not changed is not sent again."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any

import numpy as np
import viser

from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.geometry import quaternion_from_rotation
from ttt3r_ros.mapping.occupancy import FREE, Occupancy, OCCUPIED
from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.viewer.colors import colored, IMAGE, visible
from ttt3r_ros.viewer.scene import Cloud, KeyPlaces, Scene, View

Color = tuple[int, int, int]
PATH: Color = (255, 64, 84)
TRUTH: Color = (70, 220, 120)
KEYS: Color = (80, 150, 255)
LOOPS: Color = (255, 170, 40)
CAMERA: Color = (255, 214, 64)
VIEWS: Color = (170, 180, 200)

# Lines are subsampled to so many points, pictures along the path to so many.
MOST_POSES = 2000
MOST_VIEWS = 16
# Sizes, in parts of the largest side of the scene; within limits, metres.
LINE_PART, LINE_M = 0.004, (0.005, 0.06)
# The path of a base lies on the floor, whose points would hide it: raised by so many lines.
LIFT = 3.0
FRUSTUM_PART, FRUSTUM_M = 0.02, (0.03, 0.25)

GRID_COLORS: dict[int, tuple[int, int, int, int]] = {
    FREE: (90, 140, 190, 150),
    OCCUPIED: (255, 255, 255, 230),
}


@dataclass(frozen=True)
class Look:
    """
    What the user chose to see.

    coloring: one of `colorings`. point_size: in voxels. ceiling: points above it are hidden,
    metres, map frame. least_certain: so many percent of the points, of least confidence, are
    hidden. until_s: points seen first later than this are hidden, seconds. follow: whether the
    camera of the page goes along with the robot. hidden: names of the layers that are hidden.
    """

    coloring: str = IMAGE
    point_size: float = 1.0
    ceiling: float = math.inf
    least_certain: float = 0.0
    until_s: float = math.inf
    follow: bool = False
    hidden: frozenset[str] = frozenset()


# Layers by their names for the user.
MAP, FRESH, ESTIMATE, REFERENCE, GRAPH, IMAGES, CAMERA_NOW, FLOOR = LAYERS = (
    'map',
    'newest points',
    'path',
    'true path',
    'key frames, loops',
    'images',
    'camera',
    'floor plan',
)


class Drawing:
    """Draws scenes into the scene of a server; one thread uses it."""

    def __init__(self, server: viser.ViserServer) -> None:
        """
        Begin with nothing drawn.

        :param server: has the scene.
        """
        self._scene = server.scene
        self._server = server
        self._drawn: dict[str, tuple[Any, ...]] = {}
        self._frusta = 0
        self._floor_m = math.inf
        self._limits = Scene().limits()
        self.points = 0

    def draw(self, scene: Scene, look: Look) -> None:
        """
        Draw what has changed.

        :param look: what of it, and how.
        """
        if self._changed('limits', scene.cloud):
            self._limits = scene.limits()
        low, high = self._limits
        side = float((high - low)[:2].max())
        line = float(np.clip(LINE_PART * side, *LINE_M))
        with self._server.atomic():
            self._draw_cloud(scene, look)
            self._draw_fresh(scene.fresh, scene.voxel_size, look)
            self._draw_path(ESTIMATE, '/path', scene.path, PATH, line, look)
            self._draw_path(REFERENCE, '/true_path', scene.truth, TRUTH, line, look)
            self._draw_keys(scene.keys, line, look)
            size = float(np.clip(FRUSTUM_PART * side, *FRUSTUM_M))
            self._draw_views(scene, size, look)
            self._draw_camera(scene.newest, size, look)
            self._draw_floor(scene.floor, float(low[2]), look)

    def _changed(self, name: str, *inputs: Any) -> bool:
        """Return whether something was drawn from other values before; objects never change."""
        before, self._drawn[name] = self._drawn.get(name), inputs
        return before is None or not all(map(_same, before, inputs))

    def _draw_cloud(self, scene: Scene, look: Look) -> None:
        cloud, shown = scene.cloud, MAP not in look.hidden
        chosen = (look.coloring, look.ceiling, look.least_certain, look.until_s)
        if self._changed(MAP, cloud, *chosen, scene.voxel_size * look.point_size, shown):
            which = visible(cloud, look.ceiling, look.least_certain, look.until_s)
            colors = colored(cloud, look.coloring)[which]
            self.points = int(which.sum()) if shown else 0
            size = scene.voxel_size * look.point_size
            self._add_points('/map', cloud.points[which], colors, size, shown)

    def _draw_fresh(self, cloud: Cloud | None, voxel_size: float, look: Look) -> None:
        shown = cloud is not None and FRESH not in look.hidden
        size = 0.6 * voxel_size * look.point_size
        if self._changed(FRESH, cloud, size, shown, look.ceiling):
            if cloud is None or not shown:
                self._remove('/newest_points')
                return
            which = visible(cloud, look.ceiling, 0.0, math.inf)
            self._add_points('/newest_points', cloud.points[which], cloud.colors[which], size)

    def _add_points(
        self, name: str, points: Array32, colors: Pixels, size: float, shown: bool = True
    ) -> None:
        self._scene.add_point_cloud(
            name,
            points,
            colors,
            point_size=size,
            point_shape='rounded',
            point_shading='flat',
            precision='float32',
            visible=shown,
        )

    def _draw_path(
        self, layer: str, name: str, path: Trajectory | None, color: Color, line: float, look: Look
    ) -> None:
        shown = layer not in look.hidden
        if not self._changed(layer, path, line, shown):
            return
        if path is None or len(path.poses) < 2 or not shown:
            self._remove(name)
            return
        step = -(-len(path.poses) // MOST_POSES)
        places = np.concatenate([path.poses[:-1:step, :3, 3], path.poses[-1:, :3, 3]])
        places[:, 2] += LIFT * line
        self._add_lines(name, np.stack([places[:-1], places[1:]], axis=1), color, line)

    def _add_lines(self, name: str, ends: Array, color: Color, line: float) -> None:
        self._scene.add_line_segments(name, ends, color, thickness=line)

    def _draw_keys(self, keys: KeyPlaces | None, line: float, look: Look) -> None:
        shown = GRAPH not in look.hidden
        if not self._changed(GRAPH, keys, line, shown):
            return
        self._remove('/loops')
        if keys is None or not len(keys.places) or not shown:
            self._remove('/key_frames')
            return
        colors = np.tile(np.array(KEYS, np.uint8), (len(keys.places), 1))
        self._scene.add_point_cloud(
            '/key_frames',
            keys.places,
            colors,
            point_size=1.6 * line,
            point_shape='circle',
            precision='float32',
        )
        if len(keys.loops):
            self._add_lines('/loops', keys.loops.astype(np.float64), LOOPS, line)

    def _draw_views(self, scene: Scene, size: float, look: Look) -> None:
        views, stamps = scene.views, scene.path.stamps_ns
        end = stamps[-1] if len(stamps) else math.inf
        some = np.linspace(0, len(views) - 1, min(MOST_VIEWS, len(views))).round().astype(int)
        # Chosen from all, so that they stay while the time of a finished run goes on.
        along = [views[number] for number in some if views[number].stamp_ns <= end]
        shown = IMAGES not in look.hidden
        if not self._changed(IMAGES, views, len(along), size, shown):
            return
        chosen = along if shown else []
        for number, view in enumerate(chosen):
            self._add_frustum(f'/images/{number}', view, size, VIEWS)
        for number in range(len(chosen), self._frusta):
            self._remove(f'/images/{number}')
        self._frusta = len(chosen)

    def _draw_camera(self, newest: View | None, size: float, look: Look) -> None:
        shown = CAMERA_NOW not in look.hidden
        if not self._changed(CAMERA_NOW, newest, size, shown):
            return
        if newest is None or not shown:
            self._remove('/camera')
        else:
            self._add_frustum('/camera', newest, 2 * size, CAMERA)

    def _add_frustum(self, name: str, view: View, size: float, color: Color) -> None:
        height, width = view.rgb.shape[:2]
        self._scene.add_camera_frustum(
            name,
            view.fov,
            width / height,
            scale=size,
            thickness=0.06 * size,
            color=color,
            image=view.rgb,
            jpeg_quality=80,
            wxyz=_wxyz(view.map_T_camera),
            position=view.map_T_camera[:3, 3],
            cast_shadow=False,
            receive_shadow=False,
        )

    def _draw_floor(self, plan: Occupancy | None, floor_m: float, look: Look) -> None:
        """Draw the occupancy grid; its place follows the floor, which moves while points come."""
        if abs(floor_m - self._floor_m) > GRID_STEP_M:
            self._floor_m = floor_m
        shown = FLOOR not in look.hidden
        if not self._changed(FLOOR, plan, self._floor_m, shown):
            return
        if plan is None or not plan.cells.size or not shown:
            self._remove('/floor_plan')
            return
        rows, columns = plan.cells.shape
        width, height = columns * plan.resolution, rows * plan.resolution
        self._scene.add_image(
            '/floor_plan',
            grid_picture(plan),
            width,
            height,
            # Pictures are seen from -z, with x to the right and y down.
            wxyz=(0.0, 1.0, 0.0, 0.0),
            position=(plan.x + width / 2, plan.y + height / 2, self._floor_m),
            cast_shadow=False,
            receive_shadow=False,
        )

    def _remove(self, name: str) -> None:
        if self._scene.get_handle_by_name(name) is not None:
            self._scene.remove_by_name(name)


# The floor plan follows the estimated floor by steps.
GRID_STEP_M = 0.1


def _same(before: Any, now: Any) -> bool:
    return before is now or (isinstance(now, (int, float, str)) and bool(before == now))


def _wxyz(map_T_camera: Array) -> tuple[float, float, float, float]:
    x, y, z, w = quaternion_from_rotation(map_T_camera[:3, :3]).tolist()
    return w, x, y, z


def grid_picture(plan: Occupancy) -> Pixels:
    """
    Return an occupancy grid as a picture, north up, transparent where unknown.

    :returns: (rows, columns, 4) uint8 RGBA.
    """
    picture = np.zeros((*plan.cells.shape, 4), np.uint8)
    for value, color in GRID_COLORS.items():
        picture[plan.cells == value] = color
    return picture[::-1]


def start_camera(scene: Scene) -> tuple[Array, Array]:
    """
    Return from where a scene is seen well.

    :returns: (3,) position of the eye and (3,) the point that it looks at, metres, map frame.
    """
    low, high = scene.limits()
    if not scene.finished and len(scene.path.poses):
        here = scene.path.poses[-1, :3, 3]
        return here + NEAR_M, here
    middle = (low + high) / 2
    middle[2] = low[2]
    reach = max(float((high - low)[:2].max()), 1.0)
    return middle + reach * FAR, middle


# Where the eye is: of a camera that is followed, metres; of a whole map, in parts of its side.
NEAR_M = np.array([-2.5, -2.5, 5.0])
FAR = np.array([-0.27, -0.58, 0.86])
