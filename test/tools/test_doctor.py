# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Each cause is named, from made-up data: neither ROS nor a robot is needed."""

from dataclasses import replace
import json
from pathlib import Path
import sys

import pytest

from ttt3r_ros.node.observed import (
    Arrivals,
    Clock,
    Endpoint,
    Link,
    MappingNodeSeen,
    ObservationSource,
    Observed,
    Topic,
)
from ttt3r_ros.settings import ModelSettings, NodeSettings
from ttt3r_ros.tools import doctor, findings, machine
from ttt3r_ros.tools.findings import Level, Profile
from ttt3r_ros.tools.machine import CheckpointFile, Device, Disk
from ttt3r_ros.tools.main import main

IMAGE, INFO = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CameraInfo'
CLOUD, TF = 'sensor_msgs/msg/PointCloud2', 'tf2_msgs/msg/TFMessage'
GRID = 'nav_msgs/msg/OccupancyGrid'
FRESH = Arrivals(count=150, rate_hz=30.0, age_s=0.02)
PROFILE = Profile('FASTDDS_DEFAULT_PROFILES_FILE', 'large.xml', True, 64 * 2**20)


def end(node, kind, reliability='RELIABLE', durability='VOLATILE'):
    return Endpoint(node, kind, reliability, durability)


def topic(name, kind, publisher, subscriber, **more):
    return Topic(name, (publisher,), (subscriber,), **{'arrivals': FRESH, **more})


CAMERA = end('/camera', IMAGE, 'BEST_EFFORT')
OURS = end('/ttt3r', IMAGE, 'BEST_EFFORT')
SIZE = {'frame_id': 'optical', 'width': 640, 'height': 480}
MAP_LINK = Link('map', 'odom', False, ('/ttt3r',), True, FRESH)
WHEELS_LINK = Link('odom', 'base_link', False, ('/wheels',), True, FRESH)
MOUNT_LINK = Link('base_link', 'optical', True, ('/urdf',), True, Arrivals(count=1))

HEALTHY = Observed(
    name='/ttt3r',
    node=MappingNodeSeen(report='OK'),
    nodes=('/camera', '/urdf', '/wheels'),
    image=topic('/image', IMAGE, CAMERA, OURS, encoding='rgb8', size=921_600, **SIZE),
    camera_info=topic('/camera_info', INFO, end('/camera', INFO), end('/ttt3r', INFO), **SIZE),
    tf=topic('/tf', TF, end('/wheels', TF), end('/ttt3r', TF)),
    tf_static=topic(
        '/tf_static',
        TF,
        end('/urdf', TF, 'RELIABLE', 'TRANSIENT_LOCAL'),
        end('/ttt3r', TF, 'RELIABLE', 'TRANSIENT_LOCAL'),
    ),
    points=topic(
        '/ttt3r/points',
        CLOUD,
        end('/ttt3r', CLOUD, 'BEST_EFFORT'),
        end('/local_costmap/local_costmap', CLOUD, 'BEST_EFFORT'),
    ),
    map_cloud=Topic('/ttt3r/map_cloud'),
    grid=Topic('/map', (end('/ttt3r', GRID),)),
    links=(MAP_LINK, WHEELS_LINK, MOUNT_LINK),
    sources=(ObservationSource('/local_costmap/local_costmap', 'voxel_layer', 'ttt3r'),),
)


def judged(observed, profile=PROFILE):
    return list(doctor.judge(observed, profile))


def assert_found(found, level, seen, advice=''):
    """Expect one finding of a level, with these words, and no other that is as bad."""
    bad = [one for one in found if one.level is level]
    matching = [one for one in bad if seen in one.seen and advice in one.advice]
    assert len(matching) == 1, doctor.as_text(found)
    return matching[0]


def with_node(**changes):
    return replace(HEALTHY, node=replace(HEALTHY.node, **changes))


def with_image(**changes):
    return replace(HEALTHY, image=replace(HEALTHY.image, **changes))


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ('ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_LOCALHOST_ONLY'):
        monkeypatch.delenv(name, raising=False)


def test_a_healthy_system_is_ok_throughout():
    assert {one.level for one in judged(HEALTHY)} == {Level.OK}


