# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

from nav_msgs.msg import OccupancyGrid
import numpy as np
import pytest
from rcl_interfaces.srv import DescribeParameters, ListParameters
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data, QoSProfile
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import SetBool, Trigger
import torch

from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.mapping.occupancy import Occupancy, OCCUPIED
from ttt3r_ros.mapping.storage import read_map, write_map
from ttt3r_ros.model.predictor import Predictor, random_network
from ttt3r_ros.node import messages, parameters
from ttt3r_ros.settings import knobs, SettingsError

ALONE = {'odom_frame': '', 'base_frame': ''}


def map_images(rig, poses, numbers, **changes):
    for pattern, number in enumerate(numbers):
        stamp_ns = rig.now_ns()
        rig.show(number, stamp_ns, pattern=pattern, **changes)
        rig.wait_for_stamp(poses, stamp_ns)


def build_real(settings):
    torch.set_num_threads(1)
    predictor = Predictor(random_network(torch.device('cpu'), 'strict'))
    return Mapper(predictor, settings.mapping)


def trigger(rig, name):
    return rig.call(Trigger, f'/ttt3r/{name}')


def switch(rig, name, data):
    return rig.call(SetBool, f'/ttt3r/{name}', SetBool.Request(data=data))


@pytest.mark.smoke
def test_reset_begins_again(rig, poses):
    rig.start(**ALONE)
    map_images(rig, poses, [0, 1, 2])

    assert trigger(rig, 'reset').success
    map_images(rig, poses, [50, 51])

    assert [p.pose.pose.position.x for p in poses[-2:]] == pytest.approx([0.0, 0.1], abs=1e-6)


def test_a_paused_node_maps_nothing_and_goes_on_where_it_was(rig, poses):
    rig.start(**ALONE)
    map_images(rig, poses, [0, 1])
    assert switch(rig, 'pause', True).success
    rig.show(60, rig.now_ns())
    rig.wait_for_count('dropped: paused', 1)
    rig.wait_for_status('paused')
    assert switch(rig, 'pause', False).success
    map_images(rig, poses, [2])

    assert rig.predictor.seen == [0, 1, 2]
    assert poses[-1].pose.pose.position.x == pytest.approx(0.2, abs=1e-6)


def test_localization_follows_the_pose_and_writes_nothing(rig, poses):
    node = rig.start(**ALONE)
    assert not switch(rig, 'set_localization_mode', True).success
    map_images(rig, poses, [0, 1])
    assert switch(rig, 'set_localization_mode', True).success
    voxels = len(node._pipeline.mapper.map.voxels)
    map_images(rig, poses, [30, 31])
    assert poses[-1].pose.pose.position.x == pytest.approx(3.1, abs=1e-6)
    assert rig.predictor.written == [0, 1]
    assert len(node._pipeline.mapper.map.voxels) == voxels

    assert switch(rig, 'set_localization_mode', False).success
    map_images(rig, poses, [2])
    assert rig.predictor.written == [0, 1, 2]


def test_a_saved_map_is_loaded_by_another_node_which_then_sees_the_same(rig, poses, tmp_path):
    rig.start(
        build_mapper=build_real,
        map_directory=str(tmp_path),
        **{'map.confidence_threshold': 1.0},
        **ALONE,
    )
    same = rig.picture(120).tobytes()
    map_images(rig, poses, [0, 40, 80])
    saved = trigger(rig, 'save_map')
    assert saved.success, saved.message
    map_images(rig, poses, [120], data=same)
    stored = read_map(tmp_path / 'map.ttt3r')
    assert str(len(stored.cloud.points)) in saved.message

    # The same node after a reset stands for another one: nothing of the old session is left.
    assert trigger(rig, 'reset').success
    loaded = trigger(rig, 'load_map')
    assert loaded.success, loaded.message
    map_images(rig, poses, [120], data=same)

    before, after = (messages.matrix_from_pose(p.pose.pose) for p in poses[-2:])
    np.testing.assert_allclose(after, before, atol=1e-9)


