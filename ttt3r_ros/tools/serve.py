# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Serve the network to several robots: one copy of the weights, one GPU (gRPC)."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
import time
from typing import TYPE_CHECKING

from ttt3r_ros.errors import UserError
from ttt3r_ros.home import expanded
from ttt3r_ros.serving.access import ACCESS_FILE, FOLDER
from ttt3r_ros.serving.address import Address, ENCRYPTED, is_elsewhere, parse_address, PLAIN, PORT
from ttt3r_ros.serving.optional import require_grpc
from ttt3r_ros.settings import ModelSettings
from ttt3r_ros.tools.options import add_option, positive_float, positive_int, read_settings
from ttt3r_ros.tools.stop import stop_on_signal

if TYPE_CHECKING:
    from ttt3r_ros.serving.server import Server

EXAMPLES = f"""examples:
  ttt3r serve                              to programs of this machine
  ttt3r serve --bind 0.0.0.0 --checkpoint 512 --max-clients 4
  ttt3r serve --bind 10.0.0.5:9000 --folder /etc/ttt3r_serve

robots, with {ACCESS_FILE} of the folder copied to them
  ttt3r map drive.mp4 --output out --device grpc://HOST --server-access {ACCESS_FILE}
  ros2 run ttt3r_ros mapping_node --ros-args -p model.device:=grpc://HOST \\
      -p model.server_access:=/etc/{ACCESS_FILE}

The first start makes the folder: {ACCESS_FILE} (token and fingerprint), key.pem and
certificate.pem. Connections are encrypted, and a robot trusts only the server with that
fingerprint. Whoever has {ACCESS_FILE} may use the server: keep it as you keep a password.

Each robot's state stays here while it asks for something at least every --lease seconds.
Checkpoint, precision, runtime and update rule are those of the server. Ctrl-C ends it; robots go
on by features and wheels, and connect again by themselves."""

HOUSEKEEPING_S = 1.0
EXPECTED_SIZE = 640, 480  # as in the node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the options of the command.

    :param parser: parser of the command.
    """
    parser.epilog = EXAMPLES
    parser.add_argument(
        '--bind',
        default='127.0.0.1',
        metavar='HOST[:PORT]',
        help=f'address to listen on; 0.0.0.0 is all (default: %(default)s, port {PORT})',
    )
    parser.add_argument(
        '--folder',
        type=Path,
        metavar='DIR',
        help=f'of token, key and certificate, made if missing (default: {FOLDER})',
    )
    parser.add_argument(
        '--max-clients',
        type=positive_int,
        default=8,
        metavar='N',
        help='robots at a time; each takes the memory of a few states (default: %(default)s)',
    )
    parser.add_argument(
        '--lease',
        type=positive_float,
        default=120.0,
        metavar='SECONDS',
        help='a robot that asks for nothing for so long loses its state (default: %(default)g)',
    )
    parser.add_argument(
        '--plain',
        action='store_true',
        help='do not encrypt; robots then use grpc+plain://HOST',
    )
    parser.add_argument(
        '--trust-network',
        action='store_true',
        help='allow --plain beyond this machine: everybody on the way reads images and token',
    )
    for name in ('checkpoint', 'device', 'precision', 'runtime', 'update_rule', 'gain_scale'):
        add_option(parser, ModelSettings, name)


def run(arguments: argparse.Namespace) -> int:
    """
    Serve until Ctrl-C.

    :param arguments: the parsed options.
    :returns: exit status 0.
    """
    address = _address(arguments)
    given = {name: value for name, value in vars(arguments).items() if name.startswith('model.')}
    settings = read_settings(
        argparse.Namespace(**{'model.server_access': '', 'model.transfer': 'compact', **given}),
        ModelSettings,
    )
    if is_elsewhere(settings.device):
        raise UserError('--device of a server is one of this machine')
    require_grpc('cryptography')
    with stop_on_signal() as stop:
        server = _started(arguments, address, settings)
        try:
            while not stop.signal_number:
                time.sleep(HOUSEKEEPING_S)
                server.expire()
        finally:
            server.stop()
    return 0


def _address(arguments: argparse.Namespace) -> Address:
    """Return where to listen; what is not encrypted stays on this machine."""
    address = parse_address(f'{PLAIN if arguments.plain else ENCRYPTED}://{arguments.bind}')
    if address.plain and not (address.is_loopback or arguments.trust_network):
        raise UserError(
            f'--plain on {address.host} would send images and token unencrypted beyond this '
            'machine: leave --plain out, or add --trust-network if no other machine can listen'
        )
    return address


def _started(arguments: argparse.Namespace, address: Address, settings: ModelSettings) -> Server:
    """Load the network, listen, and print how to connect."""
    # Here, not at the top: all that may be wrong above is reported before torch is loaded.
    from ttt3r_ros.model.predictor import load_predictor
    from ttt3r_ros.serving.identity import open_identity
    from ttt3r_ros.serving.leases import Leases
    from ttt3r_ros.serving.offered import offer_of
    from ttt3r_ros.serving.server import Server
    from ttt3r_ros.serving.service import Service

    folder = expanded(arguments.folder or FOLDER)
    identity = open_identity(folder)
    predictor = load_predictor(settings)
    predictor.warm_up(*EXPECTED_SIZE)
    offer = offer_of(predictor, settings)
    service = Service(predictor, offer, Leases(arguments.max_clients, arguments.lease))
    server = Server(service, address, identity, arguments.max_clients)
    server.start()
    print(
        f'serving {predictor.checkpoint_name} ({offer.sha256[:12]}) on {server.address}, '
        f'{predictor.place}\n'
        f'fingerprint {identity.access.fingerprint}\n'
        f'robots need {folder / ACCESS_FILE}',
        flush=True,
    )
    if predictor.checkpoint_note:
        print(f'note: {predictor.checkpoint_note}', file=sys.stderr)
    return server
