# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The mapping node, with a timer around the functions that process an image."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
import functools
import json
from pathlib import Path
import sys
import threading
import time
from typing import Any

import cv2
import numpy as np
from rclpy.lifecycle.publisher import LifecyclePublisher

from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.mapping.occupancy import OccupancyGrid
from ttt3r_ros.model.predictor import HostPrediction, Predictor
from ttt3r_ros.model.resize import resize_on_host
from ttt3r_ros.node import mapping_node, messages
from ttt3r_ros.node.clouds import CloudPublisher
from ttt3r_ros.node.inputs import ReceivedImage
from ttt3r_ros.node.mapping_node import MappingNode
from ttt3r_ros.node.outputs import Outputs
from ttt3r_ros.node.parameters import Settings
from ttt3r_ros.node.pipeline import Arrival, Pipeline
from ttt3r_ros.node.transforms import FrameTree
from ttt3r_ros.node.worker import FOLLOWER_NAME, WORKER_NAME
from ttt3r_ros.settings import TrackingSettings
from ttt3r_ros.tracking import following, tracker
from ttt3r_ros.tracking.frame import Pointmap
from ttt3r_ros.tracking.tracker import Tracker
from ttt3r_ros.tracking.undistort import Lens

PATCH = 16
MOST_AHEAD = 100


class FreePredictor:
    """A predictor without a network: the same curved wall in every image, at constant motion."""

    patch = PATCH
    checkpoint_name, checkpoint_sha256, checkpoint_note = 'free', '', ''
    resize = staticmethod(resize_on_host)

    def __init__(self, image_size: int) -> None:
        """
        Set the image size.

        :param image_size: longest side, pixels.
        """
        self._image_size = image_size

    def fit(self, width: int, height: int) -> ImageFit:
        """
        Return how images are resized and cropped.

        :param width: pixels.
        :param height: pixels.
        """
        return ImageFit.for_image(width, height, self._image_size, self.patch)

    def advise(self, settings: TrackingSettings) -> TrackingSettings:
        """Return the settings as they are."""
        return settings

    def initial_state(self) -> int:
        """Return the state: the number of images so far."""
        return 0

    def step(self, rgb: np.ndarray, state: int, write: bool = True) -> tuple[HostPrediction, int]:
        """
        Return the wall.

        :param rgb: (h, w, 3) uint8; only its size is used.
        """
        points, confidence = _wall(rgb.shape[1], rgb.shape[0])
        pose = np.eye(4)
        pose[0, 3] = 0.02 * state
        return HostPrediction(points, confidence, pose, np.full(1, 0.5, np.float32)), state + 1