def test_the_occupancy_grid_is_saved_with_the_map_and_loaded(rig, poses, tmp_path):
    rig.start(map_directory=str(tmp_path), **{'camera.height': 0.8}, **ALONE)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    map_images(rig, poses, [0, 0, 0])
    grids = rig.collect(OccupancyGrid, '/map', latched)
    before = rig.wait_for_stamp(grids, messages.nanoseconds(poses[-1].header.stamp))
    assert OCCUPIED in before.data
    assert trigger(rig, 'save_map').success

    assert trigger(rig, 'reset').success
    assert trigger(rig, 'load_map').success
    map_images(rig, poses, [0])

    after = rig.wait_for_stamp(grids, messages.nanoseconds(poses[-1].header.stamp))
    assert after.info.origin == before.info.origin
    assert after.data == before.data  # a single image of an empty map would mark nothing

    cells = Occupancy(np.zeros((2, 2), np.int8), 0.1, 0.0, 0.0)
    stored = replace(read_map(tmp_path / 'map.ttt3r'), occupancy=cells)
    with (tmp_path / 'coarse').open('wb') as file:
        write_map(file, stored)
    assert rig.set_parameters(map_file='coarse')[0].successful
    answer = trigger(rig, 'load_map')
    assert not answer.success
    assert 'occupancy.resolution is 0.05' in answer.message


