# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""From images to a map: the whole algorithm, a line a step."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace
import time

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import IDENTITY, invert, Similarity
from ttt3r_ros.graph.additions import KeyFrames, SynchronousExecutor
from ttt3r_ros.graph.back_end import BackEnd
from ttt3r_ros.graph.located import LocatedCamera, LocatedFrame
from ttt3r_ros.mapping.heap import keep_free_memory, return_free_memory
from ttt3r_ros.mapping.storage import fitting_state, MapFileError, StoredMap, StoredTrack
from ttt3r_ros.mapping.trail import Trail
from ttt3r_ros.mapping.world_map import MapImage, WorldMap
from ttt3r_ros.model.elsewhere import StateElsewhere
from ttt3r_ros.model.state import RecurrentState
from ttt3r_ros.settings import MappingSettings, TrackingSettings
from ttt3r_ros.tracking.follower import EarlyPose, Follower
from ttt3r_ros.tracking.guard import Guard, OpenGuard
from ttt3r_ros.tracking.observation import Observation
from ttt3r_ros.tracking.prepared import PreparedImage
from ttt3r_ros.tracking.segmented_network import FramePredictor, NetworkState
from ttt3r_ros.tracking.segments import Segment
from ttt3r_ros.tracking.tracker import Tracker, TrackerState
from ttt3r_ros.trajectory import Trajectory

# After so many images memory that is free is returned, which takes some milliseconds.
TRIMMED_EVERY = 100

PARTED = -1  # in place of a track: of key frames that have lost their place in the map


@dataclass(frozen=True, eq=False)
class FollowedImage:
    """
    An image whose features are tracked, before the network has processed it.

    observation: as it came. prepared: the image for the network. camera: where it was taken,
    None where neither features nor wheels show it.
    """

    observation: Observation
    prepared: PreparedImage
    camera: LocatedCamera | None


class _Camera:
    """The front end of one camera: nothing of it depends on the others."""

    def __init__(
        self,
        predictor: FramePredictor,
        settings: TrackingSettings,
        guard: type[Guard],
        epoch: int,
    ) -> None:
        """
        Begin with no image.

        :param predictor: the network, which all cameras share.
        :param guard: decides which images and predictions are refused.
        :param epoch: of the map.
        """
        self.guard = guard(settings)
        self.tracker = Tracker(predictor, settings)
        self.follower = Follower(self.tracker)
        self.followed_epoch = epoch

    def reset(self) -> None:
        """Delete everything but what was followed, which another thread has."""
        self.guard.reset()
        self.tracker.reset()


