# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A finished run as one file that any browser opens from the disk."""

from __future__ import annotations

from dataclasses import replace
import html
import math
from typing import IO

import numpy as np

from ttt3r_ros.viewer.colors import visible
from ttt3r_ros.viewer.drawing import Drawing, Look, start_camera
from ttt3r_ros.viewer.legend import caption
from ttt3r_ros.viewer.scene import Scene
from ttt3r_ros.viewer.server import LocalServer

# With more points the file would be larger than about 5 MB.
MOST_POINTS = 230_000
# The camera drives along the path in so many seconds; it stands at its end first.
DRIVE_S, HOLD_S = 20.0, 3.0


def write_page(file: IO[bytes], scene: Scene, title: str) -> None:
    """
    Write a page that needs no server and no network.

    :param file: open for binary writing.
    :param scene: of a run that has ended.
    :param title: of the page.
    """
    scene = subsampled(below(scene, scene.ceiling()), MOST_POINTS)
    server = LocalServer(0)
    try:
        drawing = Drawing(server)
        drawing.draw(scene, Look())
        eye, target = start_camera(scene)
        server.initial_camera.position = tuple(eye.tolist())
        server.initial_camera.look_at = tuple(target.tolist())
        recording = server.get_scene_serializer()
        if len(scene.views) > 1:
            recording.insert_sleep(HOLD_S)
            for view in scene.views:
                drawing.draw(replace(scene, newest=view), Look())
                recording.insert_sleep(DRIVE_S / len(scene.views))
        page = recording.as_html(dark_mode=True)
    finally:
        server.stop()
    page = page.replace('<title>Viser</title>', f'<title>{html.escape(title)}</title>', 1)
    head, end, rest = page.rpartition('</body>')
    # Names of files may have bytes that are no text.
    file.write(f'{head}{caption(scene, title)}{end}{rest}'.encode(errors='replace'))


def below(scene: Scene, ceiling: float) -> Scene:
    """
    Return a scene without what hides it from above.

    :param ceiling: the height of the highest points that stay, metres.
    """
    return replace(scene, cloud=scene.cloud.chosen(visible(scene.cloud, ceiling, 0.0, math.inf)))


def subsampled(scene: Scene, most: int) -> Scene:
    """
    Return a scene with fewer points, evenly chosen, which are as much larger.

    :param most: points that stay.
    """
    count = len(scene.cloud)
    if count <= most:
        return scene
    kept = np.sort(np.random.default_rng(0).permutation(count)[:most])
    larger = scene.voxel_size * math.sqrt(count / most)
    return replace(scene, cloud=scene.cloud.chosen(kept), voxel_size=larger)
