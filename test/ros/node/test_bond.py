# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The bond with Nav2's lifecycle manager.

bondpy has no wheel (that of this name on PyPI is something else), so a stand-in with its
signatures records its use. Where the real one is installed, a bond is formed and broken with it.
"""

import importlib.util
import os
import signal
import subprocess
import sys
from types import ModuleType

import pytest

ALONE = {'odom_frame': '', 'base_frame': ''}


class Bond:
    """The part of bondpy's class that is used."""

    made: list

    def __init__(self, node, topic, bond_id, on_broken=None, on_formed=None):
        self.about, self.calls = (node, topic, bond_id), []
        self.pub = self.sub = None
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
        assert bonds[-1].about == (node, 'bond', 'ttt3r')
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


has_bondpy = importlib.util.find_spec('bond') and importlib.util.find_spec('bondpy')
needs_bondpy = pytest.mark.skipif(
    not has_bondpy, reason='bondpy is not importable: it has no wheel, only apt has it'
)


def end_bond(rig, manager):
    manager.shutdown()
    rig.robot.destroy_subscription(manager.sub)
    rig.robot.destroy_publisher(manager.pub)


@needs_bondpy
def test_the_manager_notices_when_the_node_is_deactivated_and_bonds_again(rig):
    from bondpy.bondpy import Bond as RealBond

    node = rig.start(activate=False, autostart=False, **ALONE)
    node.trigger_configure()
    before = len(list(node.subscriptions)), len(list(node.publishers))
    for _ in range(3):
        node.trigger_activate()
        formed, broken = [], []
        manager = RealBond(
            rig.robot, 'bond', 'ttt3r', lambda b=broken: b.append(1), lambda f=formed: f.append(1)
        )
        manager.start()
        rig.spin_until(lambda f=formed: f, 'the bond is formed')
        rig.spin_for(0.3)
        assert not broken

        node.trigger_deactivate()

        rig.spin_until(lambda b=broken: b, 'the bond is broken', seconds=2.0)
        end_bond(rig, manager)
        assert (len(list(node.subscriptions)), len(list(node.publishers))) == before


@needs_bondpy
@pytest.mark.parametrize('end', [signal.SIGINT, signal.SIGTERM])
def test_a_managed_node_with_a_bond_ends_cleanly_at_a_signal(rig, domain, tmp_path, end):
    from bondpy.bondpy import Bond as RealBond
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState

    broken = []
    manager = RealBond(rig.robot, 'bond', 'ttt3r', lambda: broken.append(1))
    manager.start()
    command = [sys.executable, '-m', 'ttt3r_ros.node.mapping_node', '--ros-args']
    parameters = ['-p', 'autostart:=false', '-p', "base_frame:=''", '-p', "odom_frame:=''"]
    environment = {**os.environ, 'ROS_DOMAIN_ID': str(domain)}
    with (tmp_path / 'log').open('w+') as log:
        process = subprocess.Popen([*command, *parameters], env=environment, stderr=log)
        for step in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            request = ChangeState.Request(transition=Transition(id=step))
            assert rig.call(ChangeState, '/ttt3r/change_state', request).success
        rig.spin_until(lambda: manager.sister_instance_id, 'the bond is formed')

        process.send_signal(end)

        assert process.wait(20) == 0
        log.seek(0)
        assert 'Traceback' not in log.read()
    rig.spin_until(lambda: broken, 'the manager notices', seconds=10.0)
    end_bond(rig, manager)
