# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Whether the two ends of a topic meet."""

from __future__ import annotations

from ttt3r_ros.doctor.observed import Endpoint, Topic


def mismatch(publisher: Endpoint, subscriber: Endpoint) -> str:
    """
    Say why two ends of a topic do not meet; empty when they do.

    :param publisher: one end.
    :param subscriber: the other end.
    """
    if publisher.kind != subscriber.kind:
        return (
            f'{publisher.node} sends {publisher.kind}, {subscriber.node} hears {subscriber.kind}'
        )
    offered, wanted = publisher.reliability, subscriber.reliability
    if (offered, wanted) == ('BEST_EFFORT', 'RELIABLE'):
        return f'{publisher.node} offers BEST_EFFORT, {subscriber.node} asks for RELIABLE'
    offered, wanted = publisher.durability, subscriber.durability
    if (offered, wanted) == ('VOLATILE', 'TRANSIENT_LOCAL'):
        return f'{publisher.node} offers VOLATILE, {subscriber.node} asks for TRANSIENT_LOCAL'
    return ''


def own_ends(topic: Topic, name: str) -> list[Endpoint]:
    """
    Give the subscribers of a node.

    :param topic: as observed.
    :param name: of the node.
    """
    return [end for end in topic.subscribers if end.node == name]


def own_mismatches(topic: Topic, name: str) -> list[str]:
    """
    Say why a node does not hear publishers of a topic that it subscribes to.

    :param topic: as observed.
    :param name: of the node.
    """
    pairs = [(one, other) for one in topic.publishers for other in own_ends(topic, name)]
    return [why for why in (mismatch(*pair) for pair in pairs) if why]
