# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Records the outputs of the mapping node and the true poses into files, and logs progress."""

from __future__ import annotations

from array import array
from contextlib import suppress
import json
from pathlib import Path
import sys
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Pose, PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import OccupancyGrid
import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Empty

from ttt3r_ros.atomic import atomic_file, output_folder, OutputError
from ttt3r_ros.mapping.cloud_files import write_ply
from ttt3r_ros.mapping.occupancy_files import (
    DESCRIPTION,
    PICTURE,
    write_description,
    write_picture,
)
from ttt3r_ros.node import messages
from ttt3r_ros.node.parameters import declare_fixed
from ttt3r_ros.node.qos import LATCHED
from ttt3r_ros.node.running import run_node
from ttt3r_ros.node.usage import printed_help
from ttt3r_ros.players.processes import PROGRESS
from ttt3r_ros.players.readiness import has_loaded, is_of_mapping
from ttt3r_ros.players.replay import RECORDER_READY
from ttt3r_ros.settings import RecorderSettings
from ttt3r_ros.trajectory import Trajectory, write_trajectory
from ttt3r_ros.units import NANOSECONDS

NAME = 'recorder'
TRAJECTORY, TRUTH = 'trajectory.txt', 'groundtruth.txt'
MAP, SUMMARY = 'map.ply', 'recording.json'
PROGRESS_PERIOD_S = 0.5
NEWEST = 20  # images whose latency is in the progress


class PoseLog:
    """Poses over time; a jump back in time clears them."""

    def __init__(self) -> None:
        """Construct an empty log."""
        self._stamps_ns = array('q')
        self._matrices = array('d')

    def __len__(self) -> int:
        """Return the number of poses."""
        return len(self._stamps_ns)

    def add(self, stamp_ns: int, pose: Pose) -> None:
        """
        Append a pose; one with the stamp of the last pose is ignored.

        :param stamp_ns: nanoseconds.
        :param pose: the pose message.
        :raises ValueError: when it is not finite.
        """
        matrix = messages.matrix_from_pose(pose)
        if self._stamps_ns and stamp_ns <= self._stamps_ns[-1]:
            if stamp_ns == self._stamps_ns[-1]:
                return
            self._stamps_ns, self._matrices = array('q'), array('d')
        self._stamps_ns.append(stamp_ns)
        self._matrices.extend(matrix.ravel())

    def span_ns(self) -> tuple[int, int]:
        """Return the first and the last stamp, nanoseconds; zeros without poses."""
        return (self._stamps_ns[0], self._stamps_ns[-1]) if self._stamps_ns else (0, 0)

    def trajectory(self) -> Trajectory:
        """Return the poses so far."""
        poses = np.array(self._matrices).reshape(-1, 4, 4)
        return Trajectory(np.array(self._stamps_ns, dtype=np.int64), poses)


