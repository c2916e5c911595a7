# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from operator import attrgetter
import os
import signal
import subprocess
import sys
import threading
import time

from geometry_msgs.msg import PoseWithCovarianceStamped
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from std_srvs.srv import Trigger

from ttt3r_ros.errors import UserError
from ttt3r_ros.mapping.storage import read_map
from ttt3r_ros.node import mapping_node

ALONE = {'odom_frame': '', 'base_frame': ''}
LEGAL = {
    (State.PRIMARY_STATE_UNCONFIGURED, Transition.TRANSITION_CONFIGURE),
    (State.PRIMARY_STATE_INACTIVE, Transition.TRANSITION_CLEANUP),
    (State.PRIMARY_STATE_INACTIVE, Transition.TRANSITION_ACTIVATE),
    (State.PRIMARY_STATE_ACTIVE, Transition.TRANSITION_DEACTIVATE),
}


def change(rig, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return rig.call(ChangeState, '/ttt3r/change_state', request).success


def state(rig):
    return rig.call(GetState, '/ttt3r/get_state').current_state.id


def mapped(rig, number):
    poses = rig.collect(PoseWithCovarianceStamped, '/ttt3r/pose')
    stamp_ns = rig.now_ns()
    rig.show(number, stamp_ns)
    rig.wait_for_stamp(poses, stamp_ns)


@pytest.mark.smoke
def test_a_lifecycle_manager_brings_it_up_and_down_and_up_again(rig):
    rig.start(activate=False, **ALONE)
    for _ in range(2):
        assert state(rig) == State.PRIMARY_STATE_UNCONFIGURED
        assert change(rig, Transition.TRANSITION_CONFIGURE)
        assert change(rig, Transition.TRANSITION_ACTIVATE)
        mapped(rig, 0)
        assert change(rig, Transition.TRANSITION_DEACTIVATE)
        assert change(rig, Transition.TRANSITION_CLEANUP)
    assert change(rig, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)


def test_the_map_survives_being_inactive_and_images_meanwhile_are_counted(rig):
    rig.start(**ALONE)
    mapped(rig, 0)
    assert change(rig, Transition.TRANSITION_DEACTIVATE)
    rig.show(50, rig.now_ns())
    rig.wait_for_count('dropped: node not active', 1)
    assert change(rig, Transition.TRANSITION_ACTIVATE)
    mapped(rig, 1)

    assert rig.predictor.written == [0, 1]


@pytest.mark.smoke
@pytest.mark.parametrize(
    'place', [State.PRIMARY_STATE_UNCONFIGURED, State.PRIMARY_STATE_INACTIVE, 'active']
)
def test_illegal_transitions_are_refused_and_change_nothing(rig, place):
    rig.start(activate=False, **ALONE)
    if place != State.PRIMARY_STATE_UNCONFIGURED:
        assert change(rig, Transition.TRANSITION_CONFIGURE)
    if place == 'active':
        place = State.PRIMARY_STATE_ACTIVE
        assert change(rig, Transition.TRANSITION_ACTIVATE)

    for transition in range(1, 5):
        if (place, transition) not in LEGAL:
            assert not change(rig, transition)
            assert state(rig) == place


@pytest.mark.parametrize('error', [RuntimeError('a bug'), UserError('a wrong setting')])
def test_what_configuring_raises_is_logged_and_it_can_be_tried_again(rig, monkeypatch, error):
    def fail(*_args):
        raise error

    node = rig.start(activate=False, **ALONE)
    with monkeypatch.context() as patch:
        patch.setattr(mapping_node, 'Services', fail)
        assert not change(rig, Transition.TRANSITION_CONFIGURE)
    rig.wait_for_log(str(error))
    assert bool(rig.logged('Traceback')) == isinstance(error, RuntimeError)
    assert state(rig) == State.PRIMARY_STATE_UNCONFIGURED
    assert node._worker is None

    assert change(rig, Transition.TRANSITION_CONFIGURE)
    assert change(rig, Transition.TRANSITION_ACTIVATE)
    mapped(rig, 0)


@pytest.mark.parametrize(
    ('transition', 'broken'),
    [
        (Transition.TRANSITION_ACTIVATE, '_health'),
        # Not the whole worker: a timer posts to it.
        (Transition.TRANSITION_DEACTIVATE, '_worker.clear'),
        (Transition.TRANSITION_CLEANUP, 'held'),
    ],
)
def test_what_the_other_transitions_raise_is_logged(rig, monkeypatch, transition, broken):
    node = rig.start(activate=False, **ALONE)
    assert change(rig, Transition.TRANSITION_CONFIGURE)
    if transition == Transition.TRANSITION_DEACTIVATE:
        assert change(rig, Transition.TRANSITION_ACTIVATE)

    *owner, name = broken.split('.')
    with monkeypatch.context() as patch:
        patch.setattr(attrgetter(*owner)(node) if owner else node, name, object())
        change(rig, transition)
        rig.wait_for_log('Traceback')
    node.release()


def test_two_hundred_lives_leave_nothing_behind(rig):
    node = rig.start(activate=False, **ALONE)
    steps = (
        node.trigger_configure,
        node.trigger_activate,
        node.trigger_deactivate,
        node.trigger_cleanup,
    )
    executor = rig.nodes[0][1]
    executor.shutdown(timeout_sec=5)

    def life():
        for step in steps:
            assert step() == TransitionCallbackReturn.SUCCESS

    life()
    threads = threading.active_count()
    entities = [len(list(kind)) for kind in (node.publishers, node.subscriptions, node.timers)]
    for _ in range(200):
        life()

    assert threading.active_count() == threads
    assert entities == [
        len(list(kind)) for kind in (node.publishers, node.subscriptions, node.timers)
    ]


def test_a_checkpoint_that_is_not_there_ends_it_with_one_line(domain):
    done = run_node(domain, **{'model.checkpoint': '/nowhere.safetensors'})
    _, log = done.communicate(timeout=60)

    assert done.returncode == 1
    assert 'there is no checkpoint file /nowhere.safetensors' in log
    assert 'Traceback' not in log


def test_a_wrong_parameter_ends_it_with_one_line(domain):
    done = run_node(domain, **{'map.voxel_size': 0.0})
    _, log = done.communicate(timeout=60)

    assert done.returncode == 1
    assert 'voxel_size' in log
    assert 'Traceback' not in log


def run_node(domain, **values):
    arguments = [f'{name}:={value}' for name, value in values.items()]
    command = [sys.executable, '-m', 'ttt3r_ros.node.mapping_node', '--ros-args']
    return subprocess.Popen(
        [*command, *(word for argument in arguments for word in ('-p', argument))],
        env={**os.environ, 'ROS_DOMAIN_ID': str(domain), 'OMP_NUM_THREADS': '1'},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_mapping_and_saving_ends_it_soon_with_whole_files(
    rig, domain, tmp_path, number
):
    process = run_node(
        domain,
        **{'model.checkpoint': 'random', 'map.confidence_threshold': 1.0},
        odom_frame="''",
        base_frame="''",
        map_directory=tmp_path,
    )
    poses = []
    rig.robot.create_subscription(PoseWithCovarianceStamped, '/ttt3r/pose', poses.append, 10)

    def mapping():
        rig.show(0, rig.now_ns())
        rig.spin_for(0.02)
        return len(poses) > 2

    try:
        rig.spin_until(lambda: rig.robot.count_subscribers('/image'), 'the process is there')
        rig.spin_until(mapping, 'a real network maps in another process')
        client = rig.robot.create_client(Trigger, '/ttt3r/save_map')
        rig.spin_until(client.service_is_ready, 'the service is there')
        client.call_async(Trigger.Request())
        mapping()
        began = time.monotonic()
        process.send_signal(number)
        _, log = process.communicate(timeout=60)
    finally:
        process.kill()

    assert process.returncode == 0, log
    assert time.monotonic() - began < 20  # one or two, unless the machine is very busy
    assert 'Traceback' not in log
    for path in tmp_path.iterdir():
        assert path.name == 'map.ttt3r'
        read_map(path)
