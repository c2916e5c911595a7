# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
One ray through the world, in scalar code that serves the CPU and CUDA alike.

Directions need not have length 1: distances are multiples of the direction, so a camera ray
of optical depth 1 gives the depth itself.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.simulation.scalar import f32, larger, scalar, smaller
from ttt3r_ros.simulation.textures import (
    albedo,
    clamp01,
    MATERIAL_GLOSS,
    MATERIAL_GLOW,
)
from ttt3r_ros.simulation.world import (
    BOX,
    CELL_AMBIENT,
    CELL_DECALS,
    CELL_GROUPS,
    CELL_HIGH,
    CELL_LIGHT,
    CELL_LIGHT_COLOR,
    CELL_LOW,
    CELL_MATERIALS,
    CELL_PORTALS,
    CELL_SKIRTING,
    CYLINDER,
    DECAL_BOTTOM,
    DECAL_HIGH,
    DECAL_LOW,
    DECAL_MATERIAL,
    DECAL_TOP,
    GROUP_HIGH,
    GROUP_LOW,
    GROUP_PARTS,
    PART_CENTER,
    PART_COS,
    PART_HALF,
    PART_KIND,
    PART_MATERIAL,
    PART_OFFSET,
    PART_SIN,
    PORTAL_BOTTOM,
    PORTAL_CELL,
    PORTAL_FACE,
    PORTAL_HIGH,
    PORTAL_LOW,
    PORTAL_TOP,
)

Table = NDArray[np.float32]

FAR = 1e9
MOST_CELLS = 64  # a ray crosses fewer; guards against a world whose cells form a ring


@scalar
def inverse(x: float) -> float:
    """Give 1/x, large instead of infinite."""
    if abs(x) < f32(1e-9):
        return f32(1e9)
    return f32(1.0) / x


