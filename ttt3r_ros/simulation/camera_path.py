# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Paths of a camera through a world: on a wheeled robot, or in a hand.

Both follow routes over the floor: the cheapest way from place to place, where floor close to a
wall or to furniture costs more, smoothed, with bounded speed and acceleration.
"""

from __future__ import annotations

from dataclasses import dataclass
import heapq
import itertools
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array, Array32
from ttt3r_ros.geometry import BODY_T_OPTICAL, transform
from ttt3r_ros.simulation.scalar import compiled
from ttt3r_ros.simulation.world import FloorPlan, PLAN_RESOLUTION, World
from ttt3r_ros.units import NANOSECONDS

CLEARANCE = 0.25  # metres from the camera to walls and furniture, at least
ROUTE_CLEARANCE = 0.34  # metres, of a route before it is smoothed
STEP = 0.02  # metres between the points of a route
TICK = 0.02  # seconds between the points of a motion, before it is sampled
ATTEMPTS = 20  # routes drawn until one keeps its clearance


class NoRouteError(RuntimeError):
    """No route through a world keeps its clearance."""


@dataclass(frozen=True)
class CameraPath:
    """
    The poses of a camera over time.

    stamps_ns: (T,) int64, nanoseconds. world_T_camera: (T, 4, 4) float64, optical frame.
    """

    stamps_ns: NDArray[np.int64]
    world_T_camera: Array

    def __len__(self) -> int:
        """Return the number of poses."""
        return len(self.stamps_ns)


def body_T_camera(height: float, tilt: float = 0.0) -> Array:
    """
    Return the pose of a camera on a robot whose base is on the floor below it.

    :param height: metres above the floor.
    :param tilt: radians, positive looks up.
    :returns: (4, 4), base (x forward, z up) from optical frame.
    """
    cos, sin = math.cos(tilt), math.sin(tilt)
    up = [[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]]
    return transform(up, [0.0, 0.0, height]) @ BODY_T_OPTICAL


def robot_path(
    world: World,
    seed: int,
    seconds: float,
    rate_hz: float,
    *,
    speed: float = 0.6,
    camera_height: float | None = None,
    tilt: float | None = None,
) -> CameraPath:
    """
    Return the path of a camera on a wheeled robot that turns, stops, looks around and returns.

    :param seed: of the route; the same seed gives the same path.
    :param seconds: length of the path.
    :param rate_hz: poses per second.
    :param speed: metres per second, at most.
    :param camera_height: metres, 0.2 to 1.7; None draws it.
    :param tilt: radians, positive looks up; None draws a little.
    :returns: round(seconds * rate_hz) poses; the camera is fixed to the robot, see
        `body_T_camera`.
    :raises NoRouteError: when no route keeps its clearance.
    """
    rng = np.random.default_rng([3, seed])
    height = rng.uniform(0.2, 1.7) if camera_height is None else camera_height
    lean = rng.uniform(-0.12, 0.08) if tilt is None else tilt
    base_T_camera = body_T_camera(height, lean)
    finder = _RouteFinder(world.plan(), rng)
    times = np.arange(_count(seconds, rate_hz)) / rate_hz
    for _ in range(ATTEMPTS):
        motion = _drive(finder, seconds, speed)
        ticks = np.arange(motion.shape[1]) * TICK
        x, y, yaw = (np.interp(times, ticks, values) for values in motion)
        poses = _upright(x, y, np.zeros_like(x), yaw) @ base_T_camera
        if _keeps_clear(world, poses):
            return CameraPath(_stamps(times), poses)
    raise NoRouteError('no robot path keeps its clearance in this world')


def hand_path(
    world: World,
    seed: int,
    seconds: float,
    rate_hz: float,
    *,
    speed: float = 0.5,
) -> CameraPath:
    """
    Return the path of a camera in a hand: it sways in six degrees of freedom and looks aside.

    :param seed: of the route; the same seed gives the same path.
    :param seconds: length of the path.
    :param rate_hz: poses per second.
    :param speed: metres per second of the walk, at most; the sway adds some.
    :returns: round(seconds * rate_hz) poses.
    :raises NoRouteError: when no route keeps its clearance.
    """
    rng = np.random.default_rng([4, seed])
    finder = _RouteFinder(world.plan(), rng)
    times = np.arange(_count(seconds, rate_hz)) / rate_hz
    for _ in range(ATTEMPTS):
        motion = _carry(finder.plan, rng, _drive(finder, seconds, speed, turn_rate=1.4))
        ticks = np.arange(motion.shape[1]) * TICK
        x, y, z, yaw, pitch, roll = (np.interp(times, ticks, values) for values in motion)
        poses = _upright(x, y, z, yaw) @ _leaning(pitch, roll) @ BODY_T_OPTICAL
        if _keeps_clear(world, poses):
            return CameraPath(_stamps(times), poses)
    raise NoRouteError('no hand-held path keeps its clearance in this world')


def _count(seconds: float, rate_hz: float) -> int:
    return max(1, round(seconds * rate_hz))


def _stamps(times: Array) -> NDArray[np.int64]:
    return np.round(times * NANOSECONDS).astype(np.int64)


def _keeps_clear(world: World, world_T_camera: Array) -> bool:
    """Check the clearance to walls and parts; the floor does not count."""
    return bool((world.clearance(world_T_camera[:, :3, 3], floor=False) >= CLEARANCE).all())


def _upright(x: Array, y: Array, z: Array, yaw: Array) -> Array:
    """Return the poses (T, 4, 4) of upright bodies."""
    cos, sin, zero, one = np.cos(yaw), np.sin(yaw), np.zeros_like(yaw), np.ones_like(yaw)
    rotation = np.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], axis=-1)
    return transform(rotation.reshape(-1, 3, 3), np.stack([x, y, z], axis=-1))


def _leaning(pitch: Array, roll: Array) -> Array:
    """Return rotations (T, 4, 4) up by pitch, then to the right by roll."""
    zero, one = np.zeros_like(pitch), np.ones_like(pitch)
    cos, sin = np.cos(pitch), np.sin(pitch)
    up = np.stack([cos, zero, -sin, zero, one, zero, sin, zero, cos], axis=-1)
    cos, sin = np.cos(roll), np.sin(roll)
    aside = np.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], axis=-1)
    return transform(up.reshape(-1, 3, 3) @ aside.reshape(-1, 3, 3), np.zeros(3))


def _smoothed(values: Array, sigma: float) -> Array:
    """Smooth along the first axis with a Gaussian; the ends are repeated."""
    reach = math.ceil(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-6)) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(values, (reach, reach), mode='edge')
    return np.convolve(padded, kernel, mode='valid')


def _wander(rng: np.random.Generator, count: int, period: float) -> Array:
    """Draw a smooth random function of about unit variance: (count,), every TICK."""
    sigma = period / TICK / 4
    coarse = rng.normal(size=count // max(1, round(sigma)) + 8)
    at = np.arange(count) / max(1, round(sigma)) + 2
    index = at.astype(int)
    f = at - index
    # Uniform cubic B-spline: smooth in position, speed and acceleration.
    weights = [(1 - f) ** 3 / 6, (3 * f**3 - 6 * f**2 + 4) / 6,
               (-3 * f**3 + 3 * f**2 + 3 * f + 1) / 6, f**3 / 6]  # fmt: skip
    curve: Array = 1.4 * sum(w * coarse[index + k - 1] for k, w in enumerate(weights))
    return curve


# Routes over the floor.


class _RouteFinder:
    """Draws places of the floor and finds the cheapest routes between them."""

    def __init__(self, plan: FloorPlan, rng: np.random.Generator) -> None:
        self.plan, self.rng = plan, rng
        # At twice the pixel size, where each pixel has its worst clearance.
        rows, columns = (n // 2 * 2 for n in plan.clearance.shape)
        even = plan.clearance[:rows, :columns]
        self.clearance = even.reshape(rows // 2, 2, columns // 2, 2).min(axis=(1, 3))
        free = self.clearance >= ROUTE_CLEARANCE
        count, labels = cv2.connectedComponents(free.astype(np.uint8), connectivity=4)
        if count < 2:
            raise NoRouteError('no floor is wide enough for a camera to move')
        largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
        free = labels == largest
        self.free = free
        near = np.clip(self.clearance - ROUTE_CLEARANCE, 0.0, 0.5)
        cost = np.where(free, 1.0 + 2.0 * np.exp(-near / 0.12), np.inf)
        self.cost = cost.astype(np.float32)
        roomy = free & (self.clearance >= 0.55)
        self.goals = np.argwhere(roomy if roomy.any() else free)

    def place(self) -> NDArray[np.int64]:
        """Draw a place with clearance: row and column."""
        place: NDArray[np.int64] = self.goals[int(self.rng.integers(len(self.goals)))]
        return place

    def goal(self, visited: list[NDArray[np.int64]]) -> NDArray[np.int64]:
        """
        Draw the next place to go to.

        :param visited: places so far, rows and columns; the last is where it is.
        """
        here, goal = visited[-1], self.place()
        for _ in range(4):  # prefers far goals: more driving, less turning
            other = self.place()
            far = np.hypot(*(other - here)) > np.hypot(*(goal - here))
            if self.rng.random() < 0.6 and far:
                goal = other
        if len(visited) > 2 and self.rng.random() < 0.3:
            goal = visited[int(self.rng.integers(len(visited) - 1))]  # a return: closes a loop
        return goal

    def route(self, start: NDArray[np.int64], goal: NDArray[np.int64]) -> Array:
        """Return the cheapest way between two places: (N, 2) points, metres, smoothed."""
        pixels = cheapest_way(self.cost, start[0], start[1], goal[0], goal[1])
        points = (pixels[:, ::-1] + 0.5) * (2 * PLAN_RESOLUTION) + self.plan.low
        points = _resampled(points)
        for window in (0.35, 0.2, 0.1):  # metres
            smooth = np.stack([_rounded(axis, window / STEP) for axis in points.T], axis=1)
            if (self.plan.clearance_at(smooth) >= CLEARANCE).all():
                break
        return _resampled(smooth)


def _rounded(values: Array, sigma: float) -> Array:
    """Smooth with a Gaussian, mirrored through the end points, which stay."""
    reach = math.ceil(3 * sigma)
    reach = min(reach, len(values) - 1)
    if reach < 1:
        return values
    head = 2 * values[0] - values[reach:0:-1]
    tail = 2 * values[-1] - values[-2 : -reach - 2 : -1]
    padded = np.concatenate([head, values, tail])
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.convolve(padded, kernel / kernel.sum(), mode='valid')


def _resampled(points: Array) -> Array:
    """Return points of a polyline, evenly STEP apart."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    count = max(2, round(length[-1] / STEP) + 1)
    at = np.linspace(0.0, length[-1], count)
    return np.stack([np.interp(at, length, axis) for axis in points.T], axis=1)


