# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A robot whose network is on a server: the same numbers, and what happens where it fails."""

import dataclasses
import gc
import time

import numpy as np
import pytest

from ttt3r_ros.errors import UserError
from ttt3r_ros.model.elsewhere import NetworkLost, StateGone
from ttt3r_ros.serving.failures import DeadlineExceeded, Refused, ServerBusy, Unreachable
from ttt3r_ros.serving.leases import MOST_STATES
from ttt3r_ros.serving.remote import SPARE_S, TIMES_LONGER

PARTS = ('points_camera', 'confidence', 'world_T_camera', 'gains')


def run(predictor, images, state=None):
    """Return the predictions of images, and the state after them."""
    state = predictor.initial_state() if state is None else state
    predictions = []
    for image in images:
        prediction, state = predictor.step(image, state)
        predictions.append(prediction)
    return predictions, state


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        for part in PARTS:
            np.testing.assert_array_equal(getattr(one, part), getattr(other, part))


def steps_again(predictor, image, state, seconds=10.0, **how):
    """Step until the server can be asked."""
    end = time.monotonic() + seconds
    while True:
        try:
            return predictor.step(image, state, **how)
        except Unreachable:
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.parametrize('plain', [False, True])
def test_exact_transfer_has_the_bits_of_the_local_predictor(
    start_server, robot, local, images, plain
):
    found, _ = run(robot(start_server(plain=plain)), images)
    assert_same(found, run(local, images)[0])


def test_compact_transfer_errs_by_half_a_step_of_float16(start_server, robot, local, images):
    from ttt3r_ros.serving.codec import decode_image, encode_image, Transfer

    compact = Transfer.COMPACT
    seen = [decode_image(encode_image(image, compact), compact, 48, 64) for image in images]
    expected, _ = run(local, seen)
    found, _ = run(robot(start_server(), transfer='compact'), images)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.world_T_camera, other.world_T_camera)
        for part in ('points_camera', 'confidence'):
            # Below 2**-14 the steps of float16 are those of 2**-14.
            step = 2.0**-11 * np.maximum(np.abs(getattr(other, part)), 2.0**-14)
            assert (np.abs(getattr(one, part) - getattr(other, part)) <= step).all()


def test_two_robots_have_states_of_their_own(start_server, robot, local, images):
    server = start_server()
    robots = robot(server), robot(server)
    orders = images, images[::-1]
    states = [one.initial_state() for one in robots]
    found = [[], []]
    for number in range(len(images)):
        for who in (0, 1):
            prediction, states[who] = robots[who].step(orders[who][number], states[who])
            found[who].append(prediction)
    for who in (0, 1):
        assert_same(found[who], run(local, orders[who])[0])


def test_a_state_is_a_value_that_can_be_gone_back_to(start_server, robot, local, images):
    remote = robot(start_server())
    _, state = run(remote, images[:2])
    run(remote, images[2:4], state)
    found, _ = run(remote, images[4:], state)
    assert_same(found, run(local, [*images[:2], *images[4:]])[0][2:])


def test_a_state_that_is_not_written_stays_as_it_was(start_server, robot, local, images):
    remote = robot(start_server())
    state, expected = remote.initial_state(), local.initial_state()
    for number, write in enumerate((True, False, True)):
        one, state = remote.step(images[number], state, write=write)
        other, expected = local.step(images[number], expected, write=write)
        assert_same([one], [other])


def test_the_server_holds_no_more_states_than_a_robot_refers_to(start_server, robot, images):
    server = start_server()
    remote = robot(server)
    _, state = run(remote, images)
    gc.collect()
    remote.step(images[0], state)
    (lease,) = server._service._leases._leases.values()
    assert len(lease.states) == 2 < MOST_STATES


def test_a_state_comes_and_goes_as_bits(start_server, robot, local, images):
    remote = robot(start_server())
    _, state = run(remote, images[:3])
    copy = state.fetched()
    _, expected = run(local, images[:3])
    np.testing.assert_array_equal(copy.tokens, expected.tokens)
    assert copy.frames_seen == 3
    found, _ = run(remote, images[3:], state.replaced(copy))
    assert_same(found, run(local, images[3:], expected)[0])


def test_a_robot_that_comes_back_within_the_lease_goes_on(start_server, robot, local, images):
    now = [0.0]
    server = start_server(lease_s=60.0, clock=lambda: now[0])
    remote = robot(server)
    state, found = remote.initial_state(), []
    for image in images:
        prediction, state = remote.step(image, state)
        found.append(prediction)
        now[0] += 59.0  # each step renews the lease
    assert_same(found, run(local, images)[0])


def test_a_robot_that_is_gone_loses_its_state_after_the_lease(start_server, robot, images):
    now = [0.0]
    server = start_server(lease_s=60.0, clock=lambda: now[0])
    remote = robot(server)
    _, state = run(remote, images[:3])
    now[0] += 61.0
    with pytest.raises(StateGone, match='has lost the state'):
        remote.step(images[3], state)
    run(remote, images)  # and begins anew


def test_a_lease_that_has_ended_frees_its_memory_and_its_place(start_server, robot):
    now = [0.0]
    server = start_server(most_clients=1, lease_s=60.0, clock=lambda: now[0])
    gone = robot(server)
    with pytest.raises(ServerBusy, match='1 robots use it'):
        robot(server)
    now[0] += 61.0
    assert server._service.expire() == 0
    robot(server)
    del gone


def test_a_robot_that_ends_frees_its_place(start_server, robot):
    server = start_server(most_clients=1)
    first = robot(server)
    del first
    gc.collect()
    robot(server)