@pytest.mark.parametrize(
    ('observed', 'seen', 'advice'),
    [
        (with_node(state='unconfigured'), '/ttt3r is unconfigured', 'lifecycle set /ttt3r conf'),
        (with_node(state='inactive'), '/ttt3r is inactive', 'lifecycle set /ttt3r activate'),
        (with_node(answers=False), 'its services do not answer', 'log'),
        (with_node(report='LOST: the network cannot be loaded'), 'cannot be loaded', ''),
        (with_node(report='STALE: paused by its service'), 'paused by its service', ''),
        (replace(HEALTHY, node=None), 'there is no node /ttt3r', 'mapping.launch.py'),
        (
            replace(HEALTHY, node=None, nodes=('/robot/ttt3r',)),
            'there is no node /ttt3r',
            '--namespace /robot/ttt3r',
        ),
        (with_node(use_sim_time=True), 'nothing comes on /clock', 'use_sim_time:=false'),
        (
            replace(HEALTHY, clock=Clock(('/bag', '/sim'), 100)),
            '2 publishers',
            'let only one run',
        ),
        (with_image(publishers=()), 'nothing publishes /image', 'start the camera'),
        (
            replace(with_image(publishers=()), image_topics=('/front/image_raw',)),
            'nothing publishes /image',
            'image_topic:=/front/image_raw',
        ),
        (
            with_image(name='/front/image_raw', subscribers=()),
            'is not heard by /ttt3r',
            'image_topic:=/front/image_raw',
        ),
        (
            with_image(subscribers=(replace(OURS, reliability='RELIABLE'),)),
            '/camera offers BEST_EFFORT, /ttt3r asks for RELIABLE',
            'image_qos:=sensor_data',
        ),
        (
            with_image(publishers=(replace(CAMERA, kind='sensor_msgs/msg/CompressedImage'),)),
            '/camera sends sensor_msgs/msg/CompressedImage',
            'image_transport',
        ),
        (with_image(arrivals=Arrivals()), 'none came in 5 s', 'is the camera on?'),
        (with_image(arrivals=replace(FRESH, age_s=3600.0)), '3600.000 s old', 'clocks'),
        (with_image(arrivals=replace(FRESH, age_s=-60.0)), '60.000 s ahead', 'clocks'),
        (with_image(arrivals=replace(FRESH, zero_stamps=150)), '150 of 150 are 0', 'bad_stamps'),
        (
            with_image(arrivals=replace(FRESH, age_s=1e9, clock_age_s=0.1)),
            'they fit /clock',
            'use_sim_time:=true',
        ),
        (
            replace(HEALTHY, points=replace(HEALTHY.points, arrivals=Arrivals())),
            'none came on /ttt3r/points',
            'above',
        ),
        (
            replace(
                HEALTHY,
                points=replace(HEALTHY.points, subscribers=(end('/local_costmap', CLOUD),)),
            ),
            '/ttt3r offers BEST_EFFORT, /local_costmap asks for RELIABLE',
            'best effort',
        ),
        (
            replace(
                HEALTHY,
                map_cloud=Topic('/ttt3r/map_cloud', (), (end('/local_costmap', CLOUD),)),
            ),
            '/local_costmap hears /ttt3r/map_cloud',
            'use /ttt3r/points',
        ),
        (
            replace(HEALTHY, grid=Topic('/map', (end('/ttt3r', GRID), end('/map_server', GRID)))),
            '/map has 2 publishers, /ttt3r, /map_server',
            'set the parameter occupancy to false',
        ),
        (
            replace(HEALTHY, node=None, nodes=()),
            'no other node is there',
            'ROS_DOMAIN_ID',
        ),
    ],
)
def test_each_cause_of_failure_is_named(observed, seen, advice):
    assert_found(judged(observed), Level.FAIL, seen, advice)


@pytest.mark.parametrize(
    ('observed', 'seen'),
    [
        (with_node(report='DEGRADED: rate'), 'DEGRADED: rate'),
        (with_node(report=''), 'none came'),
        (replace(HEALTHY, clock=Clock(('/bag',), 50)), 'use_sim_time false'),
        (replace(HEALTHY, domain=150), 'ROS_DOMAIN_ID 150'),
        (with_image(publishers=(CAMERA, replace(CAMERA, node='/other'))), '/other'),
        (with_image(arrivals=replace(FRESH, missing=0.5)), '50 % are missing'),
        (with_image(arrivals=replace(FRESH, rate_hz=0.4)), '0.4 Hz'),
        (with_image(arrivals=replace(FRESH, disordered=3)), '3 repeated or out of order'),
        (with_image(arrivals=replace(FRESH, age_s=2.5)), '2.500 s old'),
        (
            replace(HEALTHY, points=replace(HEALTHY.points, subscribers=())),
            'nothing can be marked',
        ),
        (
            replace(HEALTHY, links=(MAP_LINK, replace(WHEELS_LINK, arrivals=replace(FRESH,
                    age_s=9.0)), MOUNT_LINK)),
            'odom -> base_link by /wheels is 9.0 s old',
        ),
    ],
)  # fmt: skip
def test_each_doubt_is_a_warning(observed, seen):
    found = judged(observed)

    assert_found(found, Level.WARN, seen)
    assert Level.FAIL not in {one.level for one in found}


