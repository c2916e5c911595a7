# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What Nav2 makes of `~/points` and `map` with the costmaps that we ship.

`VoxelLayer` states the rules of nav2_costmap_2d anew: what a source hands on, how it marks and how
it clears. A value that the configuration leaves out is Nav2's own.
"""

from dataclasses import replace

from nav_msgs.msg import OccupancyGrid
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data, QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import PointCloud2
from sensor_msgs_py import point_cloud2
from tf2_ros import Buffer, TransformListener
import yaml

from ttt3r_ros.geometry import BODY_T_OPTICAL, invert, rotation_about, transform, transform_points
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.node import messages

FREE, LETHAL, UNKNOWN = 0, 254, 255
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

# Declared by nav2_costmap_2d for the costmap, the layer and each source.
COSTMAP = {'resolution': 0.1, 'global_frame': 'map'}
LAYER = {
    'origin_z': 0.0,
    'z_resolution': 0.2,
    'z_voxels': 10,
    'max_obstacle_height': 2.0,
    'mark_threshold': 0,
    'unknown_threshold': 15,
}
SOURCE = {
    'topic': '',
    'sensor_frame': '',
    'data_type': 'LaserScan',
    'min_obstacle_height': 0.0,
    'max_obstacle_height': 0.0,
    'marking': True,
    'clearing': False,
    'obstacle_min_range': 0.0,
    'obstacle_max_range': 2.5,
    'raytrace_min_range': 0.0,
    'raytrace_max_range': 3.0,
}

# The room, in the frame of the robot's base at the first image: x ahead, z up, metres.
WALL, SIDE, CEILING = 2.2, 1.6, 2.4
BOARD, BOARD_HALF = 1.4, 0.3
MAST = transform(BODY_T_OPTICAL[:3, :3], [0.2, 0.0, 0.5])  # base_T_camera
START = transform(rotation_about([0, 0, 1], 0.5), [3.0, -1.0, 0.0])  # odom_T_room


def ahead(distance):
    return transform(np.eye(3), [distance, 0, 0])


class VoxelLayer:
    """A window around the origin that is large enough not to roll; its cells begin unknown."""

    def __init__(self, costmap, half_size=6.0):
        given = costmap['voxel_layer']
        name = given['observation_sources']
        self.source, self.layer = {**SOURCE, **given[name]}, {**LAYER, **given}
        self.frame = {**COSTMAP, **costmap}['global_frame']
        self.resolution = {**COSTMAP, **costmap}['resolution']
        side, layer = round(2 * half_size / self.resolution), self.layer
        self.low = np.array([-half_size, -half_size, layer['origin_z']])
        self.cell = np.array([self.resolution, self.resolution, layer['z_resolution']])
        self.size = np.array([side, side, layer['z_voxels']])
        self.marked = np.zeros(self.size, bool)
        self.unseen = np.ones(self.size, bool)
        self.costs = np.full((side, side), UNKNOWN)

    def add_cloud(self, cloud_frame, points, look_up):
        """
        Add one cloud.

        :param points: (N, 3), in the frame of the cloud.
        :param look_up: returns global_T_frame at the stamp of the cloud.
        """
        source = self.source
        if source['data_type'] != 'PointCloud2':
            return
        origin = look_up(source['sensor_frame'] or cloud_frame)[:3, 3]
        points = transform_points(look_up(cloud_frame), points.astype(np.float64))
        low, high = source['min_obstacle_height'], source['max_obstacle_height']
        points = points[(points[:, 2] >= low) & (points[:, 2] <= high)]
        if source['clearing']:
            self._clear(origin, points)
        if source['marking']:
            self._mark(origin, points)

    def _inside(self, cells):
        return ((cells >= 0) & (cells < self.size)).all(-1)

    def _clear(self, origin, points):
        start = (origin - self.low) / self.cell
        if not self._inside(np.floor(start)):
            return  # "sensor origin is out of map bounds": so it is above the top voxel
        # Rays end two cells before what they hit, and below the top.
        length = np.linalg.norm(points - origin, axis=1)
        share = np.clip((length - 2 * self.resolution) / length, 0, 1)
        rays = share[:, None] * (points - origin)
        top = self.layer['max_obstacle_height'] - 0.01 - origin[2]
        floor = self.layer['origin_z'] - origin[2]
        for limit, beyond in ((top, rays[:, 2] > top), (floor, rays[:, 2] < floor)):
            rays[beyond] *= (limit / rays[beyond, 2])[:, None]
        ends = (origin + rays - self.low) / self.cell
        steps = np.floor(ends) - np.floor(start)
        ends, steps = ends[self._inside(np.floor(ends))], steps[self._inside(np.floor(ends))]
        # Ranges are counted in cells along the line.
        distance = np.linalg.norm(steps, axis=1)
        longest = np.ceil(self.source['raytrace_max_range'] / self.resolution)
        shortest = np.ceil(self.source['raytrace_min_range'] / self.resolution)
        count = np.abs(steps).max(axis=1)
        for k in range(int(count.max(initial=0)) + 1):
            on_ray = (k <= count) & (k * distance <= longest * count)
            on_ray &= k * distance >= shortest * count
            line = start + (ends - start) * (k / np.maximum(count, 1))[:, None]
            x, y, z = np.floor(line[on_ray]).astype(int).T
            self.marked[x, y, z] = self.unseen[x, y, z] = False
            few = self.marked[x, y].sum(-1) <= self.layer['mark_threshold']
            known = self.unseen[x, y].sum(-1) <= self.layer['unknown_threshold']
            self.costs[x[few], y[few]] = np.where(known, FREE, UNKNOWN)[few]

    def _mark(self, origin, points):
        distance = np.linalg.norm(points - origin, axis=1)
        near_enough = distance < self.source['obstacle_max_range']
        far_enough = distance >= self.source['obstacle_min_range']
        low_enough = points[:, 2] <= self.layer['max_obstacle_height']
        hits = points[near_enough & far_enough & low_enough]
        hits[:, 2] = np.maximum(hits[:, 2], self.layer['origin_z'])
        cells = np.floor((hits - self.low) / self.cell).astype(int)
        x, y, z = cells[self._inside(cells)].T
        self.marked[x, y, z], self.unseen[x, y, z] = True, False
        many = self.marked[x, y].sum(-1) > self.layer['mark_threshold']
        self.costs[x[many], y[many]] = LETHAL


def room_depth(rays, room_T_camera, board_top):
    """
    Give the exact depth along rays of optical depth 1: the nearest plane that each meets.

    :param board_top: how high the board before the wall is; 0 for none.
    """
    x, y, z = room_T_camera[:3, 3]
    right, up_down, out = np.moveaxis(rays @ room_T_camera[:3, :3].T, -1, 0)
    with np.errstate(divide='ignore'):
        planes = [
            (WALL - x) / right,
            (SIDE - y) / up_down,
            (-SIDE - y) / up_down,
            (CEILING - z) / out,
            (0 - z) / out,
        ]
        board = (BOARD - x) / right
    hits_board = (np.abs(y + board * up_down) < BOARD_HALF) & (z + board * out < board_top)
    planes.append(np.where(hits_board, board, np.inf))
    return np.min([np.where(plane > 0, plane, np.inf) for plane in planes], axis=0)


class RoomPredictor:
    """The exact network of the rig, in the room; the board is gone after the first image."""

    def __init__(self, exact):
        self._exact = exact

    def fit(self, width, height):
        return ImageFit.for_image(width, height, 512, self._exact.patch)

    def __getattr__(self, name):
        return getattr(self._exact, name)

    def step(self, rgb_fitted, state, write=True):
        prediction, state = self._exact.step(rgb_fitted, state, write)
        rays = prediction.points_camera / prediction.points_camera[..., 2:]
        number = int(rgb_fitted[0, 0, 0])
        depth = room_depth(rays, ahead(0.1 * number) @ MAST, 0.0 if number else 1.0)
        points = (rays * depth[..., None]).astype(np.float32)
        return replace(prediction, points_camera=points), state


@pytest.fixture
def costmap(repository):
    text = (repository / 'config' / 'nav2_costmap.yaml').read_text()
    return yaml.safe_load(text)['local_costmap']['local_costmap']['ros__parameters']


@pytest.fixture
def overrides(repository):
    text = (repository / 'config' / 'mapping.yaml').read_text()
    return yaml.safe_load(text)['/**']['ros__parameters']


class Robot:
    """Drive towards the wall; return what Nav2 would receive: clouds, and TF at their stamps."""

    def __init__(self, rig, topic, **values):
        self._rig = rig
        predictor = RoomPredictor(rig.predictor)
        rig.start(build_mapper=lambda settings: Mapper(predictor, settings.mapping), **values)
        self._buffer = Buffer(node=rig.robot)
        self._listener = TransformListener(self._buffer, rig.robot)
        self._clouds = rig.collect(PointCloud2, topic, qos_profile_sensor_data)
        rig.mount_camera(MAST)

    def look(self, number, global_frame):
        """Show an image, drive on while it is mapped, and return the arguments of `add_cloud`."""
        stamp_ns = self._rig.now_ns()
        for later in range(3):
            odom_T_base = START @ ahead(0.1 * number + 0.2 * later)
            self._rig.send_transform('odom', 'base_link', odom_T_base, stamp_ns + later * 10**8)
        self._rig.show(number, stamp_ns)
        cloud = self._rig.wait_for_stamp(self._clouds, stamp_ns)
        self.stamp = cloud.header.stamp
        moment = Time.from_msg(self.stamp)

        def look_up(frame):
            self._rig.spin_until(
                lambda: self._buffer.can_transform(global_frame, frame, moment),
                f'TF knows {frame} in {global_frame}',
            )
            found = self._buffer.lookup_transform(global_frame, frame, moment)
            return messages.matrix_from_transform(found.transform)

        points = point_cloud2.read_points_numpy(cloud, ['x', 'y', 'z'])
        return cloud.header.frame_id, points, look_up


def in_room(layer):
    """Return the (x, y) in the room of every cell's middle."""
    cells = np.moveaxis(np.indices(layer.costs.shape), 0, -1) + 0.5
    ground = np.zeros((*layer.costs.shape, 1))
    middles = np.concatenate([layer.low[:2] + layer.resolution * cells, ground], axis=-1)
    return np.moveaxis(transform_points(invert(START), middles), -1, 0)[:2]


