# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What tests of several rooms share."""

from importlib.util import find_spec
import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# The networks of the tests are tiny: a second thread costs them more than it saves, ten times
# the whole where other programs keep the cores busy. Read when torch is imported.
os.environ.setdefault('OMP_NUM_THREADS', '1')


@pytest.fixture(scope='session')
def repository() -> Path:
    """Return the root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """Return the folder of recordings and references; skip where it is missing."""
    folder = Path(os.environ.get('TTT3R_SHARED', REPOSITORY.parent / 'shared'))
    if not folder.is_dir():
        pytest.skip(f'no shared recordings at {folder} (TTT3R_SHARED names another place)')
    return folder


@pytest.fixture(scope='session')
def ros_domain() -> int:
    """Isolate the ROS 2 traffic of this process; return its domain id."""
    domain = 1 + os.getpid() % 100
    os.environ['ROS_DOMAIN_ID'] = str(domain)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    return domain


def pytest_report_header() -> str:
    """Return whether the tests on ROS 2 run."""
    if find_spec('rclpy') is None:
        return 'ROS 2: none; its tests are left out'
    return f'ROS 2: {find_spec("rclpy").origin}'


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu` or `int8` where there is no such device or processor."""
    needs = {
        'gpu': (_has_cuda, 'needs a CUDA device'),
        'int8': (_multiplies_int8, 'needs a processor that multiplies int8 exactly'),
    }
    for marker, (is_met, reason) in needs.items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        if marked and not is_met():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _multiplies_int8() -> bool:
    import torch

    from ttt3r_ros.model.layers import int8_kind, PrecisionError

    try:
        int8_kind(torch.device('cpu'))
    except PrecisionError:
        return False
    return True
