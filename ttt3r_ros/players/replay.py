# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Publishes recorded or simulated items, each at its time."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
import threading
import time

from geometry_msgs.msg import PoseStamped
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.task import Future
from rosgraph_msgs.msg import Clock as ClockMessage
from std_msgs.msg import Empty

from ttt3r_ros.errors import UserError
from ttt3r_ros.inputs.read_ahead import ReadAhead
from ttt3r_ros.node import messages
from ttt3r_ros.node.qos import CLOCK, LATCHED
from ttt3r_ros.node.running import run_node
from ttt3r_ros.players.readiness import MappingReady
from ttt3r_ros.settings import ReplaySettings
from ttt3r_ros.units import NANOSECONDS

# So many items are made before their time, so that a slow one makes none late.
AHEAD = 16

CLOCK_PERIOD_S = 0.02
POLL_S = 0.05

# A stamp of 0 means "no stamp", so nothing happens before this.
EARLIEST_NS = NANOSECONDS

# What is later than this does not catch up: time stands still until it comes.
TOLERATED_DELAY_S = 0.02

# Slowness is reported once, after so much lost time, and in total at the end.
REPORTED_DELAY_S = 5.0

# Latched; published by a recorder that is connected to the mapping node.
RECORDER_READY = 'recorder/ready'

DELIVERY = Duration(seconds=1)
ALIVE_PERIOD_S = 1.0


@dataclass(frozen=True, eq=False)
class Item:
    """
    Something to publish.

    time_ns: nanoseconds in the time of the recording; never decreases. publish: called at that
    time with the stamp of the messages, nanoseconds.
    """

    time_ns: int
    publish: Callable[[int], None]


@dataclass(frozen=True)
class Awaited:
    """
    A node that is awaited before the start.

    name: for messages. is_ready: returns whether it is. patience_s: longest time, seconds.
    """

    name: str
    is_ready: Callable[[], bool]
    patience_s: float


class Stopped(Exception):
    """The node has been requested to end."""


