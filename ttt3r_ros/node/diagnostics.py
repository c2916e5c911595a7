# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How the node is doing: counters, and one status that names the cause of trouble."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import re
import resource
import threading
import time

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
import numpy as np
from rclpy.impl.rcutils_logger import RcutilsLogger
import torch

from ttt3r_ros.graph.belief import LoopCounts
from ttt3r_ros.graph.located import LocatedFrame
from ttt3r_ros.node.interface import (
    Cause,
    DiagnosticKey,
    DROPPED_KEY,
    NOT_ACTIVE,
    State,
)
from ttt3r_ros.node.starvation import waited_s, waiting_part
from ttt3r_ros.settings import DiagnosticsSettings

# Rates and percentages are those of so many images, or of so many seconds.
WINDOW_IMAGES = 120
WINDOW_S = 5.0

# More missing or dropped images than this part are worth a warning.
MISSING_PART = 0.2

# So does a thread that waits for a core for a longer part of the time.
STARVED_PART = 0.3

# The same cause is logged again only after so long.
THROTTLE_S = 5.0
NOTE_S = 60.0
MOST_REPORTED = 100

# Stamps and counts in the text of one cause differ each time.
NUMBERS = re.compile(r'[-+.0-9]+')

# A failure this recent counts as present.
RECENT_S = 3.0


@dataclass(frozen=True)
class Surroundings:
    """
    What the node sees around it.

    active, paused: of the node. image_topic: resolved. publishers: how many it has.
    incompatible_qos: of a publisher there, in words, or empty. clock_is_silent: the simulated
    clock is awaited and has not come. conflict: about a second parent in TF, or empty.
    loading: the network is not ready. failure: why it will not be, or empty. checkpoint: the name
    of its weights, empty until it is loaded.
    """

    active: bool = True
    paused: bool = False
    image_topic: str = ''
    publishers: int = 0
    incompatible_qos: str = ''
    clock_is_silent: bool = False
    conflict: str = ''
    loading: bool = False
    failure: str = ''
    checkpoint: str = ''


@dataclass
class _Window:
    arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_IMAGES))
    stamps_ns: deque[int] = field(default_factory=lambda: deque(maxlen=WINDOW_IMAGES))
    mapped: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_IMAGES))
    located: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_IMAGES))
    pose_latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_IMAGES))
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_IMAGES))


@dataclass
class _Camera:
    """One camera: its images; in_map: whether the newest is where the map knows it."""

    name: str
    window: _Window = field(default_factory=_Window)
    received: int = 0
    mapped: int = 0
    in_map: bool = True

    def state(self, now: float, since: float, stale_timeout: float) -> tuple[State, str]:
        """Return the state and, unless it is OK, the cause."""
        arrivals, mapped = self.window.arrivals, self.window.mapped
        newest = arrivals[-1] if arrivals else since
        if now - newest > stale_timeout:
            return State.STALE, f'no image for {now - newest:.0f} s: is it plugged in?'
        newest = mapped[-1] if mapped else since
        if now - newest > stale_timeout:
            return State.DEGRADED, 'images come, but none is mapped: is the lens covered?'
        if not self.in_map:
            return State.LOST, 'it sees nothing that it recognises from the map'
        return State.OK, ''

    def values(self, now: float) -> dict[DiagnosticKey, int | str]:
        """Return the values of this camera alone."""
        window = self.window
        return {
            DiagnosticKey.RECEIVED: self.received,
            DiagnosticKey.MAPPED: self.mapped,
            DiagnosticKey.INPUT_RATE: f'{rate(window.arrivals, now):.2f}',
            DiagnosticKey.MAP_RATE: f'{rate(window.mapped, now):.2f}',
            DiagnosticKey.POSE_RATE: f'{rate(window.located, now):.2f}',
            **_latencies([window]),
            DiagnosticKey.MISSING: f'{100 * missing_part(window.stamps_ns):.0f}',
        }


