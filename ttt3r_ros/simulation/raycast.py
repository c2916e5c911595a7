# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
One ray through the world, in scalar code that serves the CPU and CUDA alike.

Directions need not have length 1: distances are multiples of the direction, so a camera ray
of optical depth 1 results in the depth itself.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ttt3r_ros.simulation.scalar import f32, larger, scalar, smaller
from ttt3r_ros.simulation.tables import BOX, CYLINDER, Tables
from ttt3r_ros.simulation.textures import albedo, clamp01, Place

FAR = 1e9
MOST_CELLS = 64  # a ray crosses fewer; guards against a world whose cells form a ring


class Vector(NamedTuple):
    """A place or a direction."""

    x: float
    y: float
    z: float


class Ray(NamedTuple):
    """A ray; inverse holds 1 / direction, large instead of infinite."""

    origin: Vector
    direction: Vector
    inverse: Vector


class Hit(NamedTuple):
    """
    The first surface on a ray.

    distance: multiple of the direction. cell: row. part: row, or -1 for a face of the cell;
    face: that face.
    """

    distance: float
    cell: int
    part: int
    face: int


class Surface(NamedTuple):
    """
    A surface at a point on it.

    normal: of length 1, towards the ray. material: row. share: of the light that arrives.
    """

    normal: Vector
    place: Place
    material: int
    share: float


@scalar
def dot(a: Vector, b: Vector) -> float:
    """Return the scalar product."""
    return a.x * b.x + a.y * b.y + a.z * b.z


@scalar
def inverse(x: float) -> float:
    """Return 1/x, large instead of infinite."""
    if abs(x) < f32(1e-9):
        return f32(1e9)
    return f32(1.0) / x


@scalar
def ray_from(origin: Vector, direction: Vector) -> Ray:
    """Return the ray from a place in a direction."""
    dx, dy, dz = direction
    return Ray(origin, direction, Vector(inverse(dx), inverse(dy), inverse(dz)))


@scalar
def from_center(part: np.record, point: Vector) -> Vector:
    """Return a point relative to the middle of a part."""
    center = part.center
    return Vector(point.x - center[0], point.y - center[1], point.z - center[2])


@scalar
def box_entry(part: np.record, ray: Ray) -> float:
    """Return the distance to a box turned about z; FAR when the ray misses it."""
    rx, ry, rz = from_center(part, ray.origin)
    ax, ay = ray.direction.x, ray.direction.y
    sin = part.sin
    if sin != f32(0.0):
        cos = part.cos
        rx, ry = cos * rx + sin * ry, cos * ry - sin * rx
        ax, ay = cos * ax + sin * ay, cos * ay - sin * ax
    ix, iy, iz = inverse(ax), inverse(ay), ray.inverse.z
    wx, wy, wz = abs(ix) * part.half[0], abs(iy) * part.half[1], abs(iz) * part.half[2]
    mx, my, mz = -rx * ix, -ry * iy, -rz * iz
    near: float = larger(larger(mx - wx, my - wy), mz - wz)
    far = smaller(smaller(mx + wx, my + wy), mz + wz)
    if near <= far and near > f32(0.0):
        return near
    return f32(FAR)


@scalar
def cylinder_entry(part: np.record, ray: Ray) -> float:
    """Return the distance to an upright cylinder; FAR when the ray misses it."""
    rx, ry, rz = from_center(part, ray.origin)
    dx, dy = ray.direction.x, ray.direction.y
    radius = part.half[0]
    iz = ray.inverse.z
    wz = abs(iz) * part.half[2]
    bottom, top = -rz * iz - wz, -rz * iz + wz
    a = larger(dx * dx + dy * dy, f32(1e-12))
    b = rx * dx + ry * dy
    root = b * b - a * (rx * rx + ry * ry - radius * radius)
    if root <= f32(0.0):
        return f32(FAR)
    root = math.sqrt(root)
    near: float = larger(bottom, (-b - root) / a)
    far: float = smaller(top, (-b + root) / a)
    if near <= far and near > f32(0.0):
        return near
    return f32(FAR)


@scalar
def sphere_entry(part: np.record, ray: Ray) -> float:
    """Return the distance to a sphere; FAR when the ray misses it."""
    rx, ry, rz = from_center(part, ray.origin)
    dx, dy, dz = ray.direction
    a = dx * dx + dy * dy + dz * dz
    b = rx * dx + ry * dy + rz * dz
    # The foot of the normal from the centre, not b^2 - ac, which cancels far away.
    fx, fy, fz = rx - b / a * dx, ry - b / a * dy, rz - b / a * dz
    root = part.half[0] * part.half[0] - (fx * fx + fy * fy + fz * fz)
    if root <= f32(0.0):
        return f32(FAR)
    near: float = -b / a - math.sqrt(root / a)
    if near > f32(0.0):
        return near
    return f32(FAR)


