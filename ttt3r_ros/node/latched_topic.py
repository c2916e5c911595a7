# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Topics of a whole map, and when they are due."""

from __future__ import annotations

from dataclasses import dataclass
import time
from typing import Any

from rclpy.lifecycle.publisher import LifecyclePublisher


@dataclass(frozen=True)
class MapAge:
    """
    How the map has changed.

    changes: their number since the start. settled: whether the last one was a while ago.
    """

    changes: int
    settled: bool


class LatchedTopic:
    """
    A topic of a whole map: published now and then, while it has subscribers.

    is_new_to_some: whether a subscriber is new that the last turn was for.
    """

    def __init__(self, publisher: LifecyclePublisher[Any]) -> None:
        """Begin with nothing published."""
        self._publisher = publisher
        self.is_new_to_some = False
        self.restart()

    def restart(self) -> None:
        """Make it due, and treat all subscribers as new."""
        self._due = 0.0
        self._subscribers = 0
        self._published = 0

    def take_turn(self, period: float, age: MapAge) -> bool:
        """
        Return whether to publish now; a new subscriber and the last change need not wait.

        :param period: least time between two turns while the map changes, seconds.
        :param age: of the map.
        """
        subscribers, now = int(self._publisher.get_subscription_count()), time.monotonic()
        has_new, self._subscribers = subscribers > self._subscribers, subscribers
        has_changed = age.changes != self._published and (age.settled or now >= self._due)
        if not subscribers or not (has_new or has_changed):
            return False
        self.is_new_to_some = has_new
        self._due, self._published = now + period, age.changes
        return True

    def publish(self, message: Any) -> None:
        """Publish."""
        self._publisher.publish(message)
