# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What tests of several rooms share."""

from importlib.util import find_spec
import itertools
import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
ROS_TESTS = 'test/ros/'

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
def located_frame():
    """Return a function that makes the result for an image, out of what a test names."""
    import numpy as np

    from ttt3r_ros.geometry import IDENTITY, Similarity
    from ttt3r_ros.graph.belief import Belief, LoopCounts
    from ttt3r_ros.graph.located import LocatedFrame
    from ttt3r_ros.image_fit import ImageFit
    from ttt3r_ros.intrinsics import CameraIntrinsics
    from ttt3r_ros.tracking.features import begin
    from ttt3r_ros.tracking.frame import Pointmap, TrackedFrame
    from ttt3r_ros.tracking.tracked_pose import KeyView, TrackedPose, View

    def make(
        index=0,
        segment=0,
        points=None,
        confidence=5.0,
        map_T_camera=IDENTITY,
        key=0,
        map_T_key=None,
        key_T_camera=None,
        focal_px=500.0,
        base_T_camera=None,
    ):
        if points is None:
            points = np.array([[[0.0, 0, 1], [0, 0, 2]]])
        shape = points.shape[:2]
        pointmap = Pointmap(
            points.astype(np.float32),
            np.full(shape, confidence, np.float32),
            np.full((*shape, 3), 80, np.uint8),
        )
        view = View(10**9 + index, pointmap.colors, np.eye(3))
        tracks = begin(np.zeros((16, 16), np.uint8))
        key_view = KeyView(key, view, tracks, np.empty(0), None, 'nothing', IDENTITY, 0.0)
        tracked_pose = TrackedPose(
            10**9 + index, key_view, IDENTITY, np.eye(6), 'features', False, False, 9
        )
        fit = ImageFit.for_image(64, 48, 64, 16)
        camera = CameraIntrinsics(64, 48, focal_px, focal_px, 31.5, 23.5)
        tracked = TrackedFrame(
            index,
            segment,
            view,
            tracked_pose,
            1.0,
            pointmap,
            fit,
            camera,
            np.full(4, 0.5, np.float32),
        )
        belief = Belief(
            Similarity(IDENTITY), 0, None, {}, {}, {}, False, (), LoopCounts(), np.eye(6)
        )
        key_T_camera = map_T_camera if key_T_camera is None else key_T_camera
        map_T_key = Similarity(IDENTITY) if map_T_key is None else map_T_key
        return LocatedFrame(
            tracked.stamp_ns, 0, map_T_camera, np.eye(6), base_T_camera, IDENTITY, IDENTITY, True,
            tracked, map_T_key, key_T_camera, belief, '',
        )  # fmt: skip

    return make


@pytest.fixture(scope='session')
def ros_domain() -> int:
    """Isolate the ROS 2 traffic of this process; return its domain id."""
    domain = 215 + os.getpid() % 18  # those of test/ros are below
    os.environ['ROS_DOMAIN_ID'] = str(domain)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    return domain


def pytest_report_header() -> str:
    """Return whether the tests on ROS 2 run."""
    if find_spec('rclpy') is None:
        return 'ROS 2: none; its tests are left out'
    return f'ROS 2: {find_spec("rclpy").origin}'


