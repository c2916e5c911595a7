# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Checks whether a publisher and a subscriber match."""

from __future__ import annotations

from ttt3r_ros.doctor.observed import Endpoint, Topic


def mismatch(publisher: Endpoint, subscriber: Endpoint) -> str:
    """
    Return why a publisher and a subscriber of one topic do not match.

    :returns: one sentence, empty when they match.
    """
    if publisher.kind != subscriber.kind:
        return (
            f'{publisher.node} sends {publisher.kind}, {subscriber.node} expects {subscriber.kind}'
        )
    offered, wanted = publisher.reliability, subscriber.reliability
    if (offered, wanted) == ('BEST_EFFORT', 'RELIABLE'):
        return f'{publisher.node} offers BEST_EFFORT, {subscriber.node} requests RELIABLE'
    offered, wanted = publisher.durability, subscriber.durability
    if (offered, wanted) == ('VOLATILE', 'TRANSIENT_LOCAL'):
        return f'{publisher.node} offers VOLATILE, {subscriber.node} requests TRANSIENT_LOCAL'
    return ''


def own_ends(topic: Topic, name: str) -> list[Endpoint]:
    """
    Return the subscribers of a topic in one node.

    :param topic: the observed topic.
    :param name: full name of the node.
    """
    return [end for end in topic.subscribers if end.node == name]


def own_mismatches(topic: Topic, name: str) -> list[str]:
    """
    Return why publishers of a topic do not match the subscribers in one node.

    :param topic: the observed topic.
    :param name: full name of the node.
    """
    pairs = [(one, other) for one in topic.publishers for other in own_ends(topic, name)]
    return [why for why in (mismatch(*pair) for pair in pairs) if why]
