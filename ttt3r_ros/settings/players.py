# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The nodes around the mapping node: player, recorder, viewer."""

from __future__ import annotations

from dataclasses import dataclass

from ttt3r_ros.settings.declaration import Checked, knob, like
from ttt3r_ros.settings.mapping import MapSettings
from ttt3r_ros.settings.node import NodeSettings


@dataclass(frozen=True)
class ReplaySettings(Checked):
    """How recorded or simulated time passes."""

    rate: float = knob(1.0, 'Speed of time.', '', 0.01, 100)
    loop: bool = knob(False, 'Start again at the end.')
    loop_time: str = knob(
        'restart',
        'Stamps of a repetition, with publish_clock: restart jumps back, continue goes on.',
        choices=('restart', 'continue'),
    )
    publish_clock: bool = knob(
        False,
        'Publish /clock and stamp with it; false stamps with the system time.',
    )
    wait_for_subscriber: bool = knob(True, 'Start when a node subscribes to the images.')
    wait_for_mapping: float = knob(
        0.0,
        'Longest time to wait for a mapping node that has loaded its network; 0: none is '
        'expected.',
        's',
        0.0,
        3600.0,
    )
    wait_for_recorder: float = knob(
        0.0,
        'Longest time to wait for a recorder; 0: none is expected.',
        's',
        0.0,
        3600.0,
    )


@dataclass(frozen=True)
class PlayerSettings(ReplaySettings):
    """The dataset player: which recording it plays."""

    publish_clock: bool = knob(
        True,
        'Publish /clock and keep the recorded stamps; false stamps with the system time.',
    )
    input: str = knob('', 'A video, a folder of images, a recorded sequence or a rosbag2.')
    seconds: float = knob(0.0, 'Duration that is played; 0: all.', 's', 0.0, 86400.0)
    fps: float = knob(
        0.0,
        'Rate of a folder of images, or in place of the clock of a video; 0: its own.',
        'Hz',
        0.0,
        1000.0,
    )
    camera_optical_frame: str = knob(
        'camera_optical_frame', 'Frame of the images; a bag has its own.'
    )


@dataclass(frozen=True)
class RecorderSettings(Checked):
    """The recorder of the demo: what it writes and how often it reports."""

    output: str = knob('demo', 'Folder of the files.')
    report_period: float = knob(5.0, 'Time between two lines in the log.', 's', 0.1, 3600.0)
    progress: bool = knob(False, 'Write progress.json twice a second, for a progress bar.')


@dataclass(frozen=True)
class ViewerSettings(Checked):
    """The viewer: where its page is, and which images it shows."""

    port: int = knob(8080, 'Port of the page on 127.0.0.1, or the next free one.', '', 1024, 65535)
    open_browser: bool = knob(False, 'Open the page in the browser.')
    image_transport: str = like(NodeSettings, 'image_transport', 'raw')
    voxel_size: float = like(MapSettings, 'voxel_size', 0.05)
