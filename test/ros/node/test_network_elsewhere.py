# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A node whose network is on a server, which is killed and started again."""

from dataclasses import replace
import time

import cv2
from geometry_msgs.msg import PoseWithCovarianceStamped
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image

from ttt3r_ros.geometry import IDENTITY
from ttt3r_ros.intrinsics import CameraIntrinsics
from ttt3r_ros.model.predictor import HostPrediction, load_predictor, Predictor
from ttt3r_ros.node import mapping_node, messages
from ttt3r_ros.node.diagnostics import Health, Surroundings
from ttt3r_ros.node.interface import Cause
from ttt3r_ros.serving.address import Address
from ttt3r_ros.serving.leases import Leases
from ttt3r_ros.serving.optional import require_grpc
from ttt3r_ros.settings import DiagnosticsSettings, ModelSettings

WIDTH, HEIGHT, WALL, PER_METRE = 224, 160, 2.0, 120.0
CAMERA = CameraIntrinsics(WIDTH, HEIGHT, 160.0, 160.0, 111.5, 79.5)
FRAME = 'camera_optical_frame'
RATE, SPEED = 10.0, 0.1  # Hz, metres a second
RANDOM = ModelSettings(checkpoint='random')


class WallPredictor(Predictor):
    """It knows the depth of a wall; of the motion it knows nothing."""

    def step(self, rgb, state, write=True):
        prediction = HostPrediction(
            (CAMERA.rays() * WALL).astype(np.float32),
            np.full((HEIGHT, WIDTH), 5.0, np.float32),
            IDENTITY,
            np.full(20, 0.5, np.float32),
        )
        return prediction, replace(state, frames_seen=state.frames_seen + 1)


@pytest.fixture
def start_server(tmp_path):
    """Return a function that starts a server on a port."""
    require_grpc('cryptography')
    from ttt3r_ros.serving.identity import open_identity
    from ttt3r_ros.serving.offered import offer_of
    from ttt3r_ros.serving.server import Server
    from ttt3r_ros.serving.service import Service

    network = load_predictor(RANDOM)
    predictor = WallPredictor(network._network)
    predictor.architecture = replace(network.architecture, image_size=WIDTH)
    servers = []

    def start(port=0):
        service = Service(predictor, offer_of(predictor, RANDOM), Leases(2, 60.0))
        identity = open_identity(tmp_path / 'identity')
        server = Server(service, Address('127.0.0.1', port), identity, 2)
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop(0)


class Drive:
    """A camera that drives along a wall while something is waited for."""

    def __init__(self, rig):
        small = np.random.default_rng(0).uniform(20, 235, (180, 480, 3)).astype(np.float32)
        self._poster = cv2.resize(small, (2400, 900), interpolation=cv2.INTER_CUBIC).clip(0, 255)
        self._rig, self._next, self.truth = rig, time.monotonic(), {}
        self._images = rig.publisher(Image, '/image')
        self._calibration = rig.publisher(CameraInfo, '/camera_info')

    def until(self, condition, what):
        def driven():
            if time.monotonic() >= self._next:
                self._next = max(self._next + 1 / RATE, time.monotonic())
                self._film()
            return condition()

        return self._rig.spin_until(driven, what)

    def seconds(self, seconds):
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end, 'time passes')

    def _film(self):
        number, stamp_ns = len(self.truth), self._rig.now_ns()
        x = self.truth[stamp_ns] = SPEED * number / RATE
        u, v, _ = np.moveaxis(CAMERA.rays() * WALL * PER_METRE, -1, 0)
        places = (u + x * PER_METRE + 600).astype(np.float32), (v + 450).astype(np.float32)
        image = cv2.remap(self._poster, *places, cv2.INTER_LINEAR)
        image += np.random.default_rng(number).normal(0, 1.5, image.shape)
        pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        header = messages.header(stamp_ns, FRAME)
        self._calibration.publish(messages.camera_info(CAMERA, header))
        self._images.publish(messages.rgb_image(pixels, header))


def message_of(rig):
    status = rig.statuses.get('/ttt3r: mapping')
    return '' if status is None else status.message


def test_a_server_that_dies_leaves_a_degraded_robot_until_it_is_back(rig, start_server, tmp_path):
    server = start_server()
    rig.start(
        build_mapper=mapping_node.build_mapper,
        odom_frame='',
        base_frame='',
        **{
            'model.device': str(server.address),
            'model.server_access': str(tmp_path / 'identity' / 'access.json'),
            'diagnostics.stale_timeout': 0.5,
        },
    )
    poses = rig.collect(PoseWithCovarianceStamped, '/ttt3r/pose')
    drive = Drive(rig)
    drive.until(lambda: message_of(rig) == 'OK', 'images are mapped')

    server.stop(0)
    mapped = int(rig.counts()['images mapped'])
    drive.until(lambda: rig.counts().get('dropped: network is away'), 'the network is missed')
    before = len(poses)
    drive.seconds(1.5)
    assert message_of(rig).startswith('DEGRADED: grpc://127.0.0.1')
    assert int(rig.counts()['images mapped']) <= mapped + 2
    assert len(poses) - before > 3  # of 15 images, on a busy machine

    start_server(port=server.address.port)
    drive.until(lambda: message_of(rig) == 'OK', 'it goes on')
    assert int(rig.counts()['images mapped']) > mapped + 2
    # To the right is -y. The network takes the camera to stand, which has its part in the unit.
    way = {messages.nanoseconds(p.header.stamp): -p.pose.pose.position.y for p in poses}
    for stamp, x in drive.truth.items():
        if stamp in way:
            assert way[stamp] == pytest.approx(x, abs=0.03 + 0.1 * x)


def test_a_node_waits_for_its_server_and_says_for_which(rig, start_server, tmp_path):
    server = start_server()
    server.stop(0)
    rig.start(
        build_mapper=mapping_node.build_mapper,
        **{
            'model.device': str(server.address),
            'model.server_access': str(tmp_path / 'identity' / 'access.json'),
        },
    )
    rig.wait_for_status(f'STALE: {server.address} cannot be reached')
    start_server(port=server.address.port)
    rig.wait_for_log('the network is loaded: random')


@pytest.mark.parametrize(
    ('posed_s', 'arrived_s', 'expected'),
    [(0.5, 0.5, 'DEGRADED: away'), (9.0, 0.5, 'LOST: away'), (9.0, 9.0, 'STALE: /image has 1')],
)
def test_without_the_network_a_robot_is_lost_once_it_has_no_pose_either(
    posed_s, arrived_s, expected
):
    health, now = Health(), time.monotonic()
    window = health._cameras[0].window
    window.mapped.append(now - 10.0)
    window.located.append(now - posed_s)
    window.arrivals.append(now - arrived_s)
    health.dropped(Cause.NO_NETWORK, 'away')
    around = Surroundings(image_topic='/image', publishers=1)
    status = health.status('ttt3r', 'none', around, DiagnosticsSettings())
    assert status.message.startswith(expected)