class Health:
    """Count what happens; may be called from every thread."""

    def __init__(self, cameras: Sequence[str] = ('',)) -> None:
        """
        Begin with nothing.

        :param cameras: names of them; empty for a camera alone.
        """
        self._lock = threading.Lock()
        self._cameras = [_Camera(name) for name in cameras]
        self._waits: deque[tuple[float, float]] = deque(maxlen=WINDOW_IMAGES)
        self._dropped: Counter[Cause] = Counter()
        self._trouble: dict[str, tuple[str, float]] = {}
        self._stamp_age_s = 0.0
        self._gain_mean = 0.0
        self._calibrated = False
        self._scale = 1.0
        self._keys, self._loops, self._lost = 0, LoopCounts(), False
        self._began = time.monotonic()

    def received(self, stamp_ns: int, age_s: float, camera: int = 0) -> None:
        """
        Count an image that came.

        :param stamp_ns: its stamp.
        :param age_s: of the stamp at its arrival, seconds.
        :param camera: index of the camera.
        """
        with self._lock:
            one = self._cameras[camera]
            one.received += 1
            self._stamp_age_s = age_s
            one.window.arrivals.append(time.monotonic())
            one.window.stamps_ns.append(stamp_ns)

    def dropped(self, cause: Cause, explanation: str = '') -> None:
        """
        Count an image that is not mapped.

        :param explanation: one sentence; where it is given the drop is a fault.
        """
        with self._lock:
            self._dropped[cause] += 1
            if explanation:
                self._trouble[cause.text] = (explanation, time.monotonic())

    def warn(self, subject: str, explanation: str) -> None:
        """
        Record a fault that drops no image.

        :param subject: the same for all faults of a kind.
        :param explanation: one sentence.
        """
        with self._lock:
            self._trouble[subject] = (explanation, time.monotonic())

    def located(self, latency_s: float, camera: int = 0) -> None:
        """
        Count an image whose pose was published.

        :param latency_s: from its arrival to its pose, seconds.
        :param camera: index of the camera.
        """
        with self._lock:
            window = self._cameras[camera].window
            window.located.append(time.monotonic())
            window.pose_latencies_s.append(latency_s)

    def mapped(self, located: LocatedFrame, latency_s: float, lost: bool) -> None:
        """
        Count an image that was mapped; called by the thread that mapped it.

        :param located: result for the image.
        :param latency_s: from its arrival to its outputs, seconds.
        :param lost: whether the robot is, whichever camera took the image.
        """
        tracked = located.tracked
        with self._lock:
            one = self._cameras[tracked.view.camera_index]
            one.mapped += 1
            one.in_map = located.in_map
            self._calibrated = tracked.view.focal_known
            self._gain_mean = tracked.gain_mean
            self._scale = located.scale
            self._keys, self._loops = len(located.belief.poses), located.belief.counts
            self._lost = lost
            one.window.mapped.append(time.monotonic())
            self._waits.append((one.window.mapped[-1], waited_s()))
            one.window.latencies_s.append(latency_s)

    def restart(self) -> None:
        """Delete rates and faults, as after a reset; the counts stay."""
        with self._lock:
            for one in self._cameras:
                one.window = _Window()
            self._waits.clear()
            self._trouble.clear()
            self._lost = False
            self._began = time.monotonic()

    def status(
        self, name: str, hardware_id: str, around: Surroundings, settings: DiagnosticsSettings
    ) -> DiagnosticStatus:
        """
        Return the diagnostics of the node.

        :param name: of the status.
        :param hardware_id: of the device.
        :param around: what the node sees.
        :param settings: limits of what is healthy.
        """
        with self._lock:
            now = time.monotonic()
            state, reason = self._state(now, around, settings)
            values = {key.text: value for key, value in self._values(now, state, around).items()}
            for cause in sorted(self._dropped, key=lambda cause: cause.text):
                values[DROPPED_KEY.format(cause.text)] = self._dropped[cause]
        return _status(name, hardware_id, state, reason, values)

    def camera_statuses(
        self, name: str, hardware_id: str, settings: DiagnosticsSettings
    ) -> list[DiagnosticStatus]:
        """
        Return the diagnostics of each camera; none for a camera alone.

        :param name: before the name of the camera.
        :param hardware_id: of the device.
        :param settings: limits of what is healthy.
        """
        if len(self._cameras) < 2:
            return []
        with self._lock:
            now = time.monotonic()
            return [
                _status(
                    f'{name} {one.name}',
                    hardware_id,
                    *one.state(now, self._began, settings.stale_timeout),
                    {key.text: value for key, value in one.values(now).items()},
                )
                for one in self._cameras
            ]

    def _values(
        self, now: float, state: State, around: Surroundings
    ) -> dict[DiagnosticKey, int | str]:
        windows = [one.window for one in self._cameras]
        missing = max(missing_part(window.stamps_ns) for window in windows)
        return {
            DiagnosticKey.STATE: state.name,
            DiagnosticKey.RECEIVED: sum(one.received for one in self._cameras),
            DiagnosticKey.MAPPED: sum(one.mapped for one in self._cameras),
            DiagnosticKey.INPUT_RATE: f'{sum(rate(w.arrivals, now) for w in windows):.2f}',
            DiagnosticKey.MAP_RATE: f'{self._map_rate(now):.2f}',
            DiagnosticKey.POSE_RATE: f'{sum(rate(w.located, now) for w in windows):.2f}',
            DiagnosticKey.STAMP_AGE: f'{self._stamp_age_s:.3f}',
            **_latencies(windows),
            DiagnosticKey.MISSING: f'{100 * missing:.0f}',
            DiagnosticKey.STARVED: f'{100 * waiting_part(self._waits):.0f}',
            DiagnosticKey.CHECKPOINT: around.checkpoint,
            DiagnosticKey.CALIBRATION: (
                'camera_info' if self._calibrated else 'estimated focal length'
            ),
            DiagnosticKey.GATE_MEAN: f'{self._gain_mean:.4f}',
            DiagnosticKey.SCALE: f'{self._scale:.3f}',
            DiagnosticKey.KEY_FRAMES: self._keys,
            DiagnosticKey.LOOPS: (
                f'{self._loops.tried} tried, {self._loops.accepted} accepted, '
                f'{self._loops.rejected} rejected'
            ),
            **memory_mb(),
        }

    def _state(
        self, now: float, around: Surroundings, settings: DiagnosticsSettings
    ) -> tuple[State, str]:
        """Return the state and, unless it is OK, the most telling cause."""
        if not around.active:
            return State.STALE, NOT_ACTIVE
        if around.failure:
            return State.LOST, around.failure
        if around.paused:
            return State.STALE, 'paused by its service'
        troubles = [text for text, moment in self._trouble.values() if now - moment < RECENT_S]
        newest = max(
            one.window.mapped[-1] if one.window.mapped else self._began for one in self._cameras
        )
        if now - newest > settings.stale_timeout:
            away = self._network_is_away(now)
            if around.loading:
                return State.STALE, away or 'the network is being loaded'
            if away and self._poses_go_on(now, settings):
                return State.DEGRADED, away
            if troubles and self._images_come(now) and not around.clock_is_silent:
                return State.LOST, troubles[-1]
            return State.STALE, self._why_nothing_comes(now, around)
        if self._lost:
            return State.LOST, 'the camera sees nothing that it recognises from the map'
        if around.conflict:
            return State.DEGRADED, around.conflict
        for one in self._cameras if len(self._cameras) > 1 else ():
            worse, reason = one.state(now, self._began, settings.stale_timeout)
            if worse is not State.OK:
                return State.DEGRADED, f'camera {one.name}: {reason}'
        if troubles:
            return State.DEGRADED, troubles[-1]
        starved = waiting_part(self._waits)
        if starved > STARVED_PART:
            return State.DEGRADED, (
                'cpu: other programs hold the cores, for which mapping waits '
                f'{100 * starved:.0f} % of the time'
            )
        missing = max(missing_part(one.window.stamps_ns) for one in self._cameras)
        if missing > MISSING_PART:
            return State.DEGRADED, f'rate: about {100 * missing:.0f} % of the images do not arrive'
        mapped = self._map_rate(now)
        long_enough = now - self._began > WINDOW_S
        if long_enough and mapped < settings.min_image_rate:
            return State.DEGRADED, f'rate: {mapped:.2f} images a second are mapped'
        return State.OK, ''

    def _network_is_away(self, now: float) -> str:
        """Return why, in one sentence; empty where it is not."""
        text, moment = self._trouble.get(Cause.NO_NETWORK.text, ('', -RECENT_S))
        return text if now - moment < RECENT_S else ''

    def _poses_go_on(self, now: float, settings: DiagnosticsSettings) -> bool:
        located = [one.window.located for one in self._cameras]
        return any(some and now - some[-1] <= settings.stale_timeout for some in located)

    def _images_come(self, now: float) -> bool:
        arrivals = [one.window.arrivals for one in self._cameras]
        return any(some and now - some[-1] <= RECENT_S for some in arrivals)

    def _map_rate(self, now: float) -> float:
        return sum(rate(one.window.mapped, now) for one in self._cameras)

    def _why_nothing_comes(self, now: float, around: Surroundings) -> str:
        if around.clock_is_silent:
            return 'use_sim_time is set, but nothing publishes /clock'
        if around.incompatible_qos:
            return f'images of {around.image_topic} are not received: {around.incompatible_qos}'
        if not around.publishers:
            return f'nothing publishes {around.image_topic}: check the name and remaps'
        if not self._images_come(now):
            return (
                f'{around.image_topic} has {around.publishers} publisher(s), but no image comes: '
                'is the camera on? are large messages lost (docs/node.md, Fast DDS profile)?'
            )
        return 'images come, but none is mapped yet'


