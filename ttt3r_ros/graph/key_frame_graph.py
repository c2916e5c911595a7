# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is believed of all key frames, and with it of the newest image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ttt3r_ros.arrays import Array
from ttt3r_ros.geometry import invert, rotation_angle, scaled, Similarity
from ttt3r_ros.graph.closure import adjoint, Closure, verify
from ttt3r_ros.graph.keyframes import KeyFrame
from ttt3r_ros.graph.places import Vocabulary
from ttt3r_ros.graph.pose_graph import (
    Estimate,
    joint_covariance,
    Motion,
    PoseGraph,
    ScaleFix,
    ScaleStep,
)
from ttt3r_ros.graph.relocalisation import KnownPlaces
from ttt3r_ros.graph.rotations import exp_pose, log_pose
from ttt3r_ros.graph.thinning import Heir, joined, joined_step, most_covered
from ttt3r_ros.graph.wheels import camera_motion, NOISES, WheelNoise
from ttt3r_ros.graph.window import adjust, relative_covariance, Sight
from ttt3r_ros.tracking.following import Followed, KeyView, scale_ratio

MOST_KEYS = 500
USUAL_WHEELS = NOISES['usual']
WINDOW = 8
ROUNDS, ROUNDS_AFTER_LOOP = 2, 6
MOVING = 40  # newest key frames that move while no loop is closed

# Of the log scale of a key frame's depth against the one before, and by the floor.
STEP_SIGMA, ADJUSTED_STEP_SIGMA = 0.06, 0.04
FLOOR_SIGMA = 0.07
# The floor is nearer than what else is seen, and there the depth is a little too short.
FLOOR_BIAS = 0.03

# What adjusted key frames err beyond their covariance, which takes errors for independent.
INFLATION = 6.0
LIVE_INFLATION = 4.0
LEAST_TURN_SIGMA, LEAST_SHIFT_SIGMA = 0.002, 0.005

# Without calibration the focal length errs by this share, the same in so many key frames.
FOCAL_SIGMA, FOCAL_STEPS = 0.1, 10.0
FOCAL_LOOP_SIGMA = 0.1  # radians and metres of a loop

# The network's own motion from key frame to key frame.
NETWORK_TURN_SIGMA, NETWORK_SHIFT_SIGMA, NETWORK_SHARE = np.radians(1.9), 0.05, 0.1
NETWORK_KERNEL = 1.0
LEAST_SHARED = 20  # features of two key frames, so that they are adjusted together

VOCABULARY_KEYS = 10
RECENT_KEYS = 9  # share features with the newest one anyway
CANDIDATES = 3
LOOP_KERNEL = 1.0
LOOP_RATIO_SIGMA = 0.06
# A loop must lie within what the path may have drifted, and agree with the others afterwards.
MOST_SURPRISE = 25.0  # chi2 of six numbers
DRIFT_ALLOWANCE = 4.0  # on its variance: errors of key frames that follow each other go together
MOST_SIGMAS_AFTER = 6.0


@dataclass(frozen=True, eq=False)
class Located:
    """
    Where an image is in the map.

    map_T_camera: (4, 4). covariance: (6, 6) of rotation and translation to the right of it, since
    the newest key frame. log_scale: to be added to the log depth of the network's image.
    """

    map_T_camera: Array
    covariance: Array
    log_scale: float


@dataclass(frozen=True)
class LoopCounts:
    """How many loops were tried, accepted, and rejected after they had been accepted."""

    tried: int = 0
    accepted: int = 0
    rejected: int = 0


@dataclass(frozen=True, eq=False)
class Belief:
    """
    All that others may read, replaced as a whole.

    correction: map_T_track, right at the newest key frame. generation: counts the corrections.
    newest: key frame, None before the first. poses: map_T_camera of each key frame, log_scales
    alike. loops: pairs of key frames. counts: of loops.
    """

    correction: Similarity
    generation: int
    newest: KeyFrame | None
    poses: Mapping[int, Array]
    log_scales: Mapping[int, float]
    loops: tuple[tuple[int, int], ...]
    counts: LoopCounts


