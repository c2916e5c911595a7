# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The predictor of the settings: on this machine or on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ttt3r_ros.model.memory_need import expected_memory, MemoryNeed
from ttt3r_ros.model.predictor import load_predictor, Predictor
from ttt3r_ros.serving.access import Access, read_access
from ttt3r_ros.serving.address import is_elsewhere, parse_address
from ttt3r_ros.serving.codec import Transfer
from ttt3r_ros.serving.optional import require_grpc
from ttt3r_ros.settings import ModelSettings

if TYPE_CHECKING:
    from ttt3r_ros.serving.remote import RemotePredictor


def chosen_predictor(settings: ModelSettings) -> Predictor | RemotePredictor:
    """
    Load the checkpoint of the settings, or enter the server that has it.

    :raises UserError: when device, checkpoint or server cannot be used; Unreachable where trying
        again may help.
    """
    if is_elsewhere(settings.device):
        return connected(settings, read_access(settings.server_access))
    return load_predictor(settings)


def connected(settings: ModelSettings, access: Access) -> RemotePredictor:
    """
    Enter a server.

    :param settings: its device is the address.
    :raises UserError: as chosen_predictor.
    """
    address = parse_address(settings.device)
    require_grpc()
    # Here, not at the top: their library is an option.
    from ttt3r_ros.serving.client import Connection
    from ttt3r_ros.serving.offered import check_offer
    from ttt3r_ros.serving.remote import RemotePredictor

    return RemotePredictor(
        Connection(address, access),
        Transfer[settings.transfer.upper()],
        lambda offer: check_offer(offer, settings, str(address)),
    )


def memory_here(settings: ModelSettings) -> MemoryNeed | None:
    """
    Estimate the memory for the network on this machine; None where it runs on another.

    :raises UserError: when the device or the checkpoint cannot be used.
    """
    return None if is_elsewhere(settings.device) else expected_memory(settings)
