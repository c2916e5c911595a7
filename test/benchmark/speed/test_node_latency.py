# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import subprocess
import sys

import numpy as np
import pytest

SECOND = 1_000_000_000
FIGURES = 'stamp to published', 'published, less the network', 'received, less the network'


@pytest.fixture
def node_latency():
    pytest.importorskip('rclpy', reason='ROS 2 is not importable (make setup installs it)')
    from benchmark.speed import node_latency

    return node_latency


def test_the_stages_of_an_image_add_up_to_its_way(node_latency):
    subscriber = node_latency.CloudSubscriber('/camera1/ttt3r/points', {70 * SECOND: 21.5})
    image = {
        'stamp_ns': 70 * SECOND,  # 20 s of the monotonic clock
        'arrived': 20.125,
        'begun': 20.25,
        'waited': 0.0625,
        'published': 21.25,
        'cpu': 0.875,
        'before': {'decode': [0.125, 0.125], 'network': [0.5, 0.25], 'publish': [0.25, 0.125]},
        'after': {
            'merge into the map': [1.5, 0.5],
            'next segment': [0.25, 0.125],
            'network': [0.5, 0.5],
        },
    }

    ((spans),) = node_latency._spans([image], subscriber, 50.0)

    figures = [spans.pop(name) for name in FIGURES]
    assert figures == [[1250, 875], [750, 625], [1000, 625]]
    assert spans.pop('merge into the map') == [1500, 500]
    assert spans.pop('next segment') == [750, 625]
    assert spans.pop('occupancy grid') == spans.pop('map cloud') == [0, 0]
    assert spans['wait for the worker'] == pytest.approx([187.5, 0], abs=1e-9)
    assert spans['all else in the node'] == pytest.approx([62.5, 375], abs=1e-9)
    assert np.sum([*spans.values()], axis=0).tolist() == [1500, 875]


def test_an_image_whose_cloud_was_not_heard_is_left_out(node_latency):
    subscriber = node_latency.CloudSubscriber('/camera1/ttt3r/points')

    with pytest.raises(node_latency.LatencyError, match='no cloud of'):
        node_latency._spans([{'stamp_ns': 1}], subscriber, 0.0)


@pytest.mark.slow
def test_two_nodes_are_timed_on_dds(node_latency, repository, tmp_path):
    options = '--seconds 2 --width 64 --height 48 --free 64 --cameras 2 --calibrated'
    words = [*options.split(), '--json', str(tmp_path / 'all.json')]

    done = subprocess.run(
        [sys.executable, '-m', node_latency.__name__, *words],
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
    )

    assert done.stdout.count('| resize ') == 2
    for camera in json.loads((tmp_path / 'all.json').read_text())['cameras']:
        assert camera['points'] > 0
        for image in camera['images']:
            assert image['network'][0] < image['stamp to published'][0]
