# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A robot for the node under test: real rclpy, real DDS, a network that knows the truth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
import importlib.util
import itertools
import json
import os
from pathlib import Path
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from ttt3r_ros.doctor.middleware import abandoned_segments
from ttt3r_ros.geometry import transform
from ttt3r_ros.image_fit import ImageFit
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.model.resize import resize_on_host
from ttt3r_ros.settings import MappingSettings

HAS_ROS = all(importlib.util.find_spec(name) for name in ('rclpy', 'tf2_ros', 'cv_bridge'))

# rmw reads these when the first node of a process is made.
PROFILE = Path(__file__).resolve().parents[2] / 'config' / 'fastdds_large_messages.xml'
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ['FASTDDS_DEFAULT_PROFILES_FILE'] = str(PROFILE)
os.environ['FASTRTPS_DEFAULT_PROFILES_FILE'] = str(PROFILE)

WIDTH, HEIGHT = 64, 48
DEPTH, CONFIDENCE = 2.0, 5.0
CAMERA = 'camera_optical_frame'
DEADLINE_S = 60.0  # of what happens at once, unless the machine is very busy


class ModuleWithoutRos(pytest.Module):
    """A file of tests that cannot be imported here."""

    missing = 'ROS 2 is not importable (make setup installs it)'

    def collect(self):
        pytest.skip(self.missing, allow_module_level=True)


class ModuleWithoutCyclone(ModuleWithoutRos):
    missing = 'cyclonedds is not importable: it has no wheel for this machine'


def pytest_pycollect_makemodule(module_path, parent):
    """Skip, saying why, the tests that need ROS, or a second DDS, where it is missing."""
    if not HAS_ROS:
        return ModuleWithoutRos.from_parent(parent, path=module_path)
    if module_path.stem == 'test_interoperability' and not importlib.util.find_spec('cyclonedds'):
        return ModuleWithoutCyclone.from_parent(parent, path=module_path)
    return None


@dataclass(frozen=True)
class ExactPrediction:
    points_camera: np.ndarray
    confidence: np.ndarray
    world_T_camera: np.ndarray
    gains: tuple[float, ...] = (0.5,)


class ExactPredictor:
    """
    Take an image that is plainly of grey n for one made n decimetres ahead of the first.

    It sees a wall DEPTH in front of the camera. `go` can be cleared to hold it, `began` tells
    that it was asked.
    """

    patch = 16
    checkpoint_name, checkpoint_sha256, checkpoint_note = 'exact', '', ''
    resize = staticmethod(resize_on_host)

    def __init__(self):
        self.go, self.began = threading.Event(), threading.Event()
        self.go.set()
        self.seen, self.written = [], []
        self.broken = False

    def fit(self, width, height):
        return ImageFit.for_image(width, height, WIDTH, self.patch)

    def advise(self, settings):
        return settings

    def initial_state(self):
        return ()

    def step(self, rgb_fitted, state, write=True):
        self.began.set()
        assert self.go.wait(DEADLINE_S)
        number = int(rgb_fitted[0, 0, 0])
        self.seen.append(number)
        if write:
            state = (*state, number)
            self.written.append(number)
        height, width = rgb_fitted.shape[:2]
        rays = CameraIntrinsics.from_field_of_view(width, height, 60.0).rays()
        points = rays * np.float32(np.nan if self.broken else DEPTH)
        ahead = 0.1 * (number - (state[0] if state else number))
        pose = transform(np.eye(3), [0, 0, ahead])
        return ExactPrediction(
            points, np.full((height, width), CONFIDENCE, np.float32), pose
        ), state


@pytest.fixture
def mapper():
    return Mapper(ExactPredictor(), MappingSettings())


