# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The tree of frames over time."""

from collections.abc import Callable
import threading
import time as steady_time

from geometry_msgs.msg import TransformStamped
import numpy as np
from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from tf2_ros.exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
)
from tf2_ros.samples import MovingFrame, Sample, StaticFrame
from tf_transformations import inverse_matrix, quaternion_from_matrix


class Buffer:
    """Stores the transforms of the last seconds and looks up the pose of a frame in another."""

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        """
        Construct an empty buffer.

        :param cache_time: how long transforms are stored; 10 s by default.
        :param node: node whose clock is watched; a jump back in time clears the buffer.
        """
        self._cache_ns = 10_000_000_000 if cache_time is None else cache_time.nanoseconds
        self._frames: dict[str, MovingFrame | StaticFrame] = {}
        self._changed = threading.Condition()
        self._jumps = None
        if node is not None:
            threshold = JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
            )
            self._jumps = node.get_clock().create_jump_callback(
                threshold, post_callback=self._on_jump
            )

    def _on_jump(self, jump: TimeJump) -> None:
        del jump
        self.clear()

    def clear(self) -> None:
        """Remove all transforms but the static ones."""
        with self._changed:
            self._frames = {
                child: frame
                for child, frame in self._frames.items()
                if isinstance(frame, StaticFrame)
            }
            self._changed.notify_all()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """
        Store a transform.

        :param transform: of the frame `child_frame_id` in `header.frame_id`.
        :param authority: name of the publisher.
        :raises InvalidArgumentException: when a name or a number is malformed.
        """
        self._take_in(transform, lambda _: MovingFrame(self._cache_ns))

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """
        Store a static transform.

        :param transform: of the frame `child_frame_id` in `header.frame_id`.
        :param authority: name of the publisher.
        :raises InvalidArgumentException: when a name or a number is malformed.
        """
        self._take_in(transform, StaticFrame)

    def _take_in(
        self,
        transform: TransformStamped,
        new_frame: Callable[[Sample], MovingFrame | StaticFrame],
    ) -> None:
        child, sample = _checked(transform)
        with self._changed:
            if child not in self._frames:
                self._frames[child] = new_frame(sample)
            self._frames[child].add(sample)
            self._changed.notify_all()

    def lookup_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration = Duration(),  # noqa: B008
    ) -> TransformStamped:
        """
        Return target_T_source at a time.

        :param target_frame: frame that the result transforms points to.
        :param source_frame: frame that it transforms points from.
        :param time: of the transform; 0 is the newest time at which the whole chain is known.
        :param timeout: how long to wait for it, in steady time, while another thread receives.
        :returns: the transform, with its time in the header.
        :raises TransformException: a subclass for the reason, when there is no transform.
        """
        deadline = steady_time.monotonic() + timeout.nanoseconds / 1e9
        with self._changed:
            while True:
                try:
                    return self._lookup(target_frame, source_frame, time.nanoseconds)
                except InvalidArgumentException:
                    raise
                except TransformException:
                    left = deadline - steady_time.monotonic()
                    if left <= 0:
                        raise
                    self._changed.wait(left)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration = Duration(),  # noqa: B008
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """
        Return whether lookup_transform would succeed.

        :param target_frame: as in lookup_transform.
        :param source_frame: as in lookup_transform.
        :param time: as in lookup_transform.
        :param timeout: as in lookup_transform.
        :param return_debug_tuple: return the reason too.
        :returns: the answer, or (the answer, the reason).
        """
        try:
            self.lookup_transform(target_frame, source_frame, time, timeout)
        except TransformException as error:
            return (False, str(error)) if return_debug_tuple else False
        return (True, '') if return_debug_tuple else True

    def get_latest_common_time(self, target_frame: str, source_frame: str) -> Time:
        """
        Return the newest time at which the whole chain between two frames is known.

        :param target_frame: one end.
        :param source_frame: the other end.
        :returns: the time, 0 when every transform between them is static.
        :raises TransformException: when there is no chain.
        """
        with self._changed:
            self._check_exists(target_frame, 'target_frame')
            self._check_exists(source_frame, 'source_frame')
            return Time(nanoseconds=self._latest_common_ns(target_frame, source_frame))

    def all_frames_as_yaml(self) -> str:
        """Return the frames, each with its parent, as YAML."""
        with self._changed:
            lines = [
                f"{child}: \n  parent: '{frame.parent}'\n"
                f'  most_recent_transform: {frame.latest_ns() / 1e9:.6f}\n'
                for child, frame in self._frames.items()
            ]
        return ''.join(lines) or '[]'

    def all_frames_as_string(self) -> str:
        """Return the frames, each with its parent, as sentences."""
        with self._changed:
            return ''.join(
                f'Frame {child} exists with parent {frame.parent}.\n'
                for child, frame in self._frames.items()
            )

    def _lookup(self, target: str, source: str, stamp_ns: int) -> TransformStamped:
        self._check_exists(target, 'target_frame')
        self._check_exists(source, 'source_frame')
        if stamp_ns == 0:
            stamp_ns = self._latest_common_ns(target, source)
        try:
            target_T_source = self._between(target, source, stamp_ns)
        except ExtrapolationException as error:
            raise ExtrapolationException(
                f'{error}, when looking up transform from frame [{source}] to frame [{target}]'
            ) from None
        return _message(target, source, stamp_ns, target_T_source)

    def _between(self, target: str, source: str, stamp_ns: int) -> np.ndarray:
        """Return target_T_source, (4, 4), through the first common ancestor."""
        ancestor_T = []
        for chain in self._chains(target, source):
            matrix = np.identity(4)
            for name in chain:
                matrix = self._frames[name].at(stamp_ns).matrix() @ matrix
            ancestor_T.append(matrix)
        ancestor_T_target, ancestor_T_source = ancestor_T
        return inverse_matrix(ancestor_T_target) @ ancestor_T_source

    def _chains(self, target: str, source: str) -> tuple[list[str], list[str]]:
        """Return the frames from each end up to the first common ancestor, without it."""
        from_target, from_source = self._ancestors(target), self._ancestors(source)
        for name in from_target:
            if name in from_source:
                return (
                    from_target[: from_target.index(name)],
                    from_source[: from_source.index(name)],
                )
        raise ConnectivityException(
            f"Could not find a connection between '{target}' and '{source}' because they are not "
            'part of the same tree. Tf has two or more unconnected trees.'
        )

    def _ancestors(self, name: str) -> list[str]:
        names = [name]
        while name in self._frames:
            name = self._frames[name].parent
            if name in names:
                raise ConnectivityException(f"The frames form a loop at '{name}'")
            names.append(name)
        return names

    def _latest_common_ns(self, target: str, source: str) -> int:
        chains = self._chains(target, source)
        stamps = [self._frames[name].latest_ns() for chain in chains for name in chain]
        return min((stamp for stamp in stamps if stamp), default=0)

    def _check_exists(self, name: str, argument: str) -> None:
        if not name or name.startswith('/'):
            raise InvalidArgumentException(
                f'Invalid argument "{name}" passed to lookupTransform argument {argument} - '
                'in tf2 frame_ids cannot be empty or start with a "/"'
            )
        parents = (frame.parent for frame in self._frames.values())
        if name not in self._frames and name not in parents:
            raise LookupException(
                f'"{name}" passed to lookupTransform argument {argument} does not exist. '
            )


