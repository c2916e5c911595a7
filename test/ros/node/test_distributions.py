# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Humble has no wheels: what it has not is taken away from the newer rclpy."""

import importlib.util
import sys
import types

from rclpy.subscription import Subscription

from ttt3r_ros.node import distributions


def test_on_humble_the_callbacks_of_events_come_from_their_old_place(monkeypatch):
    old = types.ModuleType('rclpy.qos_event')
    old.PublisherEventCallbacks, old.SubscriptionEventCallbacks = object(), object()
    monkeypatch.setitem(sys.modules, 'rclpy.event_handler', None)
    monkeypatch.setitem(sys.modules, 'rclpy.qos_event', old)
    spec = importlib.util.find_spec(distributions.__name__)
    module = importlib.util.module_from_spec(spec)

    spec.loader.exec_module(module)

    assert module.PublisherEventCallbacks is old.PublisherEventCallbacks
    assert module.SubscriptionEventCallbacks is old.SubscriptionEventCallbacks


def test_on_humble_a_callback_gets_the_message_alone(monkeypatch):
    monkeypatch.delattr(Subscription, 'CallbackType')
    received = []

    distributions.with_info(lambda *given: received.append(given))('message')

    assert received == [('message', {})]
