# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The base class of errors that the user can correct."""


class UserError(ValueError):
    """
    An error in the input, the options or the environment, which the user can correct.

    Every package raises a subclass of it. The text states in one line what was found, what is
    required and what to do; the command line prints only that line, the node logs it.
    """
