# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The promises of the stand-ins.

The real packages keep them too: where ROS 2 is sourced, these tests run on those.
"""

from importlib.util import find_spec

if find_spec('rclpy') is None:
    collect_ignore_glob = ['test_*.py']