class Recorder(Node):
    """Subscribes to poses, map, true poses and diagnostics; `write` saves them."""

    def __init__(self, **node_options: Any) -> None:
        """
        Create the subscriptions.

        :param node_options: of rclpy's Node.
        :raises UserError: when a parameter is wrong or the folder cannot be written.
        """
        super().__init__(NAME, **node_options)
        self._settings = settings = declare_fixed(self, RecorderSettings)
        self._folder = Path(settings.output)
        with output_folder(self._folder):
            for name in (
                TRAJECTORY,
                TRUTH,
                MAP,
                PICTURE,
                DESCRIPTION,
                SUMMARY,
                PROGRESS,
            ):  # of an earlier recording
                (self._folder / name).unlink(missing_ok=True)
        self._estimate, self._truth = PoseLog(), PoseLog()
        self._cloud: PointCloud2 | None = None
        self._grid: OccupancyGrid | None = None
        self._state = 'no diagnostics of the mapping node'
        self._arrivals_s, self._latencies_s = array('d'), array('d')
        self._reported = 0
        self._reported_s = time.monotonic()
        self._is_ready = False
        self._ready = self.create_publisher(Empty, RECORDER_READY, LATCHED)
        # The diagnostics last: DDS announces subscriptions in order, so a mapping node whose
        # diagnostics are received knows of the others, too.
        for kind, topic, callback, qos in (
            (PoseWithCovarianceStamped, 'ttt3r/pose', self._on_pose, 10),
            (PointCloud2, 'ttt3r/map_cloud', self._on_cloud, LATCHED),
            (OccupancyGrid, 'map', self._on_grid, LATCHED),
            (PoseStamped, 'ground_truth', self._on_truth, 100),
            (DiagnosticArray, '/diagnostics', self._on_diagnostics, 10),
        ):
            self.create_subscription(kind, topic, callback, qos)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(settings.report_period, self._report, clock=steady)
        if settings.progress:
            self.create_timer(PROGRESS_PERIOD_S, self._write_progress, clock=steady)

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        stamp_ns = messages.nanoseconds(message.header.stamp)
        latency_s = (self.get_clock().now().nanoseconds - stamp_ns) / NANOSECONDS
        self._arrivals_s.append(time.monotonic())
        self._latencies_s.append(latency_s)
        self._estimate.add(stamp_ns, message.pose.pose)

    def _on_truth(self, message: PoseStamped) -> None:
        self._truth.add(messages.nanoseconds(message.header.stamp), message.pose)

    def _on_cloud(self, message: PointCloud2) -> None:
        self._cloud = message

    def _on_grid(self, message: OccupancyGrid) -> None:
        self._grid = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if is_of_mapping(status):
                self._state = status.message
                self._announce_ready(status)

    def _announce_ready(self, status: DiagnosticStatus) -> None:
        """Log once that the mapping node is ready, or has failed."""
        if not self._is_ready and has_loaded(status):
            self._is_ready = True
            self._ready.publish(Empty())

    def _report(self) -> None:
        """Log rate, latency and number of points since the last report."""
        now = time.monotonic()
        count = len(self._arrivals_s) - self._reported
        rate = count / (now - self._reported_s)
        report = f'{rate:.1f} images mapped per second'
        if count:
            latencies_ms = 1e3 * np.array(self._latencies_s[-count:])
            report += f', latency {np.median(latencies_ms):.0f} ms (max {latencies_ms.max():.0f})'
        points = 0 if self._cloud is None else self._cloud.width
        self.get_logger().info(f'{report}, map {points} points, {self._state}')
        self._reported += count
        self._reported_s = now

    def _write_progress(self) -> None:
        """Write how far the drive and its map have come; a full disk does not end a recording."""
        stamps_ns = (self._truth if len(self._truth) else self._estimate).span_ns()
        newest = self._latencies_s[-NEWEST:]
        progress = {
            'seconds': (stamps_ns[1] - stamps_ns[0]) / NANOSECONDS,
            'images': len(self._arrivals_s),
            'latency_ms': 1e3 * float(np.median(newest)) if newest else 0.0,
        }
        with suppress(OutputError), atomic_file(self._folder / PROGRESS) as file:
            file.write(json.dumps(progress).encode())

    def write(self) -> None:
        """
        Write trajectory.txt, groundtruth.txt, map.* and recording.json: those with content.

        :raises OutputError: when the disk does not allow it.
        """
        for name, log, meaning in (
            (TRAJECTORY, self._estimate, 'map_T_base'),
            (TRUTH, self._truth, 'world_T_base'),
        ):
            if len(log):
                with atomic_file(self._folder / name) as file:
                    write_trajectory(file, log.trajectory(), meaning)
        if self._cloud is not None:
            with atomic_file(self._folder / MAP) as file:
                write_ply(file, messages.voxel_cloud(self._cloud))
        if self._grid is not None:
            plan = messages.occupancy_from(self._grid)
            with atomic_file(self._folder / PICTURE) as file:
                write_picture(file, plan)
            with atomic_file(self._folder / DESCRIPTION) as file:
                write_description(file, plan)
        (self._folder / PROGRESS).unlink(missing_ok=True)
        with atomic_file(self._folder / SUMMARY) as file:
            file.write((json.dumps(self.summary(), indent=2) + '\n').encode())

    def summary(self) -> dict[str, Any]:
        """Return the numbers of the recording, for recording.json."""
        summary: dict[str, Any] = {'images_mapped': len(self._arrivals_s), 'state': self._state}
        if len(self._arrivals_s) > 1:
            seconds = self._arrivals_s[-1] - self._arrivals_s[0]
            percentiles = 1e3 * np.percentile(self._latencies_s, [50, 90, 99, 100])
            summary['rate_hz'] = round((len(self._arrivals_s) - 1) / seconds, 3)
            summary['latency_ms'] = dict(
                zip(('p50', 'p90', 'p99', 'max'), percentiles.round(1).tolist())
            )
        return summary


def main(args: list[str] | None = None) -> int:
    """
    Record until a signal, then write the files.

    :param args: command line arguments for ROS.
    :returns: the exit code of the process.
    """
    sentence = 'Record pose, map and grid of the mapping node, and the true poses, into files.'
    if printed_help(args, NAME, sentence, RecorderSettings, 'demo.md'):
        return 0
    return run_node(Recorder, NAME, args, finish=Recorder.write)


if __name__ == '__main__':
    sys.exit(main())
