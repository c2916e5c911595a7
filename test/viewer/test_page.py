# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The page in a real browser: what it draws, and that its controls change it."""

from dataclasses import replace
import time

import cv2
import numpy as np
import pytest

from ttt3r_ros.geometry import BODY_T_OPTICAL, transform
from ttt3r_ros.mapping.occupancy import Occupancy
from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.viewer.scene import Cloud, KeyPlaces, Scene, View

RED, SIDE = (255, 0, 0), 5
DEADLINE_S = 180.0
PANEL_PX = 320  # the panel covers so much of the right side


@pytest.fixture
def scene():
    """Return SIDE x SIDE red points on the floor, far apart, seen one row after the other."""
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    points = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1).astype(np.float32)
    colors = np.tile(np.array(RED, np.uint8), (len(points), 1))
    confidence = np.arange(1, len(points) + 1, dtype=np.float32)
    stamps = 1_000_000_000 * np.arange(SIDE)
    poses = np.stack([transform(np.eye(3), [n, 2, 0]) @ BODY_T_OPTICAL for n in range(SIDE)])
    path = Trajectory(stamps, poses)
    cloud = Cloud(points, colors, confidence, points[:, 0].copy())
    return Scene(cloud=cloud, voxel_size=0.15, path=path, status={'images': '5'}, finished=True)


@pytest.fixture
def asked():
    """Return what the buttons of the page have asked for."""
    return []


@pytest.fixture
def viewer(asked):
    pytest.importorskip('viser', reason='needs the package viser')
    from ttt3r_ros.viewer.viewer import Viewer

    def pause():
        asked.append('pause')
        return 'it stands still'

    with Viewer(0, {'pause': pause}) as viewer:
        yield viewer


def blobs(picture):
    """Return the number of separate red areas left of the panel."""
    left = picture[:, :-PANEL_PX].astype(int)
    red = (left[..., 0] > 150) & (left[..., 1:] < 50).all(axis=-1)
    count, _, sizes, _ = cv2.connectedComponentsWithStats(red.astype(np.uint8))
    return int((sizes[1:count, cv2.CC_STAT_AREA] > 8).sum())


def wait_for_picture(browser, condition):
    end = time.monotonic() + DEADLINE_S
    while not condition(picture := browser.picture()):
        assert time.monotonic() < end, 'the picture never came'
    return picture


def only_points(scene):
    """Return a scene without path, so that nothing hides a point."""
    return Scene(
        cloud=scene.cloud, voxel_size=scene.voxel_size, status=scene.status, finished=True
    )


def test_every_point_is_drawn_and_seen(browser, viewer, scene):
    viewer.take(lambda: only_points(scene))

    browser.open(viewer.url)

    browser.wait_for(f'window.drawn?.points === {SIDE**2}')
    wait_for_picture(browser, lambda picture: blobs(picture) == SIDE**2)
    assert browser.has_text('points shown 25')


def test_many_points_arrive_whole(browser, viewer):
    count = 300_000
    points = np.random.default_rng(0).random((count, 3), np.float32)
    cloud = Cloud(points, np.zeros((count, 3), np.uint8), np.ones(count, np.float32))
    viewer.take(lambda: Scene(cloud=cloud))

    browser.open(viewer.url)

    browser.wait_for(f'window.drawn?.points === {count}')


def test_a_control_changes_what_is_seen(browser, viewer, scene):
    viewer.take(lambda: only_points(scene))
    browser.open(viewer.url)
    wait_for_picture(browser, lambda picture: blobs(picture) == SIDE**2)

    browser.type('hide unsure (%)', 20)
    browser.wait_for('window.drawn.points === 20')
    wait_for_picture(browser, lambda picture: blobs(picture) == 20)

    browser.choose('colour by', 'age')
    wait_for_picture(browser, lambda picture: blobs(picture) < SIDE)  # plasma has no such red

    assert browser.has_text('points shown 20')


def red_pixels(picture):
    left = picture[:, :-PANEL_PX].astype(int)
    return int(((left[..., 0] > 150) & (left[..., 1:] < 50).all(axis=-1)).sum())


