# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The one kind of error that is the caller's to put right."""


class UserError(ValueError):
    """
    Something outside the program is wrong, and its user can put it right.

    Every room raises a subclass of it at its edge. The text says in one line what came, what
    was needed and what to do; the command line prints just that line, the node logs it.
    """