class Replay:
    """
    Publishes items and /clock in a separate thread.

    Time advances at the chosen rate. When the items are produced more slowly, it pauses, so that
    no item is lost and the intervals between stamps are preserved.
    """

    def __init__(
        self,
        node: Node,
        items: Callable[[], Generator[Item, None, None]],
        settings: ReplaySettings,
        has_subscriber: Callable[[], bool],
        truth: Publisher[PoseStamped] | None,
    ) -> None:
        """
        Construct the replay; `start` begins it.

        :param node: node of the publishers.
        :param items: starts the recording from its beginning; called again for each loop.
        :param settings: rate, loop and stamps.
        :param has_subscriber: returns whether the images have a subscriber.
        :param truth: publisher of the true poses, which a recorder subscribes to, or None.
        """
        self.done: Future[None] = Future()
        self._node, self._items, self._settings = node, items, settings
        self._has_subscriber, self._truth = has_subscriber, truth
        self._recorder_ready = threading.Event()
        self._awaited = []
        if settings.wait_for_mapping:
            ready = MappingReady(node).is_set
            self._awaited.append(Awaited('mapping node', ready, settings.wait_for_mapping))
        if settings.wait_for_recorder:
            self._awaited.append(
                Awaited('recorder', self._is_recorded, settings.wait_for_recorder)
            )
            node.create_subscription(
                Empty, RECORDER_READY, lambda _: self._recorder_ready.set(), LATCHED
            )
        self._stopping = threading.Event()
        self._wall = Clock(clock_type=ClockType.SYSTEM_TIME)
        self._clock = None
        if settings.publish_clock:
            self._clock = node.create_publisher(ClockMessage, '/clock', CLOCK)
        self._clock_due = 0.0
        self._shift_ns = 0
        self._delay_s = 0.0
        self._slowness_reported = False
        self._thread = threading.Thread(target=self._run, name='replay')

    def start(self) -> None:
        """Start the thread; at the end `done` has a result or an exception."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._play()
            while self._settings.loop:
                self._node.get_logger().info('end of the recording, starting again')
                self._play()
            if self._slowness_reported:
                self._node.get_logger().info(f'time stood still for {self._delay_s:.0f} s in all')
            for publisher in self._node.publishers:
                publisher.wait_for_all_acked(DELIVERY)
        except Stopped:
            self.done.set_result(None)
        except Exception as error:  # noqa: BLE001 - is raised again where `done` is asked
            if self._node.context.ok():
                self.done.set_exception(error)
            else:  # a signal has shut ROS down under it
                self.done.set_result(None)
        else:
            self.done.set_result(None)

    def _play(self) -> None:
        """Publish all items once."""
        first_ns = self._first_ns()
        self._shift_ns = max(self._shift_ns, EARLIEST_NS - first_ns)
        self._wait_for_subscribers(first_ns)
        before_ns = last_ns = first_ns
        with closing(ReadAhead(self._items(), AHEAD)) as ahead:
            item = self._next(ahead)
            self._run_time(first_ns)
            while item is not None:
                self._wait_until(item.time_ns)
                item.publish(self._stamp_ns(item.time_ns))
                before_ns, last_ns = last_ns, item.time_ns
                item = self._next(ahead)
        if self._settings.loop_time == 'continue':
            # The way back to the first item takes as long as the last step.
            self._shift_ns += last_ns - first_ns + max(1, last_ns - before_ns)

    def _first_ns(self) -> int:
        """Return the time of the first item; items prepared later depend on the subscribers."""
        with closing(self._items()) as items:
            for item in items:
                return item.time_ns
        raise UserError('there is nothing to play')

    def _next(self, ahead: ReadAhead[Item]) -> Item | None:
        """Wait for the next item and return it; None after the last one."""
        while not ahead.is_ready(POLL_S):
            self._check_stopping()
        return ahead.next()

    def _wait_for_subscribers(self, time_ns: int) -> None:
        self._run_time(time_ns)
        while self._settings.wait_for_subscriber and not self._has_subscriber():
            self._hold_time(time_ns)
        awaited, self._awaited = self._awaited, []  # in later loops no more
        for each in awaited:
            self._wait_for(each, time_ns)

    def _wait_for(self, awaited: Awaited, time_ns: int) -> None:
        end = time.monotonic() + awaited.patience_s
        while not awaited.is_ready():
            if time.monotonic() > end:
                self._node.get_logger().warning(
                    f'no {awaited.name} was ready within {awaited.patience_s:g} s: starting '
                    'without'
                )
                return
            self._hold_time(time_ns)

    def _is_recorded(self) -> bool:
        subscribed = self._truth is None or self._truth.get_subscription_count() > 0
        return subscribed and self._recorder_ready.is_set()

    # ---- time

    def _run_time(self, time_ns: int) -> None:
        """Set the time of the recording to time_ns, from which it advances."""
        self._anchor_ns = time_ns
        self._anchor_s = time.monotonic()
        self._anchor_wall_ns: int = self._wall.now().nanoseconds

    def _hold_time(self, time_ns: int) -> None:
        """Hold the time of the recording at time_ns for one period."""
        self._publish_clock(time_ns)
        self._sleep(POLL_S)

    def _time_ns(self) -> int:
        """Return the time of the recording, nanoseconds."""
        passed_s = time.monotonic() - self._anchor_s
        return self._anchor_ns + round(passed_s * self._settings.rate * NANOSECONDS)

    def _stamp_ns(self, time_ns: int) -> int:
        """Return the stamp for a time of the recording, nanoseconds."""
        if self._clock is not None:
            return time_ns + self._shift_ns
        return self._anchor_wall_ns + round((time_ns - self._anchor_ns) / self._settings.rate)

    def _wait_until(self, time_ns: int) -> None:
        while (now_ns := self._time_ns()) < time_ns:
            self._publish_clock(now_ns)
            left_s = (time_ns - now_ns) / NANOSECONDS / self._settings.rate
            self._sleep(min(left_s, CLOCK_PERIOD_S))
        late_s = (now_ns - time_ns) / NANOSECONDS / self._settings.rate
        if late_s > TOLERATED_DELAY_S:
            self._run_time(time_ns)
            self._report_delay(late_s)
        self._check_stopping()
        self._publish_clock(time_ns, due=True)

    def _report_delay(self, late_s: float) -> None:
        self._delay_s += late_s
        if self._delay_s > REPORTED_DELAY_S and not self._slowness_reported:
            self._slowness_reported = True
            self._node.get_logger().warning(
                f'too slow for the rate {self._settings.rate:g}: time stands still meanwhile, so '
                'that no item is lost'
            )

    def _publish_clock(self, time_ns: int, due: bool = False) -> None:
        now = time.monotonic()
        if self._clock is not None and (due or now >= self._clock_due):
            self._clock_due = now + CLOCK_PERIOD_S
            self._clock.publish(ClockMessage(clock=messages.time_message(self._stamp_ns(time_ns))))

    def _sleep(self, seconds: float) -> None:
        self._stopping.wait(seconds)
        self._check_stopping()

    def _check_stopping(self) -> None:
        if self._stopping.is_set():
            raise Stopped


class ReplayNode(Node):
    """A node that publishes a recording."""

    replay: Replay


def run_replay(make_node: Callable[[], ReplayNode], name: str, args: list[str] | None) -> int:
    """
    Run a node with a `replay` until the replay ends or a signal arrives.

    :param make_node: constructs the node.
    :param name: of the node, for messages.
    :param args: command line arguments for ROS.
    :returns: the exit code of the process.
    """
    return run_node(make_node, name, args, _replay, release=lambda node: node.replay.stop())


def _replay(node: ReplayNode, executor: SingleThreadedExecutor) -> int:
    # Without a timer a node may miss a signal.
    node.create_timer(ALIVE_PERIOD_S, lambda: None, clock=Clock(clock_type=ClockType.STEADY_TIME))
    node.replay.start()
    executor.spin_until_future_complete(node.replay.done)
    node.replay.done.result()
    return 0
