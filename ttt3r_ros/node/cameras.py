# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The cameras of the robot by their names; one camera needs none."""

from __future__ import annotations

from dataclasses import dataclass
import re

from ttt3r_ros.errors import UserError
from ttt3r_ros.settings import NodeSettings

NAME = re.compile(r'[A-Za-z]\w*')


@dataclass(frozen=True)
class NamedCamera:
    """
    One camera of the robot.

    index: from 0. name: before its topics, empty for a camera alone. optical_frame: empty: the
    frame_id of its images.
    """

    index: int
    name: str
    optical_frame: str

    def topic(self, name: str) -> str:
        """
        Return a topic of this camera.

        :param name: of the topic of a camera alone.
        """
        return f'{self.name}/{name}' if self.name else name


def named_cameras(settings: NodeSettings) -> tuple[NamedCamera, ...]:
    """
    Return the cameras of the robot, one at least.

    :raises UserError: when a name cannot be part of a topic or comes twice, or several cameras
        have no robot.
    """
    words = settings.cameras.split()
    if not words:
        return (NamedCamera(0, '', settings.camera_optical_frame),)
    named = [word.partition('=') for word in words]
    names = [name for name, _, _ in named]
    for name in names:
        if not NAME.fullmatch(name):
            raise UserError(f'cameras: {name!r} is no name: it becomes part of a topic')
    if len(set(names)) < len(names):
        raise UserError(f'cameras: a name comes twice in {settings.cameras!r}')
    if not settings.base_frame:
        raise UserError('cameras needs a base_frame, on which TF has all of them')
    return tuple(NamedCamera(i, name, frame) for i, (name, _, frame) in enumerate(named))