def _status(
    name: str, hardware_id: str, state: State, reason: str, values: Mapping[str, int | str]
) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=state.level,
        name=name,
        message=f'{state.name}: {reason}' if reason else state.name,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )


def _latencies(windows: Sequence[_Window]) -> dict[DiagnosticKey, int | str]:
    """Return the latencies of the images of some cameras."""
    latencies = [s for window in windows for s in window.latencies_s] or [0.0]
    pose_latencies = [s for window in windows for s in window.pose_latencies_s] or [0.0]
    return {
        DiagnosticKey.LATENCY_MEDIAN: f'{np.median(latencies):.3f}',
        DiagnosticKey.LATENCY_MAX: f'{max(latencies):.3f}',
        DiagnosticKey.POSE_LATENCY: f'{np.median(pose_latencies):.3f}',
    }


def rate(moments: deque[float], now: float) -> float:
    """
    Return how many moments a second there were in the last WINDOW_S seconds.

    :param moments: increasing, seconds.
    :param now: seconds.
    """
    recent = [moment for moment in moments if now - moment < WINDOW_S]
    if len(recent) < 2:
        return len(recent) / WINDOW_S
    return (len(recent) - 1) / max(now - recent[0], 1e-9)


def missing_part(stamps_ns: deque[int]) -> float:
    """
    Return the part of the images that were lost, estimated from the gaps between stamps.

    :param stamps_ns: of the images that arrived.
    :returns: 0 to 1; 0 for fewer than 10 images.
    """
    gaps = np.diff(np.array(stamps_ns, dtype=np.int64))
    gaps = gaps[gaps > 0]
    if len(gaps) < 9:
        return 0.0
    # A camera's period is its usual shortest gap; a few jitter.
    period = float(np.percentile(gaps, 20))
    frames = np.rint(gaps / period).clip(1)
    return float(1 - len(frames) / frames.sum())


