# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The log names each cause, once."""

from dataclasses import replace
import threading
import time
from unittest.mock import MagicMock

from std_srvs.srv import SetBool, Trigger

from ttt3r_ros.geometry import IDENTITY, Similarity
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.node.diagnostics import Health, Reporter, Surroundings
from ttt3r_ros.settings import DiagnosticsSettings
from ttt3r_ros.tracking.scale import LARGEST_SCALE
from ttt3r_ros.tracking.segments import Segment

ALONE = {'odom_frame': '', 'base_frame': ''}
SECOND = 1_000_000_000


def test_a_cause_with_numbers_in_its_text_is_one_line_in_five_seconds(rig):
    rig.start(**{'diagnostics.stale_timeout': 0.5}, **ALONE)
    rig.wait_for_log('the network is loaded')
    began = time.monotonic()
    while time.monotonic() - began < 4.0:
        rig.show(0, rig.now_ns() - 3600 * SECOND)
        rig.spin_for(0.1)

    assert len(rig.logged('stamp too far from the clock')) == 1


def test_the_trace_of_an_internal_error_is_logged_once(rig):
    def broken(*arguments):
        raise ZeroDivisionError('a bug')

    node = rig.start(**ALONE)
    rig.wait_for_log('the network is loaded')
    node._pipeline.mapper.complete = broken
    for number in range(5):
        rig.show(number, rig.now_ns())
        rig.wait_for_count('dropped: internal error', number + 1)

    assert len(rig.logged('ZeroDivisionError: a bug')) == 1
    assert len(rig.logged('Traceback')) == 1
    assert len(rig.logged("internal error: ZeroDivisionError('a bug'); image dropped")) == 1


def test_images_that_come_while_the_network_is_loaded_are_not_told_as_overtaken(rig):
    loading = threading.Event()

    def build_mapper(settings):
        assert loading.wait(60.0)
        return Mapper(rig.predictor, settings.mapping)

    rig.start(build_mapper=build_mapper, **ALONE)
    for number in range(3):
        rig.show(number, rig.now_ns())
        rig.wait_for_count('images received', number + 1)

    loading.set()

    rig.spin_until(lambda: rig.predictor.seen == [2], 'the newest is mapped once it is loaded')
    rig.wait_for_count('dropped: network not loaded', 2)
    assert 'dropped: a newer image came' not in rig.counts()


def test_a_node_that_is_cleaned_up_while_it_loads_can_be_started_again(rig, monkeypatch):
    monkeypatch.setattr('ttt3r_ros.node.mapping_node.STOP_TIMEOUT_S', 0.1)
    loading = threading.Event()

    def build_mapper(settings):
        assert loading.wait(60.0)
        return Mapper(rig.predictor, settings.mapping)

    node = rig.start(build_mapper=build_mapper, **ALONE)
    node.trigger_deactivate()
    node.trigger_cleanup()

    loading.set()
    assert node.start()

    rig.wait_for_log('the network is loaded')
    rig.show(0, rig.now_ns())
    rig.spin_until(lambda: rig.predictor.seen == [0], 'it maps')


def test_a_request_while_the_network_is_loaded_waits_for_it_and_a_pause_does_not(rig):
    loading = threading.Event()

    def build_mapper(settings):
        assert loading.wait(60.0)
        return Mapper(rig.predictor, settings.mapping)

    rig.start(build_mapper=build_mapper, **ALONE)
    client = rig.robot.create_client(Trigger, '/ttt3r/reset')
    rig.spin_until(client.service_is_ready, 'the service is there')
    answer = client.call_async(Trigger.Request())

    assert rig.call(SetBool, '/ttt3r/pause', SetBool.Request(data=True)).success
    assert not answer.done()
    loading.set()

    rig.spin_until(answer.done, 'the reset is answered')
    assert answer.result().success


def test_a_scale_or_mount_that_is_doubted_degrades_the_state_by_its_cause(located_frame):
    health, log = Health(), MagicMock()
    reporter = Reporter(log, health)
    segment = Segment(7, Similarity(IDENTITY, LARGEST_SCALE))
    settings = DiagnosticsSettings(stale_timeout=60.0, min_image_rate=0.0)

    for _ in range(3):
        located = replace(located_frame(), doubt=segment.doubt)
        reporter.mapped(located, time.monotonic(), lost=False)

    cause = 'the depth of the network is 3 times or more smaller than when the map began'
    status = health.status('ttt3r', 'none', Surroundings(), settings)
    assert status.message.startswith(f'DEGRADED: {cause}')
    (line,) = [call.args[0] for call in log.warning.call_args_list]
    assert line.startswith(cause)
