# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The bond with Nav2's lifecycle manager; bondpy has no wheel, so a stand-in records its use."""

import sys
from types import ModuleType

import pytest

ALONE = {'odom_frame': '', 'base_frame': ''}


class Bond:
    """The part of bondpy's class that is used."""

    made: list

    def __init__(self, topic, id, node, on_broken=None, on_formed=None):
        self.about, self.calls = (topic, id, node), []
        self.heartbeat_period = self.heartbeat_timeout = None
        Bond.made.append(self)

    def start(self):
        self.calls.append(('start', self.heartbeat_period, self.heartbeat_timeout))

    def shutdown(self):
        self.calls.append('shutdown')


@pytest.fixture
def bonds(monkeypatch):
    """Install the stand-in; return the bonds that are made."""
    Bond.made = []
    module = ModuleType('bondpy.bondpy')
    module.Bond = Bond
    monkeypatch.setitem(sys.modules, 'bondpy', ModuleType('bondpy'))
    monkeypatch.setitem(sys.modules, 'bondpy.bondpy', module)
    return Bond.made


def test_a_managed_node_has_a_bond_while_it_is_active(rig, bonds):
    node = rig.start(activate=False, autostart=False, **ALONE)
    node.trigger_configure()
    assert bonds == []

    for count in (1, 2):
        node.trigger_activate()
        assert len(bonds) == count
        assert bonds[-1].about == ('bond', 'ttt3r', node)
        assert bonds[-1].calls == [('start', 0.1, 4.0)]  # as Nav2's own nodes
        node.trigger_deactivate()
        assert bonds[-1].calls[-1] == 'shutdown'

    node.trigger_activate()
    node.release()  # as a signal does
    assert bonds[-1].calls[-1] == 'shutdown'


def test_a_node_that_starts_by_itself_has_no_manager_to_bond_with(rig, bonds):
    rig.start(**ALONE)

    assert bonds == []


def test_without_bondpy_a_managed_node_is_activated_as_well(rig, monkeypatch):
    monkeypatch.setitem(sys.modules, 'bondpy', None)
    monkeypatch.setitem(sys.modules, 'bondpy.bondpy', None)

    rig.start(autostart=False, **ALONE)

    rig.wait_for_status('nothing publishes /image')
