# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""ROS 2 nodes as child processes, which end with the program that started them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
import json
import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import Any

from ttt3r_ros.errors import UserError
from ttt3r_ros.players.installed import config_file

STOP_TIMEOUT_S = 10.0

# Written by the recorder into its folder, for a program that shows a bar.
PROGRESS = 'progress.json'

# The module of each node of the package.
NODES = {
    'mapping_node': 'ttt3r_ros.node.mapping_node',
    'simulated_robot': 'ttt3r_ros.players.simulated_robot',
    'driven_robot': 'ttt3r_ros.players.driven_robot',
    'dataset_player': 'ttt3r_ros.players.dataset_player',
    'recorder': 'ttt3r_ros.players.recorder',
    'viewer': 'ttt3r_ros.players.viewer_node',
}

# What names the profile of Fast DDS: until Jazzy, and from Kilted on, which complains about the
# older name.
PROFILES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
RCLPY_OF_KILTED = 9


class ProcessError(UserError):
    """A child process has ended unexpectedly."""


def private_ros(domain: int) -> dict[str, str]:
    """
    Return an environment whose nodes discover only each other, on this machine.

    :param domain: ROS_DOMAIN_ID.
    """
    profile = str(config_file('fastdds_large_messages.xml'))
    return {
        **{name: value for name, value in os.environ.items() if name not in PROFILES},
        'ROS_DOMAIN_ID': str(domain),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        profile_variable(): profile,
        'RCUTILS_CONSOLE_OUTPUT_FORMAT': '[{severity}] {name}: {message}',
    }


def profile_variable() -> str:
    """Return the name of the variable that the installed ROS 2 reads the Fast DDS profile from."""
    rclpy_major = int(metadata.version('rclpy').partition('.')[0])
    return PROFILES[rclpy_major >= RCLPY_OF_KILTED]


class NodeProcesses:
    """Starts nodes; a context manager that ends all of them on exit."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """
        Set the environment of the nodes.

        :param environment: environment variables of all nodes.
        """
        self._environment = environment
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> NodeProcesses:
        """Return this object."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the nodes that still run."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT_S)
            process.kill()
            process.wait()

    def start(
        self,
        name: str,
        parameters: Mapping[str, Any],
        remaps: Mapping[str, str] | None = None,
        module: Sequence[str] = (),
    ) -> None:
        """
        Start a node.

        :param name: name for the other functions; one of NODES unless `module` is set.
        :param parameters: parameter values by name.
        :param remaps: new topic names by topic name.
        :param module: another Python module to run, followed by its options.
        """
        options = [f'{key}:={json.dumps(value)}' for key, value in parameters.items()]
        renamed = [f'{old}:={new}' for old, new in (remaps or {}).items()]
        self._processes[name] = subprocess.Popen(
            [
                *(sys.executable, '-m', *(module or [NODES[name]]), '--ros-args'),
                *(word for option in options for word in ('-p', option)),
                *(word for remap in renamed for word in ('-r', remap)),
            ],
            env=dict(self._environment),
            stdin=subprocess.DEVNULL,
            # A Ctrl-C in the terminal is for the program, which then ends them in good order.
            start_new_session=True,
        )

    def ended(self, name: str) -> bool:
        """
        Return whether a node has ended with exit code 0.

        :param name: as for start().
        :raises ProcessError: when it ended with another code, or another node has ended.
        """
        for other, process in self._processes.items():
            code = process.poll()
            if code is not None and (code != 0 or other != name):
                raise ProcessError(
                    f'{other} has ended ({_reason(code)}): its last lines have the reason'
                )
        return self._processes[name].poll() is not None

    def stop(self, name: str) -> None:
        """
        Interrupt a node, and wait until it has ended.

        :param name: as for start().
        :raises ProcessError: when it ends with an error, or not in time.
        """
        process = self._processes.pop(name)
        process.send_signal(signal.SIGINT)
        try:
            code = process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise ProcessError(f'{name} did not end within {STOP_TIMEOUT_S:g} s') from None
        if code:
            raise ProcessError(
                f'{name} has ended ({_reason(code)}): its last lines have the reason'
            )


def _reason(code: int) -> str:
    return f'signal {-code}' if code < 0 else f'exit code {code}'
