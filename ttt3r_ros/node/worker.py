# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Threads for features and for the network, so that the executor stays responsive."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
import threading
from typing import Generic, TypeVar

Item = TypeVar('Item')

WORKER_NAME = 'ttt3r_worker'
FOLLOWER_NAME = 'ttt3r_follower'


class Worker(Generic[Item]):
    """
    Run jobs in their order, and between them process the newest item of each slot.

    A slot has room for one item: a newer one replaces one that still waits. Slots take turns, so
    an item waits for one item of each other slot at most.
    """

    def __init__(
        self,
        process: Callable[[Item], None],
        on_error: Callable[[Exception], None],
        name: str = WORKER_NAME,
    ) -> None:
        """
        Start the thread.

        :param process: called with each item, in the thread.
        :param on_error: called with what `process` or a job raised, in the thread.
        :param name: of the thread.
        """
        self._process = process
        self._on_error = on_error
        self._changed = threading.Condition()
        self._jobs: deque[Callable[[], None]] = deque()
        self._items: dict[int, Item] = {}  # by slot, in the order of their turns
        self._working: int | None = None  # the slot
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def is_idle(self, slot: int = 0) -> bool:
        """
        Return whether no item of a slot waits and none is processed.

        :param slot: of the items.
        """
        return slot not in self._items and self._working != slot

    def offer(self, item: Item, slot: int = 0) -> bool:
        """
        Put an item in the place of the one that waits.

        :param slot: of the item.
        :returns: whether one waited and is now dropped.
        """
        with self._changed:
            replaced = slot in self._items
            self._items[slot] = item  # one that replaces another has its turn
            self._changed.notify()
        return replaced

    def clear(self) -> bool:
        """
        Drop the items that wait.

        :returns: whether there were any.
        """
        with self._changed:
            waited = bool(self._items)
            self._items.clear()
        return waited

    def post(self, job: Callable[[], None]) -> None:
        """
        Add a job, unless it waits already; jobs are run before items.

        :param job: called in the thread.
        """
        with self._changed:
            if job not in self._jobs:
                self._jobs.append(job)
            self._changed.notify()

    def stop(self, timeout_s: float) -> bool:
        """
        End the thread after its present work; waiting jobs are still run, the item is dropped.

        :param timeout_s: longest time to wait for it, seconds.
        :returns: whether it has ended.
        """
        with self._changed:
            self._stopping = True
            self._items.clear()
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - every failure is reported, none is fatal
                self._on_error(error)

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._working = None
            self._changed.wait_for(lambda: self._jobs or self._items or self._stopping)
            if self._jobs:
                return self._jobs.popleft()
            if not self._items:
                return None
            slot = self._working = next(iter(self._items))
            item = self._items.pop(slot)
        return lambda: self._process(item)
