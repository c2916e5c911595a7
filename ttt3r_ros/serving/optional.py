# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What of the connection is known without its libraries, which are an option."""

from __future__ import annotations

from importlib.util import find_spec
import os

from ttt3r_ros.errors import UserError

HOW_TO_INSTALL = 'pip install -r requirements/serving.txt'


def require_grpc(*others: str) -> None:
    """
    Check that this Python has gRPC, and make it silent before it is loaded.

    Its own log has several lines for each connection that fails; ours has one.

    :param others: packages that are needed, too.
    :raises UserError: naming the command that installs it.
    """
    missing = [name for name in ('grpc', *others) if find_spec(name) is None]
    if missing:
        raise UserError(
            f'a network that is elsewhere needs the package {missing[0]}: {HOW_TO_INSTALL}'
        )
    os.environ.setdefault('GRPC_VERBOSITY', 'NONE')