@compiled
def cheapest_way(
    cost: Array32, row: int, column: int, goal_row: int, goal_column: int
) -> NDArray[np.int64]:
    """
    Return the cheapest way over a grid, by A*.

    :param cost: (H, W) of a step onto each pixel, at least 1, inf where it is forbidden.
    :param row: of the start; column alike.
    :param goal_row: of the goal, which can be reached; goal_column alike.
    :returns: (N, 2) rows and columns from start to goal.
    """
    height, width = cost.shape
    best = np.full((height, width), np.inf)
    came = np.full((height, width), -1)
    start = row * width + column
    goal = goal_row * width + goal_column
    best[row, column] = 0.0
    queue = [(0.0, start)]
    while len(queue):
        _, here = heapq.heappop(queue)
        if here == goal:
            break
        r, c = here // width, here % width
        for dr in range(-1, 2):
            for dc in range(-1, 2):
                nr, nc = r + dr, c + dc
                if nr < 0 or nc < 0 or nr >= height or nc >= width:
                    continue
                reach = best[r, c] + math.sqrt(dr * dr + dc * dc) * cost[nr, nc]
                if reach < best[nr, nc]:
                    best[nr, nc] = reach
                    came[nr, nc] = here
                    left = math.sqrt((nr - goal_row) ** 2 + (nc - goal_column) ** 2)
                    heapq.heappush(queue, (reach + left, nr * width + nc))
    return way_back(came, start, goal)


