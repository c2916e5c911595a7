# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The panel of the page: what the user chooses, and the values of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import math
from typing import Any

import cv2
import numpy as np
import viser

from ttt3r_ros.arrays import Pixels
from ttt3r_ros.viewer.colors import colorings, depth_picture, IMAGE
from ttt3r_ros.viewer.drawing import FRESH, LAYERS, Look, REFERENCE
from ttt3r_ros.viewer.legend import legend
from ttt3r_ros.viewer.scene import Cloud, Scene, View

Request = Callable[[], str]

# A finished run is played in so many seconds, by steps of so many.
PLAY_S, PLAY_STEP_S = 20.0, 0.1
LOWEST_CUT_M, HIGHEST_CUT_M = 0.2, 10.0
PICTURE_PX = 240
PANEL_TEXT = '<div style="padding:0 0.7em;font-size:0.8em;opacity:0.8">{}</div>'
NO_PICTURE = np.zeros((1, 1, 3), np.uint8)


class Controls:
    """The elements of the panel; callbacks of the page only note that something was chosen."""

    def __init__(
        self,
        server: viser.ViserServer,
        chosen: Callable[[], None],
        requests: Mapping[str, Request],
    ) -> None:
        """
        Build the panel.

        :param server: of the page.
        :param chosen: called from any thread when the user has chosen something.
        :param requests: of the user to a node, by the text of their buttons; each returns a
            sentence for the user.
        """
        self._gui, self._chosen = server.gui, chosen
        self._status = self._gui.add_markdown('*nothing mapped yet*')
        self._legend = self._gui.add_html('')
        self._pictures = self._gui.add_image(
            NO_PICTURE, label='newest image, depth', visible=False
        )
        for text, request in requests.items():
            self._add_request(text, request)
        self._build_time()
        self._build_look()
        self._build_layers()
        self._picture_of: View | None = None
        self._text = ''
        self._cut_by_user = False
        self._cut_of: Cloud | None = None
        self._was_finished = False

    def _add_request(self, text: str, request: Request) -> None:
        button = self._gui.add_button(text)

        def ask(event: viser.GuiEvent[viser.GuiButtonHandle]) -> None:
            answer = request()
            if event.client is not None:
                event.client.add_notification(text, answer, auto_close_seconds=6)

        button.on_click(ask)

    def _build_time(self) -> None:
        with self._gui.add_folder('Time', visible=False) as self._time_folder:
            self._time = self._gui.add_slider('until (s)', 0.0, 1.0, 0.1, 1.0)
            self._play = self._gui.add_checkbox('play', False)
        self._has_time = False
        self._report(self._time, self._play)

    def _build_look(self) -> None:
        gui = self._gui
        with gui.add_folder('View'):
            self._follow = gui.add_checkbox('follow the camera', True)
            self._coloring = gui.add_dropdown('colour by', (IMAGE,), initial_value=IMAGE)
            self._size = gui.add_slider('point size', 0.2, 3.0, 0.1, 1.0, hint='In voxels.')
            self._certain = gui.add_slider(
                'hide unsure (%)', 0, 95, 1, 0, hint='The points of least confidence.'
            )
            self._cut = gui.add_checkbox('cut the ceiling', True)
            self._cut_at = gui.add_slider(
                'cut at (m)',
                LOWEST_CUT_M,
                HIGHEST_CUT_M,
                0.1,
                HIGHEST_CUT_M,
                hint='Above the floor.',
            )
        self._report(self._follow, self._coloring, self._size, self._certain, self._cut)

        def cut(event: viser.GuiEvent[viser.GuiSliderHandle[float]]) -> None:
            if event.client is not None:  # else the program has chosen
                self._cut_by_user = True
            self._chosen()

        self._cut_at.on_update(cut)

    def _build_layers(self) -> None:
        with self._gui.add_folder('Layers', expand_by_default=False):
            self._layers = {name: self._gui.add_checkbox(name, True) for name in LAYERS}
        self._report(*self._layers.values())

    def _report(self, *elements: Any) -> None:
        for element in elements:
            element.on_update(lambda _event: self._chosen())

    @property
    def plays(self) -> bool:
        """Whether the time runs by itself."""
        return self._has_time and bool(self._play.value)

    def step(self) -> None:
        """Advance the time by one step; at the end it begins anew."""
        end = self._time.max
        later = self._time.value + max(PLAY_STEP_S / PLAY_S * end, self._time.step)
        _set(self._time, later if self._time.value < end else 0.0)

    @property
    def until_s(self) -> float:
        """The end of the time that is shown, seconds from the first pose; infinity: now."""
        at_end = not self._has_time or self._time.value >= self._time.max
        return math.inf if at_end else float(self._time.value)

    def look(self, scene: Scene) -> Look:
        """
        Return what the user chose to see.

        :param scene: in which heights are measured.
        """
        floor = float(scene.limits()[0][2])
        return Look(
            coloring=self._coloring.value,
            point_size=self._size.value,
            ceiling=floor + self._cut_at.value if self._cut.value else math.inf,
            least_certain=self._certain.value,
            until_s=self.until_s,
            follow=self._follow.value,
            hidden=frozenset(name for name, box in self._layers.items() if not box.value),
        )

    def offer(self, scene: Scene) -> None:
        """
        Adapt what can be chosen to a scene.

        :param scene: the newest one.
        """
        options = colorings(scene.cloud)
        if self._coloring.options != options:
            self._coloring.options = options
        if not self._cut_by_user and scene.cloud is not self._cut_of:
            self._cut_of = scene.cloud
            above = scene.ceiling() - float(scene.limits()[0][2])
            _set(self._cut_at, round(min(max(above, LOWEST_CUT_M), HIGHEST_CUT_M), 1))
        self._layers[FRESH].visible = scene.fresh is not None
        self._layers[REFERENCE].visible = scene.truth is not None
        if scene.finished and not self._was_finished:
            _set(self._follow, False)
        self._was_finished = scene.finished
        self._has_time = scene.finished and scene.duration_s() > 0
        self._time_folder.visible = self._has_time
        end = round(scene.duration_s(), 1)
        if self._has_time and self._time.max != end:
            self._time.max = end
            _set(self._time, end)

    def show(self, scene: Scene, points: int) -> None:
        """
        Show the values of a run and its newest image.

        :param scene: as it is drawn.
        :param points: number of those that are drawn.
        """
        values = {**scene.status, 'points shown': f'{points:,}'}
        text = '\n'.join(f'**{name}** {value}  ' for name, value in values.items())
        if text != self._text:
            self._status.content = self._text = text
        if (colors := PANEL_TEXT.format(legend(scene))) != self._legend.content:
            self._legend.content = colors
        if scene.newest is not None and scene.newest is not self._picture_of:
            self._picture_of = scene.newest
            self._pictures.visible = True
            self._pictures.image = beside_depth(scene.newest)


def _set(element: Any, value: float) -> None:
    element.value = value  # whose setter type checkers do not find


def beside_depth(view: View) -> Pixels:
    """
    Return an image and its depth side by side.

    :returns: (h, w, 3) uint8.
    """
    height, width = view.rgb.shape[:2]
    parts = [view.rgb]
    if view.depth is not None:
        # Of the network's size, which need not be that of the image.
        depth = cv2.resize(view.depth, (width, height), interpolation=cv2.INTER_NEAREST)
        parts.append(depth_picture(np.asarray(depth, np.float32)))
    whole = np.concatenate(parts, axis=1)
    factor = 2 * PICTURE_PX / whole.shape[1]
    size = 2 * PICTURE_PX, max(1, round(whole.shape[0] * factor))
    return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_LINEAR), np.uint8)
