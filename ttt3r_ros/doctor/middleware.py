# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Checks of the middleware: domain, discovery, and Fast DDS with large messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import fcntl
import os
from pathlib import Path
import re
import shutil

from ttt3r_ros.doctor.finding import fail, Finding, ok, warn
from ttt3r_ros.doctor.observed import Observed
from ttt3r_ros.players.installed import config_file
from ttt3r_ros.players.processes import profile_variable

# Larger best-effort messages do not fit into the shared memory of Fast DDS as it comes.
SMALL_SEGMENT = 512 * 1024

# Where Linux keeps the shared memory of all processes; in a container it has 64 MB as it comes.
SHARED_MEMORY = Path('/dev/shm')
MUCH_ABANDONED = 256 * 2**20

# Up to 101 the ports of a domain lie below those that Linux gives to other programs.
HIGHEST_DOMAIN, HIGHEST_SAFE_DOMAIN = 232, 101
RANGES = ('SUBNET', 'LOCALHOST', 'OFF', 'SYSTEM_DEFAULT')


@dataclass(frozen=True)
class Profile:
    """
    The Fast DDS profile that the environment variable names.

    segment_size: bytes, or None where the file sets none. shipped: path of the profile of this
    package.
    """

    variable: str
    path: str = ''
    exists: bool = False
    segment_size: int | None = None
    shipped: str = 'config/fastdds_large_messages.xml'


def judge_middleware(observed: Observed, environment: Mapping[str, str]) -> Iterator[Finding]:
    """
    Check the domain and the discovery of nodes.

    :param observed: the observed system.
    :param environment: environment variables of this process.
    """
    yield ok('middleware', observed.middleware)
    domain = f'ROS_DOMAIN_ID {observed.domain}, {len(observed.nodes)} other node(s)'
    if observed.domain > HIGHEST_SAFE_DOMAIN:
        yield warn(
            'domain',
            domain,
            f'above {HIGHEST_SAFE_DOMAIN} other programs may hold the ports: choose a lower one',
        )
    elif not observed.nodes and observed.node is None:
        yield fail(
            'domain',
            f'ROS_DOMAIN_ID {observed.domain}, no other node is there',
            'set the same ROS_DOMAIN_ID for all processes, and start the camera and the node',
        )
    else:
        yield ok('domain', domain)
    yield _judge_range(environment)


def _judge_range(environment: Mapping[str, str]) -> Finding:
    chosen = environment.get('ROS_AUTOMATIC_DISCOVERY_RANGE', '')
    if environment.get('ROS_LOCALHOST_ONLY') == '1':
        return warn(
            'discovery',
            'ROS_LOCALHOST_ONLY=1: only nodes on this machine are found',
            'unset it if the camera is on another machine',
        )
    if chosen == 'OFF':
        return fail(
            'discovery',
            'ROS_AUTOMATIC_DISCOVERY_RANGE=OFF: no node finds another',
            'set it to LOCALHOST or SUBNET',
        )
    if chosen and chosen not in RANGES:
        return warn(
            'discovery',
            f'ROS_AUTOMATIC_DISCOVERY_RANGE={chosen} is unknown',
            f'choose one of {", ".join(RANGES)}',
        )
    where = {'LOCALHOST': 'this machine only', '': 'the whole subnet (default)'}
    return ok('discovery', f'{chosen} {where.get(chosen, "")}'.strip())


def look_at_profile() -> Profile:
    """Return the Fast DDS profile that processes with this environment use."""
    variable = profile_variable()
    name = os.environ.get(variable, '')
    shipped = str(config_file('fastdds_large_messages.xml'))
    path = Path(name)
    if not name or not path.is_file():
        return Profile(variable, name, shipped=shipped)
    sizes = re.findall(r'<segment_size>\s*(\d+)', path.read_text(errors='replace'))
    return Profile(variable, name, True, max(map(int, sizes), default=None), shipped)


def judge_profile(profile: Profile, observed: Observed | None) -> Finding:
    """
    Check whether large messages pass Fast DDS.

    :param profile: the Fast DDS profile of this process.
    :param observed: the observed system, for the size of the images; None where there is none.
    """
    subject = 'large messages'
    if observed is not None and 'fastrtps' not in observed.middleware:
        return ok(subject, f'{observed.middleware} needs no profile of Fast DDS')
    advice = (
        f'export {profile.variable}={profile.shipped} for this node and for that of the camera'
    )
    if not profile.path:
        return warn(
            subject,
            f'{profile.variable} is not set: best-effort images above 512 KB are lost',
            advice,
        )
    if not profile.exists:
        return fail(subject, f'{profile.variable} names {profile.path}, which is no file', advice)
    needed = max(SMALL_SEGMENT, 2 * (0 if observed is None else observed.image.size))
    if profile.segment_size is not None and profile.segment_size > needed:
        return ok(
            subject, f'{profile.path}, shared memory of {profile.segment_size / 2**20:.0f} MB'
        )
    size = profile.segment_size
    found = 'no segment_size' if size is None else f'a segment_size of {size} bytes'
    return warn(subject, f'{profile.path} sets {found}', advice)


@dataclass(frozen=True)
class SharedMemory:
    """
    The shared memory of this machine, in bytes.

    abandoned: bytes of Fast DDS segments whose process was killed.
    """

    size: int
    free: int
    abandoned: int


def look_at_shared_memory(folder: Path = SHARED_MEMORY) -> SharedMemory | None:
    """
    Inspect the shared memory.

    :param folder: the mount point of shared memory.
    :returns: None where there is no such folder.
    """
    if not folder.is_dir():
        return None
    disk = shutil.disk_usage(folder)
    sizes = [path.stat().st_size for path in abandoned_segments(folder)]
    return SharedMemory(disk.total, disk.free, sum(sizes))


def abandoned_segments(folder: Path = SHARED_MEMORY) -> list[Path]:
    """
    Return the Fast DDS segments whose process has ended.

    A process holds the lock `NAME_el` of each of its segments until it ends.

    :param folder: the mount point of shared memory.
    """
    return [
        segment
        for segment in sorted(folder.glob('fastdds_*'))
        if not segment.name.endswith('_el') and _is_free(segment.with_name(f'{segment.name}_el'))
    ]


def _is_free(lock: Path) -> bool:
    try:
        with lock.open('rb') as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, of another user, or gone meanwhile
        return False
    return True


def judge_shared_memory(
    memory: SharedMemory | None, profile: Profile, observed: Observed
) -> Iterator[Finding]:
    """
    Check whether the shared memory suffices for another process; yields nothing without Fast DDS.

    :param memory: of this machine, None where there is none.
    :param profile: the Fast DDS profile of this process.
    :param observed: the observed system.
    """
    if memory is None or 'fastrtps' not in observed.middleware:
        return
    subject, needed = 'shared memory', profile.segment_size or SMALL_SEGMENT
    sentence = f'{memory.free / 2**20:.0f} of {memory.size / 2**20:.0f} MB free in {SHARED_MEMORY}'
    clean = 'free it with `fastdds shm clean`'
    if memory.free < needed:
        yield warn(
            subject,
            f'{sentence}, a node needs {needed / 2**20:.0f}: large images may be lost',
            clean if memory.abandoned else 'increase it: `docker run --shm-size=1g`',
        )
    elif memory.abandoned > MUCH_ABANDONED:
        held = memory.abandoned / 2**20
        yield warn(subject, f'{sentence}; processes that were killed left {held:.0f} MB', clean)
    else:
        yield ok(subject, sentence)
