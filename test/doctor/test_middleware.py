# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace
import fcntl
from pathlib import Path

import pytest

from ttt3r_ros.doctor import middleware
from ttt3r_ros.doctor.finding import Level
from ttt3r_ros.doctor.middleware import Profile, SharedMemory


def test_a_domain_without_nodes_is_a_failure(find):
    find({'node': None, 'nodes': ()}, Level.FAIL, 'no other node is there', 'ROS_DOMAIN_ID')


def test_a_domain_whose_ports_others_may_hold_is_a_warning(judge, find):
    find({'domain': 150}, Level.WARN, 'ROS_DOMAIN_ID 150')

    assert Level.FAIL not in {one.level for one in judge({'domain': 150})}


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
def test_a_narrow_discovery_is_noticed(healthy, variables, level):
    *_, found = middleware.judge_middleware(healthy, variables)

    assert (found.subject, found.level) == ('discovery', level)


@pytest.mark.parametrize(
    ('changes', 'level'),
    [
        ({}, Level.OK),
        ({'exists': False, 'segment_size': None}, Level.FAIL),
        ({'segment_size': None}, Level.WARN),
        ({'segment_size': 1_000_000}, Level.WARN),  # not two images of 0.92 MB
    ],
)
def test_a_profile_has_to_hold_the_images(healthy, profile, changes, level):
    assert middleware.judge_profile(replace(profile, **changes), healthy).level is level


def test_another_middleware_needs_no_profile(healthy):
    observed = replace(healthy, middleware='rmw_cyclonedds_cpp')

    assert middleware.judge_profile(Profile('X'), observed).level is Level.OK


@pytest.mark.parametrize(
    ('content', 'size'), [('<segment_size>67108864</segment_size>', 2**26), ('<dds/>', None)]
)
def test_the_shared_memory_is_read_from_the_profile(content, size, tmp_path, monkeypatch):
    monkeypatch.setattr(middleware, 'profile_variable', lambda: 'PROFILE')
    path = tmp_path / 'profile.xml'
    path.write_text(content)
    monkeypatch.setenv('PROFILE', str(path))

    profile = middleware.look_at_profile()

    assert replace(profile, shipped='') == Profile('PROFILE', str(path), True, size, '')
    assert Path(profile.shipped).is_file()


@pytest.mark.parametrize(
    ('memory', 'seen', 'advice'),
    [
        ((64 * 2**20, 60 * 2**20, 0), '60 of 64 MB free', '--shm-size'),
        ((64 * 2**20, 10 * 2**20, 54 * 2**20), '10 of 64 MB free', 'fastdds shm clean'),
        ((24 * 2**30, 12 * 2**30, 12 * 2**30), 'left 12288 MB', 'fastdds shm clean'),
    ],
)
def test_shared_memory_that_is_short_or_left_behind_is_a_warning(find, memory, seen, advice):
    find({}, Level.WARN, seen, advice, memory=SharedMemory(*memory))


def test_another_middleware_needs_no_shared_memory(healthy, profile):
    observed = replace(healthy, middleware='rmw_cyclonedds_cpp')
    full = SharedMemory(64 * 2**20, 0, 0)

    assert not list(middleware.judge_shared_memory(full, profile, observed))


def test_a_segment_is_abandoned_when_no_process_holds_its_lock(tmp_path):
    for name in ('fastdds_1', 'fastdds_2', 'fastdds_port7001'):
        (tmp_path / name).write_bytes(bytes(1000))
    for name in ('fastdds_1_el', 'fastdds_2_el'):
        (tmp_path / name).touch()

    with (tmp_path / 'fastdds_1_el').open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        assert middleware.abandoned_segments(tmp_path) == [tmp_path / 'fastdds_2']
        assert middleware.look_at_shared_memory(tmp_path).abandoned == 1000
    assert middleware.look_at_shared_memory(tmp_path / 'none') is None
