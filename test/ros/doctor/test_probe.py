# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The doctor beside a real node, on real DDS."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2
import yaml

from ttt3r_ros.doctor.finding import Level
from ttt3r_ros.doctor.middleware import Profile, SharedMemory
from ttt3r_ros.doctor.observed import ObservationSource
from ttt3r_ros.doctor.probe import observation_sources, observe
from ttt3r_ros.tools import doctor

ALONE = {'odom_frame': '', 'base_frame': ''}


@pytest.fixture
def look(rig, domain, monkeypatch):
    """Return the observation of the doctor while the robot repeats an action."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))

    def look(do=lambda: None):
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(observe, '/ttt3r', '', 1.5)

            def seen():
                do()
                rig.spin_for(0.05)
                return future.done()

            rig.spin_until(seen, 'the doctor has seen enough')
        return future.result()

    return look


def failures(observed):
    memory = SharedMemory(size=2**30, free=2**30, abandoned=0)
    found = doctor.judge(observed, Profile('PROFILE', 'x', True, 2**26), memory)
    return [one.seen for one in found if one.level is Level.FAIL]


def test_a_best_effort_camera_and_a_reliable_node_are_both_named(rig, look):
    rig.start(image_qos='reliable', **ALONE)
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = rig.robot.create_publisher(Image, '/image', best_effort)

    observed = look(lambda: publisher.publish(rig.image(0, rig.now_ns())))

    expected = '/image: /robot offers BEST_EFFORT, /ttt3r requests RELIABLE'
    assert expected in failures(observed)
    assert observed.node.settings.image_qos == 'reliable'
    assert observed.image.arrivals.count > 0  # the doctor receives what the node cannot
    assert [end.node for end in observed.grid.publishers] == ['/ttt3r']


@pytest.mark.smoke
def test_a_missing_link_of_tf_is_named_and_the_others_by_their_authors(rig, look):
    rig.start()
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = rig.robot.create_publisher(Image, '/image', best_effort)

    def drive():
        rig.send_transform('odom', 'base_link', np.eye(4), rig.now_ns())
        publisher.publish(rig.image(0, rig.now_ns()))

    observed = look(drive)

    missing = [seen for seen in failures(observed) if 'no node publishes' in seen]
    assert missing == ["no node publishes 'base_link' -> 'camera_optical_frame'"]
    authors = {(link.parent, link.child): link.authors for link in observed.links if link.certain}
    assert authors in (  # Kilted tells them, older ones do not
        {('map', 'odom'): ('/ttt3r',), ('odom', 'base_link'): ('/robot',)},
        {},
    )
    # At most 20 a second, in which the robot also sleeps 50 ms.
    assert 2 < observed.image.arrivals.rate_hz <= 21
    assert abs(observed.image.arrivals.age_s) < 1


def test_a_costmap_is_asked_what_it_does_with_the_points(rig, look):
    rig.start(**ALONE)
    costmap = rclpy.create_node('costmap', namespace='local_costmap', context=rig.context)
    rig.executor.add_node(costmap)
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    costmap.create_subscription(PointCloud2, '/ttt3r/points', lambda message: None, best_effort)
    for name, value in {
        'voxel_layer.observation_sources': 'scan ttt3r',
        'voxel_layer.scan.topic': '/scan',
        'voxel_layer.ttt3r.topic': '/ttt3r/points',
        'voxel_layer.ttt3r.clearing': True,
        'voxel_layer.ttt3r.max_obstacle_height': 0.0,
    }.items():
        costmap.declare_parameter(name, value)

    observed = look()
    costmap.destroy_node()

    expected = ObservationSource(
        '/local_costmap/costmap',
        'voxel_layer',
        'ttt3r',
        clearing=True,
        min_obstacle_height=0.0,
        max_obstacle_height=0.0,
    )
    assert observed.sources == (expected,)
    assert any('obstacles from 0 to 0 m height' in seen for seen in failures(observed))


def test_the_costmap_that_ships_uses_the_points(repository):
    config = yaml.safe_load((repository / 'config' / 'nav2_costmap.yaml').read_text())
    parameters = config['local_costmap']['local_costmap']['ros__parameters']

    (source,) = observation_sources('/costmap', flat(parameters), '/ttt3r/points')

    assert source.enabled
    assert source.marking
    assert source.clearing
    assert 0 < source.min_obstacle_height < source.max_obstacle_height


def flat(values, prefix=''):
    """Return nested parameters as ROS does."""
    result = {}
    for name, value in values.items():
        nested = isinstance(value, dict)
        result |= flat(value, f'{prefix}{name}.') if nested else {prefix + name: value}
    return result