def test_a_server_that_is_started_again_takes_the_robot_in(start_server, robot, local, images):
    server = start_server()
    remote = robot(server)
    _, state = run(remote, images[:2])
    server.stop(0)
    began = time.monotonic()
    with pytest.raises(Unreachable):
        remote.step(images[2], state)
    assert time.monotonic() - began < 2.0  # the robot does not wait
    start_server(port=server.address.port)
    with pytest.raises(StateGone):
        steps_again(remote, images[2], state)
    assert_same(run(remote, images)[0], run(local, images)[0])


def test_a_server_that_comes_back_with_other_weights_is_refused(start_server, robot, images):
    server = start_server()
    remote = robot(server, checkpoint='')  # whatever it has
    _, state = run(remote, images[:2])
    server.stop(0)
    other = start_server(port=server.address.port)._service
    other._offer = dataclasses.replace(other._offer, sha256=64 * 'f')
    with pytest.raises(Refused, match=r'has other weights .* now'):
        steps_again(remote, images[2], state)


def test_a_loaded_state_survives_a_new_start_of_the_server(start_server, robot, local, images):
    server = start_server()
    remote = robot(server)
    _, stored = run(local, images[:3])
    _, state = remote.step(images[3], remote.initial_state().replaced(stored), write=False)
    server.stop(0)
    start_server(port=server.address.port)
    found, _ = steps_again(remote, images[3], state, write=False)
    assert_same([found], [local.step(images[3], stored, write=False)[0]])


def test_a_wrong_token_is_refused(start_server, robot, folder, tmp_path):
    text = (folder / 'access.json').read_text()
    path = tmp_path / 'access.json'
    path.write_text(text.replace('"token": "', '"token": "x'))
    with pytest.raises(Refused, match='the token is wrong'):
        robot(start_server(), server_access=str(path))


def test_another_fingerprint_is_refused_before_the_token_is_sent(
    start_server, robot, folder, tmp_path
):
    from ttt3r_ros.serving.identity import open_identity

    open_identity(tmp_path / 'other')
    with pytest.raises(Refused, match=r'has the fingerprint [0-9a-f]{64}, expected is'):
        robot(start_server(), server_access=str(tmp_path / 'other' / 'access.json'))


def test_a_server_whose_certificate_changes_is_not_trusted_any_longer(
    start_server, robot, images, tmp_path
):
    from ttt3r_ros.serving.identity import open_identity

    server = start_server()
    remote = robot(server)
    server.stop(0)
    open_identity(tmp_path / 'other')
    start_server(port=server.address.port, folder=tmp_path / 'other')
    for _ in range(20):
        with pytest.raises(Unreachable):
            remote.step(images[0], remote.initial_state())
        time.sleep(0.02)


def test_plain_and_encrypted_do_not_mix(start_server, robot, folder):
    from ttt3r_ros.serving.address import Address

    server = start_server(plain=True)
    server.address = Address('127.0.0.1', server.address.port)
    with pytest.raises(NetworkLost):
        robot(server)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'checkpoint': 'small'}, r'has the weights random .*, wanted is small \([0-9a-f]{12}\)'),
        ({'checkpoint': '512'}, 'wanted is 512'),
        ({'update_rule': 'cut3r'}, 'has the update rule ttt3r'),
        ({'gain_scale': 0.5}, 'wanted are ttt3r and 0.5'),
        ({'precision': 'int8'}, 'decided where the network is'),
    ],
)
def test_a_server_with_another_network_is_refused(start_server, robot, settings, message):
    with pytest.raises(Refused, match=message):
        robot(start_server(), **settings)


def test_a_server_of_another_version_is_refused(start_server, robot, monkeypatch):
    from ttt3r_ros.serving import messages

    server = start_server()
    packed = server._service._offer.packed().replace(b'"protocol": 1', b'"protocol": 2')
    monkeypatch.setattr(messages.Offer, 'packed', lambda _: packed)
    with pytest.raises(Refused, match=r'speaks protocol 2 .*, this program 1: install the same'):
        robot(server)


def test_nothing_that_listens_is_told_with_the_command(robot, start_server):
    server = start_server()
    server.stop(0)
    with pytest.raises(Unreachable, match='is `ttt3r serve` running'):
        robot(server)


def test_gates_need_the_network_here(start_server, robot, images):
    remote = robot(start_server())
    with pytest.raises(UserError, match='--gates'):
        remote.match(images[0], remote.initial_state())


def test_a_slow_link_costs_time_and_no_bit(start_server, robot, local, images, slow_link):
    delay_s = 0.06  # three round trips until the first call are longer than gRPC's first pause
    server = start_server()
    _, server.address = slow_link(server.address.port, delay_s, loss=0.02)
    began = time.monotonic()
    remote = robot(server)
    assert time.monotonic() - began > 6 * delay_s
    assert_same(run(remote, images[:3])[0], run(local, images[:3])[0])
    assert remote._timeout.seconds > SPARE_S + TIMES_LONGER * 2 * delay_s


def test_a_link_that_falls_silent_is_given_up_and_made_anew(
    start_server, robot, local, images, slow_link
):
    server = start_server()
    link, server.address = slow_link(server.address.port, 0.0)
    remote = robot(server)
    found, state = run(remote, images[:4])
    link._delay_s = 1e3  # a silent link: nothing comes through, no error either
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        remote.step(images[4], state)
    assert time.monotonic() - began < remote._timeout.seconds
    link._delay_s = 0.0  # for connections that begin now
    again, state = steps_again(remote, images[4], state, seconds=30.0)
    assert_same([*found, again], run(local, images[:5])[0])
