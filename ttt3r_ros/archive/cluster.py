# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The nodes that map, by Ray: on this machine, or a cluster that runs.

Ray carries jobs and results, some kilobytes each, and decides where there is room. It retries
nothing by itself: which failures pass is decided in `run.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import os
import socket
from typing import Any

import ray
from ray.exceptions import RayError

from ttt3r_ros.archive.results import Result
from ttt3r_ros.archive.task import Job, Lost, perform
from ttt3r_ros.errors import UserError

LOCAL = 'local'
TIMEOUT = 10.0  # seconds
# Nothing large is shared through Ray; its smallest store leaves the memory to the maps.
STORE_BYTES = 80 * 2**20


class ClusterError(UserError):
    """A cluster cannot be reached, or has no node that is large enough."""


@dataclass(frozen=True)
class Needs:
    """
    What one recording needs of a node while it is mapped.

    gpus: may be a fraction.
    """

    cpus: float
    gpus: float
    memory_bytes: int


class Cluster:
    """Performs jobs on nodes that come and go."""

    def __init__(self, needs: Needs, perform: Callable[[Job], Result] = perform) -> None:
        """
        Use the nodes that Ray is connected to.

        :param needs: of every job.
        :param perform: what is done with a job, on its node.
        """
        self._needs = needs
        self._task = ray.remote(perform).options(
            num_cpus=needs.cpus,
            num_gpus=needs.gpus,
            memory=needs.memory_bytes,
            max_retries=0,
            name='ttt3r archive',
        )

    def slots(self) -> int:
        """Return how many jobs the nodes that are there now can perform at a time."""
        return sum(self._slots_of(node['Resources']) for node in ray.nodes() if node['Alive'])

    def wanted(self) -> str:
        """Return what one job needs, for people."""
        needs = self._needs
        return f'{needs.cpus:g} CPU, {needs.gpus:g} GPU, {needs.memory_bytes / 1e9:g} GB'

    def _slots_of(self, has: dict[str, float]) -> int:
        needs = self._needs
        wanted = {'CPU': needs.cpus, 'GPU': needs.gpus, 'memory': float(needs.memory_bytes)}
        return int(min(has.get(name, 0.0) // amount for name, amount in wanted.items() if amount))

    def submit(self, job: Job) -> Any:
        """Return a reference to a job that waits for a place."""
        return self._task.remote(job)

    def ended(
        self, references: Collection[Any], seconds: float
    ) -> Iterator[tuple[Any, Result | Lost]]:
        """
        Wait until a job ends, and yield those that have ended.

        :param references: of jobs, at least one.
        :param seconds: longest time to wait.
        """
        ready, _ = ray.wait(list(references), num_returns=1, timeout=seconds)
        if ready:
            ready, _ = ray.wait(list(references), num_returns=len(references), timeout=0)
        for reference in ready:
            try:
                yield reference, ray.get(reference)
            except RayError as error:
                yield reference, Lost(_one_line(error))

    def cancel(self, references: Collection[Any]) -> None:
        """
        End jobs, also those that run.

        :param references: of the jobs.
        """
        for reference in references:
            ray.cancel(reference, force=True)


def _one_line(error: RayError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # An exception on a node carries its traceback, whose last line names it.
    line = lines[-1] if isinstance(error, ray.exceptions.RayTaskError) else lines[0]
    return f'{type(error).__name__}: {line[:300]}' if lines else type(error).__name__


@contextmanager
def connected(address: str, workers: int | None, cpus_per_job: float) -> Iterator[None]:
    """
    Connect to a cluster, or start one on this machine.

    :param address: `local`, `auto` for the cluster that this machine is a node of, HOST:PORT, or
        ray://HOST:PORT.
    :param workers: of a local one: how many jobs at a time; None: as many as there are processors.
    :param cpus_per_job: processors of each.
    :raises ClusterError: when it does not answer.
    """
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    shared: dict[str, Any] = {'log_to_driver': False, 'logging_level': 'ERROR'}
    if address == LOCAL:
        # A cluster that others started on this machine is not meant.
        shared |= {
            'address': LOCAL,
            'include_dashboard': False,
            'object_store_memory': STORE_BYTES,
            'num_cpus': None if workers is None else max(1, round(workers * cpus_per_job)),
        }
    else:
        shared |= {'address': address}
        _refuse_silence(address)
    try:
        ray.init(**shared)
    except (RayError, ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f'cannot connect to the cluster {address}: {" ".join(str(error).split())[:300]} '
            '(where it asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN)'
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _refuse_silence(address: str) -> None:
    """Refuse an address where nothing listens; Ray would try for minutes."""
    host, colon, port = address.rpartition('://')[2].rpartition(':')
    if not colon:
        return
    try:
        with socket.create_connection((host, int(port)), TIMEOUT):
            return
    except (OSError, ValueError, OverflowError) as error:
        raise ClusterError(
            f'cannot connect to the cluster {address}: {error}; `ray status` on its head shows '
            'whether it runs'
        ) from error


def gpus() -> float:
    """Return the number of GPUs of the cluster."""
    return float(ray.cluster_resources().get('GPU', 0.0))