def test_a_larger_point_covers_the_square_of_its_size(browser, viewer, scene):
    viewer.take(lambda: only_points(scene))
    browser.open(viewer.url)
    small = red_pixels(wait_for_picture(browser, lambda picture: blobs(picture) == SIDE**2))

    browser.type('point size', 2)

    wait_for_picture(browser, lambda picture: 3.0 < red_pixels(picture) / small < 5.0)


def test_what_is_above_the_cut_is_hidden_until_it_is_switched_off(browser, viewer, scene):
    rising = scene.cloud.points + np.float32([0, 0, 1]) * scene.cloud.points[:, :1]
    viewer.take(lambda: replace(only_points(scene), cloud=replace(scene.cloud, points=rising)))
    browser.open(viewer.url)
    browser.wait_for(f'window.drawn?.points === {SIDE**2}')

    browser.type('cut at (m)', 1.5)
    browser.wait_for(f'window.drawn.points === {2 * SIDE}')

    browser.tick('cut the ceiling')
    browser.wait_for(f'window.drawn.points === {SIDE**2}')


@pytest.mark.parametrize('coloring', ['height', 'confidence'])
def test_the_points_can_be_coloured_by(browser, viewer, scene, coloring):
    viewer.take(lambda: only_points(scene))
    browser.open(viewer.url)
    wait_for_picture(browser, lambda picture: blobs(picture) == SIDE**2)

    browser.choose('colour by', coloring)
    wait_for_picture(browser, lambda picture: blobs(picture) < SIDE)

    browser.choose('colour by', 'image')
    wait_for_picture(browser, lambda picture: blobs(picture) == SIDE**2)


def test_the_eye_goes_along_with_the_camera_until_that_is_switched_off(browser, viewer, scene):
    """The camera steps to the side, so points on the floor step to the other one."""

    def at(y):
        pose = transform(np.eye(3), [2, y, 0.5]) @ BODY_T_OPTICAL
        newest = View(1, pose, np.zeros((24, 32, 3), np.uint8), None, 1.0)
        return replace(only_points(scene), newest=newest, finished=False)

    def middle(picture):
        red = (picture[..., 0] > 150) & (picture[..., 1:] < 50).all(axis=-1)
        return np.argwhere(red).mean(axis=0)

    viewer.take(lambda: at(2.0))
    browser.open(viewer.url)
    before = middle(wait_for_picture(browser, lambda picture: blobs(picture) > SIDE))

    viewer.take(lambda: at(1.0))
    moved = wait_for_picture(browser, lambda p: np.ptp([middle(p), before], axis=0).max() > 30)
    browser.tick('follow the camera')
    time.sleep(1.0)
    viewer.take(lambda: at(0.0))
    time.sleep(2.0)

    assert np.abs(middle(browser.picture()) - middle(moved)).max() < 10


def test_a_button_asks_the_node_and_shows_its_answer(browser, viewer, asked):
    browser.open(viewer.url)

    browser.press('pause')

    browser.wait_for(f'{browser.text_is("it stands still")} !== null')
    assert asked == ['pause']


def test_a_layer_can_be_hidden(browser, viewer, scene):
    plan = Occupancy(np.full((4, 4), 100, np.int8), 1.0, 0.0, 0.0)

    def white(picture):
        return int((picture[:, :-PANEL_PX].astype(int) > 90).all(axis=-1).sum())

    viewer.take(lambda: replace(only_points(scene), floor=plan))
    browser.open(viewer.url)
    with_plan = white(wait_for_picture(browser, lambda picture: white(picture) > 10_000))

    browser.tick('floor plan')

    wait_for_picture(browser, lambda picture: white(picture) < 0.1 * with_plan)


def test_the_time_of_a_finished_run_can_be_chosen(browser, viewer, scene):
    viewer.take(lambda: scene)
    browser.open(viewer.url)
    browser.wait_for(f'window.drawn?.points === {SIDE**2}')

    browser.type('until (s)', 1.5)

    browser.wait_for(f'window.drawn.points === {2 * SIDE}')

    browser.tick('play')  # from there to the end, and again
    browser.wait_for(f'window.drawn.points === {4 * SIDE}')
    browser.wait_for(f'window.drawn.points === {SIDE}')


