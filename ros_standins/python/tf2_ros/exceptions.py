# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The exceptions of a lookup."""


class TransformException(Exception):
    """Base class of the exceptions."""


class LookupException(TransformException):
    """A frame does not exist."""


class ConnectivityException(TransformException):
    """Both frames exist, in trees that are not connected."""


class ExtrapolationException(TransformException):
    """The time is outside the received transforms."""


class InvalidArgumentException(TransformException):
    """The name of a frame, or a transform, is malformed."""


class TimeoutException(TransformException):
    """No transform arrived in time."""