@compiled
def way_back(came: NDArray[np.int64], start: int, goal: int) -> NDArray[np.int64]:
    """
    Return the way that a search has found.

    :param came: (H, W) from which pixel each was reached, row * W + column; -1 for none.
    :param start: pixel, row * W + column; goal alike.
    :returns: (N, 2) rows and columns from start to goal.
    """
    width = came.shape[1]
    count, at = 1, goal
    while at != start and came[at // width, at % width] >= 0:
        at = came[at // width, at % width]
        count += 1
    way = np.empty((count, 2), dtype=np.int64)
    at = goal
    for k in range(count - 1, -1, -1):
        way[k, 0], way[k, 1] = at // width, at % width
        at = came[at // width, at % width]
    return way


# Motion along routes.


def _drive(finder: _RouteFinder, seconds: float, speed: float, turn_rate: float = 1.1) -> Array:
    """
    Return a motion from place to place, with turns on the spot between.

    :returns: (3, N) x, y metres, yaw radians (unwrapped), every TICK seconds.
    """
    acceleration = max(0.5, speed)
    visited = [finder.place()]
    pieces: list[Array] = []
    duration = 0.0
    # Starts somewhere within the first leg, so that short clips do not all begin at rest.
    skipped: float | None = None
    while duration < seconds + (skipped or 0.0) + TICK:
        goal = finder.goal(visited)
        if np.hypot(*(goal - visited[-1])) < 8:
            continue
        yaw, x, y = _leg(finder.route(visited[-1], goal), speed, acceleration, turn_rate)
        if pieces:
            turn = _turn(finder.rng, float(pieces[-1][2, -1]), float(yaw[0]), turn_rate)
            pieces.append(np.stack([np.full(len(turn), x[0]), np.full(len(turn), y[0]), turn]))
            yaw = yaw + 2 * math.pi * round((turn[-1] - yaw[0]) / (2 * math.pi))
            duration += len(turn) * TICK
        pieces.append(np.stack([x, y, yaw]))
        duration += len(x) * TICK
        if skipped is None:
            skipped = float(finder.rng.uniform(0.0, 0.8)) * duration
        visited.append(goal)
    first = round((skipped or 0.0) / TICK)
    count = math.ceil(seconds / TICK) + 2
    return np.concatenate(pieces, axis=1)[:, first : first + count]


def _leg(
    route: Array, speed: float, acceleration: float, turn_rate: float
) -> tuple[Array, Array, Array]:
    """
    Return the motion along a route, from rest to rest.

    :returns: yaw, x, y every TICK seconds.
    """
    step = float(np.hypot(*(route[1] - route[0])))
    tangent = np.gradient(route, axis=0)
    heading = _smoothed(np.unwrap(np.arctan2(tangent[:, 1], tangent[:, 0])), 0.12 / STEP)
    bend = np.abs(np.gradient(heading)) / step
    limit = np.minimum(speed, turn_rate / np.maximum(bend, 1e-6))
    limit = limits_with_acceleration(limit, step, acceleration)
    between = np.maximum(0.5 * (limit[1:] + limit[:-1]), 1e-3)
    time = np.concatenate([[0.0], np.cumsum(step / between)])
    ticks = np.arange(0.0, time[-1], TICK)
    x, y, yaw = (np.interp(ticks, time, v) for v in (route[:, 0], route[:, 1], heading))
    # Rounds the corners of the speed profile: bounded jerk. Held at both ends first, so that the
    # leg still begins and ends at its places.
    sigma = 0.12 / TICK
    hold = math.ceil(3 * sigma)
    x, y, yaw = (_smoothed(np.pad(v, hold, mode='edge'), sigma) for v in (x, y, yaw))
    return yaw, x, y


@compiled
def limits_with_acceleration(limit: Array, step: float, acceleration: float) -> Array:
    """
    Return speeds lowered to begin and end at rest and to keep the acceleration.

    :param limit: (N,) at equal steps, m/s.
    :param step: metres.
    :param acceleration: m/s^2.
    """
    speeds: Array = limit.copy()
    speeds[0] = speeds[-1] = 0.0
    for k in range(1, len(speeds)):
        speeds[k] = min(speeds[k], math.sqrt(speeds[k - 1] ** 2 + 2 * acceleration * step))
    for k in range(len(speeds) - 2, -1, -1):
        speeds[k] = min(speeds[k], math.sqrt(speeds[k + 1] ** 2 + 2 * acceleration * step))
    return speeds


def _turn(rng: np.random.Generator, start: float, heading: float, rate: float) -> Array:
    """Return the yaw while turning on the spot to a heading; some turns look around first."""
    end = start + (heading - start + math.pi) % (2 * math.pi) - math.pi
    stops = [start]
    if rng.random() < 0.35:
        aside = rng.uniform(0.4, 1.2) * rng.choice([-1, 1])
        stops += [start + aside, start - rng.uniform(0.0, 0.8) * aside]
    stops.append(end)
    pieces = [np.full(round(rng.uniform(0.1, 0.8) / TICK), start)]
    for a, b in itertools.pairwise(stops):
        # A cosine ramp is fastest in its middle: pi / 2 times the mean.
        count = max(2, round(0.5 * math.pi * abs(b - a) / rate / TICK), round(0.3 / TICK))
        pieces.append(a + (b - a) * 0.5 * (1 - np.cos(np.linspace(0.0, math.pi, count))))
    return np.concatenate(pieces)


def _carry(plan: FloorPlan, rng: np.random.Generator, motion: Array) -> Array:
    """
    Return the motion of a camera that is held while walking.

    :param motion: (3, N) x, y, yaw at every TICK.
    :returns: (6, N) x, y, z metres, yaw, pitch, roll radians at every TICK.
    """
    x, y, heading = motion
    count = len(x)
    sway = rng.uniform(0.04, 0.16)
    offset = sway * np.stack([_wander(rng, count, 2.2), _wander(rng, count, 2.2)])
    step = np.sin(2 * math.pi * 1.6 * np.arange(count) * TICK + rng.uniform(0, 6))
    # Sways only as far as there is room.
    room = plan.clearance_at(np.stack([x, y], axis=1)) - CLEARANCE - 0.03
    room = np.maximum(_smoothed(_lowest_around(room.astype(np.float64), 25), 8), 1e-3)
    offset *= room / np.sqrt(room**2 + (offset**2).sum(axis=0))
    z = rng.uniform(1.15, 1.45) + 0.14 * _wander(rng, count, 4.0) + 0.008 * step
    aside = rng.uniform(0.2, 0.8)
    yaw = (
        _smoothed(heading, 0.6 / TICK) + rng.uniform(-0.9, 0.9) + aside * _wander(rng, count, 5.0)
    )
    yaw += 0.01 * _wander(rng, count, 0.8)
    pitch = rng.uniform(-0.2, 0.08) + 0.12 * _wander(rng, count, 2.5) + 0.006 * step
    roll = 0.05 * _wander(rng, count, 2.0)
    return np.stack([x + offset[0], y + offset[1], np.clip(z, 0.9, 1.7), yaw, pitch, roll])


def _lowest_around(values: Array, reach: int) -> Array:
    """Return the smallest value within a reach of every element."""
    kernel = np.ones((2 * reach + 1, 1))
    eroded = cv2.erode(values[:, None], kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(eroded[:, 0], dtype=np.float64)
