# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import pytest

from ttt3r_ros.doctor.finding import Level
from ttt3r_ros.doctor.observed import Arrivals, Link
from ttt3r_ros.settings import NodeSettings

FRESH = Arrivals(count=150, rate_hz=30.0, age_s=0.02)
EARTH = Link('earth', 'odom', False, ('/gps',), True, FRESH)


@pytest.mark.parametrize(
    ('missing', 'seen', 'advice'),
    [
        ('odom', "no node publishes 'map' -> 'odom'", 'the mapping node sends it'),
        ('base_link', "no node publishes 'odom' -> 'base_link'", 'start the odometry'),
        ('optical', "no node publishes 'base_link' -> 'optical'", '--child-frame-id optical'),
    ],
)
def test_a_missing_link_is_named_with_who_should_send_it(find, healthy, missing, seen, advice):
    links = tuple(link for link in healthy.links if link.child != missing)

    find({'links': links}, Level.FAIL, seen, advice)


def test_a_link_that_has_stopped_is_a_warning(judge, find, healthy):
    map_link, wheels_link, mount_link = healthy.links
    stopped = replace(wheels_link, arrivals=replace(FRESH, age_s=9.0))
    changes = {'links': (map_link, stopped, mount_link)}

    find(changes, Level.WARN, 'odom -> base_link by /wheels is 9.0 s old')
    assert Level.FAIL not in {one.level for one in judge(changes)}


def test_a_link_in_the_middle_is_named_by_its_two_ends(find, healthy):
    map_link, _, mount_link = healthy.links
    links = (map_link, Link('footprint', 'base_link', True, ('/urdf',)), mount_link)

    found = find({'links': links}, Level.FAIL, "no node publishes 'odom' -> 'footprint'")
    assert "'base_link' hangs below 'footprint'" in found.seen


def test_frames_in_between_belong_to_the_chain(judge, healthy):
    mast = (
        Link('base_link', 'mast', True, ('/urdf',)),
        Link('mast', 'optical', True, ('/camera',)),
    )

    found = judge({'links': (*healthy.links[:2], *mast)})

    expected = 'base_link -> mast (static, /urdf), mast -> optical (static, /camera)'
    assert expected in [one.seen for one in found]


def test_a_frame_of_another_name_is_shown_beside_the_one_that_is_missing(find, healthy):
    map_link, wheels_link, mount_link = healthy.links
    changes = {
        'node.settings': NodeSettings(base_frame='base_footprint'),
        'links': (map_link, wheels_link, replace(mount_link, parent='base_footprint')),
    }

    found = find(changes, Level.FAIL, "no node publishes 'odom' -> 'base_footprint'", 'base_frame')
    assert found.seen.endswith("'odom' has 'base_link'")


def test_a_circle_of_frames_ends(judge, healthy):
    circle = (Link('a', 'optical', True, ('/x',)), Link('optical', 'a', True, ('/x',)))

    found = judge({'links': (*healthy.links[:2], *circle)})

    assert Level.FAIL in {one.level for one in found}


def test_a_second_parent_is_named(find, healthy):
    seen = "'odom' has two parents: 'map' (by /ttt3r) and 'earth' (by /gps)"

    find({'links': (*healthy.links, EARTH)}, Level.FAIL, seen, 'stop one')


def test_a_second_author_of_a_link_is_named(find, healthy):
    map_link, *others = healthy.links
    links = (replace(map_link, authors=('/amcl', '/ttt3r')), *others)

    find({'links': links}, Level.FAIL, "'map' -> 'odom' is published by /amcl, /ttt3r", 'stop one')


def test_candidate_publishers_are_not_reported_as_a_fault(judge, healthy):
    links = tuple(
        replace(link, authors=('/ttt3r', '/wheels'), certain=False) for link in healthy.links
    )

    found = judge({'links': links})

    assert {one.level for one in found} == {Level.OK}
    assert any('one of /ttt3r, /wheels' in one.seen for one in found)


def test_a_camera_alone_needs_no_robot_in_tf(judge):
    alone = NodeSettings(odom_frame='', base_frame='')
    links = (Link('map', 'optical', False, ('/ttt3r',), True, FRESH),)

    found = judge({'node.settings': alone, 'links': links})

    assert {one.level for one in found} == {Level.OK}
