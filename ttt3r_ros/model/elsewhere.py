# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What users of a network must know where it runs on another machine."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ttt3r_ros.errors import UserError
from ttt3r_ros.model.state import RecurrentState


class NetworkLost(UserError):
    """The network cannot be asked at present; images are followed without it."""


class StateGone(NetworkLost):
    """The network can be asked, but no longer goes on from a state."""


@runtime_checkable
class StateElsewhere(Protocol):
    """A recurrent state that another process holds."""

    def fetched(self) -> RecurrentState:
        """
        Return a copy of it.

        :raises NetworkLost: when it cannot be had.
        """
        ...

    def replaced(self, stored: RecurrentState) -> StateElsewhere:
        """
        Return another state of the same network.

        :param stored: on the host.
        :raises NetworkLost: when the network cannot be asked, or refuses the state.
        """
        ...
