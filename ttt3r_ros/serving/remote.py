# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A predictor whose network, and whose states, are on a server."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
import itertools
import time
import weakref

import torch

from ttt3r_ros.arrays import Array32, Pixels
from ttt3r_ros.errors import UserError
from ttt3r_ros.image_fit import Resize
from ttt3r_ros.model.elsewhere import NetworkLost, StateGone
from ttt3r_ros.model.predictor import HostPrediction, NetworkFacts
from ttt3r_ros.model.resize import resize_on_host
from ttt3r_ros.model.state import RecurrentState
from ttt3r_ros.serving import messages
from ttt3r_ros.serving.client import Connection
from ttt3r_ros.serving.codec import BadMessage, Transfer
from ttt3r_ros.serving.failures import (
    DeadlineExceeded,
    LeaseEnded,
    Refused,
    StateExpired,
    Unreachable,
)
from ttt3r_ros.serving.messages import Offer, StepOrder
from ttt3r_ros.serving.offered import checkpoint_of

# A step may take so long, and some times as long as the slowest of the last ones; at first nothing
# is known. Only the map waits for it: poses go on by features.
SPARE_S, TIMES_LONGER, FIRST_S, LONGEST_S = 1.5, 5.0, 20.0, 60.0
RECENT_STEPS = 10
STATE_S = 20.0
LEAVE_S = 0.5
PAUSE_S = 0.5


class RemoteState:
    """
    The number of a state on the server, which deletes it when no reference to it is left here.

    origin: the same state, where this program has a copy.
    """

    def __init__(
        self, predictor: RemotePredictor, number: int, origin: RecurrentState | None = None
    ) -> None:
        """
        Refer to a state.

        :param number: of the state.
        """
        self.number, self.origin = number, origin
        self._predictor = predictor
        if number != messages.INITIAL:
            weakref.finalize(self, predictor.released.append, number).atexit = False

    def fetched(self) -> RecurrentState:
        """
        Return a copy of it.

        :raises NetworkLost: when it cannot be had.
        """
        return self._predictor.fetch(self)

    def replaced(self, stored: RecurrentState) -> RemoteState:
        """
        Return another state of the same network.

        :param stored: on the host.
        :raises NetworkLost: when the network cannot be asked, or refuses the state.
        """
        return self._predictor.put(stored)


class StepTimeout:
    """How long a step may take, by how long the last ones took."""

    def __init__(self) -> None:
        """Begin without steps."""
        self._recent: deque[float] = deque(maxlen=RECENT_STEPS)
        self._factor = 1.0

    @property
    def seconds(self) -> float:
        """Return the longest time to wait for the next step."""
        usual = SPARE_S + TIMES_LONGER * max(self._recent) if self._recent else FIRST_S
        return min(usual * self._factor, LONGEST_S)

    def succeeded(self, seconds: float) -> None:
        """Note how long a step took."""
        self._recent.append(seconds)
        self._factor = 1.0

    def failed(self) -> None:
        """Note that a step took too long: the next one may take twice as long."""
        self._factor = min(2 * self._factor, LONGEST_S)


