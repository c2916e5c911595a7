# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Whether a mapping node is ready for images, by its diagnostics."""

from __future__ import annotations

import threading

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from ttt3r_ros.node.interface import DiagnosticKey, DIAGNOSTICS, NOT_ACTIVE


def is_of_mapping(status: DiagnosticStatus) -> bool:
    """Return whether a status is that of a mapping node."""
    return str(status.name).endswith(': mapping')


def has_loaded(status: DiagnosticStatus) -> bool:
    """Return whether a mapping node has loaded its network, or failed to."""
    loaded = any(v.key == DiagnosticKey.CHECKPOINT.text and v.value for v in status.values)
    return loaded or status.level == DiagnosticStatus.ERROR


class MappingReady:
    """Watches the diagnostics for a mapping node that is active and has loaded its network."""

    def __init__(self, node: Node) -> None:
        """
        Subscribe.

        :param node: has the subscription; another thread spins it.
        """
        self._ready = threading.Event()
        node.create_subscription(DiagnosticArray, DIAGNOSTICS.name, self._on_diagnostics, 10)

    def is_set(self) -> bool:
        """Return whether there was such a node."""
        return self._ready.is_set()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in filter(is_of_mapping, message.status):
            if has_loaded(status) and NOT_ACTIVE not in status.message:
                self._ready.set()
