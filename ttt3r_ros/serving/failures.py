# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Why a server cannot be asked."""

from __future__ import annotations

from ttt3r_ros.model.elsewhere import NetworkLost


class Unreachable(NetworkLost):
    """There is no server, or no way to it; trying again may help."""


class DeadlineExceeded(Unreachable):
    """The answer did not come in time."""


class ServerBusy(Unreachable):
    """The server has no room."""


class Refused(NetworkLost):
    """The server, or this program, does not want to go on: trying again does not help."""


class LeaseEnded(NetworkLost):
    """The server does not know this robot any longer."""


class StateExpired(NetworkLost):
    """The server does not hold a state any longer."""