VOXELS = ObservationSource('/local_costmap', 'voxel_layer', 'ttt3r')


@pytest.mark.parametrize(
    ('changes', 'level', 'seen'),
    [
        ({'enabled': False}, Level.FAIL, 'the layer is off'),
        ({'marking': False}, Level.FAIL, 'marking is off'),
        ({'max_obstacle_height': 0.0}, Level.FAIL, 'from 0.08 to 0 m height'),
        ({'clearing': False}, Level.WARN, 'clearing is off'),
    ],
)
def test_a_costmap_that_cannot_mark_or_clear_is_named(changes, level, seen):
    observed = replace(HEALTHY, sources=(replace(VOXELS, **changes),))

    found = assert_found(judged(observed), level, seen)
    assert found.seen.startswith('voxel_layer.ttt3r of /local_costmap')


MARKS = replace(VOXELS, source='marks', clearing=False)
CLEARS = replace(VOXELS, source='clears', marking=False)


@pytest.mark.parametrize(
    ('sources', 'levels'),
    [
        ((MARKS, CLEARS), {Level.OK}),
        ((VOXELS, replace(CLEARS, layer='obstacle_layer')), {Level.OK}),
        ((VOXELS, replace(VOXELS, source='low', max_obstacle_height=0.0)), {Level.OK}),
        # A layer clears only its own marks, and a costmap has only its own.
        ((MARKS, replace(CLEARS, layer='obstacle_layer')), {Level.OK, Level.WARN}),
        ((MARKS, replace(CLEARS, costmap='/global')), {Level.OK, Level.WARN, Level.FAIL}),
        ((CLEARS, replace(CLEARS, source='too')), {Level.OK, Level.FAIL}),
    ],
)
def test_a_topic_may_mark_by_one_source_and_clear_by_another(sources, levels):
    found = judged(replace(HEALTHY, sources=sources))

    assert {one.level for one in found} == levels


def test_ages_count_by_the_simulated_clock_of_the_node():
    simulated = replace(FRESH, age_s=1e9, clock_age_s=0.05)
    observed = replace(
        with_node(use_sim_time=True),
        clock=Clock(('/bag',), 50),
        image=replace(HEALTHY.image, arrivals=simulated),
        links=tuple(replace(link, arrivals=simulated) for link in HEALTHY.links),
    )

    assert {one.level for one in judged(observed)} == {Level.OK}


def test_images_that_are_lost_where_no_profile_is_set_say_so():
    found = judged(with_image(arrivals=Arrivals(), size=0), Profile(PROFILE.variable))

    assert_found(found, Level.FAIL, 'none came', 'set FASTDDS_DEFAULT_PROFILES_FILE')
    assert_found(found, Level.WARN, 'FASTDDS_DEFAULT_PROFILES_FILE is not set')


@pytest.mark.parametrize(
    ('profile', 'level'),
    [
        (PROFILE, Level.OK),
        (replace(PROFILE, exists=False, segment_size=None), Level.FAIL),
        (replace(PROFILE, segment_size=None), Level.WARN),
        (replace(PROFILE, segment_size=1_000_000), Level.WARN),  # not two images of 0.92 MB
    ],
)
def test_a_profile_has_to_hold_the_images(profile, level):
    assert findings.judge_profile(profile, HEALTHY).level is level


def test_another_middleware_needs_no_profile():
    observed = replace(HEALTHY, middleware='rmw_cyclonedds_cpp')

    assert findings.judge_profile(Profile('X'), observed).level is Level.OK


@pytest.mark.parametrize(
    ('variables', 'level'),
    [
        ({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'OFF'}, Level.FAIL),
        ({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'local'}, Level.WARN),
        ({'ROS_LOCALHOST_ONLY': '1'}, Level.WARN),
        ({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}, Level.OK),
        ({}, Level.OK),
    ],
)
def test_a_narrow_discovery_is_noticed(variables, level):
    *_, found = findings.judge_middleware(HEALTHY, variables)

    assert (found.subject, found.level) == ('discovery', level)