def test_all_of_a_scene_is_drawn_without_an_error(browser, viewer, scene):
    rgb = np.full((24, 32, 3), (0, 200, 255), np.uint8)
    views = tuple(
        View(int(stamp), pose, rgb, np.ones((24, 32), np.float32), 1.0)
        for stamp, pose in zip(scene.path.stamps_ns, scene.path.poses)
    )
    keys = KeyPlaces(scene.cloud.points[:3], scene.cloud.points[:4].reshape(2, 2, 3))
    plan = Occupancy(np.full((9, 5), 100, np.int8), 0.5, 0.0, 0.0)
    whole = Scene(
        **{
            **vars(scene),
            'truth': scene.path,
            'views': views,
            'newest': views[-1],
            'fresh': scene.cloud,
            'keys': keys,
            'floor': plan,
        }
    )
    viewer.take(lambda: whole)

    browser.open(viewer.url)

    browser.wait_for(f'window.drawn?.points > 0 && {browser.text_is("path")} !== null')
    wait_for_picture(browser, shows_the_image)


def shows_the_image(picture):
    left = picture[:, :-PANEL_PX].astype(int)
    return ((left[..., 2] > 200) & (left[..., 0] < 60) & (left[..., 1] > 140)).sum() > 50


def test_the_file_opens_from_the_disk(browser, scene, tmp_path):
    pytest.importorskip('viser', reason='needs the package viser')
    from ttt3r_ros.viewer.page import write_page

    page = tmp_path / 'map.html'
    with page.open('wb') as file:
        write_page(file, only_points(scene), 'drive & house')
    browser.call('Network.enable')
    browser.call(
        'Network.emulateNetworkConditions',
        offline=True,
        latency=0,
        downloadThroughput=0,
        uploadThroughput=0,
    )

    browser.open(page.as_uri())

    browser.wait_for(f'window.drawn?.points === {SIDE**2}')
    wait_for_picture(browser, lambda picture: blobs(picture) == SIDE**2)
    assert browser.value('document.title') == 'drive & house'
    assert browser.has_text('drive & house images 5 drag')


def test_the_floor_plan_lies_under_the_points_of_its_cells(browser, viewer):
    """Occupied cells are white; a plan that is mirrored or turned has them elsewhere."""
    occupied = [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (3, 2)]  # x, y: no symmetry
    cells = np.full((4, 4), -1, np.int8)  # unknown: transparent
    for x, y in occupied:
        cells[y, x] = 100
    plan = Occupancy(cells, 1.0, -0.5, -0.5)
    points = np.array([(x, y, 0.02) for x, y in occupied], np.float32)
    colors = np.tile(np.array(RED, np.uint8), (len(points), 1))
    cloud = Cloud(points, colors, np.ones(len(points), np.float32))
    viewer.take(lambda: Scene(cloud=cloud, voxel_size=0.2, floor=plan, finished=True))

    browser.open(viewer.url)

    wait_for_picture(browser, lambda picture: blobs(picture) == len(occupied))
    wait_for_picture(browser, lambda picture: min(white_around(picture)) > 0.6)


def white_around(picture):
    """Return which part of the pixels around each red area is white."""
    left = picture[:, :-PANEL_PX].astype(int)
    red = ((left[..., 0] > 150) & (left[..., 1:] < 50).all(axis=-1)).astype(np.uint8)
    white = (left > 90).all(axis=-1)  # the browser fades cells into each other
    count, labels, sizes, _ = cv2.connectedComponentsWithStats(red)
    shares = []
    for number in range(1, count):
        if sizes[number, cv2.CC_STAT_AREA] > 8:
            blob = (labels == number).astype(np.uint8)
            near, far = (cv2.dilate(blob, np.ones((side, side))) for side in (7, 13))
            shares.append(float(white[(far > 0) & (near == 0)].mean()))
    return shares