@functools.cache
def _wall(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    coarse = np.random.default_rng(0).uniform(1.5, 5.0, (6, 8)).astype(np.float32)
    depth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    rays = CameraIntrinsics.from_field_of_view(width, height, 60.0).rays()
    return rays * depth[..., None], np.full((height, width), 3, np.float32)


# Where the time of both threads goes: stage -> functions. What one of them spends in
# another is the other's. The names are those that the callers look up.
STAGES: dict[str, list[tuple[Any, str]]] = {
    'decode': [(ReceivedImage, 'decode')],
    'transforms': [(FrameTree, 'look_up'), (FrameTree, 'send')],
    'undistort': [(Lens, 'undistort'), (Lens, 'rebuild')],
    'resize': [(ImageFit, 'apply')],
    'network': [(Predictor, 'step'), (FreePredictor, 'step')],
    'focal length': [(tracker, 'estimate_focal')],
    'features': [
        (Tracker, 'prepare'),
        (following, 'locate'),
        (following, 'choose'),
        (following, 'scale_ratio'),
    ],
    'points': [(Tracker, 'look'), (Tracker, 'complete')],
    'filter': [(Outputs, '_points'), (Pointmap, 'reliable')],
    'cloud message': [(messages, 'point_cloud')],
    'merge into the map': [(Mapper, 'integrate')],
    'next segment': [(Tracker, 'look_ahead')],
    'map cloud': [(CloudPublisher, 'offer')],
    'occupancy grid': [(OccupancyGrid, 'add'), (Outputs, '_publish_occupancy')],
}


def _wrap(owner: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
    setattr(owner, name, wrapper(getattr(owner, name)))


class _Stages:
    """Seconds and CPU seconds of one thread, by stage."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.spent: defaultdict[str, np.ndarray] = defaultdict(lambda: np.zeros(2))
        self.inner = [np.zeros(2)]

    def take(self) -> dict[str, np.ndarray]:
        """Return what was spent since the last time."""
        spent = dict(self.spent)
        self.spent.clear()
        return spent


class StopWatch:
    """
    Measures the stages of each image in the threads of features and of the network.

    images: one record for each image whose cloud was published, with stamp_ns; arrived, begun and
    published: monotonic seconds; waited: seconds from the one thread to the other; before, after:
    by stage, [seconds, CPU seconds of the threads] until the cloud was published and after that;
    cpu: CPU seconds of the threads until the cloud was published, including the code between the
    stages.
    """

    def __init__(self) -> None:
        """Wrap the functions of STAGES for the rest of the process."""
        self.images: list[dict[str, Any]] = []
        self._threads = {name: _Stages() for name in (FOLLOWER_NAME, WORKER_NAME)}
        self._points: LifecyclePublisher[Any] | None = None
        self._record: dict[str, Any] = {}
        # Of the newest images that were followed, by stamp: begun, handed over, and stages.
        self._ahead: dict[int, tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]] = {}
        self._begun = np.zeros(2)
        for stage, functions in STAGES.items():
            for owner, name in functions:
                _wrap(owner, name, functools.partial(self._timed, stage))
        _wrap(LifecyclePublisher, 'publish', functools.partial(self._timed, 'publish'))
        _wrap(LifecyclePublisher, 'publish', self._marked)
        _wrap(Pipeline, 'follow', self._following)
        _wrap(MappingNode, '_offer', self._handing_over)
        _wrap(Pipeline, 'process', self._recorded)

    def _timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            stages = self._threads.get(threading.current_thread().name)
            if stages is None:
                return function(*args, **kwargs)
            begin = _clocks()
            stages.inner.append(np.zeros(2))
            try:
                return function(*args, **kwargs)
            finally:
                taken = _clocks() - begin
                stages.spent[stage] += taken - stages.inner.pop()
                stages.inner[-1] += taken

        return timed

    def _marked(self, publish: Callable[..., None]) -> Callable[..., None]:
        """Wrap a publisher function to record the time of the cloud."""

        def marked(publisher: LifecyclePublisher[Any], message: Any) -> None:
            publish(publisher, message)
            if publisher is self._points:
                self._record['published'], cpu = _clocks()
                self._record['cpu'] += cpu
                self._record['before'] = self._lists(self._record['before'])

        return marked

    def _following(self, follow: Callable[..., None]) -> Callable[..., None]:
        """Wrap the first half of the processing of an image to note when it began."""

        def following(pipeline: Pipeline, arrival: Arrival) -> None:
            self._threads[FOLLOWER_NAME].take()
            self._begun = _clocks()
            follow(pipeline, arrival)

        return following

    def _handing_over(self, offer: Callable[..., None]) -> Callable[..., None]:
        """Wrap the end of it to note what it took."""

        def handing_over(node: MappingNode, arrival: Arrival) -> None:
            stages = self._threads[FOLLOWER_NAME].take()
            self._ahead[arrival.image.stamp_ns] = self._begun, _clocks(), stages
            for stamp_ns in sorted(self._ahead)[:-MOST_AHEAD]:
                del self._ahead[stamp_ns]
            offer(node, arrival)

        return handing_over

    def _recorded(self, process: Callable[..., None]) -> Callable[..., None]:
        """Wrap the second half to write the record of the image."""

        def recorded(pipeline: Pipeline, arrival: Arrival) -> None:
            self._points = pipeline._outputs.points
            self._threads[WORKER_NAME].take()
            image, taken = arrival.image, _clocks()
            begun, handed, stages = self._ahead[image.stamp_ns]
            self._record = {
                'stamp_ns': image.stamp_ns,
                'arrived': image.arrived,
                'begun': begun[0],
                'waited': taken[0] - handed[0],
                'cpu': handed[1] - begun[1] - taken[1],
                'before': stages,
            }
            process(pipeline, arrival)
            if 'published' in self._record:
                self.images.append({**self._record, 'after': self._lists({})})

        return recorded

    def _lists(self, stages: dict[str, np.ndarray]) -> dict[str, list[float]]:
        """Return stages of both threads together."""
        total = dict(stages)
        for stage, taken in self._threads[WORKER_NAME].take().items():
            total[stage] = total.get(stage, np.zeros(2)) + taken
        return {stage: taken.tolist() for stage, taken in total.items()}


def _clocks() -> np.ndarray:
    """Return monotonic seconds and CPU seconds of this thread, (2,)."""
    return np.array([time.monotonic(), time.thread_time()])


def main() -> int:
    """Run the node until a signal, then write the records; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('output', type=Path, help='JSON file for the records')
    parser.add_argument(
        '--free', type=int, metavar='SIZE', help='no network: longest side of the images'
    )
    arguments, _ = parser.parse_known_args()

    def build_free(settings: Settings) -> Mapper:
        return Mapper(FreePredictor(arguments.free), settings.mapping)

    watch = StopWatch()
    code = mapping_node.main(
        build_mapper=build_free if arguments.free else mapping_node.build_mapper
    )
    with atomic_file(arguments.output) as file:
        file.write(json.dumps(watch.images).encode())
    return code


if __name__ == '__main__':
    sys.exit(main())