class Mapper:
    """
    Map the images of the cameras of one robot, in constant memory.

    Each camera has a tracker and a state of its own; all share the network, the key frames, the
    map, and where the odometry lies in it. A robot with one camera is the rig of one.

    `observe` locates an image, and its result may be published at once; `integrate` does the
    rest. A refused image changes nothing. One thread maps; `map_T_odom`, `epoch`, `begin_epoch`
    and `is_current` may be used by others.

    Where the network is slower than the camera, a second thread calls `follow` with each image,
    and the first one `complete` with the newest of them, instead of `observe`.
    """

    def __init__(
        self,
        predictor: FramePredictor,
        settings: MappingSettings,
        guard: type[Guard] | None = None,
        executor: Executor | None = None,
    ) -> None:
        """
        Begin with an empty map.

        :param predictor: the network.
        :param settings: values left to the network are taken from its checkpoint.
        :param guard: decides which images and predictions are refused; None: by the settings.
        :param executor: adds key frames to the graph, one after the other; None: `integrate` does.
        :raises CheckpointError: when those of the checkpoint are invalid.
        """
        self.predictor = predictor
        tracking = predictor.advise(settings.tracking)
        self._settings = settings = replace(settings, tracking=tracking)
        self._guard = guard or (Guard if tracking.guard else OpenGuard)
        self._cameras: dict[int, _Camera] = {}
        self._back_end = BackEnd(settings.odometry, executor or SynchronousExecutor())
        self._map = WorldMap(settings)
        self._apart: dict[int, WorldMap] = {}  # of tracks that have no place in the map yet
        self._trail = Trail()
        self._pending: LocatedFrame | None = None
        self._follows_only = False
        keep_free_memory()

    def observe(self, observation: Observation) -> LocatedFrame:
        """
        Locate one image.

        :raises UserError: BadImage, BadStamp, CalibrationError, BadPrediction, RefusedImage or
            RefusedPrediction.
        """
        camera = self._camera(observation.camera_index)
        write, next_key = not self._follows_only, self._back_end.next_key
        camera.guard.before(observation)
        tracked, state = camera.tracker.look(observation, write, next_key)
        camera.guard.after(tracked, observation)
        camera.tracker.keep(state)
        self._pending = located = self._back_end.locate(tracked, observation)
        return located

    def _camera(self, index: int) -> _Camera:
        """Return the front end of a camera, which begins with its first image."""
        if index not in self._cameras:
            tracking, epoch = self._settings.tracking, self._back_end.epoch
            self._cameras[index] = _Camera(self.predictor, tracking, self._guard, epoch)
        return self._cameras[index]

    def follow(self, observation: Observation) -> FollowedImage:
        """
        Locate one image by its features alone; in a thread of its own, or before `complete`.

        :raises UserError: BadImage, CalibrationError or RefusedImage.
        """
        camera, epoch = self._camera(observation.camera_index), self._back_end.epoch
        if epoch != camera.followed_epoch:
            camera.follower.reset()
            camera.followed_epoch = epoch
        camera.guard.before(observation)
        early = camera.follower.look(observation)
        located = self._located(early, observation, camera.guard)
        if located is not None:
            camera.follower.keep(early)
        return FollowedImage(observation, early.prepared, located)

    def _located(
        self, early: EarlyPose, observation: Observation, guard: Guard
    ) -> LocatedCamera | None:
        """Locate what was followed, unless nothing can move so."""
        tracked_pose, before = early.pose, early.before
        if tracked_pose is None or before is None or guard.motion_fault(before, tracked_pose):
            return None
        return self._back_end.follow(tracked_pose, observation, before.track_T_camera)

    def complete(self, image: FollowedImage) -> LocatedFrame:
        """
        Locate one image that was followed, and prepare its points; instead of `observe`.

        :raises UserError: BadStamp, BadPrediction or RefusedPrediction.
        """
        observation, known = image.observation, image.camera
        if known is not None and not self.is_current(known):
            known = None
        camera = self._camera(observation.camera_index)
        write, next_key = not self._follows_only, self._back_end.next_key
        tracked, state = camera.tracker.complete(image.prepared, write, next_key)
        camera.guard.after(tracked, observation)
        camera.tracker.keep(state)
        self._pending = located = self._back_end.locate(tracked, observation, known)
        return located

    def integrate(self) -> None:
        """Add the newest image to the map, and prepare for the next one."""
        located, self._pending = self._pending, None
        if located is None:
            return
        self._trail.add(located)
        if not located.tracked.pose.still:
            self._back_end.add(located)
            if not self._follows_only:
                self._map_of(located).add(MapImage.of(located))
                self._camera(located.tracked.view.camera_index).tracker.look_ahead()
        self.correct()
        if self.frames % TRIMMED_EVERY == 0:
            return_free_memory()

    def _map_of(self, located: LocatedFrame) -> WorldMap:
        """Return the map of the track, which is one of its own while it has no place."""
        if located.in_map:
            return self._map
        track = located.tracked.pose.key.track
        return self._apart.setdefault(track, WorldMap(self._settings))

    def correct(self) -> bool:
        """Move map and path by the newest estimate of the key frames; return whether they did."""
        correction = self._back_end.correction()
        if correction is None:
            return False
        self._trail.move(correction)
        for one in (self._map, *self._apart.values()):
            one.forget(correction.dropped)
            for removed in correction.removed:
                one.hand_over(removed.number, removed.successor, removed.similarity())
        if correction.parted:
            parted = self._apart.setdefault(PARTED, WorldMap(self._settings))
            parted.adopt(self._map, correction.parted)
        for track, apart in list(self._apart.items()):
            self._map.adopt(apart, correction.map_T_key)
            if not len(apart):
                del self._apart[track]
        self._map.move(correction.map_T_key, correction.bends)
        return True

    def catch_up(self, seconds: float) -> None:
        """
        Move the map to where it belongs while no image comes.

        :param seconds: about so long at most.
        """
        self.correct()
        end = time.monotonic() + seconds
        while not self._map.follows and time.monotonic() < end:
            self._map.follow()

    # ---- results

    @property
    def frames(self) -> int:
        """Return the number of images of all cameras since the reset."""
        return sum(camera.tracker.state.frames for camera in list(self._cameras.values()))

    @property
    def state(self) -> TrackerState:
        """Return the state of the first camera, which is immutable."""
        return self._camera(0).tracker.state

    @property
    def settings(self) -> MappingSettings:
        """Return the settings in use, with the values of the checkpoint."""
        return self._settings

    @property
    def map(self) -> WorldMap:
        """Return the map."""
        return self._map

    @property
    def trail(self) -> Trail:
        """Return the path of the cameras."""
        return self._trail

    @property
    def base_T_camera(self) -> Array | None:
        """Return where the first camera is mounted, (4, 4), by its newest image; None: nowhere."""
        return self._back_end.mounts.get(0)

    def path_of_base(self) -> Trajectory:
        """Return the path of the robot; without a robot, of the camera."""
        mounts = self._back_end.mounts.items()
        return self._trail.trajectory({i: invert(m) for i, m in mounts if m is not None})

    def key_frames(self) -> KeyFrames:
        """Return the key frames and what connects them."""
        return self._back_end.key_frames()

    @property
    def map_T_odom(self) -> Array | None:
        """Return the pose of the odometry's frame in the present map, (4, 4); None: unknown."""
        return self._back_end.map_T_odom

    @property
    def network_name(self) -> str:
        """Return the hash of the network's weights, or their name where there is no file."""
        return self.predictor.checkpoint_sha256 or self.predictor.checkpoint_name

    # ---- requests of users

    @property
    def epoch(self) -> int:
        """Return the number of the present map."""
        return self._back_end.epoch

    def begin_epoch(self) -> None:
        """Invalidate all images in process: a reset follows."""
        self._back_end.begin_epoch()

    def is_current(self, located: LocatedCamera) -> bool:
        """Return whether an image belongs to the present map."""
        return self._back_end.is_current(located)

    def close(self) -> None:
        """End the executor; key frames that are still waiting are discarded."""
        self._back_end.close()

    def reset(self) -> None:
        """Delete everything."""
        for camera in self._cameras.values():
            camera.reset()
        self._back_end.reset()
        self._map = WorldMap(self._settings)
        self._apart = {}
        self._trail.reset()
        self._pending = None
        self._follows_only = False

    def change(self, settings: MappingSettings) -> None:
        """
        Apply the settings that may change while mapping.

        :param settings: all of them; the others wait for the next reset.
        """
        self._settings = replace(settings, tracking=self._settings.tracking)
        self._back_end.change(settings.odometry)
        self._map.change(settings)

    def follow_only(self, wanted: bool) -> None:
        """
        Locate images without changing the map (true), or map again.

        :param wanted: has no effect without a map.
        """
        self._follows_only = wanted and self.frames > 0

    def place_base(self, map_T_base: Array) -> None:
        """
        Set the pose of the robot at the newest image, or at the first one.

        :param map_T_base: (4, 4), metres.
        """
        self._back_end.place_base(map_T_base)

    def stored(self) -> StoredMap:
        """
        Return the contents of a map file.

        :raises NetworkLost: when the state of the network is elsewhere and cannot be had.
        """
        state, grid = self.state, self._map.grid
        track, recurrent, segment = None, state.network.recurrent, state.network.segment
        if isinstance(recurrent, StateElsewhere):
            recurrent = recurrent.fetched()
        if isinstance(recurrent, RecurrentState):
            map_T_world = self._back_end.map_T_network.after(segment.track_T_world)
            track = StoredTrack(recurrent, map_T_world, segment.number, state.frames)
        return StoredMap(
            self._map.voxels.points(),
            self.network_name,
            track,
            grid.occupancy() if len(grid) else None,
            self._back_end.stored(),
        )

    def resume(self, stored: StoredMap) -> None:
        """
        Continue with a saved map; one that does not fit changes nothing.

        :raises MapFileError: when other weights made it.
        :raises NetworkLost: when the network is elsewhere and cannot be asked.
        :raises OccupancyError: when the cells of its grid have another size.
        """
        if stored.network != self.network_name:
            raise MapFileError(
                f'the map was made with the weights {stored.network}, in use are '
                f'{self.network_name}: start with the same checkpoint'
            )
        resumed = WorldMap(self._settings)
        resumed.resume(stored.cloud, stored.occupancy)
        track = stored.track
        state = None
        if track is not None:
            recurrent = fitting_state(track.network, self.predictor.initial_state())
            network = NetworkState(recurrent, Segment(track.segment, Similarity(IDENTITY)))
            state = TrackerState(network, frames=track.frames)
        self.reset()
        self._map = resumed
        if track is not None and state is not None:
            self._back_end.resume(track.map_T_world, stored.graph)
            self._camera(0).tracker.keep(state)
