# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a server does for robots: one step after the other, on states that it holds."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ttt3r_ros.model.predictor import HostPrediction, Predictor
from ttt3r_ros.model.state import RecurrentState
from ttt3r_ros.serving.codec import BadMessage
from ttt3r_ros.serving.leases import Leases
from ttt3r_ros.serving.messages import (
    check_state,
    INITIAL,
    NUMBER_BYTES,
    Offer,
    pack_result,
    pack_state,
    read_number,
    read_state,
    read_step,
    StepOrder,
)

Result = TypeVar('Result')
MOST_NAME = 64  # characters of the name of a client


class CallCancelled(Exception):
    """The caller has gone before the answer was ready."""


class Service:
    """
    Steps of one network for several clients; its methods may be called by several threads.

    Images are decoded and predictions compressed in the threads that ask, everything else happens
    in one thread, in the order of arrival: a client has one image on its way, so that all have
    their turn.
    """

    def __init__(self, predictor: Predictor, offer: Offer, leases: Leases[RecurrentState]) -> None:
        """
        Begin without clients.

        :param offer: what clients receive about the network.
        """
        self._predictor, self._offer, self._leases = predictor, offer, leases
        self._worker = ThreadPoolExecutor(1, thread_name_prefix='ttt3r_network')

    def close(self) -> None:
        """End the thread."""
        self._worker.shutdown(cancel_futures=True)

    @property
    def largest_request(self) -> int:
        """Return the size of the largest message that a client has a reason to send, bytes."""
        side = self._predictor.architecture.image_size
        image = 4 * side * side  # a PNG of noise is hardly larger than its 3 bytes a pixel
        return max(image, 4 * len(pack_state(self._predictor.initial_state()))) + 65536

    def enter(self, client: str) -> bytes:
        """
        Begin or renew a lease; return what is offered.

        :raises UserError: ServerFull or BadMessage.
        """
        if not (0 < len(client) <= MOST_NAME):
            raise BadMessage('a client needs a name')
        self._in_turn(lambda: self._leases.enter(client))
        return self._offer.packed()

    def leave(self, client: str) -> bytes:
        """End a lease, and with it the states of a client."""
        self._in_turn(lambda: self._leases.leave(client))
        return b''

    def step(self, client: str, message: bytes, waits: Callable[[], bool]) -> bytes:
        """
        Process one image.

        :param message: a StepOrder.
        :param waits: returns whether the client still waits for the answer.
        :raises UserError: NoLease, NoState or BadMessage.
        :raises CallCancelled: when it does not wait.
        """
        a = self._predictor.architecture
        order = read_step(message, a.patch_size, a.image_size)

        def work() -> HostPrediction:
            if not waits():
                raise CallCancelled
            return self._step(client, order)

        return pack_result(self._in_turn(work), order.transfer)

    def _step(self, client: str, order: StepOrder) -> HostPrediction:
        self._leases.release(client, order.released)
        state = self._predictor.initial_state()
        if order.state != INITIAL:
            state = self._leases.state(client, order.state)
        prediction, after = self._predictor.step(order.rgb, state, order.write)
        self._leases.hold(client, order.becomes, after)
        return prediction

    def fetch(self, client: str, message: bytes) -> bytes:
        """
        Return a state, as bytes.

        :param message: its number.
        :raises UserError: NoLease, NoState or BadMessage.
        """
        number = read_number(message)
        if number == INITIAL:
            return pack_state(self._predictor.initial_state())
        return pack_state(self._in_turn(lambda: self._leases.state(client, number)))

    def put(self, client: str, message: bytes) -> bytes:
        """
        Hold a state that a client has.

        :param message: its number, and the state as bytes.
        :raises UserError: NoLease or BadMessage.
        """
        number = read_number(message[:NUMBER_BYTES])
        if number == INITIAL:
            raise BadMessage('this number is taken')
        fresh = self._predictor.initial_state()
        state = check_state(read_state(message[NUMBER_BYTES:]), fresh)
        self._in_turn(lambda: self._leases.hold(client, number, state))
        return b''

    def expire(self) -> int:
        """End the leases that are over, and return how many clients are left."""

        def work() -> int:
            self._leases.expire()
            return len(self._leases)

        return self._in_turn(work)

    def _in_turn(self, work: Callable[[], Result]) -> Result:
        """Run something in the thread of the network."""
        future: Future[Result] = self._worker.submit(work)
        return future.result()
