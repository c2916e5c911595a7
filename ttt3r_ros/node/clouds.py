# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The map as clouds, whole and in the parts that have changed; made in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import threading
import time

from std_msgs.msg import Header

from ttt3r_ros.mapping.parts import EMPTY_FOR, Parts
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.mapping.world_map import WorldMap
from ttt3r_ros.node import messages
from ttt3r_ros.node.latched_topic import LatchedTopic, MapAge
from ttt3r_ros.node.map_updates import in_messages, map_update, MapUpdate
from ttt3r_ros.node.worker import Worker
from ttt3r_ros.settings import OutputSettings

THREAD_NAME = 'ttt3r_clouds'
STOP_TIMEOUT_S = 2.0
NOTHING = VoxelCloud.joined([])


@dataclass(frozen=True, eq=False)
class _Snapshot:
    """
    The map at one time, to be published.

    stride: of the points of the whole cloud; 0: it is not due. map_number: for the updates; 0:
    they are not due. begins: whether they have a new subscriber.
    """

    parts: Parts
    header: Header
    max_points: int
    map_number: int
    begins: bool


class CloudPublisher:
    """
    Publish the map whole and in parts.

    The mapping thread takes a snapshot, which shares what has not changed with the one before;
    another thread makes the messages. While it does, no other snapshot is taken.
    """

    def __init__(
        self,
        whole: LatchedTopic,
        updates: LatchedTopic,
        on_error: Callable[[Exception], None],
    ) -> None:
        """
        Start the thread.

        :param whole: topic of the whole cloud.
        :param updates: topic of the parts.
        :param on_error: called with what went wrong, in the thread.
        """
        self._whole, self._updates = whole, updates
        # Of another run of the node, too, the maps have other numbers.
        self._map_number = int(time.time())
        self._busy = threading.Event()
        self._sent = (0, 0, -1)  # of updates: map, messages, generation of the newest snapshot
        self._thread: Worker[_Snapshot] = Worker(self._publish, on_error, THREAD_NAME)

    def close(self) -> None:
        """End the thread."""
        self._thread.stop(STOP_TIMEOUT_S)

    def restart(self) -> None:
        """Begin another map."""
        self._map_number += 1
        self._whole.restart()
        self._updates.restart()

    def offer(
        self, world: WorldMap, header: Header, age: MapAge, settings: OutputSettings
    ) -> None:
        """
        Publish what is due and has subscribers.

        :param world: the map.
        :param header: of the messages.
        :param age: of the map.
        :param settings: how often, and how many points.
        """
        if self._busy.is_set():
            return
        whole = self._whole.take_turn(settings.map_cloud_period, age)
        updates = self._updates.take_turn(settings.map_cloud_period, age)
        if not whole and not updates:
            return
        self._busy.set()
        self._thread.offer(
            _Snapshot(
                world.snapshot(),
                header,
                settings.map_cloud_max_points if whole else 0,
                self._map_number if updates else 0,
                self._updates.is_new_to_some,
            )
        )

    def _publish(self, snapshot: _Snapshot) -> None:
        try:
            if snapshot.max_points:
                self._publish_whole(snapshot)
            if snapshot.map_number:
                self._publish_updates(snapshot)
        finally:
            self._busy.clear()

    def _publish_whole(self, snapshot: _Snapshot) -> None:
        cloud = snapshot.parts.points()
        stride = -(-len(cloud.points) // snapshot.max_points) or 1
        self._whole.publish(
            messages.point_cloud(
                cloud.points[::stride],
                cloud.colors[::stride],
                cloud.confidence[::stride],
                snapshot.header,
            )
        )

    def _publish_updates(self, snapshot: _Snapshot) -> None:
        map_number, count, since = self._sent
        parts = snapshot.parts
        is_other = map_number != snapshot.map_number
        if is_other:
            count = 0
        if is_other or snapshot.begins or parts.generation - since >= EMPTY_FOR:
            since = -1
        changed = parts.changed_since(since)
        if is_other and not changed:  # what subscribers have of the old map is void
            changed = {(0, 0, 0): NOTHING}
        for some in in_messages(changed):
            count += 1
            update = MapUpdate(snapshot.map_number, count, some)
            self._updates.publish(map_update(update, snapshot.header))
        self._sent = snapshot.map_number, count, parts.generation