@scalar
def part_entry(part: np.record, ray: Ray) -> float:
    """Return the distance to a part; FAR when the ray misses it."""
    if part.kind == BOX:
        return box_entry(part, ray)
    if part.kind == CYLINDER:
        return cylinder_entry(part, ray)
    return sphere_entry(part, ray)


@scalar
def may_hit(group: np.record, ray: Ray, limit: float) -> bool:
    """Check whether a ray meets a bounding box before a limit."""
    ox, oy, oz = ray.origin
    ix, iy, iz = ray.inverse
    low, high = group.low, group.high
    ax, bx = (low[0] - ox) * ix, (high[0] - ox) * ix
    ay, by = (low[1] - oy) * iy, (high[1] - oy) * iy
    az, bz = (low[2] - oz) * iz, (high[2] - oz) * iz
    near: float = larger(larger(smaller(ax, bx), smaller(ay, by)), smaller(az, bz))
    far: float = smaller(smaller(larger(ax, bx), larger(ay, by)), larger(az, bz))
    return near <= smaller(far, limit) and far >= f32(0.0)


@scalar
def nearest_part(tables: Tables, cell: np.record, ray: Ray, limit: float) -> tuple[float, int]:
    """Return the first part of a cell on a ray before a limit: distance and row, or -1."""
    best, hit = limit, -1
    for g in range(cell.groups[0], cell.groups[1]):
        group = tables.groups[g]
        if may_hit(group, ray, best):
            for p in range(group.parts[0], group.parts[1]):
                t = part_entry(tables.parts[p], ray)
                if t < best:
                    best, hit = t, p
    return best, hit


@scalar
def is_blocked(tables: Tables, cell: np.record, ray: Ray, limit: float) -> bool:
    """Check whether any part of a cell is on a ray before a limit."""
    for g in range(cell.groups[0], cell.groups[1]):
        group = tables.groups[g]
        if may_hit(group, ray, limit):
            for p in range(group.parts[0], group.parts[1]):
                if part_entry(tables.parts[p], ray) < limit:
                    return True
    return False


@scalar
def next_cell(tables: Tables, cell: np.record, face: int, along: float, z: float) -> int:
    """Return the cell behind the opening at a point of a face; -1 for solid wall."""
    for p in range(cell.portals[0], cell.portals[1]):
        portal = tables.portals[p]
        if (
            portal.face == face
            and portal.low <= along <= portal.high
            and portal.bottom <= z <= portal.top
        ):
            return int(portal.cell)
    return -1


@scalar
def decal_at(tables: Tables, cell: np.record, face: int, along: float, up: float) -> int:
    """Return the decal at a point of a face, or -1."""
    for d in range(cell.decals[face], cell.decals[face + 1]):
        decal = tables.decals[d]
        if decal.low <= along <= decal.high and decal.bottom <= up <= decal.top:
            return d
    return -1


@scalar
def face_ahead(cell: np.record, ray: Ray) -> tuple[float, int]:
    """Return the distance at which a ray from inside a cell leaves it, and the face."""
    ox, oy, oz = ray.origin
    dx, dy, dz = ray.direction
    sx, sy, sz = int(dx > f32(0.0)), int(dy > f32(0.0)), int(dz > f32(0.0))
    tx = ((cell.high[0] if sx else cell.low[0]) - ox) * ray.inverse.x
    ty = ((cell.high[1] if sy else cell.low[1]) - oy) * ray.inverse.y
    t, face = ((cell.high[2] if sz else cell.low[2]) - oz) * ray.inverse.z, 4 + sz
    if tx < t:
        t, face = tx, sx
    if ty < t:
        t, face = ty, 2 + sy
    return t, face


@scalar
def cast_ray(tables: Tables, number: int, ray: Ray) -> Hit:
    """
    Return the first surface on a ray from inside a cell.

    :param number: row of the cell around the origin.
    """
    t, face = f32(0.0), 0
    for _ in range(MOST_CELLS):
        cell = tables.cells[number]
        t, face = face_ahead(cell, ray)
        best, part = nearest_part(tables, cell, ray, t)
        if part >= 0:
            return Hit(best, number, part, face)
        if face >= 4:
            return Hit(t, number, -1, face)
        x, y, z = along(ray, t)
        following = next_cell(tables, cell, face, y if face < 2 else x, z)
        if following < 0:
            return Hit(t, number, -1, face)
        number = following
    return Hit(t, number, -1, face)


@scalar
def along(ray: Ray, t: float) -> Vector:
    """Return the point of a ray at a multiple of its direction."""
    ox, oy, oz = ray.origin
    dx, dy, dz = ray.direction
    return Vector(ox + t * dx, oy + t * dy, oz + t * dz)


