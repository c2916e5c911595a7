# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""TF: look up at a stamp, broadcast, and never be a second parent of a frame."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import random
import threading
import time

from geometry_msgs.msg import TransformStamped
from rclpy.clock import ClockType
from rclpy.node import Node
from rclpy.time import Time
from tf2_ros import Buffer, TransformBroadcaster, TransformException, TransformListener

from ttt3r_ros.arrays import Array
from ttt3r_ros.errors import UserError
from ttt3r_ros.node import messages

POLL_S = 0.01

# After a foreign transform of one of our frames we send none for so long, or up to twice as long:
# of two nodes that both yield, one begins again first, and the other one goes on yielding.
CONFLICT_S = 5.0

# At 100 Hz our own transforms come back within this many.
REMEMBERED_STAMPS = 500


class TransformMissing(UserError):
    """TF has no transform at the stamp of an image."""


@dataclass(frozen=True)
class ForeignParent:
    """
    A parent that another node gave to a frame of ours.

    until: monotonic seconds; we send none before; infinite where it is static. patience_s: so long
    after the last transform.
    """

    parent: str
    until: float
    patience_s: float

    @property
    def is_static(self) -> bool:
        """Return whether it was latched."""
        return self.until == float('inf')


class WatchedBuffer(Buffer):
    """
    A buffer that detects when another node publishes a parent of a frame of ours.

    It receives our own transforms too, and recognizes them by their stamps. A node has one for
    all its life: the clock keeps a reference to each buffer.
    """

    def __init__(self, node: Node) -> None:
        """
        Begin with nothing.

        :param node: a jump back of its clock empties the buffer.
        """
        super().__init__(node=node)
        self._lock = threading.Lock()
        self._own_stamps: dict[str, deque[int]] = {}
        self._foreign: dict[str, ForeignParent] = {}

    def forget_claims(self) -> None:
        """Stop watching all frames."""
        with self._lock:
            self._own_stamps.clear()
            self._foreign.clear()

    def sends(self, transform: TransformStamped) -> None:
        """Record the stamp of a transform of a claimed frame that this node is about to send."""
        with self._lock:
            stamps = self._own_stamps[transform.child_frame_id]
            stamps.append(messages.nanoseconds(transform.header.stamp))

    def claim(self, child: str) -> None:
        """
        Watch a frame from now on.

        :param child: its name.
        """
        with self._lock:
            self._own_stamps.setdefault(child, deque(maxlen=REMEMBERED_STAMPS))

    def conflict(self) -> str:
        """Return which of our frames another node publishes, as a sentence; empty when none."""
        with self._lock:
            children = list(self._own_stamps)
        parents = [(child, self.other_parent(child)) for child in children]
        return '; '.join(
            f'another node publishes {parent!r} to {child!r}: this node does not send it, as a '
            'frame has one parent'
            for child, parent in parents
            if parent is not None
        )

    def other_parent(self, child: str) -> str | None:
        """
        Return the parent of a frame of ours that another node published lately, or None.

        :param child: a frame that was claimed.
        """
        foreign = self._foreign.get(child)
        return foreign.parent if foreign and time.monotonic() < foreign.until else None

    def has_static_conflict(self) -> bool:
        """Return whether the other parent of a frame of ours is static."""
        return any(foreign.is_static for foreign in list(self._foreign.values()))

    def forget_static_conflicts(self) -> None:
        """Forget static parents; those of nodes that are still there come again."""
        with self._lock:
            self._foreign = {c: f for c, f in self._foreign.items() if not f.is_static}

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Store a transform of the topic."""
        self._notice(transform, static=False)
        super().set_transform(transform, authority)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Store a static transform of the topic."""
        self._notice(transform, static=True)
        super().set_transform_static(transform, authority)

    def _notice(self, transform: TransformStamped, static: bool) -> None:
        child, now = transform.child_frame_id, time.monotonic()
        with self._lock:
            own = self._own_stamps.get(child)
            if own is None or messages.nanoseconds(transform.header.stamp) in own:
                return
            before = self._foreign.get(child)
            patience_s = CONFLICT_S * random.uniform(1, 2)
            if before is not None and now < before.until:
                patience_s = before.patience_s
            until = float('inf') if static else now + patience_s
            self._foreign[child] = ForeignParent(transform.header.frame_id, until, patience_s)


class FrameTree:
    """The TF of a node: listener, buffer and broadcaster."""

    def __init__(self, node: Node, buffer: WatchedBuffer) -> None:
        """
        Subscribe to TF.

        :param buffer: of the node.
        """
        self.buffer = buffer
        self.buffer.clear()
        self.buffer.forget_claims()
        self._node = node
        self._listener = TransformListener(self.buffer, node)
        self._broadcaster = TransformBroadcaster(node)
        self._static_publishers: set[bytes] = set()
        self._closing = threading.Event()

    def stop_waiting(self) -> None:
        """Make look-ups fail at once from now on."""
        self._closing.set()

    def close(self) -> None:
        """Destroy subscriptions and publisher."""
        self._closing.set()
        self._listener.unregister()
        self._node.destroy_publisher(self._broadcaster.pub_tf)

    def notice_lost_publishers(self) -> None:
        """Listen anew where the publisher of a static second parent may have gone."""
        topic = self._listener.tf_static_sub.topic_name
        present = {
            bytes(publisher.endpoint_gid)
            for publisher in self._node.get_publishers_info_by_topic(topic)
        }
        lost, self._static_publishers = self._static_publishers - present, present
        if lost and self.buffer.has_static_conflict():
            self._listener.unregister()
            self.buffer.forget_static_conflicts()
            self._listener = TransformListener(self.buffer, self._node)

    def look_up(self, target: str, source: str, stamp_ns: int, timeout_s: float) -> Array:
        """
        Return target_T_source at a stamp; waits for it without blocking the executor.

        :param target: name of a frame.
        :param source: name of a frame.
        :param stamp_ns: nanoseconds.
        :param timeout_s: real seconds, whatever the ROS clock does.
        :returns: (4, 4), metres.
        :raises TransformMissing: naming both frames.
        """
        deadline = time.monotonic() + timeout_s
        moment = Time(nanoseconds=stamp_ns, clock_type=ClockType.ROS_TIME)
        while True:
            try:
                found = self.buffer.lookup_transform(target, source, moment)
                return messages.matrix_from_transform(found.transform)
            except (TransformException, ValueError) as error:
                if time.monotonic() >= deadline or self._closing.wait(POLL_S):
                    raise TransformMissing(
                        f'no transform from {source!r} to {target!r} at the stamp of the '
                        f'image: {error}'
                    ) from error

    def knows(self, target: str, source: str, stamp_ns: int) -> bool:
        """
        Return whether a transform can be looked up at once.

        :param target: name of a frame.
        :param source: name of a frame.
        :param stamp_ns: nanoseconds.
        """
        try:
            self.look_up(target, source, stamp_ns, 0.0)
        except TransformMissing:
            return False
        return True

    def send(self, parent: str, child: str, parent_T_child: Array, stamp_ns: int) -> bool:
        """
        Broadcast a transform, unless another node publishes a parent of the child.

        :param parent: name of a frame.
        :param child: name of a frame.
        :param parent_T_child: (4, 4), metres.
        :param stamp_ns: nanoseconds.
        :returns: whether it was sent.
        """
        self.buffer.claim(child)
        if self.buffer.other_parent(child) is not None:
            return False
        transform = messages.transform_message(parent_T_child, parent, child, stamp_ns)
        self.buffer.sends(transform)
        self._broadcaster.sendTransform(transform)
        return True
