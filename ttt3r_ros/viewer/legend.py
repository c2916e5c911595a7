# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What the colours of lines and points mean, for those who see a page for the first time."""

from __future__ import annotations

import html

from ttt3r_ros.viewer.drawing import CAMERA, KEYS, LOOPS, PATH, TRUTH, VIEWS
from ttt3r_ros.viewer.scene import Scene

ENTRY = '<span style="white-space:nowrap"><span style="color:rgb{}">&#9632;</span> {}</span>'
# Text that lies on the scene lets the mouse through; the bar of the time is below it.
ON_SCENE = (
    '<div style="position:fixed;left:16px;bottom:64px;max-width:24em;pointer-events:none;'
    'font:14px/1.5 sans-serif;color:#ccc">{}</div>'
)
MOUSE = 'drag: turn; right button: move; wheel: nearer'


def legend(scene: Scene) -> str:
    """
    Return what is drawn of a scene besides its points, each with its colour, as HTML.

    :param scene: as it is shown; what it does not have is left out.
    """
    keys = scene.keys
    entries = {
        'path': (PATH, len(scene.path.poses) > 1),
        'true path': (TRUTH, scene.truth is not None),
        'key frames': (KEYS, keys is not None and len(keys.places) > 0),
        'loops': (LOOPS, keys is not None and len(keys.loops) > 0),
        'images': (VIEWS, len(scene.views) > 0),
        'newest image': (CAMERA, scene.newest is not None),
    }
    return ' '.join(ENTRY.format(color, name) for name, (color, there) in entries.items() if there)


def caption(scene: Scene, title: str) -> str:
    """
    Return what a page without a panel says about a scene, as HTML that lies on the scene.

    :param title: of the page.
    """
    values = [f'{name} {value}' for name, value in scene.status.items()]
    lines = [f'<b>{html.escape(title)}</b>', *map(html.escape, values), legend(scene), MOUSE]
    return ON_SCENE.format('<br>'.join(line for line in lines if line))