@pytest.mark.parametrize(
    ('changes', 'seen'),
    [
        ({'publishers': ()}, 'nothing publishes /camera_info'),
        ({'arrivals': Arrivals()}, 'none came on /camera_info'),
        ({'problem': 'K is zero'}, 'K is zero'),
        ({'frame_id': 'left'}, "'left', the images are of 'optical'"),
        ({'width': 320, 'height': 240}, 'for 320x240, the images have 640x480'),
        ({'publishers': (end('/camera', INFO, 'BEST_EFFORT'),)}, '/ttt3r asks for RELIABLE'),
    ],
)
@pytest.mark.parametrize(('required', 'level'), [(False, Level.WARN), (True, Level.FAIL)])
def test_a_calibration_that_cannot_be_used_is_explained(changes, seen, required, level):
    observed = replace(
        with_node(settings=NodeSettings(require_camera_info=required)),
        camera_info=replace(HEALTHY.camera_info, **changes),
    )

    found = assert_found(judged(observed), level, seen)
    assert ('estimated' in found.advice) is not required


# ---- TF


@pytest.mark.parametrize(
    ('missing', 'seen', 'advice'),
    [
        (MAP_LINK, "nobody publishes 'map' -> 'odom'", 'the mapping node sends it'),
        (WHEELS_LINK, "nobody publishes 'odom' -> 'base_link'", 'start the odometry'),
        (MOUNT_LINK, "nobody publishes 'base_link' -> 'optical'", '--child-frame-id optical'),
    ],
)
def test_a_missing_link_is_named_with_who_should_send_it(missing, seen, advice):
    links = tuple(link for link in HEALTHY.links if link is not missing)

    assert_found(judged(replace(HEALTHY, links=links)), Level.FAIL, seen, advice)


def test_a_link_in_the_middle_is_named_by_its_two_ends():
    links = (MAP_LINK, Link('footprint', 'base_link', True, ('/urdf',)), MOUNT_LINK)

    found = assert_found(
        judged(replace(HEALTHY, links=links)), Level.FAIL, "nobody publishes 'odom' -> 'footprint'"
    )
    assert "'base_link' hangs below 'footprint'" in found.seen


def test_frames_in_between_belong_to_the_chain():
    mast = (
        Link('base_link', 'mast', True, ('/urdf',)),
        Link('mast', 'optical', True, ('/camera',)),
    )

    found = judged(replace(HEALTHY, links=(MAP_LINK, WHEELS_LINK, *mast)))

    expected = 'base_link -> mast (static, /urdf), mast -> optical (static, /camera)'
    assert expected in [one.seen for one in found]


def test_a_frame_of_another_name_is_shown_beside_the_one_that_is_missing():
    mount = replace(MOUNT_LINK, parent='base_footprint')
    observed = replace(
        with_node(settings=NodeSettings(base_frame='base_footprint')),
        links=(MAP_LINK, WHEELS_LINK, mount),
    )

    found = assert_found(
        judged(observed), Level.FAIL, "nobody publishes 'odom' -> 'base_footprint'", 'base_frame'
    )
    assert found.seen.endswith("'odom' has 'base_link'")


def test_a_circle_of_frames_ends():
    circle = (Link('a', 'optical', True, ('/x',)), Link('optical', 'a', True, ('/x',)))

    found = judged(replace(HEALTHY, links=(MAP_LINK, WHEELS_LINK, *circle)))

    assert Level.FAIL in {one.level for one in found}


@pytest.mark.parametrize(
    ('links', 'seen'),
    [
        (
            (*HEALTHY.links, Link('earth', 'odom', False, ('/gps',), True, FRESH)),
            "'odom' has two parents: 'map' (by /ttt3r) and 'earth' (by /gps)",
        ),
        (
            (replace(MAP_LINK, authors=('/amcl', '/ttt3r')), WHEELS_LINK, MOUNT_LINK),
            "'map' -> 'odom' is sent by /amcl, /ttt3r",
        ),
    ],
)
def test_a_second_parent_is_named(links, seen):
    assert_found(judged(replace(HEALTHY, links=links)), Level.FAIL, seen, 'stop one')


def test_authors_that_are_only_possible_accuse_nobody():
    links = tuple(
        replace(link, authors=('/ttt3r', '/wheels'), certain=False) for link in HEALTHY.links
    )

    found = judged(replace(HEALTHY, links=links))

    assert {one.level for one in found} == {Level.OK}
    assert any('one of /ttt3r, /wheels' in one.seen for one in found)


def test_a_camera_alone_needs_no_robot_in_tf():
    alone = NodeSettings(odom_frame='', base_frame='')
    links = (Link('map', 'optical', False, ('/ttt3r',), True, FRESH),)

    found = judged(replace(with_node(settings=alone), links=links))

    assert {one.level for one in found} == {Level.OK}


# ---- this machine


