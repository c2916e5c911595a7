# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Properties of the three families of worlds, and the distances that a world computes."""

import cv2
import numpy as np
import pytest

from ttt3r_ros.geometry import rotation_about, transform
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.simulation.building import _build, build_world, UnknownFamilyError
from ttt3r_ros.simulation.renderer import render_clip


def tables_equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.tables, b.tables))


@pytest.mark.parametrize('family', ['S', 'M', 'L'])
def test_a_seed_gives_the_same_world_twice(family):
    first = build_world(family, 11)
    _build.cache_clear()

    assert tables_equal(first, build_world(family, 11))


def test_family_s_is_one_building_of_eight_rooms():
    assert tables_equal(build_world('S', 1), build_world('S', 2))
    groups = build_world('S', 1).tables.cells.groups
    rooms = groups[:, 1] > groups[:, 0]  # doorways hold nothing
    assert rooms.sum() == 8


def test_family_m_keeps_its_materials_and_varies_its_layout():
    first, second = build_world('M', 1).tables, build_world('M', 2).tables

    np.testing.assert_array_equal(first.materials, second.materials)
    np.testing.assert_array_equal(first.images, second.images)
    assert not np.array_equal(first.cells[:2], second.cells[:2])


def test_family_l_varies_everything():
    first, second = build_world('L', 1), build_world('L', 2)

    for a, b in zip(first.tables, second.tables):
        assert not np.array_equal(a, b)


def test_an_unknown_family_is_named():
    with pytest.raises(UnknownFamilyError, match=r"'X'.*S, M, L"):
        build_world('X', 0)


@pytest.mark.parametrize('family', ['S', 'M', 'L'])
def test_every_room_can_be_reached(family):
    for seed in range(6):
        world = build_world(family, seed)
        plan = world.plan()
        free = (plan.clearance > 0.3).astype(np.uint8)
        _, labels = cv2.connectedComponents(free)
        largest = 1 + np.argmax(np.bincount(labels.ravel())[1:])
        pixels = plan.places(np.argwhere(labels == largest))
        reached = world.cells_at(np.column_stack([pixels, np.full(len(pixels), 1.0)]))
        assert set(range(len(world.tables.cells))) <= set(reached.tolist())


@pytest.mark.parametrize('family', ['S', 'M', 'L'])
def test_portals_of_neighbours_match(family):
    tables = build_world(family, 3).tables
    for number, cell in enumerate(tables.cells):
        for portal in tables.portals[slice(*cell.portals)]:
            other = tables.cells[portal.cell]
            back = [p for p in tables.portals[slice(*other.portals)] if p.cell == number]
            assert len(back) == 1
            assert back[0].face == portal.face ^ 1
            for field in ('low', 'high', 'bottom', 'top'):
                assert back[0][field] == portal[field]
            # And the two cells touch there.
            axis, side = divmod(portal.face, 2)
            mine, its = (cell.high, other.low) if side else (cell.low, other.high)
            assert mine[axis] == its[axis]


@pytest.mark.parametrize('family', ['S', 'M', 'L'])
def test_clearance_is_the_nearest_of_many_points_on_the_surfaces(family):
    """Rays in all directions sample the surfaces: the nearest of their hits is the distance."""
    world = build_world(family, 8)
    plan = world.plan()
    rng = np.random.default_rng(0)
    free = np.argwhere(plan.clearance > 0.3)
    chosen = plan.places(free[rng.integers(0, len(free), 12)])
    places = np.column_stack([chosen, rng.uniform(0.4, 1.8, 12)])
    sides = CameraIntrinsics.from_field_of_view(160, 160, 91.0)
    turns = [rotation_about([0, 1, 0], a) for a in np.radians([0, 90, 180, 270])]
    turns += [rotation_about([1, 0, 0], a) for a in np.radians([90, 270])]
    length = np.linalg.norm(sides.rays(), axis=-1)
    for place, claimed in zip(places, world.clearance(places)):
        _, depth = render_clip(world, sides, transform(np.array(turns), place))
        assert claimed == pytest.approx((depth * length).min(), abs=0.02)


@pytest.mark.parametrize('family', ['S', 'M', 'L'])
def test_the_plan_never_promises_more_room_than_there_is(family):
    world = build_world(family, 2)
    plan = world.plan()
    pixels = np.argwhere(plan.clearance > 0.2)[::37]
    places = plan.places(pixels)
    heights = np.random.default_rng(0).uniform(0.3, 1.6, len(places))

    # Lamps and lintels above the camera are no part of the plan, but a third of a metre away.
    promised = np.minimum(plan.clearance_at(places), 0.34)
    true = world.clearance(np.column_stack([places, heights]), floor=False)

    assert (promised <= true + 0.02).all()
