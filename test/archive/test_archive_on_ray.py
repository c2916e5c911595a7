# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Archives on real Ray, of several nodes on one machine, while workers, nodes and drivers die.

The recordings are tiny and the network is random, but all else is real: every recording is
mapped by `ttt3r map` in a process of its own, and compared with maps made one after the other.
"""

from contextlib import suppress
import json
import os
from pathlib import Path
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
from PIL import Image
import pytest

from ttt3r_ros.archive.results import read_result, State
from ttt3r_ros.tools.main import main

pytest.importorskip('ray', reason='needs the extra archive: pip install "ray[client]"')

NAMES = ('a', 'b', 'c', 'd')
# The greedy one takes twice as much, the others half of it.
MEMORY_GB = 0.75
FAST = ('--checkpoint=random', '--max-speed=1000', '--max-turn-rate=100000')
OPTIONS = (*FAST, f'--memory-per-bag={MEMORY_GB}')


@pytest.fixture(scope='module')
def recordings(tmp_path_factory):
    """Create small folders of images: four good ones, one corrupt, one that takes all memory."""
    folder = tmp_path_factory.mktemp('recordings')
    rng = np.random.default_rng(1)
    for name in NAMES:
        (folder / name).mkdir()
        for i in range(4):
            pixels = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
            image = Image.fromarray(pixels).resize((160, 120), Image.Resampling.NEAREST)
            image.save(folder / name / f'{i}.png')
    for name in ('corrupt', 'greedy'):
        (folder / name).mkdir()
    (folder / 'corrupt' / '0.png').write_bytes(b'no picture')
    for i in range(3):
        Image.new('RGB', (8800, 8800)).save(folder / 'greedy' / f'{i}.png', compress_level=1)
    return folder


@pytest.fixture(scope='module')
def listed(recordings):
    """Write a list of the recordings; one of them has a URL."""
    path = recordings / 'list.jsonl'
    lines = [{'input': name} for name in (*NAMES[1:], 'corrupt', 'greedy')]
    lines.append({'input': (recordings / 'a').as_uri(), 'name': 'a'})
    path.write_text('\n'.join(map(json.dumps, lines)))
    return path


@pytest.fixture(scope='module')
def expected(recordings, tmp_path_factory):
    """Map the good recordings one after the other."""
    folder = tmp_path_factory.mktemp('expected')
    for name in NAMES:
        assert main(['map', str(recordings / name), '--output', str(folder / name), *FAST]) == 0
    return {name: files_of(folder / name) for name in NAMES}


@pytest.fixture(scope='module')
def cluster():
    """Start a cluster of a head without processors and two nodes with two each."""
    from ray.cluster_utils import Cluster

    os.environ['RAY_USAGE_STATS_ENABLED'] = '0'
    cluster = Cluster(
        initialize_head=True,
        head_node_args={'num_cpus': 0, 'include_dashboard': False, 'num_gpus': 0},
    )
    for _ in range(2):
        cluster.add_node(num_cpus=2, num_gpus=0, object_store_memory=80 * 2**20)
    yield cluster
    cluster.shutdown()


def files_of(folder):
    """Return the bytes of the results that tell nothing of times and places."""
    return {name: (folder / name).read_bytes() for name in ('trajectory.txt', 'map.ply')}


def results_of(output):
    lines = (output / 'manifest.jsonl').read_text().splitlines()
    return {result.name: result for result in map(read_result, filter(None, lines))}


def maps_running(folder):
    """Return the processes that map into a folder, and their parents, which are those of Ray."""
    found = {}
    for status in Path('/proc').glob('[0-9]*/stat'):
        with suppress(OSError):
            words = (status.parent / 'cmdline').read_bytes().decode().split('\0')
            if 'map' in words and '--output' in words:
                place = words[words.index('--output') + 1]
                if place.startswith(f'{folder}/') and 'ttt3r_ros.archive.child' not in words:
                    found[int(status.parent.name)] = int(
                        status.read_text().split(')')[1].split()[1]
                    )
    return found


def wait_until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, 'waited in vain'
        time.sleep(0.05)
    return found


def archive(source, output, *options):
    return main(['archive', str(source), '--output', str(output), *OPTIONS, *options])


def assert_complete(output, expected):
    """Compare an archive with the maps made one after the other: nothing lost, nothing twice."""
    assert {path.name for path in (output / 'recordings').iterdir()} == set(expected)
    for name, files in expected.items():
        assert files_of(output / 'recordings' / name) == files, name
    lines = (output / 'manifest.jsonl').read_text().splitlines()
    names = [json.loads(line)['name'] for line in lines]
    assert len(names) == len(set(names))
    assert not (output / '.work').exists()


def test_workers_and_nodes_that_die_cost_nothing(listed, expected, cluster, tmp_path, capsys):
    output = tmp_path / 'out'
    troubles = []

    def make_trouble():
        worker = next(iter(wait_until(lambda: maps_running(output)).values()))
        os.kill(worker, signal.SIGKILL)
        troubles.append('worker')
        wait_until(lambda: list((output / 'recordings').iterdir()))
        worker = next(iter(wait_until(lambda: maps_running(output)).values()))
        raylet = int(Path(f'/proc/{worker}/stat').read_text().split(')')[1].split()[1])
        (node,) = (
            node
            for node in cluster.worker_nodes
            if node.all_processes['raylet'][0].process.pid == raylet
        )
        cluster.remove_node(node, allow_graceful=False)
        troubles.append('node')

    trouble = threading.Thread(target=make_trouble)
    trouble.start()

    assert archive(listed, output, '--cluster', cluster.address) == 1

    trouble.join()
    assert troubles == ['worker', 'node']
    assert_complete(output, expected)
    results = results_of(output)
    assert {name for name, r in results.items() if r.state is State.DONE} == set(NAMES)
    # One of the two may have died when its recording was just complete.
    assert sum(result.attempts for result in results.values()) > len(results)
    assert (results['corrupt'].cause, results['greedy'].cause) == ('input', 'memory')
    assert 'not a readable image' in results['corrupt'].reason
    assert '--memory-per-bag' in results['greedy'].reason
    page = (output / 'index.html').read_text()
    assert page.count('data:image/jpeg;base64,') == len(NAMES)
    assert '4 mapped, 2 failed, 0 to do' in capsys.readouterr().out


def test_a_driver_that_was_killed_goes_on_where_it_was(recordings, expected, cluster, tmp_path):
    output, source = tmp_path / 'out', tmp_path / 'list.txt'
    source.write_text('\n'.join(str(recordings / name) for name in NAMES))
    words = ['archive', str(source), '--output', str(output), *OPTIONS]
    command = [sys.executable, '-m', 'ttt3r_ros.tools.main', *words]
    driver = subprocess.Popen([*command, '--cluster', cluster.address])
    done = output / 'recordings'
    wait_until(lambda: done.is_dir() and list(done.iterdir()))
    wait_until(lambda: maps_running(output))

    driver.kill()
    driver.wait()

    wait_until(lambda: not maps_running(output))
    before = {path.name: (path / 'result.json').stat() for path in done.iterdir()}
    assert 0 < len(before) < len(NAMES)
    # What was finished and not written down yet is found by its folder.
    (output / 'manifest.jsonl').write_text('')
    assert archive(source, output, '--cluster', cluster.address) == 0
    assert_complete(output, expected)
    for name, stat in before.items():
        assert os.path.samestat(stat, (done / name / 'result.json').stat())
    assert {result.state for result in results_of(output).values()} == {State.DONE}


FULL_DISK = """
set -u
mkdir -p {disk}
mount -t tmpfs -o size=250k none {disk}
{command} 2> {told}
echo $? >> {codes}
ls {disk}/out/recordings > {first}
mount -o remount,size=20m {disk}
{command}
echo $? >> {codes}
cp -r {disk}/out {copy}
"""


def can_mount():
    return (
        shutil.which('unshare') is not None
        and not subprocess.run(
            ['unshare', '-Urm', 'mount', '-t', 'tmpfs', 'none', '/mnt'],
            check=False,
            capture_output=True,
        ).returncode
    )


def test_a_full_disk_stops_the_run_and_a_larger_one_completes_it(recordings, expected, tmp_path):
    if not can_mount():
        pytest.skip('this machine allows no file system of its own to a user')
    names = NAMES[:3]
    source = tmp_path / 'list.txt'
    source.write_text('\n'.join(str(recordings / name) for name in names))
    disk = tmp_path / 'disk'
    words = ['archive', str(source), '--output', str(disk / 'out'), *OPTIONS, '--workers=2']
    script = FULL_DISK.format(
        command=shlex.join([sys.executable, '-m', 'ttt3r_ros.tools.main', *words]),
        **{name: tmp_path / name for name in ('disk', 'told', 'codes', 'first', 'copy')},
    )

    subprocess.run(['unshare', '-Urm', 'bash', '-c', script], check=True)

    assert (tmp_path / 'codes').read_text().split() == ['1', '0']
    first = (tmp_path / 'first').read_text().split()
    assert len(first) < len(names)
    assert 'No space left on device' in (tmp_path / 'told').read_text().splitlines()[-1]
    assert_complete(tmp_path / 'copy', {name: expected[name] for name in names})
