# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Images wait for their transforms here, so that the thread that maps does not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ttt3r_ros.node.inputs import ReceivedImage

# Half a second of a camera of 30 Hz.
MOST_WAITING = 15


class PendingImages:
    """Hold images back until they are ready, and release them in order; used by one thread."""

    def __init__(
        self,
        is_ready: Callable[[ReceivedImage], bool],
        release: Callable[[ReceivedImage], None],
        drop: Callable[[ReceivedImage], None],
    ) -> None:
        """
        Begin empty.

        :param is_ready: returns whether an image need not wait any longer.
        :param release: called with each image that is ready.
        :param drop: called with the oldest image where too many wait.
        """
        self._is_ready, self._release, self._drop = is_ready, release, drop
        self._waiting: deque[ReceivedImage] = deque()

    def put(self, image: ReceivedImage) -> None:
        """Release an image if it is ready, else hold it back."""
        if not self._waiting and self._is_ready(image):
            self._release(image)
            return
        self._waiting.append(image)
        if len(self._waiting) > MOST_WAITING:
            self._drop(self._waiting.popleft())

    def look(self) -> None:
        """Release the oldest image if it is ready; the next one follows at the next call."""
        if self._waiting and self._is_ready(self._waiting[0]):
            self._release(self._waiting.popleft())

    def clear(self) -> None:
        """Forget all images."""
        self._waiting.clear()
