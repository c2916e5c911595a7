# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where images lie in the map: key frames and wheels, and what follows for `map` to `odom`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
import threading

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import adjoint, BODY_T_OPTICAL, IDENTITY, invert, scaled, Similarity
from ttt3r_ros.graph.additions import Additions, Correction, KeyFrames
from ttt3r_ros.graph.anchor import (
    Anchor,
    flattened,
    is_planar,
    longest_step,
    near_origin,
    towards,
)
from ttt3r_ros.graph.belief import Located
from ttt3r_ros.graph.ground import find_ground, levelled
from ttt3r_ros.graph.key_frame_graph import KeyFrameGraph
from ttt3r_ros.graph.located import base_pose, camera_pose, LocatedCamera, LocatedFrame, Placed
from ttt3r_ros.graph.mount import MountCheck
from ttt3r_ros.graph.pose_graph import Motion
from ttt3r_ros.graph.rotations import exp_pose, log_pose
from ttt3r_ros.graph.stored_graph import StoredGraph
from ttt3r_ros.graph.ties import fused, Rig
from ttt3r_ros.graph.wheels import NOISES, WheelNoise
from ttt3r_ros.settings import OdometrySettings
from ttt3r_ros.tracking.followed import Followed, KeyView
from ttt3r_ros.tracking.frame import TrackedFrame
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.standstill import motion_between
from ttt3r_ros.units import NANOSECONDS

# What the pose of an image errs from its key frame beyond its covariance: turns, then metres.
TRACKING_INFLATION = 4.0
UNTRACKED = np.diag([0.003**2] * 3 + [0.005**2] * 3)
# So long the pose of the robot is that of its other cameras, where one of them is lost.
LOST_AFTER_NS = NANOSECONDS


