# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from concurrent.futures import ThreadPoolExecutor

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from ttt3r_ros.geometry import BODY_T_OPTICAL, transform
from ttt3r_ros.graph.additions import KeyFrames
from ttt3r_ros.node import interface, messages
from ttt3r_ros.players.node_scenes import (
    fov_of,
    key_places,
    NodeScenes,
    status_values,
    trajectory,
)
from ttt3r_ros.trajectory import Trajectory
from ttt3r_ros.viewer.scene import View

pytest.importorskip('viser', reason='needs the package viser')

STEP_NS = 200_000_000
DEPTH = 2.0  # of the wall that the network of the rig sees


@pytest.mark.parametrize('shape', [(120, 160), (114, 160), (80, 112), (20, 30)])
def test_a_depth_of_any_size_is_drawn_beside_its_image(shape):
    from ttt3r_ros.viewer.controls import beside_depth, PICTURE_PX

    rgb = np.full((120, 160, 3), 90, np.uint8)
    view = View(1, np.eye(4), rgb, np.full(shape, DEPTH, np.float32), 1.0)

    picture = beside_depth(view)

    assert picture.shape == (180, 2 * PICTURE_PX, 3)
    assert (picture[:, : PICTURE_PX - 2] == 90).all()


@pytest.fixture
def viewer_node(rig):
    from ttt3r_ros.players.viewer_node import ViewerNode

    port = Parameter('port', value=8300)
    node = ViewerNode(context=rig.context, parameter_overrides=[port])
    rig.executor.add_node(node)
    yield node
    rig.executor.remove_node(node)
    node.close()
    node.destroy_node()


def test_what_a_mapping_node_publishes_is_the_scene(rig, viewer_node):
    rig.start(base_frame='', odom_frame='', publish_map_to_odom_tf=True)
    first = rig.now_ns() - 10 * STEP_NS
    truth = rig.publisher(PoseStamped, '/ground_truth')
    for number in range(4):
        stamp = first + number * STEP_NS
        pose = messages.pose_message(transform(np.eye(3), [7 + 0.1 * number, 0, 0]))
        header = messages.header(stamp, 'world')
        truth.publish(PoseStamped(header=header, pose=pose))
        rig.show(100 + number, stamp)
        rig.wait_for_count('images mapped', number + 1)

    def is_whole():
        scene = viewer_node.scenes.scene()
        parts = (scene.newest, scene.fresh, scene.keys, scene.truth)
        newest = scene.newest is not None and scene.newest.stamp_ns == first + 3 * STEP_NS
        return newest and len(scene.cloud) and len(scene.path.poses) == 4 and None not in parts

    rig.spin_until(is_whole, 'all of the scene is there')
    scene = viewer_node.scenes.scene()

    assert scene.path.stamps_ns.tolist() == [first + n * STEP_NS for n in range(4)]
    ahead = np.stack([BODY_T_OPTICAL @ transform(np.eye(3), [0, 0, 0.1 * n]) for n in range(4)])
    np.testing.assert_allclose(scene.path.poses[:, :3, 3], ahead[:, :3, 3], atol=1e-3)
    np.testing.assert_allclose(scene.newest.map_T_camera, ahead[3], atol=1e-3)
    np.testing.assert_allclose(scene.newest.depth, DEPTH, atol=1e-3)
    # The wall is ahead of the newest image, in the frame of the map.
    np.testing.assert_allclose(scene.fresh.points[:, 0], DEPTH + 0.3, atol=1e-2)
    rig.spin_until(
        lambda: viewer_node.scenes.scene().status.get('images mapped') == '4', 'all are counted'
    )


def test_the_buttons_call_the_services_and_show_their_answers(rig, viewer_node):
    with ThreadPoolExecutor() as pool:

        def answer(service, **fields):
            asked = pool.submit(viewer_node._ask, service, **fields)
            rig.spin_until(asked.done, 'there is an answer')
            return asked.result()

        assert answer(interface.RESET) == 'no mapping node answers'
        rig.start()
        client = viewer_node._callers[interface.PAUSE.name]
        rig.spin_until(client.service_is_ready, 'the service is found')

        assert answer(interface.PAUSE, data=True) != 'no mapping node answers'
        rig.wait_for_status('paused')


def test_a_viewer_without_a_mapping_node_shows_nothing():
    scene = NodeScenes(lambda target, source, stamp: None, 0.05).scene()

    assert (len(scene.cloud), scene.newest, scene.floor) == (0, None, None)
    assert scene.status == {'state': 'no diagnostics yet'}


