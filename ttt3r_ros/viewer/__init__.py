# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A map in the browser: live, of a finished run, and as one file."""

from ttt3r_ros.viewer.showing import show

__all__ = ['show']
