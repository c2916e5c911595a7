# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A recording to a map, in one call."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ttt3r_ros.api.chosen import chosen_intrinsics, chosen_settings, Setting
from ttt3r_ros.api.cloud import Cloud
from ttt3r_ros.atomic import output_folder
from ttt3r_ros.errors import UserError
from ttt3r_ros.evaluation.errors import errors_of, TrajectoryErrors
from ttt3r_ros.inputs.odometry import AUTO, NONE, OdometryChoice
from ttt3r_ros.inputs.opening import open_source
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.settings import AS_PUBLISHED
from ttt3r_ros.tools.map import refuse_output
from ttt3r_ros.tools.mapping_run import MappingRun
from ttt3r_ros.tools.stop import stop_on_signal, StopRequest
from ttt3r_ros.trajectory import read_trajectory, Trajectory


class Run:
    """
    The result of `ttt3r_ros.map`.

    folder: of the files that `ttt3r map` writes; without an output it goes with the run.
    interrupted: whether Ctrl-C ended it.
    """

    def __init__(
        self,
        mapping: MappingRun,
        name: str,
        folder: Path,
        temporary: TemporaryDirectory[str] | None = None,
        interrupted: bool = False,
    ) -> None:
        """
        Keep what was mapped.

        :param name: of the input.
        :param folder: with the files of the run.
        :param temporary: that folder, where the run owns it.
        """
        self._mapping = mapping
        self._name = name
        self._temporary = temporary
        self.folder = folder
        self.interrupted = interrupted

    @property
    def cloud(self) -> Cloud:
        """Return the points of the map."""
        return Cloud.of(self._mapping.mapper.map.voxels.points())

    @property
    def trajectory(self) -> Trajectory:
        """Return the path of the camera, map_T_camera."""
        return self._mapping.mapper.trail.trajectory()

    @property
    def summary(self) -> dict[str, Any]:
        """Return the contents of summary.json: frames, speed, memory, settings, versions."""
        return self._mapping.summary(self._name, self.interrupted)

    def save(self, folder: str | Path) -> None:
        """
        Write trajectory.txt, map.ply, summary.json and preview.png, as `ttt3r map` does.

        :param folder: made if missing.
        :raises UserError: when a file cannot be written.
        """
        with output_folder(Path(folder)) as made:
            self._mapping.write(made, self._name, StopRequest())
        if self._mapping.failed:
            raise UserError(f'not all files could be written into {folder}')

    def save_map(self, path: str | Path) -> None:
        """
        Save the map for `ttt3r map --load-map` and the node.

        :raises UserError: when it is empty or cannot be written.
        """
        self._mapping.save(Path(path))

    def evaluate(self, truth: str | Path | Trajectory, align: str = 'se3') -> TrajectoryErrors:
        """
        Compute the errors of the path.

        :param truth: world_T_camera, or its file in the format of TUM, or a folder with
            groundtruth.txt.
        :param align: se3, sim3 or none.
        :raises UserError: when it cannot be read, or has no times in common.
        """
        if not isinstance(truth, Trajectory):
            truth = read_trajectory(Path(truth), 'groundtruth.txt')
        return errors_of(self.trajectory, truth, align)

    def view(self, open_browser: bool = True) -> None:
        """
        Show the run in the browser.

        :param open_browser: False prints the address only.
        :raises UserError: when the viewer is not installed.
        """
        try:
            viewer = import_module('ttt3r_ros.viewer')
        except ImportError as error:
            raise UserError(f'the viewer cannot be loaded: {error}') from error
        viewer.show(self.folder, open_browser=open_browser)


def map_images(
    source: str | Path,
    output: str | Path | None = None,
    *,
    intrinsics: CameraIntrinsics | str | Path | None = None,
    topic: str = '',
    fps: float | None = None,
    frame_step: int = 1,
    max_frames: int | None = None,
    odometry: str = AUTO,
    as_published: bool = False,
    **settings: Setting,
) -> Run:
    """
    Map a video, a folder of images, a recorded sequence, a rosbag2 or a camera.

    An image that cannot be read or mapped is skipped, counted and reported; Ctrl-C ends the run
    with what was mapped.

    :param source: a path, or the number of a camera.
    :param output: folder of the results; None: of a temporary one, see `Run.save`.
    :param intrinsics: of all images, or their file; None: those of the input, if it has any.
    :param topic: of the images, where a bag has several.
    :param fps: images per second: of a folder, of a video in place of its clock.
    :param frame_step: read every frame_step-th image.
    :param max_frames: stop after so many mapped images.
    :param odometry: auto: that of the input; none; or a topic of a bag.
    :param as_published: switch everything off that the published demo does not have, but what
        is given here.
    :param settings: by the name of their option, such as checkpoint='512', voxel_size=0.02.
    :raises UserError: when the input, a setting or the checkpoint cannot be used.
    """
    model, mapping = chosen_settings(settings, AS_PUBLISHED if as_published else {})
    calibration = chosen_intrinsics(intrinsics)
    own_intrinsics = calibration is None and not as_published
    odometry = NONE if as_published and odometry == AUTO else odometry
    temporary = TemporaryDirectory(prefix='ttt3r_ros_') if output is None else None
    folder = Path(temporary.name) if temporary else Path(str(output))
    refuse_output(str(source), folder)
    images = open_source(str(source), topic, fps, own_intrinsics, OdometryChoice(odometry))
    note = images.calibration if calibration is None else 'given by the caller'
    used = images.intrinsics if calibration is None else calibration
    with output_folder(folder), stop_on_signal() as stop:
        run = MappingRun(model, mapping, used, note)
        run.map(images, frame_step, max_frames, None, folder, stop)
        run.write(folder, images.name, stop)
    return Run(run, images.name, folder, temporary, bool(stop.signal_number))