@pytest.mark.parametrize(
    ('device', 'level'),
    [
        (Device('2.13'), Level.OK),
        (Device('2.13', has_nvidia_driver=True), Level.WARN),
        (Device('2.13', error='device cuda:7 was asked for'), Level.FAIL),
        (Device('2.13', 'cuda:0: H', free=8 * 2**30, total=2**35), Level.OK),
        (Device('2.13', 'cuda:0: H', free=1 * 2**30, total=2**35), Level.FAIL),
    ],
)
def test_a_device_has_to_hold_the_network(device, level):
    assert machine.judge_device(device, CheckpointFile(size=3 * 2**30)).level is level


@pytest.mark.parametrize(
    ('disk', 'level'),
    [
        (Disk(Path('maps'), 2**40, True), Level.OK),
        (Disk(Path('maps'), 2**30, True), Level.WARN),
        (Disk(Path('maps'), 2**20, True), Level.FAIL),
        (Disk(Path('maps'), 2**40, False), Level.FAIL),
    ],
)
def test_a_place_for_maps_is_needed(disk, level):
    assert machine.judge_disk(disk).level is level


def test_a_folder_that_is_still_to_be_made_lies_on_the_disk_above(tmp_path):
    disk = machine.look_at_disk(NodeSettings(map_directory=str(tmp_path / 'a' / 'b')))

    assert disk.writable
    assert disk.free > 0


def test_a_file_in_the_place_of_the_folder_cannot_be_written(tmp_path):
    (tmp_path / 'maps').write_text('')

    assert not machine.look_at_disk(NodeSettings(map_directory=str(tmp_path / 'maps'))).writable


def test_a_checkpoint_that_is_not_there_is_told_with_the_way_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path))

    found = machine.judge_checkpoint(machine.look_at_checkpoint(ModelSettings(checkpoint='512')))

    assert found.level is Level.FAIL
    assert 'ttt3r weights fetch 512' in found.seen


def test_a_checkpoint_with_limits_is_a_warning_that_tells_them():
    found = machine.judge_checkpoint(CheckpointFile('f', 'a' * 64, note='only for cellars'))

    assert (found.level, found.advice) == (Level.WARN, 'only for cellars')


def test_the_checkpoint_that_ships_sends_real_cameras_elsewhere():
    found = machine.judge_checkpoint(machine.look_at_checkpoint(ModelSettings()))

    assert found.level is Level.WARN
    assert 'small.safetensors' in found.seen
    assert 'ttt3r weights fetch' in found.advice


# ---- the command


@pytest.fixture
def without_ros(monkeypatch):
    """Let ROS be missing, and the checkpoint be there."""
    monkeypatch.setitem(sys.modules, 'ttt3r_ros.node.probe', None)
    good = CheckpointFile('f.safetensors', 'a' * 64, 'Apache-2.0', 'small', 1)
    monkeypatch.setattr(machine, 'look_at_checkpoint', lambda model: good)
    enough = Disk(Path('maps'), 2**40, True)
    monkeypatch.setattr(machine, 'look_at_disk', lambda settings: enough)


def test_without_ros_this_machine_is_examined(without_ros, capsys):
    assert main(['doctor']) == 0

    said = capsys.readouterr().out
    assert said.startswith('WARN  ROS 2')
    assert (
        'OK    checkpoint       f.safetensors, architecture small, sha256 aaaaaaaaaaaaaaaa,'
        in (said)
    )
    assert said.splitlines()[-1].startswith('0 failed')


def test_the_exit_code_is_one_when_something_failed(without_ros, monkeypatch):
    full = Disk(Path('maps'), 0, True)
    monkeypatch.setattr(machine, 'look_at_disk', lambda settings: full)

    assert main(['doctor']) == 1


def test_json_holds_every_line(without_ros, capsys):
    assert main(['doctor', '--json']) == 0

    report = json.loads(capsys.readouterr().out)
    assert report['ok'] is True
    assert [row['subject'] for row in report['findings']] == [
        'ROS 2',
        'device',
        'checkpoint',
        'disk',
    ]
    assert set(report['findings'][0]) == {'level', 'subject', 'seen', 'advice'}


@pytest.mark.parametrize(
    ('content', 'size'), [('<segment_size>67108864</segment_size>', 2**26), ('<dds/>', None)]
)
def test_the_shared_memory_is_read_from_the_profile(content, size, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, 'profile_variable', lambda: 'PROFILE')
    path = tmp_path / 'profile.xml'
    path.write_text(content)
    monkeypatch.setenv('PROFILE', str(path))

    profile = doctor.look_at_profile()

    assert replace(profile, shipped='') == Profile('PROFILE', str(path), True, size, '')
    assert Path(profile.shipped).is_file()
