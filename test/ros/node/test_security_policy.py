# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The SROS 2 policy allows what the node does, and nothing else."""

from contextlib import suppress
from pathlib import Path
import re
from xml.etree import ElementTree

import pytest

from ttt3r_ros.node.interface import PUBLISHED, SERVICES, SUBSCRIBED

POLICY = Path('config', 'sros2_policy.xml')
RIGHTS = {('topics', 'subscribe'), ('topics', 'publish'), ('services', 'reply')}


@pytest.fixture
def profile(repository):
    """Read the only profile of the policy; any other shape is an error."""
    root = ElementTree.parse(repository / POLICY).getroot()
    assert (root.tag, root.get('version')) == ('policy', '0.2.0')
    (enclave,) = root.findall('./enclaves/enclave')
    assert enclave.get('path') == '/ttt3r'
    (profile,) = enclave.findall('./profiles/profile')
    assert profile.attrib == {'ns': '/', 'node': 'ttt3r'}
    return profile


def allowed(profile):
    """Return the full names by right, as SROS 2 resolves them; no name comes twice."""
    names = {right: [] for _, right in RIGHTS}
    for rules in profile:
        ((right, verdict),) = rules.items()
        assert verdict == 'ALLOW'
        assert (rules.tag, right) in RIGHTS
        for rule in rules:
            assert rule.tag == rules.tag.removesuffix('s')
            full = rule.text.replace('~', '/ttt3r')
            names[right].append(full if full.startswith('/') else f'/{full}')
    assert all(len(set(found)) == len(found) for found in names.values())
    return {right: set(found) for right, found in names.items()}


def test_the_policy_allows_just_what_the_node_opens(rig, profile):
    # Two nodes, for no single one has every input and output.
    rig.start(namespace='/a', use_sim_time=True)
    rig.start(namespace='/b', image_transport='compressed', publish_odom_to_base_tf=True)
    lists = {
        'subscribe': rig.robot.get_subscriber_names_and_types_by_node,
        'publish': rig.robot.get_publisher_names_and_types_by_node,
        'reply': rig.robot.get_service_names_and_types_by_node,
    }
    given = allowed(profile)
    since_jazzy = {'/ttt3r/get_type_description'}

    def differences():
        return {
            name
            for right, names in lists.items()
            for name in given[right]
            ^ {name.removeprefix(ns) for ns in ('/a', '/b') for name, _ in names('ttt3r', ns)}
        }

    both = {('ttt3r', '/a'), ('ttt3r', '/b')}
    known = rig.robot.get_node_names_and_namespaces
    rig.spin_until(lambda: both <= set(known()), 'both nodes are known')
    with suppress(pytest.fail.Exception):
        rig.spin_until(lambda: differences() <= since_jazzy)
    assert differences() <= since_jazzy


def test_the_policy_has_the_topics_and_services_of_the_tables(profile):
    def full(table):
        names = (entry.name.replace('~', '/ttt3r') for entry in table)
        return {name if name.startswith('/') else f'/{name}' for name in names}

    given = allowed(profile)
    generic = {'/clock', '/rosout', '/parameter_events', '/ttt3r/transition_event'}

    assert given['subscribe'] - generic - {'/tf', '/tf_static'} == full(SUBSCRIBED)
    assert given['publish'] - generic - {'/tf'} == full(PUBLISHED)
    assert full(SERVICES) == {
        name for name in given['reply'] if not re.search('parameter|state|transition|type_', name)
    }