def _checked(transform: TransformStamped) -> tuple[str, Sample]:
    """Return frame and sample of a transform; raise an exception when it is invalid."""
    parent = transform.header.frame_id.removeprefix('/')
    child = transform.child_frame_id.removeprefix('/')
    moved, turned = transform.transform.translation, transform.transform.rotation
    translation = np.array([moved.x, moved.y, moved.z])
    quaternion = np.array([turned.x, turned.y, turned.z, turned.w])
    if not parent or not child or parent == child:
        raise InvalidArgumentException(f'a transform from "{child}" to "{parent}" is refused')
    if not (np.isfinite(translation).all() and np.isfinite(quaternion).all()):
        raise InvalidArgumentException(f'the transform of "{child}" holds a NaN or infinity')
    if not quaternion.any():
        raise InvalidArgumentException(f'the quaternion of "{child}" is zero')
    stamp = transform.header.stamp
    return child, Sample(
        stamp.sec * 1_000_000_000 + stamp.nanosec,
        parent,
        translation,
        quaternion / np.linalg.norm(quaternion),
    )


def _message(target: str, source: str, stamp_ns: int, matrix: np.ndarray) -> TransformStamped:
    message = TransformStamped()
    message.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
    message.header.frame_id, message.child_frame_id = target, source
    moved, turned = message.transform.translation, message.transform.rotation
    moved.x, moved.y, moved.z = (float(value) for value in matrix[:3, 3])
    turned.x, turned.y, turned.z, turned.w = map(float, quaternion_from_matrix(matrix))
    return message