@scalar
def part_surface(part: np.record, point: Vector) -> tuple[Vector, Place]:
    """Return the outward normal of a part at a point on it, and the place for its texture."""
    if part.kind == BOX:
        return box_surface(part, point)
    rx, ry, rz = from_center(part, point)
    radius, half_height = part.half[0], part.half[2]
    shift = part.offset
    angle = math.atan2(ry, rx)
    su = angle * f32(0.5 / math.pi) + f32(0.5)
    if part.kind == CYLINDER:
        sv = f32(0.5) + f32(0.5) * rz / half_height
        radial = math.sqrt(rx * rx + ry * ry)
        if abs(rz) / half_height > radial / radius:
            side = f32(1.0) if rz > f32(0.0) else f32(-1.0)
            return Vector(f32(0.0), f32(0.0), side), Place(rx + shift, ry + shift, su, sv)
        normal = Vector(rx / radius, ry / radius, f32(0.0))
        return normal, Place(angle * radius + shift, point.z + shift, su, sv)
    nz = smaller(larger(rz / radius, f32(-1.0)), f32(1.0))
    latitude = math.asin(nz)
    sv = latitude * f32(1.0 / math.pi) + f32(0.5)
    normal = Vector(rx / radius, ry / radius, nz)
    return normal, Place(angle * radius + shift, latitude * radius + shift, su, sv)


@scalar
def box_surface(part: np.record, point: Vector) -> tuple[Vector, Place]:
    """Return the normal and the place of a box, as `part_surface`."""
    rx, ry, rz = from_center(part, point)
    hx, hy, hz = part.half[0], part.half[1], part.half[2]
    shift, cos, sin = part.offset, part.cos, part.sin
    x, y = cos * rx + sin * ry, cos * ry - sin * rx
    ax, ay, az = abs(x) / hx, abs(y) / hy, abs(rz) / hz
    if az >= ax and az >= ay:
        side = f32(1.0) if rz > f32(0.0) else f32(-1.0)
        su, sv = f32(0.5) + f32(0.5) * x / hx, f32(0.5) + f32(0.5) * y / hy
        return Vector(f32(0.0), f32(0.0), side), Place(x + shift, y + shift, su, sv)
    sv = f32(0.5) + f32(0.5) * rz / hz
    # u grows to the right as seen from outside, so that letters read well.
    if ax >= ay:
        side = f32(1.0) if x > f32(0.0) else f32(-1.0)
        u, su = side * y, f32(0.5) + f32(0.5) * side * y / hy
        normal = Vector(side * cos, side * sin, f32(0.0))
        return normal, Place(u + shift, point.z + shift, su, sv)
    side = f32(1.0) if y > f32(0.0) else f32(-1.0)
    u, su = -side * x, f32(0.5) - f32(0.5) * side * x / hx
    normal = Vector(-side * sin, side * cos, f32(0.0))
    return normal, Place(u + shift, point.z + shift, su, sv)


@scalar
def face_surface(tables: Tables, cell: np.record, face: int, point: Vector) -> Surface:
    """Return the surface of a face of a cell, with its decals and its skirting board."""
    nx, ny, nz = f32(0.0), f32(0.0), f32(0.0)
    u, v, su, sv = point.x, point.z, f32(0.0), f32(0.0)
    share = f32(1.0)
    material = cell.materials[face]
    outward = f32(2 * (face & 1) - 1)
    first_u, first_v = cell.origin[0], f32(0.0)
    if face < 2:
        nx, u, first_u = -outward, point.y, cell.origin[1]
    elif face < 4:
        ny = -outward
    else:
        nz, v, first_v = -outward, point.y, cell.origin[1]
    number = decal_at(tables, cell, face, u, v)
    if number >= 0:
        decal = tables.decals[number]
        material = decal.material
        su = (u - decal.low) / (decal.high - decal.low)
        sv = (v - decal.bottom) / (decal.top - decal.bottom)
        if face == 1 or face == 2:
            su = f32(1.0) - su  # so that letters read well
    elif face < 4 and point.z < cell.skirting:
        share = f32(0.55)
    place = Place(u - first_u, v - first_v, su, sv)
    return Surface(Vector(nx, ny, nz), place, material, share)


@scalar
def surface_of(tables: Tables, hit: Hit, point: Vector) -> Surface:
    """Return the surface of a hit."""
    if hit.part < 0:
        return face_surface(tables, tables.cells[hit.cell], hit.face, point)
    part = tables.parts[hit.part]
    normal, place = part_surface(part, point)
    return Surface(normal, place, part.material, f32(1.0))


