# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where images lie in the map: key frames and wheels, and what follows for `map` to `odom`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
import threading

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import IDENTITY, invert, scaled, Similarity
from ttt3r_ros.graph.additions import Additions, Correction, KeyFrames
from ttt3r_ros.graph.ground import FoundFloor, levelled
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.graph.located import camera_pose, LocatedCamera, LocatedFrame, Placed
from ttt3r_ros.graph.mount import MountCheck
from ttt3r_ros.graph.rig import Rig
from ttt3r_ros.graph.robot import Robot
from ttt3r_ros.graph.solver.pose_graph import Motion
from ttt3r_ros.graph.start import Start
from ttt3r_ros.graph.stored_graph import StoredGraph
from ttt3r_ros.graph.wheels import NOISES, WheelNoise
from ttt3r_ros.settings import OdometrySettings
from ttt3r_ros.tracking.frame import TrackedFrame
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.tracked_pose import TrackedPose


@dataclass
class _Camera:
    """
    One camera of the robot.

    mapped: its newest image that the network has seen. mount: what speaks against where TF has it.
    """

    mapped: LocatedFrame | None = None
    mount: MountCheck = field(default_factory=MountCheck)


class BackEnd:
    """
    Own the graph of key frames, and where the odometry lies in the map.

    The map begins where the odometry or an initial pose has the first image. An image is located
    by the estimate of that time; an executor adds new key frames to the graph, and `correction`
    returns what that has changed. All cameras of a robot share it: each moves the robot on from
    where another one had it.

    One thread maps; `follow`, `map_T_odom`, `epoch`, `begin_epoch` and `is_current` may be used by
    others.
    """

    def __init__(self, settings: OdometrySettings, executor: Executor) -> None:
        """
        Begin with nothing located.

        :param executor: adds key frames to the graph, one after the other.
        """
        self._settings = settings
        self._executor = executor
        self._robot = Robot(settings)
        # Held while images are located, which two threads do, and while that begins anew.
        self._lock = threading.RLock()
        self._begin()

    def _begin(self) -> None:
        self._robot.reset()
        self._graph = KeyFrameGraph(self._noise())
        self._map_T_graph = IDENTITY
        self._cameras: defaultdict[int, _Camera] = defaultdict(_Camera)
        self._first_camera: int | None = None  # with which the map began
        self._rig = Rig()
        self._ties: list[Motion] = []  # that wait for the key frames which they tie
        self._next_key = 0
        self._start = Start()
        self._floor = FoundFloor()
        self._levels = False  # whether the floor is all that shows what is up
        self._additions = Additions(self._executor)

    def _noise(self) -> WheelNoise:
        return replace(NOISES[self._settings.wheels], level=self._settings.planar != 'off')

    # ---- results

    @property
    def map_T_odom(self) -> Array | None:
        """Return where the odometry lies in the present map, (4, 4), or None while it is lost."""
        return self._robot.map_T_odom

    @property
    def map_T_network(self) -> Similarity:
        """Return where the first camera's chained poses lie in the map, at its newest image."""
        mapped = self._cameras[0].mapped
        if mapped is None:
            return self._start.map_T_network or Similarity(IDENTITY)
        return Similarity.through(mapped.map_T_camera, mapped.tracked.network_T_camera, 1.0)

    @property
    def mounts(self) -> dict[int, Array | None]:
        """Return where each camera is mounted, (4, 4), by its newest image; None: nowhere."""
        return self._robot.mounts

    def key_frames(self) -> KeyFrames:
        """Return the key frames and what connects them."""
        belief = self._graph.belief
        poses = {number: self._map_T_graph @ pose for number, pose in belief.poses.items()}
        return KeyFrames(poses, belief.loops)

    def is_current(self, located: LocatedCamera) -> bool:
        """Return whether an image belongs to the present map."""
        return self._robot.is_current(located)

    def correction(self) -> Correction | None:
        """Return what key frames have changed since the last call, None where nothing."""
        return self._additions.correction(self._graph, self._map_T_graph)

    # ---- requests of users

    @property
    def epoch(self) -> int:
        """Return the number of the present map."""
        return self._robot.epoch

    def begin_epoch(self) -> None:
        """Invalidate all images in process: a reset follows."""
        self._robot.begin_epoch()

    def change(self, settings: OdometrySettings) -> None:
        """
        Apply the settings that may change while mapping.

        :param settings: all of them; the quality of the wheels waits for the next reset.
        """
        self._settings = settings
        self._robot.change(settings)

    def close(self) -> None:
        """End the executor."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def reset(self) -> None:
        """Delete everything; key frames that are still waiting are discarded."""
        self._additions.cancel()
        with self._lock:
            self._begin()

    def stored(self) -> StoredGraph | None:
        """Return the key frames for a file, None where they cannot be recognised yet."""
        self._additions.wait()
        try:
            stored = self._graph.stored()
        except ValueError:
            return None
        return stored.moved(self._map_T_graph)

    def resume(self, map_T_network: Similarity, graph: StoredGraph | None = None) -> None:
        """
        Continue in a map that was saved.

        :param map_T_network: where the network's next poses lie in it; without a graph the
            camera is taken to be where it was.
        :param graph: of the map, by which the camera is found in it; until then it is lost.
        """
        with self._lock:
            self.reset()
            if graph is None:
                self._start = Start(map_T_network=map_T_network)
                return
            self._graph = KeyFrameGraph.resumed(graph, self._noise())
            self._robot.lose()

    @property
    def next_key(self) -> int:
        """Return the least number that the next key frame of any camera may have."""
        return max(self._graph.next_number, self._next_key)

    def place_base(self, map_T_base: Array) -> None:
        """
        Set the pose of the robot at the newest image, or at the first one.

        In the middle of a map, all of it moves along: what changes is where its frame lies. In a
        map where the camera is lost, the pose only limits the search for it.

        :param map_T_base: (4, 4).
        """
        with self._lock:
            newest = self._robot.newest
            if self._graph.belief.lost:
                self._executor.submit(self._look_near, self._graph, map_T_base, self.mounts)
            elif newest is None:
                self._start = replace(self._start, map_T_base=map_T_base)
            else:
                self._move_map(newest, map_T_base)

    def _move_map(self, newest: LocatedCamera, map_T_base: Array) -> None:
        self._levels = False  # as it was asked for
        self._robot.place(newest, map_T_base)
        self._move(map_T_base @ invert(newest.map_T_base))

    def _move(self, moved: Array) -> None:
        """Move the map; where the robot is follows as it does after a loop, unless it is set."""
        self._map_T_graph = moved @ self._map_T_graph
        for camera in self._cameras.values():
            if camera.mapped is not None:
                pose = moved @ camera.mapped.map_T_camera
                camera.mapped = replace(camera.mapped, map_T_camera=pose)
        self._floor.move(moved)
        self._additions.move_all()

    # ---- one image

    def follow(
        self, tracked_pose: TrackedPose, observation: Observation, before: Array
    ) -> LocatedCamera | None:
        """
        Compute where an image lies in the map that the network has not seen.

        :param tracked_pose: by its features.
        :param observation: the same image as it came.
        :param before: (4, 4) track_T_camera of the image before, by the same key frame.
        :returns: None before the first image that the network has seen.
        """
        with self._lock:
            if not self._robot.go_on_from(observation.camera_index, before):
                return None
            self._rig.see(tracked_pose)
            placed = self._placed(self._cameras[observation.camera_index], tracked_pose)
            others = self._rig.motions(tracked_pose, self._robot.newest, self._graph)
            return self._robot.advance(tracked_pose, observation, placed, others)

    def locate(
        self, tracked: TrackedFrame, observation: Observation, known: LocatedCamera | None = None
    ) -> LocatedFrame:
        """
        Compute where an image lies in the map.

        :param tracked: what the front end made of it.
        :param observation: the same image as it came.
        :param known: what `follow` returned for it.
        """
        with self._lock:
            tracked_pose, camera = tracked.pose, self._cameras[observation.camera_index]
            self._level()
            if self._robot.newest is None and not self._graph.belief.lost:
                self._first_camera = observation.camera_index
                self._levels = self._start.levels(observation)
                start = self._start.map_T_camera(tracked, observation)
                self._map_T_graph = start @ invert(tracked.track_T_camera)
            placed = self._placed(camera, tracked_pose)
            at = known
            if at is None:
                others = self._rig.motions(tracked_pose, self._robot.newest, self._graph)
                at = self._robot.advance(tracked_pose, observation, placed, others)
            pose = at.map_T_camera
            if at.in_map != placed.found.in_map:  # a submap was joined, or begun, meanwhile
                pose = placed.map_T_camera
            located = LocatedFrame(
                at.stamp_ns,
                at.epoch,
                pose,
                placed.found.covariance,
                at.base_T_camera,
                at.odom_T_base,
                at.track_T_camera,
                placed.found.in_map,
                tracked,
                placed.map_T_key,
                placed.key_T_camera,
                placed.belief,
                placed.doubt or tracked.doubt,
                by_wheels=placed.found.by_wheels,
            )
            if observation.base_T_camera is None:
                if tracked_pose.new_key and located.in_map:
                    self._floor.see(located.pointmap, placed.map_T_camera)
                located = replace(located, floor_z=self._floor.z)
            camera.mapped = located
            self._ties += self._rig.ties(tracked_pose)
            return located

    def _level(self) -> None:
        """Turn the map about where the camera was, so that the floors that were seen are level."""
        newest, up = self._robot.newest, self._floor.leaning_up
        if self._levels and newest is not None and newest.in_map and up is not None:
            map_T_camera = newest.map_T_camera
            level = levelled(map_T_camera, map_T_camera[:3, :3].T @ up)
            self._move(level @ invert(map_T_camera))

    def _placed(self, camera: _Camera, tracked_pose: TrackedPose) -> Placed:
        """Compute where an image is by the newest estimate."""
        belief, doubt = self._graph.belief, camera.mount.doubt
        found = self._graph.locate(replace(tracked_pose, slipped=True) if doubt else tracked_pose)
        if not belief.generation and camera is not self._cameras[self._first_camera or 0]:
            found = replace(found, in_map=False)  # the map begins with another camera
        found = self._rig.weighed(found, tracked_pose, self._graph)
        in_graph = found.map_T_key
        map_T_key = Similarity(self._map_T_graph @ in_graph.a_T_b, in_graph.scale)
        key_T_camera = scaled(invert(in_graph.a_T_b) @ found.map_T_camera, 1 / in_graph.scale)
        return Placed(found, map_T_key, key_T_camera, belief, doubt or camera.mount.unit_doubt)

    def add(self, located: LocatedFrame) -> None:
        """
        Add the image to the graph if it is a new key frame.

        :param located: the newest image of a camera.
        """
        tracked_pose = located.tracked.pose
        if tracked_pose.new_key:
            self._additions.make_room()
            key = self._cameras[tracked_pose.key.view.camera_index].mount.check(tracked_pose.key)
            self._next_key = key.number + 1
            self._additions.submit(self._graph.add, key)
        ties, self._ties = self._ties, []
        if ties:
            self._additions.submit(self._graph.tie, ties)

    @staticmethod
    def _look_near(
        graph: KeyFrameGraph, map_T_base: Array, mounts: Mapping[int, Array | None]
    ) -> None:
        if graph.belief.lost:  # it may have been found since
            newest = graph.belief.newest_of_all
            camera = min(mounts, default=0) if newest is None else newest.camera_index
            graph.expect(camera_pose(map_T_base, mounts.get(camera)))
