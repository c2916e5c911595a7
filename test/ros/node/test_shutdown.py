# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import os
import subprocess
import sys

# Many executors make the moment long in which rclpy's thread wakes them, and glibc overwrites what
# is freed, so that its use is seen.
ENDED_BY_A_SIGNAL = """
import os
import signal
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor

from ttt3r_ros.node.shutdown import shut_down


class Executors:
    def __init__(self):
        self.all = [SingleThreadedExecutor() for _ in range(100)]

    def shutdown(self, timeout_sec):
        for executor in reversed(self.all):
            executor.shutdown(timeout_sec=timeout_sec)


signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
for _ in range(30):
    rclpy.init()
    executors = Executors()
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    except KeyboardInterrupt:
        shut_down(executors, None)
print('ended')
"""


def test_a_signal_wakes_no_executor_that_is_destroyed_already(domain):
    overwritten = {'MALLOC_PERTURB_': '165', 'PYTHONMALLOC': 'malloc'}

    ended = subprocess.run(
        [sys.executable, '-c', ENDED_BY_A_SIGNAL],
        env={**os.environ, **overwritten, 'ROS_DOMAIN_ID': str(domain)},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert (ended.returncode, ended.stdout) == (0, 'ended\n'), ended.stderr
