# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import signal

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import OccupancyGrid
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Empty, Header

from ttt3r_ros.geometry import rotation_about, transform
from ttt3r_ros.mapping.cloud_files import read_ply
from ttt3r_ros.mapping.occupancy import Occupancy
from ttt3r_ros.mapping.occupancy_files import read_occupancy
from ttt3r_ros.node import messages
from ttt3r_ros.players.recorder import PoseLog
from ttt3r_ros.trajectory import read_trajectory

MODULE = 'ttt3r_ros.players.recorder'
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SECOND = 1_000_000_000


def pose_at(distance):
    return transform(rotation_about([0, 0, 1], 0.3), [distance, 0, 0])


def test_what_was_heard_is_written_when_the_recorder_ends(rig, start_process, tmp_path):
    folder = tmp_path / 'demo'
    folder.mkdir()
    (folder / 'groundtruth.txt').write_text('of an earlier recording')
    points = np.array([[1, 2, 3], [-4, 5.5, 6]], np.float32)
    colors = np.array([[255, 0, 7], [1, 200, 3]], np.uint8)
    confidence = np.array([1.5, 20], np.float32)
    recorder = start_process(MODULE, output=str(folder), report_period=0.2)
    cloud = messages.point_cloud(points, colors, confidence, Header(frame_id='map'))
    rig.publisher(PointCloud2, '/ttt3r/map_cloud', LATCHED).publish(cloud)
    cells = np.array([[0, 100, -1], [-1, -1, 0]], np.int8)
    grid = messages.occupancy_grid(Occupancy(cells, 0.05, -4.0, 8.0), Header(frame_id='map'))
    rig.publisher(OccupancyGrid, '/map', LATCHED).publish(grid)
    status = DiagnosticStatus(name='/ttt3r: mapping', message='OK')
    diagnostics = rig.publisher(DiagnosticArray, '/diagnostics')
    rig.spin_until(
        lambda: diagnostics.get_subscription_count() == 2, 'robot and recorder subscribe'
    )
    diagnostics.publish(DiagnosticArray(status=[status]))
    publisher = rig.publisher(PoseWithCovarianceStamped, '/ttt3r/pose')
    stamps = [rig.now_ns() - SECOND // 10 + n for n in range(5)]

    for n, stamp in enumerate(stamps):
        header = Header(stamp=messages.time_message(stamp), frame_id='map')
        pose = messages.pose_with_covariance(pose_at(n), 0.01 * np.eye(6))
        publisher.publish(PoseWithCovarianceStamped(header=header, pose=pose))

    def reported():
        said = recorder.output.read_text()
        of_the_last = said.rpartition('ms (max')[2]
        return of_the_last != said and '0.0 images' in of_the_last and 'map 2 points, OK' in said

    rig.spin_until(reported, 'the recorder has reported all poses')
    recorder.send_signal(signal.SIGINT)
    rig.spin_until(lambda: recorder.poll() is not None, 'the recorder ends')

    assert recorder.returncode == 0
    trajectory = read_trajectory(folder / 'trajectory.txt')
    assert trajectory.stamps_ns.tolist() == stamps
    expected = np.stack([pose_at(n) for n in range(5)])
    np.testing.assert_allclose(trajectory.poses, expected, atol=1e-8)
    with (folder / 'map.ply').open('rb') as file:
        written = read_ply(file)
    np.testing.assert_array_equal(written.points, points)
    np.testing.assert_array_equal(written.colors, colors)
    np.testing.assert_array_equal(written.confidence, confidence)
    plan = read_occupancy(folder)
    np.testing.assert_array_equal(plan.cells, cells)
    assert (plan.resolution, plan.x, plan.y) == (0.05, -4.0, 8.0)
    summary = json.loads((folder / 'recording.json').read_text())
    assert (summary['images_mapped'], summary['state']) == (5, 'OK')
    assert 100 <= summary['latency_ms']['p50'] < 20_000
    assert not (folder / 'groundtruth.txt').exists()


@pytest.mark.parametrize(
    'status',
    [
        {'message': 'OK', 'values': [KeyValue(key='checkpoint', value='small')]},
        {'message': 'LOST: no such file', 'level': DiagnosticStatus.ERROR},
    ],
)
def test_it_is_ready_when_the_mapping_node_has_its_network_or_cannot_get_it(
    rig, start_process, tmp_path, status
):
    recorder = start_process(MODULE, output=str(tmp_path), report_period=0.1)
    diagnostics = rig.publisher(DiagnosticArray, '/diagnostics')
    rig.spin_until(
        lambda: diagnostics.get_subscription_count() == 2, 'robot and recorder subscribe'
    )
    ready = rig.collect(Empty, '/recorder/ready', LATCHED)

    def report(message, **fields):
        said = DiagnosticStatus(name='/ttt3r: mapping', message=message, **fields)
        diagnostics.publish(DiagnosticArray(status=[said]))
        rig.spin_until(
            lambda: message in recorder.output.read_text(), 'the recorder has received it'
        )

    report('STALE: loading', values=[KeyValue(key='checkpoint', value='')])
    assert not ready
    report(**status)
    rig.spin_until(lambda: ready, 'it is ready')


def test_after_a_jump_back_in_time_only_the_new_poses_stay():
    log = PoseLog()
    for stamp in (10, 20, 20, 30, 5, 15):
        log.add(stamp, messages.pose_message(pose_at(stamp)))

    assert log.trajectory().stamps_ns.tolist() == [5, 15]
    np.testing.assert_allclose(log.trajectory().poses[1], pose_at(15), atol=1e-9)


def test_a_folder_that_cannot_be_written_is_told_at_once(rig, start_process, tmp_path):
    (tmp_path / 'file').write_text('in the way')

    recorder = start_process(MODULE, output=str(tmp_path / 'file' / 'demo'))
    rig.spin_until(lambda: recorder.poll() is not None, 'the recorder ends')

    assert recorder.returncode == 1
    assert 'cannot write into the folder' in recorder.output.read_text()


def test_how_far_a_drive_has_come_is_written_for_a_bar_and_gone_at_the_end(
    rig, start_process, tmp_path
):
    folder = tmp_path / 'demo'
    recorder = start_process(MODULE, output=str(folder), progress=True)
    publisher = rig.publisher(PoseStamped, '/ground_truth')
    rig.spin_until(lambda: publisher.get_subscription_count() == 1, 'the recorder subscribes')
    pose = messages.pose_message(pose_at(1.0))
    for n in range(4):
        header = Header(stamp=messages.time_message(SECOND * (1 + n)))
        publisher.publish(PoseStamped(header=header, pose=pose))

    def progress():
        path = folder / 'progress.json'
        return json.loads(path.read_text()) if path.is_file() else {}

    rig.spin_until(lambda: progress().get('seconds') == 3.0, 'three seconds are reported')
    assert progress() == {'seconds': 3.0, 'images': 0, 'latency_ms': 0.0}
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(30) == 0
    assert not (folder / 'progress.json').exists()
