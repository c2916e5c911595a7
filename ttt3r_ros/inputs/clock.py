# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Time that goes back in a recording: one odd stamp, or a clock that was set back."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from ttt3r_ros.inputs.source import BadFrame, InputFrame, TimeJump
from ttt3r_ros.units import NANOSECONDS

# Beyond a gap of so long, and so many times the longest of those beside it, a first or last image
# is of another time.
FAR_NS, FAR_TIMES = 60 * NANOSECONDS, 1000


def in_order(
    frames: Generator[InputFrame | BadFrame, None, None],
) -> Generator[InputFrame | BadFrame | TimeJump, None, None]:
    """
    Pass images on whose stamps rise; the next images show what an odd stamp means.

    A lone odd stamp, early or late, costs its image; so does that of the first or last image,
    where it is far away. Where the images go on from the earlier time, a TimeJump comes before
    them.

    :param frames: of a recording; is closed at the end.
    """
    with closing(_rising(frames)) as items:
        beginning: list[InputFrame | BadFrame | TimeJump] = []
        images: list[InputFrame] = []
        for item in items:
            beginning.append(item)
            if isinstance(item, InputFrame):
                images.append(item)
            if isinstance(item, TimeJump) or len(images) == 3:
                break
        if len(images) == 3:
            first, second, third = (image.stamp_ns for image in images)
            if _is_far(second - first, third - second):
                beginning[beginning.index(images[0])] = _odd(images[0])
        yield from beginning
        yield from items


def _rising(
    frames: Generator[InputFrame | BadFrame, None, None],
) -> Generator[InputFrame | BadFrame | TimeJump, None, None]:
    """Pass images on whose stamps rise; all but the first may be of another time than the rest."""
    last: InputFrame | None = None  # let through
    held: InputFrame | None = None  # waits for the one after it
    longest_ns, before_ns = 0, 0  # between two that were let through, and of the last one
    with closing(frames):
        for frame in frames:
            if isinstance(frame, BadFrame):
                yield frame
                continue
            if held is None:
                held = frame
                continue
            went_back = last is not None and held.stamp_ns <= last.stamp_ns
            if frame.stamp_ns == held.stamp_ns:
                yield _odd(frame)
                continue
            if went_back and last is not None and frame.stamp_ns <= last.stamp_ns:
                if frame.stamp_ns < held.stamp_ns:
                    yield _odd(held)
                else:
                    yield TimeJump(held.index, last.stamp_ns - held.stamp_ns)
                    yield held
                    last = held
            elif went_back:
                yield _odd(held)
            elif frame.stamp_ns > held.stamp_ns:
                yield held
                last = held
            elif last is None or frame.stamp_ns > last.stamp_ns:
                yield _odd(held)  # it was ahead of its time
            else:
                yield held
                last = held
            if last is held:
                longest_ns = max(longest_ns, held.stamp_ns - (before_ns or held.stamp_ns))
                before_ns = held.stamp_ns
            held = frame
    if held is not None:
        gap_ns = 1 if last is None else held.stamp_ns - last.stamp_ns
        yield _odd(held) if gap_ns <= 0 or _is_far(gap_ns, longest_ns) else held


def _is_far(gap_ns: int, usual_ns: int) -> bool:
    return usual_ns > 0 and gap_ns > max(FAR_NS, FAR_TIMES * usual_ns)


def _odd(frame: InputFrame) -> BadFrame:
    return BadFrame(
        f'image {frame.index}: its stamp {frame.stamp_ns} ns is out of order or far away'
    )