@scalar
def corner_shadow(cell: np.record, point: Vector) -> float:
    """Return the share of the surrounding light that arrives, less near corners of a cell."""
    dark = f32(0.0)
    for axis in range(3):
        p = point.x
        if axis == 1:
            p = point.y
        elif axis == 2:
            p = point.z
        d = smaller(p - cell.low[axis], cell.high[axis] - p)
        if d > f32(1e-3):  # not the face itself
            dark += f32(0.04) / (f32(0.04) + d * d)
    return f32(1.0) - f32(0.3) * smaller(dark, f32(1.8))


@scalar
def lamp_light(
    tables: Tables, cell: np.record, point: Vector, normal: Vector, view: Vector
) -> tuple[float, float]:
    """
    Return how strongly the lamp of a cell lights a point.

    :param normal: of the surface there.
    :param view: direction of the ray that sees it, of length 1.
    :returns: light that the surface scatters; light that it reflects to the viewer.
    """
    lamp = Vector(cell.light[0], cell.light[1], cell.light[2])
    to_lamp = Vector(lamp.x - point.x, lamp.y - point.y, lamp.z - point.z)
    lx, ly, lz = to_lamp
    square = dot(to_lamp, to_lamp)
    reach = math.sqrt(square)
    if reach == f32(0.0):
        return f32(0.0), f32(0.0)
    lambert = dot(normal, to_lamp) / reach
    if lambert <= f32(0.0):
        return f32(0.0), f32(0.0)
    # From the lamp to the surface, so that the surface does not shadow itself.
    ray = ray_from(lamp, Vector(-lx, -ly, -lz))
    if is_blocked(tables, cell, ray, f32(1.0) - f32(0.01) / reach):
        return f32(0.0), f32(0.0)
    direct = lambert / (f32(1.0) + f32(0.12) * square)
    halfway = Vector(lx / reach - view.x, ly / reach - view.y, lz / reach - view.z)
    hx, hy, hz = halfway
    half = (normal.x * hx + normal.y * hy + normal.z * hz) / math.sqrt(hx * hx + hy * hy + hz * hz)
    half = larger(half, f32(0.0))
    half *= half
    half *= half
    half *= half
    half *= half
    return direct, half * half * direct


@scalar
def shade(tables: Tables, ray: Ray, hit: Hit, pixel_width: float) -> tuple[float, float, float]:
    """
    Return the light that a surface sends back along a ray.

    :param pixel_width: width of the pixel there, metres, before the slant of the surface.
    :returns: linear red, green, blue.
    """
    cell = tables.cells[hit.cell]
    point = along(ray, hit.distance)
    surface = surface_of(tables, hit, point)
    normal, material = surface.normal, tables.materials[surface.material]
    length = math.sqrt(dot(ray.direction, ray.direction))
    facing = -dot(normal, ray.direction) / length
    footprint = pixel_width / larger(facing, f32(0.2))
    dx, dy, dz = ray.direction
    view = Vector(dx / length, dy / length, dz / length)
    red, green, blue = albedo(tables, material, surface.place, footprint)
    direct, highlight = lamp_light(tables, cell, point, normal, view)
    highlight *= material.gloss
    around = corner_shadow(cell, point) * (f32(0.85) + f32(0.15) * normal.z) * surface.share
    direct *= surface.share
    ambient, lamp = cell.ambient, cell.light_color
    red *= ambient[0] * around + lamp[0] * direct + material.glow
    green *= ambient[1] * around + lamp[1] * direct + material.glow
    blue *= ambient[2] * around + lamp[2] * direct + material.glow
    return red + lamp[0] * highlight, green + lamp[1] * highlight, blue + lamp[2] * highlight


@scalar
def grey_level(light: float) -> float:
    """Return the pixel value, 0 to 255, of linear light, with a soft shoulder and gamma 2."""
    light = larger(light, f32(0.0))
    shown = light * (f32(1.0) + f32(0.15) * light) / (f32(1.0) + f32(0.55) * light)
    return f32(255.0) * math.sqrt(clamp01(shown))


@scalar
def pixel(
    tables: Tables, camera: np.record, x: float, y: float
) -> tuple[float, float, float, float]:
    """
    Return the light and the depth at one point of the image.

    :param camera: row of CAMERA.
    :param x: column, pixels, whole at the middle of a pixel.
    :param y: row, pixels.
    :returns: linear red, green, blue; depth along the optical axis, metres.
    """
    a, b = (x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy
    pose = camera.pose
    direction = Vector(
        pose[0, 0] * a + pose[0, 1] * b + pose[0, 2],
        pose[1, 0] * a + pose[1, 1] * b + pose[1, 2],
        pose[2, 0] * a + pose[2, 1] * b + pose[2, 2],
    )
    ray = ray_from(Vector(pose[0, 3], pose[1, 3], pose[2, 3]), direction)
    hit = cast_ray(tables, camera.cell, ray)
    red, green, blue = shade(tables, ray, hit, hit.distance / camera.fx)
    return red, green, blue, hit.distance