def picture(number: int, width: int = WIDTH, height: int = HEIGHT, pattern: int = 0) -> np.ndarray:
    """
    Return an image that is plainly of grey `number`, but for a patch of its own somewhere below.

    No feature of one is found in another, and each has few, so the pose is that of the predictor;
    the same number needs another pattern, else the camera stands still.
    """
    rgb = np.full((height, width, 3), number, np.uint8)
    rng, side = np.random.default_rng([number, pattern]), min(height, width) // 3
    row, column = rng.integers([height // 2, 0], [height - side, width - side])
    patch = rgb[row : row + side, column : column + side]
    patch[:] = rng.integers(0, 256, (side, side, 1), np.uint8)
    return rgb


@pytest.fixture(scope='session', autouse=True)
def tidy_shared_memory():
    """Remove what earlier tests left that killed nodes: 64 MB each."""
    for segment in abandoned_segments():
        segment.unlink(missing_ok=True)
        segment.with_name(f'{segment.name}_el').unlink(missing_ok=True)


_domains = itertools.count(os.getpid() * 7)


@pytest.fixture
def domain() -> int:
    """Return a ROS_DOMAIN_ID that no other test uses."""
    return 1 + next(_domains) % 100


class Log:
    """What this process writes to stderr; capfd would lose what is written while it reads."""

    def __init__(self, path) -> None:
        self._path, self._stderr = path, None
        path.touch()

    def begin(self) -> None:
        """Begin; to be called in the test itself, for pytest sets stderr before each phase."""
        if self._stderr is None:
            self._stderr = os.dup(2)
            with self._path.open('ab') as file:
                os.dup2(file.fileno(), 2)

    def lines(self):
        return self._path.read_text(errors='replace').splitlines()

    def end(self) -> None:
        if self._stderr is not None:
            os.dup2(self._stderr, 2)
            os.close(self._stderr)
        sys.stderr.write('\n'.join([*self.lines(), '']))  # for the report of a failure


class Rig:
    """The node under test in a thread of its own, and a robot that talks to it."""

    picture = staticmethod(picture)

    def __init__(self, domain, log) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self._log = log
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.robot = rclpy.create_node('robot', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.robot)
        self.predictor = ExactPredictor()
        self.nodes = []
        self.publishers = {}
        self.statuses = {}
        self._hear_diagnostics()

    def _hear_diagnostics(self) -> None:
        from diagnostic_msgs.msg import DiagnosticArray

        def on_diagnostics(message):
            for status in message.status:
                self.statuses[status.name] = status

        self.robot.create_subscription(DiagnosticArray, '/diagnostics', on_diagnostics, 10)

    # ---- the node

    def start(self, *, activate=True, namespace='', cli_args=None, build_mapper=None, **values):
        """Start the node with parameters."""
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.parameter import Parameter

        from ttt3r_ros.node.mapping_node import MappingNode

        self._log.begin()
        # Images come as fast as the node maps them, metres apart.
        values = {'tracking.max_speed': 1e3, 'tracking.max_turn_rate': 1e5, **values}
        node = MappingNode(
            build_mapper or (lambda settings: Mapper(self.predictor, settings.mapping)),
            context=self.context,
            namespace=namespace,
            cli_args=cli_args,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
        executor = SingleThreadedExecutor(context=self.context)
        executor.add_node(node)
        if activate:
            assert node.start()
        thread = threading.Thread(target=self._spin, args=(executor,), daemon=True)
        thread.start()
        self.nodes.append((node, executor, thread))
        return node

    @staticmethod
    def _spin(executor) -> None:
        from rclpy.executors import ExternalShutdownException

        with suppress(ExternalShutdownException):
            executor.spin()

    def close(self) -> None:
        self.predictor.go.set()
        for node, executor, thread in self.nodes:
            executor.shutdown(timeout_sec=5)
            thread.join(5)
            node.release()
            node.destroy_node()
        self.executor.shutdown(timeout_sec=5)
        self.robot.destroy_node()
        self.context.try_shutdown()

    # ---- the robot

    def spin_until(self, condition, what='it happens', seconds=DEADLINE_S):
        """Spin the robot until a condition holds; return its value."""
        deadline = time.monotonic() + seconds
        while not (result := condition()):
            if time.monotonic() > deadline:
                pytest.fail(f'waited {seconds:g} s until {what}')
            self.executor.spin_once(timeout_sec=0.02)
        return result

    def spin_for(self, seconds):
        """Spin for a time, where a test asserts that nothing happens."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.02)

    def wait_until_quiet(self, received, seconds):
        """Spin until nothing more has come for a time."""

        def is_quiet():
            before = len(received)
            self.spin_for(seconds)
            return len(received) == before

        self.spin_until(is_quiet, 'nothing more comes')

    def collect(self, kind, topic, qos=10):
        """Collect the messages of a topic."""
        received = []
        self.robot.create_subscription(kind, topic, received.append, qos)
        self.spin_until(lambda: self.robot.count_publishers(topic), f'{topic} has a publisher')
        return received

    def publisher(self, kind, topic, qos=10):
        """Return a publisher that has a subscriber."""
        if topic not in self.publishers:
            publisher = self.robot.create_publisher(kind, topic, qos)
            self.publishers[topic] = publisher
            self.spin_until(publisher.get_subscription_count, f'{topic} has a subscriber')
        return self.publishers[topic]

    def logged(self, text):
        """Return the lines of the node's log that contain a text."""
        return [line for line in self._log.lines() if text in line]

    def wait_for_log(self, text):
        self.spin_until(lambda: self.logged(text), f'the log says {text!r}')

    def wait_for_status(self, text, node='/ttt3r'):
        """Return the diagnostics as soon as their message contains a text."""
        name = f'{node}: mapping'

        def told():
            return name in self.statuses and text in self.statuses[name].message

        self.spin_until(told, f'the diagnostics say {text!r}')
        return self.statuses[name]

    def counts(self, node='/ttt3r'):
        """Return the newest values of the diagnostics."""
        status = self.statuses.get(f'{node}: mapping')
        return {value.key: value.value for value in status.values} if status else {}

    def wait_for_count(self, key, value, node='/ttt3r'):
        self.spin_until(
            lambda: self.counts(node).get(key) == str(value),
            f'{key!r} is {value} in the diagnostics',
        )

    def call(self, kind, service, request=None):
        """Call a service of the node."""
        client = self.robot.create_client(kind, service)
        self.spin_until(client.service_is_ready, f'{service} is there')
        future = client.call_async(request or kind.Request())
        self.spin_until(future.done, f'{service} answers')
        self.robot.destroy_client(client)
        return future.result()

    def set_parameters(self, node='/ttt3r', **values):
        from rcl_interfaces.srv import SetParameters
        from rclpy.parameter import Parameter

        request = SetParameters.Request(
            parameters=[Parameter(n, value=v).to_parameter_msg() for n, v in values.items()]
        )
        return self.call(SetParameters, f'{node}/set_parameters', request).results

    def wait_until_taken(self, node='/ttt3r'):
        """Wait until the node has what was published: it answers a request after it."""
        from rcl_interfaces.srv import ListParameters

        self.call(ListParameters, f'{node}/list_parameters')

    def now_ns(self) -> int:
        return self.robot.get_clock().now().nanoseconds

    def send_transform(self, parent, child, parent_T_child, stamp_ns=0, static=False):
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from tf2_msgs.msg import TFMessage

        from ttt3r_ros.node import messages

        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        topic, qos = ('/tf_static', latched) if static else ('/tf', QoSProfile(depth=100))
        message = messages.transform_message(np.asarray(parent_T_child), parent, child, stamp_ns)
        self.publisher(TFMessage, topic, qos).publish(TFMessage(transforms=[message]))

    def mount_camera(self, base_T_camera, base='base_link'):
        self.send_transform(base, CAMERA, base_T_camera, static=True)

    def image(self, number, stamp_ns, **changes):
        from sensor_msgs.msg import Image
        from std_msgs.msg import Header

        from ttt3r_ros.node import messages

        pixels = self.picture(number, pattern=changes.pop('pattern', 0))
        pixels[-1, -1] = np.random.default_rng(stamp_ns).integers(0, 256, 3)  # never frozen
        fields = {
            'header': Header(stamp=messages.time_message(stamp_ns), frame_id=CAMERA),
            'width': WIDTH,
            'height': HEIGHT,
            'step': 3 * WIDTH,
            'encoding': 'rgb8',
            'data': pixels.tobytes(),
        }
        return Image(**{**fields, **changes})

    def _is_heard(self) -> bool:
        """Return whether the nodes have discovered all subscriptions of the robot."""
        topics = [subscription.topic_name for subscription in self.robot.subscriptions]
        return all(
            publisher.get_subscription_count() >= topics.count(publisher.topic_name)
            for node, _, _ in self.nodes
            for publisher in node.publishers
        )

    def show(self, number, stamp_ns, topic='/image', **changes):
        """Publish an image."""
        from sensor_msgs.msg import Image

        self.spin_until(self._is_heard, 'the robot is known')
        self.publisher(Image, topic).publish(self.image(number, stamp_ns, **changes))

    def wait_for_stamp(self, received, stamp_ns):
        """Return the message with a stamp."""
        from ttt3r_ros.node import messages

        def found():
            return [m for m in received if messages.nanoseconds(m.header.stamp) == stamp_ns]

        return self.spin_until(found, f'a message of {stamp_ns} ns comes')[0]


@pytest.fixture
def rig(domain, tmp_path_factory) -> Iterator[Rig]:
    """Return a robot that can start the node."""
    log = Log(tmp_path_factory.mktemp('log') / 'stderr.txt')
    rig = Rig(domain, log)
    yield rig
    rig.close()
    log.end()


@pytest.fixture
def poses(rig):
    """Collect the poses of a node that a test starts."""
    from geometry_msgs.msg import PoseWithCovarianceStamped

    received = []
    rig.robot.create_subscription(PoseWithCovarianceStamped, '/ttt3r/pose', received.append, 10)
    return received


@pytest.fixture
def start_process(domain, tmp_path):
    """Start modules as processes of their own in the domain; they end with the test."""
    processes = []

    def start(module, **parameters):
        options = [
            option
            for name, value in parameters.items()
            for option in ('-p', f'{name}:={json.dumps(value)}')
        ]
        output = tmp_path / f'output_{len(processes)}.txt'
        with output.open('w') as file:
            process = subprocess.Popen(
                [sys.executable, '-m', module, '--ros-args', *options],
                env={**os.environ, 'ROS_DOMAIN_ID': str(domain), 'PYTHONFAULTHANDLER': '1'},
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        process.output = output
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(DEADLINE_S)
        finally:
            process.kill()
            # Captured, and shown where the test fails.
            sys.stdout.write(process.output.read_text(errors='replace'))