@scalar
def box_entry(
    row: Table, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> float:
    """Where a ray enters a box turned about z; FAR where it misses."""
    rx, ry, rz = ox - row[PART_CENTER], oy - row[PART_CENTER + 1], oz - row[PART_CENTER + 2]
    ax, ay = dx, dy
    sin = row[PART_SIN]
    if sin != f32(0.0):
        cos = row[PART_COS]
        rx, ry = cos * rx + sin * ry, cos * ry - sin * rx
        ax, ay = cos * dx + sin * dy, cos * dy - sin * dx
    ix, iy, iz = inverse(ax), inverse(ay), inverse(dz)
    wx, wy = abs(ix) * row[PART_HALF], abs(iy) * row[PART_HALF + 1]
    wz = abs(iz) * row[PART_HALF + 2]
    mx, my, mz = -rx * ix, -ry * iy, -rz * iz
    near: float = larger(larger(mx - wx, my - wy), mz - wz)
    far = smaller(smaller(mx + wx, my + wy), mz + wz)
    if near <= far and near > f32(0.0):
        return near
    return f32(FAR)


@scalar
def cylinder_entry(
    row: Table, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> float:
    """Where a ray enters an upright cylinder; FAR where it misses."""
    rx, ry, rz = ox - row[PART_CENTER], oy - row[PART_CENTER + 1], oz - row[PART_CENTER + 2]
    radius = row[PART_HALF]
    iz = inverse(dz)
    wz = abs(iz) * row[PART_HALF + 2]
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
def sphere_entry(
    row: Table, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> float:
    """Where a ray enters a sphere; FAR where it misses."""
    rx, ry, rz = ox - row[PART_CENTER], oy - row[PART_CENTER + 1], oz - row[PART_CENTER + 2]
    a = dx * dx + dy * dy + dz * dz
    b = rx * dx + ry * dy + rz * dz
    # The foot of the normal from the centre, not b^2 - ac, which cancels far away.
    fx, fy, fz = rx - b / a * dx, ry - b / a * dy, rz - b / a * dz
    root = row[PART_HALF] * row[PART_HALF] - (fx * fx + fy * fy + fz * fz)
    if root <= f32(0.0):
        return f32(FAR)
    near: float = -b / a - math.sqrt(root / a)
    if near > f32(0.0):
        return near
    return f32(FAR)


@scalar
def part_entry(
    row: Table, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> float:
    """Where a ray enters a part; FAR where it misses."""
    kind = int(row[PART_KIND])
    if kind == BOX:
        return box_entry(row, ox, oy, oz, dx, dy, dz)
    if kind == CYLINDER:
        return cylinder_entry(row, ox, oy, oz, dx, dy, dz)
    return sphere_entry(row, ox, oy, oz, dx, dy, dz)


@scalar
def may_hit(
    group: Table, ox: float, oy: float, oz: float, ix: float, iy: float, iz: float, limit: float
) -> bool:
    """Check whether a ray (ix: 1 / direction) meets a bounding box before a limit."""
    ax, bx = (group[GROUP_LOW] - ox) * ix, (group[GROUP_HIGH] - ox) * ix
    ay, by = (group[GROUP_LOW + 1] - oy) * iy, (group[GROUP_HIGH + 1] - oy) * iy
    az, bz = (group[GROUP_LOW + 2] - oz) * iz, (group[GROUP_HIGH + 2] - oz) * iz
    near: float = larger(larger(smaller(ax, bx), smaller(ay, by)), smaller(az, bz))
    far: float = smaller(smaller(larger(ax, bx), larger(ay, by)), larger(az, bz))
    return near <= smaller(far, limit) and far >= f32(0.0)


@scalar
def nearest_part(
    cell_row: Table,
    groups: Table,
    parts: Table,
    ox: float,
    oy: float,
    oz: float,
    dx: float,
    dy: float,
    dz: float,
    limit: float,
) -> tuple[float, int]:
    """Find the first part of a cell on a ray nearer than a limit: where and which, or -1."""
    ix, iy, iz = inverse(dx), inverse(dy), inverse(dz)
    best, hit = limit, -1
    for g in range(int(cell_row[CELL_GROUPS]), int(cell_row[CELL_GROUPS + 1])):
        group = groups[g]
        if may_hit(group, ox, oy, oz, ix, iy, iz, best):
            for p in range(int(group[GROUP_PARTS]), int(group[GROUP_PARTS + 1])):
                t = part_entry(parts[p], ox, oy, oz, dx, dy, dz)
                if t < best:
                    best, hit = t, p
    return best, hit


@scalar
def is_blocked(
    cell_row: Table,
    groups: Table,
    parts: Table,
    ox: float,
    oy: float,
    oz: float,
    dx: float,
    dy: float,
    dz: float,
    limit: float,
) -> bool:
    """Check whether any part of a cell is on a ray before a limit."""
    ix, iy, iz = inverse(dx), inverse(dy), inverse(dz)
    for g in range(int(cell_row[CELL_GROUPS]), int(cell_row[CELL_GROUPS + 1])):
        group = groups[g]
        if may_hit(group, ox, oy, oz, ix, iy, iz, limit):
            for p in range(int(group[GROUP_PARTS]), int(group[GROUP_PARTS + 1])):
                if part_entry(parts[p], ox, oy, oz, dx, dy, dz) < limit:
                    return True
    return False


@scalar
def next_cell(cell_row: Table, portals: Table, face: int, along: float, z: float) -> int:
    """Find where an opening at a place of a face leads; -1 where there is solid wall."""
    for p in range(int(cell_row[CELL_PORTALS]), int(cell_row[CELL_PORTALS + 1])):
        portal = portals[p]
        if (
            int(portal[PORTAL_FACE]) == face
            and portal[PORTAL_LOW] <= along <= portal[PORTAL_HIGH]
            and portal[PORTAL_BOTTOM] <= z <= portal[PORTAL_TOP]
        ):
            return int(portal[PORTAL_CELL])
    return -1


@scalar
def decal_at(cell_row: Table, decals: Table, face: int, along: float, up: float) -> int:
    """Find the decal at a place of a face, or -1."""
    for k in range(int(cell_row[CELL_DECALS + face]), int(cell_row[CELL_DECALS + face + 1])):
        decal = decals[k]
        if (
            decal[DECAL_LOW] <= along <= decal[DECAL_HIGH]
            and decal[DECAL_BOTTOM] <= up <= decal[DECAL_TOP]
        ):
            return k
    return -1


@scalar
def cast_ray(
    cells: Table,
    portals: Table,
    groups: Table,
    parts: Table,
    cell: int,
    ox: float,
    oy: float,
    oz: float,
    dx: float,
    dy: float,
    dz: float,
) -> tuple[float, int, int, int]:
    """
    Follow a ray from inside a cell to the first surface.

    :param cell: row of cells around the origin.
    :returns: multiple of the direction; the cell of the hit; the part, or -1 for a face of
        the cell; that face.
    """
    ix, iy, iz = inverse(dx), inverse(dy), inverse(dz)
    sx, sy, sz = int(dx > f32(0.0)), int(dy > f32(0.0)), int(dz > f32(0.0))
    t, face = f32(0.0), 0
    for _ in range(MOST_CELLS):
        row = cells[cell]
        tx = (row[CELL_LOW + 3 * sx] - ox) * ix
        ty = (row[CELL_LOW + 1 + 3 * sy] - oy) * iy
        tz = (row[CELL_LOW + 2 + 3 * sz] - oz) * iz
        t, face = tz, 4 + sz
        if tx < t:
            t, face = tx, sx
        if ty < t:
            t, face = ty, 2 + sy
        best, hit = nearest_part(row, groups, parts, ox, oy, oz, dx, dy, dz, t)
        if hit >= 0:
            return best, cell, hit, face
        if face >= 4:
            return t, cell, -1, face
        along = oy + t * dy if face < 2 else ox + t * dx
        following = next_cell(row, portals, face, along, oz + t * dz)
        if following < 0:
            return t, cell, -1, face
        cell = following
    return t, cell, -1, face


@scalar
def part_surface(
    row: Table, px: float, py: float, pz: float
) -> tuple[float, float, float, float, float, float, float]:
    """
    Describe the surface of a part at a point on it.

    :returns: outward normal x, y, z; u, v in metres; u, v as shares of the face.
    """
    kind = int(row[PART_KIND])
    rx, ry, rz = px - row[PART_CENTER], py - row[PART_CENTER + 1], pz - row[PART_CENTER + 2]
    hx, hy, hz = row[PART_HALF], row[PART_HALF + 1], row[PART_HALF + 2]
    shift = row[PART_OFFSET]
    if kind == BOX:
        cos, sin = row[PART_COS], row[PART_SIN]
        x, y = cos * rx + sin * ry, cos * ry - sin * rx
        ax, ay, az = abs(x) / hx, abs(y) / hy, abs(rz) / hz
        if az >= ax and az >= ay:
            side = f32(1.0) if rz > f32(0.0) else f32(-1.0)
            su, sv = f32(0.5) + f32(0.5) * x / hx, f32(0.5) + f32(0.5) * y / hy
            return f32(0.0), f32(0.0), side, x + shift, y + shift, su, sv
        sv = f32(0.5) + f32(0.5) * rz / hz
        # u grows to the right for someone who looks at the face, so that letters read well.
        if ax >= ay:
            side = f32(1.0) if x > f32(0.0) else f32(-1.0)
            u, su = side * y, f32(0.5) + f32(0.5) * side * y / hy
            return side * cos, side * sin, f32(0.0), u + shift, pz + shift, su, sv
        side = f32(1.0) if y > f32(0.0) else f32(-1.0)
        u, su = -side * x, f32(0.5) - f32(0.5) * side * x / hx
        return -side * sin, side * cos, f32(0.0), u + shift, pz + shift, su, sv
    angle = math.atan2(ry, rx)
    su = angle * f32(0.5 / math.pi) + f32(0.5)
    if kind == CYLINDER:
        sv = f32(0.5) + f32(0.5) * rz / hz
        radial = math.sqrt(rx * rx + ry * ry)
        if abs(rz) / hz > radial / hx:
            side = f32(1.0) if rz > f32(0.0) else f32(-1.0)
            return f32(0.0), f32(0.0), side, rx + shift, ry + shift, su, sv
        return rx / hx, ry / hx, f32(0.0), angle * hx + shift, pz + shift, su, sv
    nz = smaller(larger(rz / hx, f32(-1.0)), f32(1.0))
    latitude = math.asin(nz)
    sv = latitude * f32(1.0 / math.pi) + f32(0.5)
    return rx / hx, ry / hx, nz, angle * hx + shift, latitude * hx + shift, su, sv


@scalar
def corner_shadow(row: Table, px: float, py: float, pz: float) -> float:
    """Darken near the corners of a cell, where less of the surrounding light arrives."""
    dark = f32(0.0)
    for axis in range(3):
        p = px
        if axis == 1:
            p = py
        elif axis == 2:
            p = pz
        d = smaller(p - row[CELL_LOW + axis], row[CELL_HIGH + axis] - p)
        if d > f32(1e-3):  # not the face itself
            dark += f32(0.04) / (f32(0.04) + d * d)
    return f32(1.0) - f32(0.3) * smaller(dark, f32(1.8))


@scalar
def shade(
    cells: Table,
    decals: Table,
    groups: Table,
    parts: Table,
    materials: Table,
    images: NDArray[np.uint8],
    cell: int,
    part: int,
    face: int,
    px: float,
    py: float,
    pz: float,
    dx: float,
    dy: float,
    dz: float,
    pixel_width: float,
) -> tuple[float, float, float]:
    """
    Give the light that a surface sends back along a ray.

    :param part: what was hit, or -1 for a face of the cell.
    :param px: x of the hit; py, pz alike, metres.
    :param dx: x of the ray's direction; dy, dz alike, any length.
    :param pixel_width: width of the pixel there, metres, before the slant of the surface.
    :returns: linear red, green, blue.
    """
    row = cells[cell]
    nx, ny, nz = f32(0.0), f32(0.0), f32(0.0)
    u, v, su, sv = px, pz, f32(0.0), f32(0.0)
    soft = f32(1.0)
    if part >= 0:
        material = int(parts[part][PART_MATERIAL])
        nx, ny, nz, u, v, su, sv = part_surface(parts[part], px, py, pz)
    else:
        material = int(row[CELL_MATERIALS + face])
        outward = f32(2 * (face & 1) - 1)
        if face < 2:
            nx, u = -outward, py
        elif face < 4:
            ny = -outward
        else:
            nz, v = -outward, py
        decal = decal_at(row, decals, face, u, v)
        if decal >= 0:
            patch = decals[decal]
            material = int(patch[DECAL_MATERIAL])
            su = (u - patch[DECAL_LOW]) / (patch[DECAL_HIGH] - patch[DECAL_LOW])
            sv = (v - patch[DECAL_BOTTOM]) / (patch[DECAL_TOP] - patch[DECAL_BOTTOM])
            if face == 1 or face == 2:
                su = f32(1.0) - su  # so that letters read well
        elif face < 4 and pz < row[CELL_SKIRTING]:
            soft = f32(0.55)
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    facing = -(nx * dx + ny * dy + nz * dz) / length
    footprint = pixel_width / larger(facing, f32(0.2))
    red, green, blue = albedo(materials, images, material, u, v, su, sv, footprint)

    lx, ly, lz = row[CELL_LIGHT] - px, row[CELL_LIGHT + 1] - py, row[CELL_LIGHT + 2] - pz
    square = lx * lx + ly * ly + lz * lz
    reach = math.sqrt(square)
    lambert = (nx * lx + ny * ly + nz * lz) / reach
    direct, highlight = f32(0.0), f32(0.0)
    if lambert > f32(0.0):
        # From the lamp to the surface, so that the surface does not shadow itself.
        blocked = is_blocked(
            row, groups, parts, row[CELL_LIGHT], row[CELL_LIGHT + 1], row[CELL_LIGHT + 2],
            -lx, -ly, -lz, f32(1.0) - f32(0.01) / reach,
        )  # fmt: skip
        if not blocked:
            direct = lambert / (f32(1.0) + f32(0.12) * square)
            hx, hy, hz = (
                lx / reach - dx / length,
                ly / reach - dy / length,
                lz / reach - dz / length,
            )
            half = (nx * hx + ny * hy + nz * hz) / math.sqrt(hx * hx + hy * hy + hz * hz)
            half = larger(half, f32(0.0))
            half *= half
            half *= half
            half *= half
            half *= half
            highlight = half * half * materials[material][MATERIAL_GLOSS] * direct
    around = corner_shadow(row, px, py, pz) * (f32(0.85) + f32(0.15) * nz) * soft
    direct *= soft
    glow = materials[material][MATERIAL_GLOW]
    red *= row[CELL_AMBIENT] * around + row[CELL_LIGHT_COLOR] * direct + glow
    green *= row[CELL_AMBIENT + 1] * around + row[CELL_LIGHT_COLOR + 1] * direct + glow
    blue *= row[CELL_AMBIENT + 2] * around + row[CELL_LIGHT_COLOR + 2] * direct + glow
    return (
        red + row[CELL_LIGHT_COLOR] * highlight,
        green + row[CELL_LIGHT_COLOR + 1] * highlight,
        blue + row[CELL_LIGHT_COLOR + 2] * highlight,
    )


@scalar
def grey_level(light: float) -> float:
    """Turn linear light into a pixel value, 0 to 255, with a soft shoulder and gamma 2."""
    light = larger(light, f32(0.0))
    shown = light * (f32(1.0) + f32(0.15) * light) / (f32(1.0) + f32(0.55) * light)
    return f32(255.0) * math.sqrt(clamp01(shown))


@scalar
def pixel(
    cells: Table,
    portals: Table,
    decals: Table,
    groups: Table,
    parts: Table,
    materials: Table,
    images: NDArray[np.uint8],
    lens: Table,
    pose: Table,
    cell: int,
    x: float,
    y: float,
) -> tuple[float, float, float, float]:
    """
    Look through one place of the image.

    :param lens: fx, fy, cx, cy, pixels.
    :param pose: (3, 4) world_T_camera.
    :param cell: row of cells around the camera.
    :param x: column, pixels, whole at the middle of a pixel.
    :param y: row, pixels.
    :returns: linear red, green, blue; depth along the optical axis, metres.
    """
    a, b = (x - lens[2]) / lens[0], (y - lens[3]) / lens[1]
    dx = pose[0, 0] * a + pose[0, 1] * b + pose[0, 2]
    dy = pose[1, 0] * a + pose[1, 1] * b + pose[1, 2]
    dz = pose[2, 0] * a + pose[2, 1] * b + pose[2, 2]
    ox, oy, oz = pose[0, 3], pose[1, 3], pose[2, 3]
    depth, cell, part, face = cast_ray(cells, portals, groups, parts, cell, ox, oy, oz, dx, dy, dz)
    red, green, blue = shade(
        cells, decals, groups, parts, materials, images, cell, part, face,
        ox + depth * dx, oy + depth * dy, oz + depth * dz, dx, dy, dz, depth / lens[0],
    )  # fmt: skip
    return red, green, blue, depth
