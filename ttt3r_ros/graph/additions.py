# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Key frames on their way into the graph, and the corrections that come of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import Similarity
from ttt3r_ros.graph.key_frame_graph import Change, KeyFrameGraph
from ttt3r_ros.graph.thinning import RemovedKeyFrame

Result = TypeVar('Result')
Addition = TypeVar('Addition')

# Where more additions than these wait, the next image waits, too.
MOST_WAITING = 20


class SynchronousExecutor(Executor):
    """Runs what is submitted before it returns: so that a run can be repeated to the bit."""

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Return the finished future."""
        done: Future[Result] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


@dataclass(frozen=True, eq=False)
class Correction:
    """
    Newest estimate of the key frames, and which of them were removed.

    map_T_key: of each key frame of the map, from the unit of its depth. removed: key frames that
    were removed since the correction before, with their successors. dropped: numbers of those
    that have none, because their submap was too short. parted: those that are not in the map any
    more, in a frame of their own. bends: of the depth of each key frame whose depth shows
    one.
    """

    map_T_key: Mapping[int, Similarity]
    removed: tuple[RemovedKeyFrame, ...]
    dropped: tuple[int, ...] = ()
    parted: Mapping[int, Similarity] = field(default_factory=dict)
    bends: Mapping[int, Array] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class KeyFrames:
    """
    The key frames to which the map is attached.

    map_T_camera: (4, 4) by number. loops: pairs of numbers that saw the same place.
    """

    map_T_camera: Mapping[int, Array]
    loops: tuple[tuple[int, int], ...]


class Additions:
    """The additions to a graph that an executor makes, one after the other; for one thread."""

    def __init__(self, executor: Executor) -> None:
        """Begin with none."""
        self._executor = executor
        self._pending: list[Future[Change]] = []
        self._corrected = 0  # generation of the last correction

    def submit(self, add: Callable[[Addition], Change], addition: Addition) -> None:
        """
        Add something to the graph.

        :param add: of the graph.
        :param addition: its argument.
        """
        self._pending.append(self._executor.submit(add, addition))

    def make_room(self) -> None:
        """Wait for the oldest addition where too many wait already."""
        if len(self._pending) >= MOST_WAITING:
            wait(self._pending[:1])

    def wait(self) -> None:
        """Wait until all is added."""
        wait(self._pending)

    def cancel(self) -> None:
        """Discard what has not begun yet."""
        for future in self._pending:
            future.cancel()

    def move_all(self) -> None:
        """Return all key frames from the next `correction`: the map has moved."""
        self._corrected = -1

    def correction(self, graph: KeyFrameGraph, map_T_graph: Array) -> Correction | None:
        """
        Return what key frames have changed since the last call, None where nothing.

        :param graph: to which was added.
        :param map_T_graph: (4, 4), metres.
        """
        done = 0
        while done < len(self._pending) and self._pending[done].done():
            done += 1
        finished, self._pending = self._pending[:done], self._pending[done:]
        changes = [future.result() for future in finished]
        removed = tuple(change.removed for change in changes if change.removed is not None)
        dropped = tuple(number for change in changes for number in change.dropped)
        belief = graph.belief  # read last: it knows of all that was removed
        if belief.generation == self._corrected and not removed:
            return None
        self._corrected = belief.generation
        left = {number for change in changes for number in change.parted}
        map_T_key, parted = (
            {
                number: Similarity(map_T_graph @ pose, float(np.exp(belief.log_scales[number])))
                for number, pose in poses.items()
            }
            for poses in (belief.poses, {n: belief.apart[n] for n in left & belief.apart.keys()})
        )
        return Correction(map_T_key, removed, dropped, parted, belief.bends)