@dataclass(frozen=True, eq=False)
class Change:
    """
    What a new key frame has changed.

    jump: metres by which the correction moved the newest camera. closed: whether a loop was
    closed, which moves older key frames too. gone: a key frame that went, or None.
    """

    jump: float
    closed: bool
    gone: Heir | None


class KeyFrameGraph:
    """
    Key frames, what was measured between them, and what follows.

    `add` takes its time and belongs to one thread; `locate` only reads the newest belief and may
    be called from any other.
    """

    def __init__(
        self,
        wheels: WheelNoise = USUAL_WHEELS,
        start: Array | None = None,
        most_keys: int = MOST_KEYS,
    ) -> None:
        """
        Begin with nothing.

        :param wheels: how good they are.
        :param start: (4, 4) map_T_camera of the first key frame; None: the map begins there.
        :param most_keys: key frames that are kept, at most.
        """
        self._wheels = wheels
        self._most_keys = most_keys
        self._start = np.eye(4) if start is None else start
        self._keys: dict[int, KeyFrame] = {}
        self._recent: list[KeyView] = []
        self._sights: dict[int, Sight] = {}
        # Each by the key frame from which it leads to the next.
        self._visual: dict[int, tuple[Motion, ScaleStep | None]] = {}
        self._by_wheels: dict[int, Motion] = {}
        self._by_network: dict[int, Motion] = {}
        self._fixes: dict[int, ScaleFix] = {}
        self._loops: dict[tuple[int, int], tuple[Motion, Motion, ScaleStep]] = {}
        self._vocabulary: Vocabulary | None = None
        self._numbers: list[int] = []
        self._estimate = Estimate(np.empty((0, 4, 4)), np.empty(0))
        self._belief = Belief(Similarity(self._start), 0, None, {}, {}, (), LoopCounts())

    @property
    def belief(self) -> Belief:
        """Return what is believed now; it does not change any more."""
        return self._belief

    def locate(self, followed: Followed, odom_T_base: Array | None = None) -> Located:
        """
        Compute where an image is, by what is believed now.

        :param followed: by the tracker.
        :param odom_T_base: (4, 4) at the image, or None.
        """
        belief, key = self._belief, followed.key
        seen, covariance = key.seen, followed.covariance
        then = seen.odom_T_base
        pose = belief.poses.get(key.number)
        if pose is not None:
            log_scale = belief.log_scales[key.number]
            motion = scaled(followed.key_T_camera, float(np.exp(log_scale)))
        elif belief.newest is None:
            log_scale, pose, motion = key.log_scale, self._start, followed.track_T_camera
        else:  # the key frame has not been thought about yet: go on from one that has
            newest = belief.newest
            log_scale = key.log_scale + float(np.log(belief.correction.scale))
            pose, then = belief.poses[newest.number], newest.odom_T_base
            motion = scaled(
                invert(newest.track_T_camera) @ followed.track_T_camera,
                belief.correction.scale,
            )
            covariance = covariance + (0.0 if key.motion is None else key.motion.covariance)
        if odom_T_base is not None and then is not None and seen.base_T_camera is not None:
            by_wheels = camera_motion(seen.base_T_camera, then, odom_T_base)
            motion, covariance = _fused(
                motion, covariance, by_wheels, self._wheels, seen.base_T_camera
            )
        return Located(pose @ motion, covariance, log_scale)

    def add(self, key: KeyView) -> Change:
        """
        Take a key frame and think.

        :param key: by the tracker, one after the other.
        """
        before = self._belief.correction
        frame = KeyFrame.of(key)
        self._begin_node(key, frame)
        self._adjust_window()
        self._add_wheels(frame)
        closed = self._close_loops(frame)
        if closed:
            self._optimise()
            self._reject_loops()
        else:
            self._optimise_recent()
        gone = self._thin()
        self._publish()
        return Change(_jump(before, self._belief.correction, frame.track_T_camera), closed, gone)

    def known_places(self) -> KnownPlaces:
        """
        Return what another run needs to find itself in this map.

        :raises ValueError: when there are too few key frames for a vocabulary.
        """
        if self._vocabulary is None:
            raise ValueError(f'a map needs {VOCABULARY_KEYS} key frames to be recognised')
        belief = self._belief
        return KnownPlaces(dict(self._keys), belief.poses, belief.log_scales, self._vocabulary)

    def _begin_node(self, key: KeyView, frame: KeyFrame) -> None:
        """Put the key frame where it was measured from the one before."""
        pose, log_scale = self._start, 0.0
        if frame.floor is not None:
            said = frame.floor.log_scale + FLOOR_BIAS
            self._fixes[key.number] = ScaleFix(key.number, said, FLOOR_SIGMA)
        if not self._recent:
            log_scale = next((fix.log_scale for fix in self._fixes.values()), 0.0)
        elif key.motion is not None:
            old = self._recent[-1]
            old_scale = float(self._estimate.log_scales[-1])
            motion = scaled(key.motion.key_T_camera, float(np.exp(old_scale)))
            pose = self._estimate.poses[-1] @ motion
            ratio = scale_ratio(old, key.tracks, key.log_depth, key.motion.key_T_camera)
            log_scale = 0.9 * old_scale if ratio is None else old_scale + ratio
            covariance = key.motion.covariance + _least()
            covariance += self._unknown_focal(key.number, key.motion.key_T_camera, frame)
            step = None
            if ratio is not None:
                step = ScaleStep(old.number, key.number, ratio, STEP_SIGMA)
            measured = key.motion.key_T_camera
            if key.by != 'features' and (again := self._compared(old.number, frame)):
                measured, covariance = (
                    again.here_T_there.key_T_camera,
                    again.here_T_there.covariance,
                )
                step = ScaleStep(old.number, key.number, again.log_ratio, STEP_SIGMA)
                pose = self._estimate.poses[-1] @ scaled(measured, float(np.exp(old_scale)))
                log_scale = old_scale + again.log_ratio
            self._visual[old.number] = (
                Motion(old.number, key.number, measured, covariance),
                step,
            )
            self._add_network(old, key)
        level = None
        if frame.floor is not None:
            f = frame.floor
            level = np.array([f.log_scale, f.across, f.down, f.sigma])
        self._sights[key.number] = Sight(
            pose,
            log_scale,
            np.zeros(2),
            key.seen.camera,
            key.tracks.number,
            key.tracks.px,
            key.log_depth,
            level,
        )
        self._keys[key.number] = frame
        self._numbers.append(key.number)
        self._estimate = Estimate(
            np.concatenate([self._estimate.poses, pose[None]]),
            np.append(self._estimate.log_scales, log_scale),
        )
        self._recent = [*self._recent, key][-WINDOW:]

    def _unknown_focal(self, number: int, motion: Array, frame: KeyFrame | None = None) -> Array:
        """Return what is to be added to a covariance when the focal length is an estimate."""
        if (self._keys[number] if frame is None else frame).focal_known:
            return np.zeros((6, 6))
        turn = FOCAL_SIGMA * float(rotation_angle(motion[:3, :3]))
        shift = FOCAL_SIGMA * float(np.linalg.norm(motion[:3, 3]))
        # Turns and shifts of one sign are wrong by one factor, so they do not average out.
        return FOCAL_STEPS * np.diag([turn**2] * 3 + [shift**2] * 3)

    def _compared(self, here: int, frame: KeyFrame) -> Closure | None:
        """Compare two key frames that follow each other, between which features were lost."""
        return verify(self._keys[here].view, frame.view)

    def _add_network(self, old: KeyView, new: KeyView) -> None:
        """Add the network's own motion: weak, but it helps where pixels leave something open."""
        then, now = old.seen.network_T_camera, new.seen.network_T_camera
        if then is None or now is None:
            return
        motion = invert(then) @ now
        turn, shift = rotation_angle(motion[:3, :3]), np.linalg.norm(motion[:3, 3])
        turn_sigma = NETWORK_TURN_SIGMA + NETWORK_SHARE * float(turn)
        shift_sigma = NETWORK_SHIFT_SIGMA + NETWORK_SHARE * float(shift)
        covariance = np.diag([turn_sigma**2] * 3 + [shift_sigma**2] * 3)
        self._by_network[old.number] = Motion(
            old.number, new.number, motion, covariance, kernel=NETWORK_KERNEL
        )

    def _adjust_window(self) -> None:
        """Measure the motions between the last key frames again, all features together."""
        numbers = [key.number for key in self._recent]
        for i in range(len(numbers) - 1, 0, -1):
            before, after = self._recent[i - 1].tracks, self._recent[i].tracks
            if np.isin(before.number, after.number).sum() < LEAST_SHARED:
                numbers = numbers[i:]
                break
        if len(numbers) < 4:
            return
        count = len(numbers)
        sights = [
            replace(
                self._sights[number],
                map_T_camera=self._estimate.poses[i - count],
                log_scale=float(self._estimate.log_scales[i - count]),
            )
            for i, number in enumerate(numbers)
        ]
        adjusted = adjust(sights)
        for number, sight in zip(numbers, adjusted.sights):
            self._sights[number] = sight
        first = 0 if numbers[0] == self._numbers[0] else 1
        for i in range(first, count - 1):
            here, there = adjusted.sights[i], adjusted.sights[i + 1]
            motion = scaled(
                invert(here.map_T_camera) @ there.map_T_camera, float(np.exp(-here.log_scale))
            )
            covariance = relative_covariance(adjusted.information, i, i + 1)[:6, :6]
            covariance = INFLATION * covariance + _least()
            covariance += self._unknown_focal(numbers[i + 1], motion)
            ratio = there.log_scale - here.log_scale
            self._visual[numbers[i]] = (
                Motion(numbers[i], numbers[i + 1], motion, covariance),
                ScaleStep(numbers[i], numbers[i + 1], ratio, ADJUSTED_STEP_SIGMA),
            )
        poses, scales = self._estimate.poses.copy(), self._estimate.log_scales.copy()
        for i, sight in enumerate(adjusted.sights):
            poses[i - count], scales[i - count] = sight.map_T_camera, sight.log_scale
        self._estimate = Estimate(poses, scales)

    def _add_wheels(self, frame: KeyFrame) -> None:
        if len(self._numbers) < 2 or frame.base_T_camera is None or frame.odom_T_base is None:
            return
        before = self._keys[self._numbers[-2]]
        if before.odom_T_base is None:
            return
        by_wheels = camera_motion(frame.base_T_camera, before.odom_T_base, frame.odom_T_base)
        covariance = _wheel_covariance(by_wheels, self._wheels, frame.base_T_camera)
        self._by_wheels[before.number] = Motion(
            before.number, frame.number, by_wheels, covariance, scaled=0.0
        )

    def _graph(self) -> PoseGraph:
        motions = [m for m, _ in self._visual.values()]
        motions += [*self._by_wheels.values(), *self._by_network.values()]
        steps = [s for _, s in self._visual.values() if s is not None]
        for forth, back, ratio in self._loops.values():
            motions += [forth, back]
            steps.append(ratio)
        return PoseGraph(
            tuple(self._numbers),
            self._estimate,
            tuple(motions),
            tuple(steps),
            tuple(self._fixes.values()),
        )

    def _optimise(self) -> None:
        self._estimate = self._graph().optimised(ROUNDS_AFTER_LOOP).estimate

    def _optimise_recent(self) -> None:
        """Fit the newest key frames alone: without a loop nothing older learns anything."""
        part = self._graph().around(MOVING).optimised(ROUNDS)
        poses, scales = self._estimate.poses.copy(), self._estimate.log_scales.copy()
        count = min(MOVING, len(self._numbers))
        poses[-count:], scales[-count:] = (
            part.estimate.poses[-count:],
            part.estimate.log_scales[-count:],
        )
        self._estimate = Estimate(poses, scales)

    # Loops.

    def _close_loops(self, frame: KeyFrame) -> bool:
        """Look for key frames that saw the same place; return whether one was found."""
        self._describe(frame)
        counts, closed = self._belief.counts, False
        for number in self._candidates(frame.number):
            counts = replace(counts, tried=counts.tried + 1)
            closure = verify(self._keys[number].view, frame.view)
            if closure is None or not self._plausible(number, frame.number, closure):
                continue
            counts = replace(counts, accepted=counts.accepted + 1)
            added = 0.0 if frame.focal_known else FOCAL_LOOP_SIGMA**2
            self._loops[number, frame.number] = _loop_factors(
                number, frame.number, closure, added * np.eye(6)
            )
            closed = True
        self._belief = replace(self._belief, counts=counts)
        return closed

    def _describe(self, frame: KeyFrame) -> None:
        """Compute the vectors by which key frames are found as places."""
        if self._vocabulary is None:
            if len(self._keys) < VOCABULARY_KEYS:
                return
            frames = list(self._keys.values())
            self._vocabulary = Vocabulary.learned([f.view.features.descriptors for f in frames])
        else:
            frames = [frame]
        for one in frames:
            place = self._vocabulary.describe(one.view.features.descriptors)
            self._keys[one.number] = replace(one, place=place)

    def _candidates(self, number: int) -> list[int]:
        """Return the key frames that look most alike, without the recent ones."""
        place = self._keys[number].place
        old = self._numbers[: max(len(self._numbers) - 1 - RECENT_KEYS, 0)]
        if not len(place) or not old:
            return []
        similar = np.stack([self._keys[n].place for n in old]) @ place
        return [old[i] for i in np.argsort(-similar)[:CANDIDATES]]

    def _plausible(self, here: int, there: int, closure: Closure) -> bool:
        """Check that the loop is not farther off than the path may have drifted."""
        i, j = self._numbers.index(here), self._numbers.index(there)
        graph = self._graph()
        here_T_there = invert(self._estimate.poses[i]) @ self._estimate.poses[j]
        drift = _relative(joint_covariance(graph, i, j), here_T_there)
        measured = scaled(
            closure.here_T_there.key_T_camera, float(np.exp(self._estimate.log_scales[i]))
        )
        error = log_pose(invert(measured) @ here_T_there)
        covariance = DRIFT_ALLOWANCE * drift + closure.here_T_there.covariance
        return float(error @ np.linalg.solve(covariance, error)) < MOST_SURPRISE

    def _reject_loops(self) -> None:
        """Throw out loops that the optimum contradicts, and find it again without them."""
        graph = self._graph()
        errors = graph.errors()[-2 * len(self._loops) :].reshape(-1, 2).max(axis=1)
        wrong = [pair for pair, off in zip(self._loops, errors) if off > MOST_SIGMAS_AFTER]
        if not wrong:
            return
        for pair in wrong:
            del self._loops[pair]
        counts = self._belief.counts
        rejected = counts.rejected + len(wrong)
        self._belief = replace(self._belief, counts=replace(counts, rejected=rejected))
        self._optimise()

    # A bound on the number.

    def _thin(self) -> Heir | None:
        """Remove one key frame where there are too many, and join what was measured through it."""
        count = len(self._numbers)
        if count <= self._most_keys:
            return None
        chosen = most_covered(self._estimate.poses, range(1, count - WINDOW - RECENT_KEYS))
        if chosen is None:
            return None
        gone, heir = chosen
        number, at = self._numbers[gone], self._estimate
        result = Heir(
            number,
            self._numbers[heir],
            invert(at.poses[heir]) @ at.poses[gone],
            float(at.log_scales[gone]),
        )
        self._bridge(gone)
        for table in (self._visual, self._by_wheels, self._by_network, self._fixes):
            table.pop(number, None)
        self._loops = {pair: loop for pair, loop in self._loops.items() if number not in pair}
        del self._keys[number], self._sights[number], self._numbers[gone]
        self._estimate = Estimate(
            np.delete(at.poses, gone, axis=0), np.delete(at.log_scales, gone)
        )
        return result

    def _bridge(self, gone: int) -> None:
        """Join the two neighbours in time of a key frame that goes."""
        before, number = self._numbers[gone - 1], self._numbers[gone]
        for table in (self._by_wheels, self._by_network):
            first, second = table.pop(before, None), table.get(number)
            if first is not None and second is not None:
                table[before] = joined(first, second, self._estimate, gone - 1, gone)
        (first, first_step), (second, second_step) = self._visual[before], self._visual[number]
        step = None
        if first_step is not None and second_step is not None:
            step = joined_step(first_step, second_step)
        self._visual[before] = joined(first, second, self._estimate, gone - 1, gone), step
        after = self._numbers[gone + 1]
        for here, there in list(self._loops):
            self._hand_over_loop(number, after, here, there, second)

    def _hand_over_loop(
        self, number: int, after: int, here: int, there: int, onward: Motion
    ) -> None:
        """Move the loop of a removed key frame to the next one."""
        old, ratio = self._loops[here, there][0], self._loops[here, there][2]
        onward_step = self._visual[number][1]
        if there != number or (here, after) in self._loops or here == after or onward_step is None:
            return
        index = {n: i for i, n in enumerate(self._numbers)}
        moved = joined(old, onward, self._estimate, index[here], index[number])
        moved = replace(moved, kernel=LOOP_KERNEL)
        at = self._estimate
        ratio = replace(joined_step(ratio, onward_step), kernel=LOOP_KERNEL)
        unit = float(np.exp(at.log_scales[index[here]] - at.log_scales[index[after]]))
        there_T_here = scaled(invert(moved.here_T_there), unit)
        turned = adjoint(moved.here_T_there)
        back = Motion(
            after, here, there_T_here, turned @ moved.covariance @ turned.T, kernel=LOOP_KERNEL
        )
        self._loops[here, after] = moved, back, ratio

    def _publish(self) -> None:
        newest = self._keys[self._numbers[-1]]
        stretch = float(np.exp(self._estimate.log_scales[-1] - newest.log_scale))
        correction = Similarity.through(self._estimate.poses[-1], newest.track_T_camera, stretch)
        self._belief = Belief(
            correction,
            self._belief.generation + 1,
            newest,
            dict(zip(self._numbers, self._estimate.poses)),
            dict(zip(self._numbers, self._estimate.log_scales.tolist())),
            tuple(self._loops),
            self._belief.counts,
        )