def assert_marked(layer, x, half_width):
    """Every place of a plane ahead has a marked cell within the size of a cell."""
    marked = np.stack([axis[layer.costs == LETHAL] for axis in in_room(layer)], axis=-1)
    assert len(marked)
    for y in np.linspace(-half_width, half_width, 101):
        nearest = np.linalg.norm(marked - [x, y], axis=1).min()
        assert nearest <= layer.resolution, f'nothing marked at {x:.2f}, {y:.2f}'


def assert_nothing_else_marked(layer, *planes):
    marked = in_room(layer)[0][layer.costs == LETHAL]
    off = np.min([np.abs(marked - x) for x in planes], axis=0)
    assert off.max() <= layer.resolution


class StaticLayer:
    """What nav2_costmap_2d makes of a `map`, with `trinary_costmap`."""

    def __init__(self, grid):
        info = grid.info
        assert len(grid.data) == info.width * info.height
        self.resolution = info.resolution
        self.low = np.array([info.origin.position.x, info.origin.position.y, 0.0])
        x, y = np.mgrid[: info.width, : info.height]
        value = np.array(grid.data)[y * info.width + x]
        self.costs = np.select([value == -1, value >= 100], [UNKNOWN, LETHAL], FREE)


def test_who_joins_late_gets_the_grid_with_the_wall_where_it_stands(rig, overrides):
    robot = Robot(rig, '/ttt3r/points', **overrides)
    for number in (1, 2, 3):  # without the board
        robot.look(number, 'map')
    grids = rig.collect(OccupancyGrid, '/map', LATCHED)

    grid = rig.spin_until(lambda: grids, 'the grid comes')[0]

    assert (grid.header.frame_id, grid.header.stamp) == ('map', robot.stamp)
    layer = StaticLayer(grid)
    assert layer.resolution == pytest.approx(0.05, abs=1e-6)
    np.testing.assert_allclose(layer.low / 4.0, np.round(layer.low / 4.0), atol=1e-9)
    assert_marked(layer, WALL, 0.9)
    assert_nothing_else_marked(layer, WALL)
    x, y = in_room(layer)
    # From 0.5 m high the camera sees the floor from 1.2 m on: 0.5 / tan(23.4 degrees).
    seen = (x - 0.4 > 1.2) & (np.abs(y) < 0.5 * (x - 0.4)) & (x < WALL - 0.1)
    assert (layer.costs[seen] == FREE).all()
    assert (layer.costs[x > WALL + 0.1] == UNKNOWN).all()


