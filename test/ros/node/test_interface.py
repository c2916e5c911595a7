# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A running node has what its tables hold, and nothing else."""

import pytest
import torch

from ttt3r_ros.node.interface import DiagnosticKey, PUBLISHED, SERVICES, SUBSCRIBED

# Those of rclpy and tf2_ros.
NOT_OURS = {'/rosout', '/parameter_events', '/ttt3r/transition_event', '/tf', '/tf_static'}


def resolved(name):
    name = name.replace('~', '/ttt3r')
    return name if name.startswith('/') else f'/{name}'


@pytest.mark.parametrize(
    ('transport', 'absent'), [('raw', '/image/compressed'), ('compressed', '/image')]
)
def test_a_node_has_the_topics_of_its_tables(rig, transport, absent):
    node = rig.start(publish_odom_to_base_tf=True, image_transport=transport)

    for table, found in ((PUBLISHED, node.publishers), (SUBSCRIBED, node.subscriptions)):
        expected = {resolved(topic.name): topic for topic in table}
        expected.pop(absent, None)
        made = {end.topic_name: end for end in found if end.topic_name not in NOT_OURS}
        assert made.keys() == expected.keys()
        for name, end in made.items():
            assert end.msg_type is expected[name].kind


def test_the_topics_have_the_quality_of_service_of_their_tables(rig):
    rig.start(publish_odom_to_base_tf=True, image_qos='reliable')

    for topic in PUBLISHED:
        name = resolved(topic.name)
        (offered,) = rig.spin_until(lambda name=name: rig.robot.get_publishers_info_by_topic(name))
        assert offered.qos_profile.reliability == topic.qos.reliability, name
        assert offered.qos_profile.durability == topic.qos.durability, name
    (asked,) = rig.robot.get_subscriptions_info_by_topic('/image')
    assert asked.qos_profile.reliability.name == 'RELIABLE'


def test_a_node_has_the_services_of_its_table(rig):
    node = rig.start()

    own = {service.srv_name: service.srv_type for service in node.services}
    expected = {service.name: service.kind for service in SERVICES}
    assert expected.items() <= own.items()
    others = {name for name, kind in own.items() if kind.__module__.startswith('std_srvs')}
    assert others == expected.keys()


def test_the_diagnostics_have_every_key_of_the_table(rig):
    rig.start()
    rig.wait_for_status('STALE')

    expected = [key.text for key in DiagnosticKey]
    if not torch.cuda.is_initialized():
        expected.remove('GPU memory (MB)')
    assert list(rig.counts()) == expected