def test_the_newest_image_stays_until_the_next_has_a_pose_and_a_picture():
    known = {}
    scenes = NodeScenes(lambda target, source, stamp_ns: known.get(stamp_ns), 0.05)
    scenes.put('map_cloud', PointCloud2(header=Header(frame_id='map')))
    depth = np.full((48, 64), DEPTH, np.float32)
    for stamp_ns in (1, 2):
        header = messages.header(stamp_ns, 'camera')
        scenes.put('depth', messages.depth_image(depth, header))
        scenes.put('image', Image(header=header, encoding='of no camera'))
        if stamp_ns == 1:
            known[1] = np.eye(4)
            shown = scenes._view()
            assert shown.stamp_ns == 1  # its depth is shown where its image cannot be decoded

    assert scenes._view() is shown
    known[2] = np.eye(4)
    assert scenes._view().stamp_ns == 2


def test_an_image_is_shown_beside_its_own_depth_which_has_another_shape():
    """Of 320 x 240 pixels the network sees 224 x 160: the rows in the middle of the image."""
    from ttt3r_ros.viewer.controls import beside_depth, PICTURE_PX

    scenes = NodeScenes(lambda target, source, stamp_ns: np.eye(4), 0.05)
    scenes.put('map_cloud', PointCloud2(header=Header(frame_id='map')))
    rows = np.arange(240)[:, None]
    of_edges = np.where((rows < 4) | (rows >= 236), 255, 0) + np.zeros((240, 320))
    for number in range(40):  # the node takes a while for the 38th
        rgb = np.stack([of_edges, of_edges, 0 * of_edges + 6 * number], axis=-1).astype(np.uint8)
        header = messages.header(number, 'camera')
        scenes.put('image', messages.rgb_image(rgb, header))
    depth = np.full((160, 224), DEPTH, np.float32)
    scenes.put('depth', messages.depth_image(depth, messages.header(37, 'camera')))

    view = scenes._view()

    assert view.rgb.shape[:2] == view.depth.shape == (114, 160)
    assert (view.rgb == [0, 0, 6 * 37]).all()
    assert beside_depth(view).shape[1] == 2 * PICTURE_PX


def test_the_depth_of_another_camera_is_not_shown_with_the_image_of_this_one():
    scenes = NodeScenes(lambda target, source, stamp_ns: np.eye(4), 0.05)
    scenes.put('map_cloud', PointCloud2(header=Header(frame_id='map')))
    black = np.zeros((60, 80, 3), np.uint8)
    scenes.put('image', messages.rgb_image(black, messages.header(100, 'front')))
    depth = np.full((48, 64), DEPTH, np.float32)

    for frame, is_image in (('front', True), ('left', False)):
        scenes.put('depth', messages.depth_image(depth, messages.header(101, frame)))
        assert (scenes._view().rgb == 0).all() == is_image


def test_messages_of_the_node_are_read_as_they_were_written():
    poses = {n: transform(np.eye(3), [n, 0, 0.5]) for n in range(3)}
    header = Header(frame_id='map')
    path = messages.Path()
    stamps = np.array([5, 10_000_000_007], np.int64)
    messages.fill_path(path, Trajectory(stamps, np.stack([poses[0], poses[2]])), header)

    places = key_places(messages.loop_closures(KeyFrames(poses, ((0, 2),)), header))
    read = trajectory(path)

    np.testing.assert_allclose(places.places[:, 0], [0, 1, 2], atol=1e-6)
    np.testing.assert_allclose(places.loops[0, :, 0], [0, 2], atol=1e-6)
    assert read.stamps_ns.tolist() == stamps.tolist()
    np.testing.assert_allclose(read.poses[1], poses[2], atol=1e-9)


def test_the_values_shown_are_those_of_the_diagnostics():
    values = [KeyValue(key='map rate (Hz)', value='9.9'), KeyValue(key='scale', value='1')]

    shown = status_values(DiagnosticStatus(message='OK', values=values))

    assert shown == {'state': 'OK', 'images per second': '9.9'}


def test_the_field_of_view_is_that_of_the_calibration():
    info = CameraInfo(height=200, k=[100.0, 0, 0, 0, 100.0, 0, 0, 0, 1.0])

    assert fov_of(info) == pytest.approx(np.pi / 2, abs=1e-9)