@dataclass
class _Camera:
    """
    One camera of the robot.

    newest: its newest image, mapped: the newest that the network has seen. mount: what speaks
    against where TF has it. key_before: its newest key frame.
    """

    newest: LocatedCamera | None = None
    mapped: LocatedFrame | None = None
    mount: MountCheck = field(default_factory=MountCheck)
    key_before: KeyView | None = None


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
        self._epoch = 0
        # Where the images have the robot in `odom`, where they are the odometry: it never jumps.
        self._odometry: Array | None = None
        # Held while images are located, which two threads do, and while that begins anew.
        self._lock = threading.RLock()
        self._begin()

    def _begin(self) -> None:
        self._graph = KeyFrameGraph(self._noise())
        self._map_T_graph = IDENTITY
        self._anchor = Anchor(self._epoch, IDENTITY)
        self._cameras: defaultdict[int, _Camera] = defaultdict(_Camera)
        self._first_camera: int | None = None  # with which the map began
        self._rig = Rig()
        self._ties: list[Motion] = []  # that wait for the key frames which they tie
        self._next_key = 0
        self._newest: LocatedCamera | None = None  # of all cameras: where the robot is
        self._start_map_T_base: Array | None = None
        self._resumed: Similarity | None = None
        self._flat = True  # what came of the odometry so far is planar
        self._floor_z: float | None = None
        self._additions = Additions(self._executor)

    def _noise(self) -> WheelNoise:
        return replace(NOISES[self._settings.wheels], level=self._settings.planar != 'off')

    # ---- results

    @property
    def map_T_odom(self) -> Array | None:
        """Return where the odometry lies in the present map, (4, 4), or None while it is lost."""
        anchor = self._anchor
        return anchor.map_T_odom if anchor.epoch == self._epoch else IDENTITY

    @property
    def map_T_network(self) -> Similarity:
        """Return where the first camera's chained poses lie in the map, at its newest image."""
        mapped = self._cameras[0].mapped
        if mapped is None:
            return self._resumed or Similarity(IDENTITY)
        return Similarity.through(mapped.map_T_camera, mapped.tracked.network_T_camera, 1.0)

    @property
    def mounts(self) -> dict[int, Array | None]:
        """Return where each camera is mounted, (4, 4), by its newest image; None: nowhere."""
        cameras = self._cameras.items()
        return {i: c.newest.base_T_camera for i, c in cameras if c.newest is not None}

    def key_frames(self) -> KeyFrames:
        """Return the key frames and what connects them."""
        belief = self._graph.belief
        poses = {number: self._map_T_graph @ pose for number, pose in belief.poses.items()}
        return KeyFrames(poses, belief.loops)

    def is_current(self, located: LocatedCamera) -> bool:
        """Return whether an image belongs to the present map."""
        return located.epoch == self._epoch

    def correction(self) -> Correction | None:
        """Return what key frames have changed since the last call, None where nothing."""
        return self._additions.correction(self._graph, self._map_T_graph)

    # ---- requests of users

    @property
    def epoch(self) -> int:
        """Return the number of the present map."""
        return self._epoch

    def begin_epoch(self) -> None:
        """Outdate all images that are under way: a reset is about to follow."""
        self._epoch += 1

    def change(self, settings: OdometrySettings) -> None:
        """
        Apply the settings that may change while mapping.

        :param settings: all of them; the quality of the wheels waits for the next reset.
        """
        self._settings = settings

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
                self._resumed = map_T_network
                return
            self._graph = KeyFrameGraph.resumed(graph, self._noise())
            self._anchor = Anchor(self._epoch, None)

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
            newest = self._newest
            if self._graph.belief.lost:
                self._executor.submit(self._look_near, self._graph, map_T_base, self.mounts)
            elif newest is None:
                self._start_map_T_base = map_T_base
            else:
                self._move_map(newest, map_T_base)

    def _move_map(self, newest: LocatedCamera, map_T_base: Array) -> None:
        moved = map_T_base @ invert(newest.map_T_base)
        self._map_T_graph = moved @ self._map_T_graph
        self._anchor = Anchor(newest.epoch, map_T_base @ invert(newest.odom_T_base))
        self._newest = replace(newest, map_T_camera=camera_pose(map_T_base, newest.base_T_camera))
        for camera in self._cameras.values():
            if camera.mapped is not None:
                pose = moved @ camera.mapped.map_T_camera
                camera.mapped = replace(camera.mapped, map_T_camera=pose)
        if self._floor_z is not None:
            self._floor_z += float(moved[2, 3])
        self._additions.move_all()

    # ---- one image

    def follow(self, followed: Followed, seen: Observation, before: Array) -> LocatedCamera | None:
        """
        Compute where an image lies in the map that the network has not seen.

        :param followed: by its features.
        :param seen: the same image as it came.
        :param before: (4, 4) track_T_camera of the image before, by the same key frame.
        :returns: None before the first image that the network has seen.
        """
        with self._lock:
            camera = self._cameras[seen.camera_index]
            if camera.newest is None:
                return None
            camera.newest = replace(camera.newest, track_T_camera=before)
            self._rig.see(followed)
            return self._advanced(followed, seen, self._placed(camera, followed))

    def locate(
        self, tracked: TrackedFrame, seen: Observation, known: LocatedCamera | None = None
    ) -> LocatedFrame:
        """
        Compute where an image lies in the map.

        :param tracked: what the front end made of it.
        :param seen: the same image as it came.
        :param known: what `follow` returned for it.
        """
        with self._lock:
            followed, camera = tracked.followed, self._cameras[seen.camera_index]
            if self._newest is None and not self._graph.belief.lost:
                self._first_camera = seen.camera_index
                self._map_T_graph = self._start(tracked, seen) @ invert(tracked.track_T_camera)
            placed = self._placed(camera, followed)
            at = self._advanced(followed, seen, placed) if known is None else known
            pose = at.map_T_camera
            if at.in_map != placed.found.in_map:  # a piece was joined, or begun, meanwhile
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
                placed.doubt,
                by_wheels=placed.found.by_wheels,
            )
            if followed.new_key and seen.base_T_camera is None and self._floor_z is None:
                self._floor_z = _floor_below(located)
            camera.mapped = located = replace(located, floor_z=self._floor_z)
            self._ties += self._rig.ties(followed)
            return located

    def _placed(self, camera: _Camera, followed: Followed) -> Placed:
        """Compute where an image is by the newest estimate."""
        belief, doubt = self._graph.belief, camera.mount.doubt
        found = self._graph.locate(replace(followed, slipped=True) if doubt else followed)
        if not belief.generation and camera is not self._cameras[self._first_camera or 0]:
            found = replace(found, in_map=False)  # the map begins with another camera
        found = self._with_others(found, followed)
        in_graph = found.map_T_key
        map_T_key = Similarity(self._map_T_graph @ in_graph.a_T_b, in_graph.scale)
        key_T_camera = scaled(invert(in_graph.a_T_b) @ found.map_T_camera, 1 / in_graph.scale)
        return Placed(found, map_T_key, key_T_camera, belief, doubt or camera.mount.unit_doubt)

    def _with_others(self, found: Located, followed: Followed) -> Located:
        """Weigh where an image was taken by itself with where the other cameras were then."""
        mount = followed.key.seen.base_T_camera
        if mount is None:
            return found
        poses, covariances = [found.map_T_camera], [_weight(found.since_key, IDENTITY)]
        for other in self._rig.beside(followed):
            theirs, beside = self._graph.locate(other), other.key.seen.base_T_camera
            if beside is not None and theirs.in_map and found.in_map:
                across = invert(beside) @ mount
                poses.append(theirs.map_T_camera @ across)
                covariances.append(_weight(theirs.since_key, across))
        if len(poses) == 1:
            return found
        pose, covariance = fused(poses, covariances)
        key = found.map_T_key
        key_T_camera = scaled(invert(key.a_T_b) @ found.map_T_camera, 1 / key.scale)
        if followed.key.number in self._graph.belief.poses:  # else its key frame is off as much
            key_T_camera = key_T_camera @ scaled(invert(found.map_T_camera) @ pose, 1 / key.scale)
        return replace(
            found,
            map_T_camera=pose,
            covariance=found.covariance - found.since_key + covariance,
            map_T_key=Similarity.through(pose, key_T_camera, key.scale),
            by_wheels=True,
            since_key=covariance,
        )

    def _advanced(self, followed: Followed, seen: Observation, placed: Placed) -> LocatedCamera:
        """Follow the correction, and where there is no odometry go on with our own."""
        mount, found, newest = seen.base_T_camera, placed.found, self._newest
        before, pose = (
            self._cameras[seen.camera_index].newest,
            base_pose(placed.map_T_camera, mount),
        )
        if newest is None:
            own = pose if self._odometry is None else self._odometry
            odom_T_base = own if seen.odom_T_base is None else seen.odom_T_base
        else:
            odom_T_base, step = self._moved(newest, before, followed, seen, placed.map_T_key)
            if seen.odom_T_base is not None:
                pose = self._in_plane(pose, odom_T_base)
            elapsed_ns = max(0, followed.stamp_ns - newest.stamp_ns)
            most_m = longest_step(self._settings.correction_speed, elapsed_ns)
            if found.in_map and newest.in_map:
                pose = towards(newest.map_T_base @ step, pose, most_m)
        camera = LocatedCamera(
            followed.stamp_ns,
            self._anchor.epoch,
            camera_pose(pose, mount),
            found.covariance,
            mount,
            odom_T_base,
            followed.track_T_camera,
            found.in_map,
        )
        if before is None or before.stamp_ns <= camera.stamp_ns:
            self._cameras[seen.camera_index].newest = camera
        if self._leads(camera, seen.camera_index):
            self._odometry = odom_T_base if seen.odom_T_base is None else None
            self._anchor = Anchor(
                camera.epoch, pose @ invert(odom_T_base) if found.in_map else None
            )
            self._newest = camera
        return camera

    def _leads(self, camera: LocatedCamera, index: int) -> bool:
        """Return whether the robot is where one of its cameras has it."""
        newest = self._newest
        if newest is None:
            return True
        if newest.stamp_ns > camera.stamp_ns:  # later ones are published
            return False
        return camera.in_map or not any(
            other.newest.in_map and camera.stamp_ns - other.newest.stamp_ns < LOST_AFTER_NS
            for i, other in self._cameras.items()
            if i != index and other.newest is not None
        )

    def _moved(
        self,
        newest: LocatedCamera,
        before: LocatedCamera | None,
        followed: Followed,
        seen: Observation,
        map_T_key: Similarity,
    ) -> tuple[Array, Array]:
        """Return odom_T_base, and how the robot moved since its newest image."""
        step = IDENTITY
        if before is not None:
            metres = map_T_key.scale / float(np.exp(followed.key.log_scale))
            step = scaled(invert(before.track_T_camera) @ followed.track_T_camera, metres)
            step = base_pose(
                camera_pose(IDENTITY, before.base_T_camera) @ step, seen.base_T_camera
            )
            step = _later_part(step, before.stamp_ns, newest.stamp_ns, followed.stamp_ns)
        if seen.odom_T_base is None:  # the images are the odometry
            return newest.odom_T_base @ step, step
        if followed.slips or followed.still:
            return seen.odom_T_base, step
        return seen.odom_T_base, invert(newest.odom_T_base) @ seen.odom_T_base

    def add(self, located: LocatedFrame) -> None:
        """
        Add the image to the graph if it is a new key frame.

        :param located: the newest image of a camera.
        """
        followed = located.tracked.followed
        if followed.new_key:
            self._additions.make_room()
            key = self._checked(followed.key)
            self._next_key = key.number + 1
            self._additions.submit(self._graph.add, key)
        ties, self._ties = self._ties, []
        if ties:
            self._additions.submit(self._graph.tie, ties)

    def _checked(self, key: KeyView) -> KeyView:
        """Compare the motion to a key frame with that of the wheels, and drop them in doubt."""
        camera = self._cameras[key.seen.camera_index]
        before, camera.key_before = camera.key_before, key
        if before is not None and before.track == key.track and key.motion is not None:
            then, now = before.seen.odom_T_camera, key.seen.odom_T_camera
            by_wheels = motion_between(then, now)
            mounted = key.seen.base_T_camera is not None
            if by_wheels is not None and key.by == 'features':
                camera.mount.add_length(key.motion.key_T_camera, by_wheels)
            if by_wheels is not None and mounted and key.by == 'features' and not key.slipped:
                camera.mount.add(key.motion.key_T_camera, by_wheels)
        return replace(key, slipped=True) if camera.mount.doubt else key

    @staticmethod
    def _look_near(
        graph: KeyFrameGraph, map_T_base: Array, mounts: Mapping[int, Array | None]
    ) -> None:
        if graph.belief.lost:  # it may have been found since
            newest = graph.belief.newest_of_all
            camera = min(mounts, default=0) if newest is None else newest.camera_index
            graph.expect(camera_pose(map_T_base, mounts.get(camera)))

    def _start(self, tracked: TrackedFrame, seen: Observation) -> Array:
        """Return map_T_camera of the first image."""
        mount = seen.base_T_camera
        if self._start_map_T_base is not None:
            return camera_pose(self._start_map_T_base, mount)
        if self._resumed is not None:
            return self._resumed.pose(tracked.network_T_camera)
        if seen.odom_T_base is not None:
            return camera_pose(near_origin(seen.odom_T_base), mount)
        # A camera alone looks ahead along x, z up.
        start, up = BODY_T_OPTICAL if mount is None else mount, seen.up_camera
        if up is None and mount is None:
            ground = find_ground(tracked.pointmap, start[2, :3])
            up = None if ground is None else ground.up
        return start if up is None else levelled(start, up)

    def _in_plane(self, map_T_base: Array, odom_T_base: Array) -> Array:
        """Keep height, roll and pitch of the odometry where that is planar."""
        self._flat &= is_planar(odom_T_base)
        if not self._flat or self._settings.planar == 'off':
            return map_T_base
        return flattened(map_T_base)


def _weight(since_key: Array, across: Array) -> Array:
    """Return the covariance of an image's pose among those of others, at another camera."""
    turned = adjoint(invert(across))
    covariance: Array = turned @ (TRACKING_INFLATION * since_key + UNTRACKED) @ turned.T
    return covariance


def _later_part(motion: Array, begin_ns: int, since_ns: int, end_ns: int) -> Array:
    """
    Return the part of a motion after a time, at even speed.

    :param motion: (4, 4), from begin to end.
    :param since_ns: the time.
    """
    if since_ns == begin_ns:
        return motion
    share = (end_ns - since_ns) / (end_ns - begin_ns) if end_ns > begin_ns else 0.0
    return exp_pose(min(max(share, 0.0), 1.0) * log_pose(motion))


def _floor_below(located: LocatedFrame) -> float | None:
    """Return the height of the floor in the map, where an image shows it."""
    ground = find_ground(located.pointmap, located.map_T_camera[2, :3])
    return None if ground is None else float(located.map_T_camera[2, 3]) - ground.height
