# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Who uses a server, for how long, and the states that it holds for each: all of it bounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
import time
from typing import Generic, TypeVar

from ttt3r_ros.errors import UserError

State = TypeVar('State')

# A tracker refers to the newest state, to that before it and, while it begins a segment, to some
# more; others are left over from answers that were lost on the way.
MOST_STATES = 8


class ServerFull(UserError):
    """As many robots as allowed use the server."""


class NoLease(UserError):
    """A robot is not known, or its lease has ended."""


class NoState(UserError):
    """A state is not held any longer."""


@dataclass
class _Lease(Generic[State]):
    until: float
    states: OrderedDict[int, State] = field(default_factory=OrderedDict)


class Leases(Generic[State]):
    """Hold states for clients; for one thread."""

    def __init__(
        self, most_clients: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """
        Begin without clients.

        :param most_clients: others are refused until one has left or has been gone for too long.
        :param seconds: for which a client is held that asks for nothing.
        :param clock: returns seconds.
        """
        self._most, self._seconds, self._clock = most_clients, seconds, clock
        self._leases: dict[str, _Lease[State]] = {}

    def __len__(self) -> int:
        """Return the number of clients."""
        return len(self._leases)

    def enter(self, client: str) -> None:
        """
        Begin or renew a lease.

        :raises ServerFull: when there is no room.
        """
        self.expire()
        if client not in self._leases and len(self._leases) >= self._most:
            raise ServerFull(
                f'the server is full: {self._most} robots use it (ttt3r serve --max-clients)'
            )
        until = self._clock() + self._seconds
        self._leases.setdefault(client, _Lease(until)).until = until

    def leave(self, client: str) -> None:
        """End a lease, if there is one."""
        self._leases.pop(client, None)

    def expire(self) -> None:
        """End the leases that are over."""
        now = self._clock()
        for client in [name for name, lease in self._leases.items() if lease.until < now]:
            del self._leases[client]

    def state(self, client: str, number: int) -> State:
        """
        Return a state, and renew the lease.

        :raises NoLease: when the client is not known.
        :raises NoState: when the state is not held.
        """
        states = self._renewed(client).states
        if number not in states:
            raise NoState(f'state {number} is not held any longer')
        states.move_to_end(number)
        return states[number]

    def hold(self, client: str, number: int, state: State) -> None:
        """
        Hold a state, in place of the one used longest ago where there are too many.

        :raises NoLease: when the client is not known.
        """
        states = self._renewed(client).states
        states[number] = state
        states.move_to_end(number)
        while len(states) > MOST_STATES:
            states.popitem(last=False)

    def release(self, client: str, numbers: tuple[int, ...]) -> None:
        """
        Hold some states no longer.

        :raises NoLease: when the client is not known.
        """
        states = self._renewed(client).states
        for number in numbers:
            states.pop(number, None)

    def _renewed(self, client: str) -> _Lease[State]:
        self.expire()
        lease = self._leases.get(client)
        if lease is None:
            raise NoLease('the server does not know this robot: it has been gone for too long')
        lease.until = self._clock() + self._seconds
        return lease