class RemotePredictor(NetworkFacts):
    """
    The network of a server, with numpy input and output, for one thread.

    A state that the server has lost (it was started again, or the lease has ended) raises
    StateGone; every other failure raises NetworkLost too, and the next step tries again.
    """

    device = torch.device('cpu')  # of what is computed here
    recorded = False

    def __init__(
        self, connection: Connection, transfer: Transfer, check: Callable[[Offer], None]
    ) -> None:
        """
        Enter the server.

        :param transfer: how images and predictions travel.
        :param check: called with what the server offers; raises a UserError when it is of no use.
        :raises NetworkLost: when the server cannot be entered.
        """
        self.resize: Resize = resize_on_host
        self.released: deque[int] = deque()
        self.connection, self._transfer, self._check = connection, transfer, check
        self._numbers = itertools.count(messages.INITIAL + 1)
        self._timeout = StepTimeout()
        self._wait_s = 0.0
        self._offer = self._enter()
        super().__init__(self._offer.architecture, checkpoint_of(self._offer))
        weakref.finalize(self, _leave, connection)

    @property
    def place(self) -> str:
        """Return where the network runs, in words."""
        return f'{self.connection.address} ({self._offer.device})'

    def wait_for_network(self, seconds: float) -> None:
        """
        Repeat a step while the server is away, for programs that have the time.

        :param seconds: at most.
        """
        self._wait_s = seconds

    def warm_up(self, width: int, height: int) -> None:
        """Do nothing: the server is warm."""

    def initial_state(self) -> RemoteState:
        """Return the state before the first frame of a segment."""
        return RemoteState(self, messages.INITIAL)

    def step(
        self, rgb: Pixels, state: RemoteState, write: bool = True
    ) -> tuple[HostPrediction, RemoteState]:
        """
        Process one fitted image.

        :param rgb: (h, w, 3) uint8, both sides multiples of `patch`.
        :param state: from initial_state or from the last step; it is not changed.
        :param write: False: do not update the state tokens and the memory.
        :raises NetworkLost: when the server cannot be asked, or has lost the state.
        """
        end = time.monotonic() + self._wait_s
        while True:
            try:
                return self._step(rgb, state, write)
            except Unreachable:
                if time.monotonic() > end:
                    raise
                time.sleep(PAUSE_S)

    def _step(
        self, rgb: Pixels, state: RemoteState, write: bool
    ) -> tuple[HostPrediction, RemoteState]:
        try:
            return self._ask(rgb, state, write)
        except LeaseEnded:
            self._enter_again()
        except StateExpired:
            pass
        if state.number == messages.INITIAL:
            return self._ask(rgb, state, write)
        if state.origin is None:
            raise StateGone(f'{self.connection.address} has lost the state of this robot')
        return self._ask(rgb, self.put(state.origin), write)

    def _ask(
        self, rgb: Pixels, state: RemoteState, write: bool
    ) -> tuple[HostPrediction, RemoteState]:
        """Have an image processed, from a state that the server should have."""
        after = RemoteState(self, next(self._numbers), None if write else state.origin)
        released = [
            self.released.popleft() for _ in range(min(len(self.released), messages.MOST_RELEASED))
        ]
        order = StepOrder(state.number, after.number, write, self._transfer, tuple(released), rgb)
        began = time.monotonic()
        try:
            answer = self.connection.call(messages.STEP, order.packed(), self._timeout.seconds)
        except NetworkLost as error:
            self.released.extend(released)
            if isinstance(error, DeadlineExceeded):
                self._timeout.failed()
            raise
        self._timeout.succeeded(time.monotonic() - began)
        try:
            return messages.read_result(answer, *rgb.shape[:2]), after
        except BadMessage as error:
            raise Refused(f'{self.connection.address}: {error}') from error

    def fetch(self, state: RemoteState) -> RecurrentState:
        """
        Return a copy of a state.

        :raises NetworkLost: when it cannot be had.
        """
        if state.origin is not None:
            return state.origin
        name = messages.pack_number(state.number)
        answer = self.connection.call(messages.FETCH, name, STATE_S)
        try:
            return messages.read_state(answer)
        except BadMessage as error:
            raise Refused(f'{self.connection.address}: {error}') from error

    def put(self, stored: RecurrentState) -> RemoteState:
        """
        Have the server hold a state.

        :param stored: on the host.
        :raises NetworkLost: when it cannot be asked, or refuses the state.
        """
        state = RemoteState(self, next(self._numbers), stored)
        message = messages.pack_number(state.number) + messages.pack_state(stored)
        try:
            self.connection.call(messages.PUT, message, STATE_S)
        except LeaseEnded:
            self._enter_again()
            self.connection.call(messages.PUT, message, STATE_S)
        return state

    def match(self, rgb: Pixels, state: RemoteState) -> Array32:
        """
        Refuse: where the state finds what it knows is computed on this machine only.

        :param rgb: (h, w, 3) uint8.

        :raises UserError: always.
        """
        raise UserError('--gates needs the network on this machine: --device cpu or cuda')

    def _enter(self) -> Offer:
        """Begin a lease, and check what the server offers."""
        try:
            offer = messages.read_offer(self.connection.call(messages.ENTER, b'', STATE_S))
            self._check(offer)
        except BadMessage as error:
            raise Refused(f'{self.connection.address}: {error}') from error
        return offer

    def _enter_again(self) -> None:
        """Begin another lease, of the same network."""
        if self._enter().network != self._offer.network:
            raise Refused(
                f'{self.connection.address} has other weights or another update rule now: start '
                'this program again'
            )


def _leave(connection: Connection) -> None:
    with suppress(NetworkLost, ValueError):  # of a connection that is closed
        connection.call(messages.LEAVE, b'', LEAVE_S)
    connection.close()