def memory_mb() -> dict[DiagnosticKey, str]:
    """Return the memory of this process, megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    memory = {DiagnosticKey.MEMORY_PEAK: f'{peak:.0f}'}
    if torch.cuda.is_initialized():
        memory[DiagnosticKey.GPU_MEMORY] = f'{torch.cuda.memory_allocated() / 2**20:.0f}'
    return memory


def without_numbers(text: str) -> str:
    """Return what texts about one cause have in common."""
    return NUMBERS.sub('', text)


class Reporter:
    """Count faults and log them, each kind at most once an interval."""

    def __init__(self, logger: RcutilsLogger, health: Health) -> None:
        """
        Begin with nothing logged.

        :param logger: receives the warnings.
        :param health: counts.
        """
        self._logger = logger
        self._health = health
        self._lock = threading.Lock()
        self._logged: dict[str, float] = {}
        self._reported: dict[str, float] = {}
        self._state = ''

    def mapped(self, located: LocatedFrame, arrived: float, lost: bool) -> None:
        """
        Report an image that was mapped.

        :param located: result for the image.
        :param arrived: monotonic seconds.
        :param lost: whether the robot is, whichever camera took the image.
        """
        self._health.mapped(located, time.monotonic() - arrived, lost)
        if located.height is not None:
            self.note(
                'floor found',
                f'the floor is {located.height:.2f} m below the camera, by what it sees: set '
                'camera.height, a base_frame or imu_topic where that is wrong',
            )
        if located.doubt:
            self.warn('mount or unit', located.doubt)
        elif located.tracked.pose.slips:
            self.warn(
                'odometry jumped',
                'the odometry moved otherwise than the images since the last one: wheels that '
                'slip, a jump or a reset; the robot stays where the images have it',
            )

    def drop(self, cause: Cause, explanation: str) -> None:
        """
        Report an image that is dropped because of a fault.

        :param explanation: one sentence.
        """
        self._health.dropped(cause, explanation)
        self._report(explanation)
        self._log(cause.text, f'{explanation}; image dropped')

    def warn(self, subject: str, explanation: str) -> None:
        """
        Report a fault that drops no image.

        :param subject: the same for all faults of a kind.
        :param explanation: one sentence.
        """
        self._health.warn(subject, explanation)
        self._report(explanation)
        self._log(subject, explanation)

    def state(self, reason: str) -> None:
        """
        Log a state in which nothing is mapped, once until it changes.

        :param reason: as in the diagnostics; of a fault that was reported nothing is logged again.
            Empty: all is well.
        """
        cause = without_numbers(reason)
        if cause and cause != self._state and not self._is_reported(cause):
            self._log(cause, reason)
        self._state = cause

    def _is_reported(self, cause: str) -> bool:
        now = time.monotonic()
        with self._lock:
            known = [text for text, moment in self._reported.items() if now - moment < NOTE_S]
        return any(cause.endswith(text) for text in known)

    def _report(self, explanation: str) -> None:
        with self._lock:
            self._reported[without_numbers(explanation)] = time.monotonic()
            while len(self._reported) > MOST_REPORTED:
                del self._reported[next(iter(self._reported))]

    def note(self, subject: str, explanation: str) -> None:
        """
        Log what the user should know; it is no fault.

        :param subject: the same for all notes of a kind.
        :param explanation: one sentence.
        """
        self._log(subject, explanation, NOTE_S)

    def _log(self, subject: str, text: str, interval_s: float = THROTTLE_S) -> None:
        now = time.monotonic()
        with self._lock:
            if now - self._logged.get(subject, -interval_s) < interval_s:
                return
            self._logged[subject] = now
        self._logger.warning(text)
