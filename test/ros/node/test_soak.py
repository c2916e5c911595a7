# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The node over a long time, moving and parked: `make nightly`."""

import os
from pathlib import Path
import time

import numpy as np
import pytest

from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.players.camera_topics import CameraTopics
from ttt3r_ros.simulation.building import build_world
from ttt3r_ros.simulation.camera_path import robot_path
from ttt3r_ros.simulation.renderer import render_clip

MINUTES = float(os.environ.get('TTT3R_SOAK_MINUTES', '20'))
RATE, FILM_S = 10.0, 10.0
CAMERA = CameraIntrinsics.from_field_of_view(320, 240, 70.0)
NOISES = 8
START_S = 300.0  # of a process, at night, beside all that runs then
WARM_UP = 0.25  # of the time: the map, the key frames and the caches fill up
GROWTH, SLOWDOWN = 1.05, 1.1


@pytest.fixture(scope='module')
def film():
    path = robot_path(build_world('S', 7), 7, FILM_S, RATE)
    images, _ = render_clip(build_world('S', 7), CAMERA, path.world_T_camera)
    return images


def shown(film, noise, number):
    """Return the image of a camera that drives to and fro, and stands for as long in between."""
    period = 4 * len(film)
    at = number % period
    if at < len(film):
        picture = film[at]
    elif at < 2 * len(film):
        picture = film[-1]
    elif at < 3 * len(film):
        picture = film[3 * len(film) - 1 - at]
    else:
        picture = film[0]
    return np.clip(picture + noise[number % NOISES], 0, 255).astype(np.uint8)


def memory_mb(process):
    status = Path(f'/proc/{process.pid}/status').read_text()
    return int(status.partition('VmRSS:')[2].split()[0]) / 1024


def cpu_s(process):
    fields = Path(f'/proc/{process.pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def sample(rig, process):
    """Return memory, and what the diagnostics say."""
    counts = rig.counts()
    return {
        'memory': memory_mb(process),
        'cpu': cpu_s(process),
        'mapped': int(counts['images mapped']),
        'latency': float(counts['pose latency median (s)']),
    }


@pytest.mark.nightly
@pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='needs /proc of Linux')
def test_memory_and_time_stay_flat_moving_and_parked(rig, start_process, film):
    process = start_process(
        'ttt3r_ros.node.mapping_node', odom_frame='', base_frame='', **{'model.device': 'cpu'}
    )
    camera = CameraTopics(rig.robot, 'camera_optical_frame', calibrated=True)
    rig.spin_until(camera.has_subscriber, 'the node is there', START_S)
    rig.wait_for_status('STALE')
    noise = np.random.default_rng(0).normal(0, 2, (NOISES, *film.shape[1:]))
    samples, begin, number = [], time.monotonic(), 0

    def due(moment):
        return lambda: time.monotonic() >= moment

    while (now := time.monotonic()) < begin + 60 * MINUTES:
        assert process.poll() is None
        picture = camera.picture(shown(film, noise, number), CAMERA)
        camera.publish(picture, rig.now_ns())
        number += 1
        # A whole period at a time: each has the same images.
        if number % (4 * len(film)) == 0 and rig.counts():
            samples.append(sample(rig, process))
        rig.spin_until(due(now + 1 / RATE), 'the next image is due')

    warm = samples[round(WARM_UP * len(samples)) :]
    assert len(warm) >= 4, f'{MINUTES:g} minutes are too few'
    half, told = len(warm) // 2, '\n'.join(map(str, samples))
    early, late = warm[:half], warm[-half:]
    assert max(s['memory'] for s in late) < GROWTH * max(s['memory'] for s in early), told
    # CPU time, of which other programs take none.
    assert per_image(late) < SLOWDOWN * per_image(early), told
    assert (np.diff([s['mapped'] for s in samples]) > 0).all(), told
    status = rig.wait_for_status('')
    assert not status.message.startswith('STALE')


def per_image(samples):
    """Return the CPU seconds of an image between the first and the last sample."""
    first, last = samples[0], samples[-1]
    return (last['cpu'] - first['cpu']) / max(1, last['mapped'] - first['mapped'])
