# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Become another program that ends with its parent, and is the first to go where memory runs out.

python -m ttt3r_ros.archive.child PARENT PROGRAM [ARGUMENT...]

A process that does this in Python between fork and exec of a parent with threads may hang.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
# Of -1000 to 1000: the kernel chooses this process before the node's own.
FIRST_TO_GO = 1000


def become(parent: int, command: list[str]) -> None:
    """
    Replace this process.

    :param parent: process whose end is that of this one.
    :param command: program and arguments.
    """
    if sys.platform == 'linux':
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        with open('/proc/self/oom_score_adj', 'w') as file:
            file.write(str(FIRST_TO_GO))
    if os.getppid() != parent:  # it ended before the line above
        sys.exit(1)
    os.execvp(command[0], command)


if __name__ == '__main__':
    become(int(sys.argv[1]), sys.argv[2:])