@pytest.mark.parametrize('resolution', [0.1, 0.05])
def test_a_wall_is_marked_where_it_stands_and_what_lies_before_it_is_free(
    rig, costmap, overrides, resolution
):
    layer = VoxelLayer({**costmap, 'resolution': resolution})
    robot = Robot(rig, layer.source['topic'], **overrides)

    frame, points, look_up = robot.look(0, layer.frame)
    layer.add_cloud(frame, points, look_up)

    heights = transform_points(MAST, points)[:, 2]
    assert (np.abs(heights) < 0.01).sum() > 1000  # the floor is in the cloud
    assert_marked(layer, BOARD, BOARD_HALF)
    assert_nothing_else_marked(layer, BOARD, WALL)

    layer.add_cloud(*robot.look(2, layer.frame))  # two decimetres on, without the board

    assert_marked(layer, WALL, 0.9)
    assert_nothing_else_marked(layer, WALL)
    x, y = in_room(layer)
    from_camera = x - 0.4
    in_view = (from_camera > 0.2) & (np.abs(y) < 0.5 * from_camera)
    before_wall = in_view & (x < WALL - 3 * resolution)
    assert before_wall.sum() * resolution**2 > 0.9
    assert (layer.costs[before_wall] == FREE).all()


@pytest.mark.parametrize(
    ('changed', 'trap'),
    [
        ({}, 'none'),
        ({'data_type': None}, 'nothing marked'),
        ({'max_obstacle_height': None}, 'nothing marked'),
        ({'clearing': None}, 'nothing cleared'),
        ({'sensor_frame': 'mast_top'}, 'nothing cleared'),
        ({'obstacle_max_range': 1.5}, 'wall out of range'),
    ],
)
def test_the_rules_know_the_traps_of_nav2(costmap, changed, trap):
    source = {**costmap['voxel_layer']['ttt3r'], **changed}
    source = {name: value for name, value in source.items() if value is not None}
    layer = VoxelLayer({**costmap, 'voxel_layer': {**costmap['voxel_layer'], 'ttt3r': source}})
    rays = CameraIntrinsics.from_field_of_view(128, 96, 60.0).rays()
    for number in (0, 2):
        room_T_camera = ahead(0.1 * number) @ MAST
        frames = {
            'camera': START @ room_T_camera,
            'mast_top': START @ transform(np.eye(3), [0, 0, 2.1]),
        }
        depth = room_depth(rays, room_T_camera, 0.0 if number else 1.0)
        layer.add_cloud('camera', (rays * depth[..., None]).reshape(-1, 3), frames.get)

    x, y = in_room(layer)
    wall = layer.costs[(np.abs(x - WALL) < 0.1) & (np.abs(y) < 0.9)]
    board = layer.costs[(np.abs(x - BOARD) < 0.1) & (np.abs(y) < 0.2)]
    found = {
        (True, True): 'none',
        (False, True): 'wall out of range',
        (True, False): 'nothing cleared',
        (False, False): 'nothing marked',
    }
    assert found[bool((wall == LETHAL).any()), bool((board == FREE).all())] == trap


@pytest.mark.parametrize(('height', 'marked'), [(0.2, False), (0.3, True)])
def test_what_is_lower_than_three_voxels_reach_is_not_marked(costmap, height, marked):
    layer = VoxelLayer(costmap)
    rays = CameraIntrinsics.from_field_of_view(128, 96, 60.0).rays()
    depth = room_depth(rays, MAST, height)

    layer.add_cloud(
        'camera', (rays * depth[..., None]).reshape(-1, 3), {'camera': START @ MAST}.get
    )

    x, y = in_room(layer)
    board = layer.costs[(np.abs(x - BOARD) < 0.1) & (np.abs(y) < 0.2)]
    assert (board == LETHAL).any() == marked
