# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from ttt3r_ros.model.checkpoint import open_checkpoint, resolve_checkpoint
from ttt3r_ros.node import mapping_node

ALONE = {'odom_frame': '', 'base_frame': ''}


def test_the_checkpoint_that_ships_is_used_and_its_limits_are_said_once(rig):
    note = open_checkpoint(resolve_checkpoint('small')).info.metadata['note']
    node = rig.start(build_mapper=mapping_node.build_mapper, **{'model.device': 'cpu'}, **ALONE)
    rig.wait_for_log('the network is loaded: small')

    rig.show(0, rig.now_ns())
    rig.wait_for_count('images mapped', 1)

    assert 'ttt3r weights fetch' in note
    assert len(rig.logged(note)) == 1
    assert '[WARN]' in rig.logged(note)[0]
    # What it costs to follow the advice is told with it.
    for need in ('fetch 512 (3.2 GB to download', 'CC BY-NC-SA 4.0, non-commercial', 'GB free'):
        assert need in rig.logged(note)[0]
    assert rig.counts()['checkpoint'] == 'small'
    assert node.get_parameter('model.checkpoint').value == ''


def test_a_checkpoint_without_limits_is_only_named(rig):
    rig.start(**ALONE)
    rig.wait_for_log('the network is loaded: exact')
    rig.wait_for_count('checkpoint', 'exact')

    assert rig.logged('weights fetch') == []
