# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The mapping node, whose graph thread closes loops of a large graph for half of the time."""

from __future__ import annotations

import argparse
from concurrent.futures import Executor
import json
from pathlib import Path
import sys
import threading
import time

import numpy as np

from benchmark.speed.camera_process import FIELD_OF_VIEW
from benchmark.speed.graph_cost import close_loop, large_graph
from benchmark.speed.timed_node import FreePredictor
from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.graph.solver.pose_graph import Covariances
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.model.predictor import HostPrediction
from ttt3r_ros.model.resize import resize_on_host
from ttt3r_ros.node import mapping_node
from ttt3r_ros.node.parameters import Settings

IMAGE_SIZE = 224
GAINS = np.full(1, 0.5, np.float32)
PHASE_S, CLOSURE_PERIOD_S = 4.0, 1.0


class FilmedNetwork(FreePredictor):
    """A network that knows the depth of each image of a film, and takes a given time."""

    def __init__(self, folder: Path, image_size: int, seconds: float) -> None:
        """
        Read the film.

        :param folder: has images.npy, (T, H, W, 3) uint8, and depth.npy, (T, H, W) metres.
        :param image_size: longest side, pixels.
        :param seconds: that a step takes.
        """
        super().__init__(image_size)
        images, depth = np.load(folder / 'images.npy'), np.load(folder / 'depth.npy')
        height, width = images.shape[1:3]
        fit = self.fit(width, height)
        camera = CameraIntrinsics.from_field_of_view(width, height, FIELD_OF_VIEW)
        self._rays, self._seconds = fit.intrinsics(camera).rays(), seconds
        grid = np.meshgrid(np.arange(1.0 * fit.width), np.arange(1.0 * fit.height))
        columns, rows = (np.rint(part).astype(int) for part in fit.to_original(*grid))
        self._depth = {
            fit.apply(image, resize_on_host).tobytes(): one[rows, columns]
            for image, one in zip(images, depth)
        }

    def step(self, rgb: np.ndarray, state: int, write: bool = True) -> tuple[HostPrediction, int]:
        """
        Return the depth, and that the camera stands: the motion is left to the features.

        :param rgb: (h, w, 3) uint8, of the film.
        """
        time.sleep(self._seconds)  # as while a GPU computes
        points = (self._rays * self._depth[rgb.tobytes()][..., None]).astype(np.float32)
        confidence = np.full(rgb.shape[:2], 5.0, np.float32)
        return HostPrediction(points, confidence, np.eye(4), GAINS), state + 1


class Closer:
    """
    Closes a loop every second, in every second phase.

    phases: of each begin_ns and end_ns of the system's clock, closed, the number of loops, and
    cpu_s of the process. closures_s: how long each took.
    """

    def __init__(self, executor: Executor, keys: int) -> None:
        """
        Start the thread.

        :param executor: of the graph.
        :param keys: number of key frames.
        """
        self.phases: list[dict[str, float]] = []
        self.closures_s: list[float] = []
        self._executor, self._graph = executor, large_graph(keys)
        self._known = Covariances.of(self._graph)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            for closes in (False, True):
                begin_ns, begin_s, count = time.time_ns(), time.process_time(), 0
                end = time.monotonic() + PHASE_S
                while time.monotonic() < end:
                    if closes:
                        self._executor.submit(self._close).result()
                        count += 1
                    time.sleep(CLOSURE_PERIOD_S)
                self.phases.append(
                    {
                        'begin_ns': begin_ns,
                        'end_ns': time.time_ns(),
                        'closed': count,
                        'cpu_s': time.process_time() - begin_s,
                    }
                )

    def _close(self) -> None:
        begin = time.monotonic()
        close_loop(self._graph, self._known)
        self.closures_s.append(time.monotonic() - begin)


def main() -> int:
    """Run the node until a signal, then write the phases; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('output', type=Path, help='JSON file for the phases')
    parser.add_argument('--keys', type=int, default=500, help='key frames (default: %(default)s)')
    parser.add_argument('--film', type=Path, help='folder of what the camera shows')
    parser.add_argument('--network', type=float, default=0.2, help='seconds that a step takes')
    arguments, _ = parser.parse_known_args()
    executor = mapping_node.graph_thread()
    closer = Closer(executor, arguments.keys)

    def build(settings: Settings) -> Mapper:
        predictor = FilmedNetwork(arguments.film, IMAGE_SIZE, arguments.network)
        return Mapper(predictor, settings.mapping, executor=executor)

    code = mapping_node.main(build_mapper=build)
    found = {'phases': closer.phases, 'closures_s': closer.closures_s}
    with atomic_file(arguments.output) as file:
        file.write(json.dumps(found).encode())
    return code


if __name__ == '__main__':
    sys.exit(main())
