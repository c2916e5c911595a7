# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Why a transform cannot be given."""


class TransformException(Exception):
    """Base of all of them."""


class LookupException(TransformException):
    """A frame does not exist."""


class ConnectivityException(TransformException):
    """Both frames exist, in trees that are not connected."""


class ExtrapolationException(TransformException):
    """The time lies outside of what was received."""


class InvalidArgumentException(TransformException):
    """A frame's name, or a transform, is malformed."""


class TimeoutException(TransformException):
    """Nothing came in time."""
