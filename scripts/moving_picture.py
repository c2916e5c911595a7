# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Draw the moving picture of a run: its map grows while the camera drives through it.

Needs Chromium (apt install chromium) and the package viser.

    ttt3r simulate --bag --output drive --seconds 60 --image-rate 5
    ttt3r map drive/bag --output out
    python3 -m scripts.moving_picture out docs/images/map.webp
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
import tempfile
import time

import numpy as np
from PIL import Image
from tqdm import tqdm

from scripts.headless_browser import Browser
from ttt3r_ros.arrays import Array, Pixels
from ttt3r_ros.geometry import quaternion_from_rotation, rotation_about
from ttt3r_ros.viewer.controls import beside_depth
from ttt3r_ros.viewer.drawing import Drawing, FLOOR, GRAPH, IMAGES, Look, start_camera
from ttt3r_ros.viewer.page import below, subsampled
from ttt3r_ros.viewer.scene import Scene
from ttt3r_ros.viewer.server import LocalServer
from ttt3r_ros.viewer.stored import stored_scene

WIDTH, HEIGHT = 720, 405
FRAMES, FRAME_MS, LAST_MS = 30, 180, 2500
MOST_POINTS = 200_000
TURN_DEGREES = 50.0
BACKGROUND = (20, 20, 20)
INSET_PART = 0.42  # of the width
NEARER = 0.72  # than the page begins
FOV = np.radians(55)
SETTLES_S = 0.5  # the browser knows the sizes of points after its first frame with them


def frames(scene: Scene) -> Iterator[Pixels]:
    """
    Yield the pictures, (HEIGHT, WIDTH, 3) uint8.

    :param scene: of a finished run.
    """
    scene = subsampled(below(scene, scene.ceiling()), MOST_POINTS)
    server = LocalServer(0)
    drawing = Drawing(server)
    eye, target = start_camera(scene)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        Browser(Path(profile)) as browser,
    ):
        browser.new_page()
        # Of the size of the picture: sizes of points depend on it.
        size = {'width': WIDTH, 'height': HEIGHT, 'deviceScaleFactor': 1, 'mobile': False}
        browser.call('Emulation.setDeviceMetricsOverride', **size)
        browser.open(server.url)
        while not server.get_clients():
            time.sleep(0.1)
        (client,) = server.get_clients().values()
        for part in np.linspace(0, 1, FRAMES):
            seconds = part * scene.duration_s() if part < 1 else np.inf
            then = scene.until(seconds)
            look = Look(until_s=seconds, hidden=frozenset([IMAGES, GRAPH, FLOOR]))
            drawing.draw(then, look)
            server.flush()
            browser.wait_for(f'window.drawn.points === {drawing.points}')
            time.sleep(SETTLES_S)
            turn = rotation_about([0, 0, 1], np.radians(TURN_DEGREES * (part - 0.5)))
            place = target + NEARER * turn @ (eye - target)
            picture = client.get_render(
                HEIGHT,
                WIDTH,
                wxyz=facing(place, target),
                position=place,
                fov=FOV,
                transport_format='png',  # transparent where nothing is
            )
            yield composed(np.asarray(picture, np.uint8), then)
    server.stop()


def facing(place: Array, target: Array) -> Array:
    """
    Return how a camera is turned that looks at a point, level.

    :param place: (3,) of the camera.
    :param target: (3,) the point.
    :returns: (4,) quaternion w x y z, of an optical frame.
    """
    ahead = (target - place) / np.linalg.norm(target - place)
    right = np.cross(ahead, [0, 0, 1])
    right /= np.linalg.norm(right)
    x, y, z, w = quaternion_from_rotation(np.stack([right, np.cross(ahead, right), ahead], 1))
    return np.array([w, x, y, z])


def composed(rendered: Pixels, scene: Scene) -> Pixels:
    """
    Return a picture with the newest image and its depth in a corner.

    :param rendered: (h, w, 4) or (h, w, 3).
    :param scene: has the image.
    """
    picture = Image.new('RGB', (WIDTH, HEIGHT), BACKGROUND)
    layer = Image.fromarray(rendered)
    picture.paste(layer, mask=layer if layer.mode == 'RGBA' else None)
    if scene.newest is not None:
        inset = Image.fromarray(beside_depth(scene.newest))
        width = round(INSET_PART * WIDTH)
        inset = inset.resize((width, round(inset.height * width / inset.width)))
        picture.paste(inset, (8, HEIGHT - inset.height - 8))
    return np.asarray(picture)


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('run', type=Path, help='output folder of ttt3r map')
    parser.add_argument('picture', type=Path, help='ends in .webp or .gif')
    arguments = parser.parse_args()
    drawn = tqdm(frames(stored_scene(arguments.run)), total=FRAMES, unit='frame')
    first, *others = [Image.fromarray(frame) for frame in drawn]
    durations = [FRAME_MS] * len(others) + [LAST_MS]
    first.save(
        arguments.picture,
        save_all=True,
        append_images=others,
        duration=durations,
        loop=0,
        quality=55,
        method=6,
    )
    print(f'{arguments.picture}: {arguments.picture.stat().st_size / 1e6:.2f} MB')


if __name__ == '__main__':
    main()
