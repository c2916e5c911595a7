# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Copy what a URL names, a file or a folder with all that is in it, onto this machine.

python -m ttt3r_ros.archive.fetching URL PATH
"""

from __future__ import annotations

import sys

import fsspec

# Exit code where another try may succeed; sysexits.h calls it EX_TEMPFAIL.
TRY_AGAIN = 75


def fetch(url: str, path: str) -> None:
    """
    Copy a file or folder.

    :param url: of any protocol of fsspec.
    :param path: does not exist; its folder does.
    :raises OSError: when the other end or the disk does not do it.
    """
    system, there = fsspec.core.url_to_fs(url)
    if system.isdir(there):
        system.get(there.rstrip('/') + '/', path.rstrip('/') + '/', recursive=True)
    else:
        system.get_file(there, path)


def _line(error: Exception) -> str:
    """Return one line, as the command line prints the errors of users."""
    text = ' '.join(str(error).split()) or type(error).__name__
    return f'error: cannot fetch {sys.argv[1]}: {text}'


if __name__ == '__main__':
    try:
        fetch(*sys.argv[1:])
    except (FileNotFoundError, PermissionError, ImportError, ValueError) as error:
        sys.exit(_line(error))
    except OSError as error:
        sys.stderr.write(f'{_line(error)}\n')
        sys.exit(TRY_AGAIN)