def _scope(nodeid: str) -> str:
    """Return what runs in one process: a file, whose fixtures are shared, or all tests of ROS."""
    return ROS_TESTS if nodeid.startswith(ROS_TESTS) else nodeid.split('::')[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Distribute the tests over processes; those of ROS begin, in one."""
    from xdist.scheduler import LoadScopeScheduling

    class ScopeScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _scope(nodeid)

    config.option.loadscopereorder = False
    return ScopeScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Take the tests of ROS first, and skip those for which there is no device or processor.

    One process has all of ROS, since they wait for answers; the others have the rest meanwhile.
    Those that need something are marked `gpu` and `int8`.
    """
    items.sort(key=lambda item: _scope(item.nodeid) != ROS_TESTS)
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


@pytest.fixture(scope='session')
def drive_map():
    """Return a function that makes the map of a drive in a circle through a round room."""
    import numpy as np

    from ttt3r_ros.geometry import (
        BODY_T_OPTICAL,
        invert,
        rotation_about,
        scaled,
        Similarity,
        transform,
        transform_points,
    )
    from ttt3r_ros.graph.belief import LoopCounts
    from ttt3r_ros.graph.chain import Measurements
    from ttt3r_ros.graph.closure import FeaturePoints
    from ttt3r_ros.graph.keyframes import KeyFrame
    from ttt3r_ros.graph.places import Vocabulary
    from ttt3r_ros.graph.solver.pose_graph import Estimate, Motion, ScaleStep
    from ttt3r_ros.graph.stored_graph import StoredGraph
    from ttt3r_ros.mapping.storage import StoredMap
    from ttt3r_ros.mapping.voxels import VoxelCloud
    from ttt3r_ros.tracking.local_features import LocalFeatures

    camera = np.array([[160.0, 0, 111.5], [0, 160.0, 79.5], [0, 0, 1]])

    def place(step):
        angle = np.pi * step / 18
        turn = rotation_about([0, 0, 1], angle + 0.5 * np.pi)
        return transform(turn, [2 * np.cos(angle), 2 * np.sin(angle), 0]) @ BODY_T_OPTICAL

    def make(steps, own_T_world=None, room=0):
        """
        Return a map in a frame and a unit of its own, which the key frames measure exactly.

        steps: of 10 degrees around the circle. own_T_world: a similarity. room: seed of what is
        to be seen; its cloud are the points that were seen.
        """
        own_T_world = own_T_world or Similarity(np.eye(4))
        rng = np.random.default_rng(room)
        angle, away = rng.uniform(0, 2 * np.pi, 3000), rng.uniform(4.0, 5.5, 3000)
        height = rng.uniform(-1.2, 1.2, 3000)
        world = np.stack([away * np.cos(angle), away * np.sin(angle), height], axis=1)
        descriptors = rng.integers(0, 150, (3000, 128), dtype=np.uint8)
        views, all_seen = [], set()
        for step in steps:
            points = transform_points(invert(place(step)), world)
            with np.errstate(divide='ignore', invalid='ignore'):
                px = points[:, :2] / points[:, 2:] * 160.0 + camera[:2, 2]
            inside = (points[:, 2] > 0.5) & ((px > 1) & (px < [222, 158])).all(axis=1)
            seen = np.flatnonzero(inside)[:200]
            all_seen |= set(seen.tolist())
            features = LocalFeatures(px[seen].astype(np.float32), descriptors[seen])
            views.append(FeaturePoints(features, points[seen], camera))
        vocabulary = Vocabulary.learned([view.features.descriptors for view in views])
        poses = own_T_world.pose(np.stack([place(step) for step in steps]))
        unit = own_T_world.scale
        motions = [scaled(invert(a) @ b, 1 / unit) for a, b in itertools.pairwise(poses)]
        sure = np.diag([0.01**2] * 3 + [0.02**2] * 3)
        links = [
            (Motion(n, n + 1, motion, sure), ScaleStep(n, n + 1, 0.0, 0.05))
            for n, motion in enumerate(motions)
        ]
        frames = [
            KeyFrame(
                n, 10**9 * n, invert(poses[0]) @ pose, float(np.log(unit)), None, None, view,
                vocabulary.describe(view.features.descriptors), None, True,
            )
            for n, (pose, view) in enumerate(zip(poses, views))
        ]  # fmt: skip
        count = len(frames)
        graph = StoredGraph(
            tuple(frames), Estimate(poses, np.full(count, np.log(unit))), (0,) * count,
            Measurements(visual=tuple(links)), (), vocabulary, LoopCounts(), poses[0], count,
        )  # fmt: skip
        points = world[sorted(all_seen)] * unit @ own_T_world.a_T_b[:3, :3].T
        points = (points + own_T_world.a_T_b[:3, 3]).astype(np.float32)
        colors = np.full(points.shape, 90 + 20 * room, np.uint8)
        cloud = VoxelCloud(points, colors, np.full(len(points), 5.0, np.float32))
        return StoredMap(cloud, 'weights', graph=graph)

    make.place = place
    return make
