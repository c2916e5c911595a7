# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A generator that runs ahead in a separate thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from contextlib import closing
import threading
from typing import Generic, TypeVar

Item = TypeVar('Item')


class ReadAhead(Generic[Item]):
    """Prepares the next few items of a generator."""

    def __init__(self, items: Generator[Item, None, None], depth: int) -> None:
        """
        Start the thread.

        :param items: the generator, which only that thread uses.
        :param depth: largest number of prepared items.
        """
        self._items = items
        self._depth = depth
        self._changed = threading.Condition()
        self._ready: deque[Item] = deque()
        self._closing = self._ended = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name='read_ahead', daemon=True)
        self._thread.start()

    def is_ready(self, timeout_s: float) -> bool:
        """
        Return whether `next` would return at once.

        :param timeout_s: time to wait for it, seconds.
        """
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._ready) or self._ended, timeout_s)

    def next(self) -> Item | None:
        """
        Wait for the next item and return it.

        :returns: the item, or None after the last one.
        :raises Exception: the exception of the generator.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._ended)
            if self._ready:
                self._changed.notify()
                return self._ready.popleft()
        if self._error is not None:
            raise self._error
        return None

    def close(self) -> None:
        """End the thread after its current item."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            with closing(self._items) as items:
                for item in items:
                    if not self._put(item):
                        break
        except Exception as error:  # noqa: BLE001 - is raised again by next
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify()

    def _put(self, item: Item) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: len(self._ready) < self._depth or self._closing)
            self._ready.append(item)
            self._changed.notify()
            return not self._closing