def test_a_map_that_cannot_be_used_changes_nothing_and_the_answer_says_why(rig, poses, tmp_path):
    node = rig.start(map_directory=str(tmp_path), build_mapper=build_real, **ALONE)
    map_images(rig, poses, [0, 40])
    assert trigger(rig, 'save_map').success
    good = (tmp_path / 'map.ttt3r').read_bytes()
    snapshot = node._pipeline.mapper.state
    flipped = bytearray(good)
    flipped[-1] ^= 1
    for name, data, said in (
        ('missing', None, 'does not exist'),
        ('cut', good[: len(good) // 2], 'no map that can be read'),
        ('flipped', bytes(flipped), 'checksum'),
        ('pickle', b'\x80\x04K\x01.', 'no map that can be read'),
        ('huge', (2**62).to_bytes(8, 'little') + b'{}', 'no map that can be read'),
        ('version', good.replace(b'"version":"2"', b'"version":"9"'), "version '9'"),
    ):
        if data is not None:
            (tmp_path / name).write_bytes(data)
        assert rig.set_parameters(map_file=name)[0].successful
        answer = trigger(rig, 'load_map')
        assert not answer.success
        assert said in answer.message
    assert node._pipeline.mapper.state is snapshot


@pytest.mark.parametrize('name', ['../map.ttt3r', '/etc/map.ttt3r', '.', 'link/map.ttt3r'])
def test_nothing_is_written_outside_of_the_folder_of_maps(rig, tmp_path, name):
    inside, outside = tmp_path / 'maps', tmp_path / 'outside'
    inside.mkdir()
    outside.mkdir()
    (inside / 'link').symlink_to(outside)
    rig.start(map_directory=str(inside), map_file=name, **ALONE)
    rig.spin_until(lambda: rig.logged('the network is loaded'), 'it is loaded')

    answer = trigger(rig, 'save_map')

    assert not answer.success
    assert 'map_directory' in answer.message
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(('name', 'magic'), [('a.ply', b'ply\n'), ('b/c.pcd', b'# .PCD')])
def test_the_cloud_is_exported(rig, poses, tmp_path, name, magic):
    rig.start(map_directory=str(tmp_path), export_file=name, **ALONE)
    map_images(rig, poses, [0, 1])

    answer = trigger(rig, 'export_cloud')

    assert answer.success, answer.message
    assert (tmp_path / name).read_bytes().startswith(magic)


def test_a_kind_of_file_that_is_not_known_is_refused(rig, tmp_path):
    rig.start(map_directory=str(tmp_path), export_file='a.xyz', **ALONE)
    rig.spin_until(lambda: rig.logged('the network is loaded'), 'it is loaded')
    assert 'must end in .ply or .pcd' in trigger(rig, 'export_cloud').message
    assert list(tmp_path.iterdir()) == []


def test_requests_are_answered_one_after_the_other_while_images_come(rig, poses, tmp_path):
    rig.start(map_directory=str(tmp_path), **ALONE)
    map_images(rig, poses, [0])
    clients = [rig.robot.create_client(Trigger, f'/ttt3r/{n}') for n in ('reset', 'save_map')]
    for client in clients:
        rig.spin_until(client.service_is_ready)

    for _ in range(5):
        futures = []
        for number in range(4):
            futures += [client.call_async(Trigger.Request()) for client in clients]
            rig.show(number, rig.now_ns())
        rig.spin_until(lambda f=futures: all(future.done() for future in f), 'all are answered')
        answers = [future.result() for future in futures]
        refused = {a.message.partition(':')[0] for a in answers if not a.success}
        assert refused <= {'the map is empty'}  # saved right after a reset
    map_images(rig, poses, [4])
    assert trigger(rig, 'save_map').success
    read_map(tmp_path / 'map.ttt3r')


# Parameters


@pytest.mark.smoke
def test_every_knob_is_a_described_parameter(rig):
    rig.start(activate=False)
    names = knobs(parameters.Settings).keys()
    listed = rig.call(ListParameters, '/ttt3r/list_parameters').result.names
    assert names <= set(listed)
    assert not parameters.old_names().keys() & set(listed)

    request = DescribeParameters.Request(names=['map.voxel_size', 'image_qos'])
    voxel_size, image_qos = rig.call(
        DescribeParameters, '/ttt3r/describe_parameters', request
    ).descriptors
    assert voxel_size.description == 'Edge of a voxel of the map.'
    limits = voxel_size.floating_point_range[0]
    assert (limits.from_value, limits.to_value) == (0.001, 10.0)
    assert 'one of sensor_data, reliable' in image_qos.additional_constraints


@pytest.mark.smoke
@pytest.mark.parametrize(
    ('values', 'reason'),
    [
        ({'map.max_range': -1.0}, 'out of range'),
        ({'map.max_range': 'far'}, 'type'),
        ({'inputs.bad_stamps': 'ignore'}, 'must be one of refuse, restamp, accept'),
        ({'map.voxel_size': 0.1}, 'cannot change while the node is configured'),
    ],
)
def test_a_wrong_change_of_a_parameter_is_refused_with_the_reason(rig, values, reason):
    node = rig.start(**ALONE)
    before = node._settings

    (result,) = rig.set_parameters(**values)

    assert not result.successful
    assert reason in result.reason
    assert node._settings == before


@pytest.mark.smoke
def test_a_live_parameter_changes_the_next_cloud(rig, poses):
    rig.start(**{'outputs.points_stride': 1}, **ALONE)
    clouds = []
    rig.robot.create_subscription(
        PointCloud2, '/ttt3r/points', clouds.append, qos_profile_sensor_data
    )

    def next_cloud_has(width):
        map_images(rig, poses, [0])
        return clouds and clouds[-1].width == width

    rig.spin_until(lambda: next_cloud_has(64 * 48), 'every pixel gives a point')
    assert rig.set_parameters(**{'outputs.points_stride': 4})[0].successful
    rig.spin_until(lambda: next_cloud_has(16 * 12), 'every fourth pixel gives a point')
    assert np.isfinite(np.frombuffer(clouds[-1].data, np.float32)).all()


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        ({'map.voxel_size': -1.0}, 'map.voxel_size'),
        ({'map.max_range': 20}, 'map.max_range must be float'),
        ({'model.update_rule': 'magic'}, 'model.update_rule must be one of'),
        ({'voxel_size': 0.1}, 'voxel_size is now map.voxel_size'),
        ({'occupancy_range': 3.0}, 'occupancy_range is now occupancy.range'),
        ({'occupancy': False}, 'occupancy is now occupancy.enabled'),
        (
            {'tf_rate': 20.0, 'checkpoint': 'small'},
            'checkpoint is now model.checkpoint, tf_rate is now tf.rate',
        ),
    ],
)
def test_a_wrong_parameter_at_the_start_is_one_clear_error(rig, values, said):
    with pytest.raises(SettingsError, match=said):
        rig.start(**values)