def _jump(before: Similarity, after: Similarity, track_T_camera: Array) -> float:
    then, now = before.pose(track_T_camera), after.pose(track_T_camera)
    return float(np.linalg.norm(now[:3, 3] - then[:3, 3]))


def _least() -> Array:
    return np.diag([LEAST_TURN_SIGMA**2] * 3 + [LEAST_SHIFT_SIGMA**2] * 3)


def _wheel_covariance(by_wheels: Array, wheels: WheelNoise, base_T_camera: Array) -> Array:
    """Compute the covariance in the camera's axes; the wheels' own is in those of the base."""
    motion = base_T_camera @ by_wheels @ invert(base_T_camera)
    turned = adjoint(invert(base_T_camera))
    covariance: Array = turned @ wheels.covariance(motion) @ turned.T
    return covariance


def _fused(
    motion: Array, covariance: Array, by_wheels: Array, wheels: WheelNoise, base_T_camera: Array
) -> tuple[Array, Array]:
    """Weigh what pixels and wheels say of one motion."""
    theirs = _wheel_covariance(by_wheels, wheels, base_T_camera)
    way = motion[:3, :3].T @ motion[:3, 3]
    mine = LIVE_INFLATION * covariance + 1e-9 * np.eye(6)
    mine[3:, 3:] += STEP_SIGMA**2 * np.outer(way, way)  # its unit is not known well
    gain = mine @ np.linalg.inv(mine + theirs)
    error = log_pose(invert(motion) @ by_wheels)
    fused: Array = motion @ exp_pose(gain @ error)
    return fused, mine - gain @ mine


def _loop_factors(
    here: int, there: int, closure: Closure, added: Array
) -> tuple[Motion, Motion, ScaleStep]:
    forth, back = closure.here_T_there, closure.there_T_here
    return (
        Motion(here, there, forth.key_T_camera, forth.covariance + added, kernel=LOOP_KERNEL),
        Motion(there, here, back.key_T_camera, back.covariance + added, kernel=LOOP_KERNEL),
        ScaleStep(here, there, closure.log_ratio, LOOP_RATIO_SIGMA, LOOP_KERNEL),
    )


def _relative(joint: Array, here_T_there: Array) -> Array:
    """
    Return the covariance of a pose as seen from another.

    :param joint: (14, 14) of both key frames.
    :param here_T_there: (4, 4).
    """
    by_here = -adjoint(invert(here_T_there))
    covariance: Array = (
        by_here @ joint[:6, :6] @ by_here.T
        + by_here @ joint[:6, 7:13]
        + joint[7:13, :6] @ by_here.T
        + joint[7:13, 7:13]
    )
    return covariance
