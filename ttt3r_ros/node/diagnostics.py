# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How the node is doing: counters, and one status that names the cause of trouble."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
import re
import resource
import threading
import time

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
import numpy as np
from rclpy.impl.rcutils_logger import RcutilsLogger
import torch

from ttt3r_ros.graph.back_end import LocatedFrame
from ttt3r_ros.graph.belief import LoopCounts
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
    waits: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=WINDOW_IMAGES))


class Health:
    """Count what happens; may be called from every thread."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self._window = _Window()
        self._received = 0
        self._mapped = 0
        self._dropped: Counter[Cause] = Counter()
        self._trouble: dict[str, tuple[str, float]] = {}
        self._stamp_age_s = 0.0
        self._gain_mean = 0.0
        self._calibrated = False
        self._scale = 1.0
        self._keys, self._loops, self._lost = 0, LoopCounts(), False
        self._began = time.monotonic()

    def received(self, stamp_ns: int, age_s: float) -> None:
        """
        Count an image that came.

        :param stamp_ns: its stamp.
        :param age_s: of the stamp at its arrival, seconds.
        """
        with self._lock:
            self._received += 1
            self._stamp_age_s = age_s
            self._window.arrivals.append(time.monotonic())
            self._window.stamps_ns.append(stamp_ns)

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

    def located(self, latency_s: float) -> None:
        """
        Count an image whose pose was published.

        :param latency_s: from its arrival to its pose, seconds.
        """
        with self._lock:
            self._window.located.append(time.monotonic())
            self._window.pose_latencies_s.append(latency_s)

    def mapped(self, located: LocatedFrame, latency_s: float) -> None:
        """
        Count an image that was mapped; called by the thread that mapped it.

        :param located: result for the image.
        :param latency_s: from its arrival to its outputs, seconds.
        """
        tracked = located.tracked
        with self._lock:
            self._mapped += 1
            self._calibrated = tracked.seen.focal_known
            self._gain_mean = tracked.gain_mean
            self._scale = located.scale
            self._keys, self._loops = len(located.belief.poses), located.belief.counts
            self._lost = not located.in_map
            self._window.mapped.append(time.monotonic())
            self._window.waits.append((self._window.mapped[-1], waited_s()))
            self._window.latencies_s.append(latency_s)

    def restart(self) -> None:
        """Delete rates and faults, as after a reset; the counts stay."""
        with self._lock:
            self._window = _Window()
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
        return DiagnosticStatus(
            level=state.level,
            name=name,
            message=f'{state.name}: {reason}' if reason else state.name,
            hardware_id=hardware_id,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )

    def _values(
        self, now: float, state: State, around: Surroundings
    ) -> dict[DiagnosticKey, int | str]:
        window = self._window
        latencies = list(window.latencies_s) or [0.0]
        pose_latencies = list(window.pose_latencies_s) or [0.0]
        return {
            DiagnosticKey.STATE: state.name,
            DiagnosticKey.RECEIVED: self._received,
            DiagnosticKey.MAPPED: self._mapped,
            DiagnosticKey.INPUT_RATE: f'{rate(window.arrivals, now):.2f}',
            DiagnosticKey.MAP_RATE: f'{rate(window.mapped, now):.2f}',
            DiagnosticKey.POSE_RATE: f'{rate(window.located, now):.2f}',
            DiagnosticKey.STAMP_AGE: f'{self._stamp_age_s:.3f}',
            DiagnosticKey.LATENCY_MEDIAN: f'{np.median(latencies):.3f}',
            DiagnosticKey.LATENCY_MAX: f'{max(latencies):.3f}',
            DiagnosticKey.POSE_LATENCY: f'{np.median(pose_latencies):.3f}',
            DiagnosticKey.MISSING: f'{100 * missing_part(window.stamps_ns):.0f}',
            DiagnosticKey.STARVED: f'{100 * waiting_part(window.waits):.0f}',
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
        newest = self._window.mapped[-1] if self._window.mapped else self._began
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
        if troubles:
            return State.DEGRADED, troubles[-1]
        starved = waiting_part(self._window.waits)
        if starved > STARVED_PART:
            return State.DEGRADED, (
                'cpu: other programs hold the cores, for which mapping waits '
                f'{100 * starved:.0f} % of the time'
            )
        missing = missing_part(self._window.stamps_ns)
        if missing > MISSING_PART:
            return State.DEGRADED, f'rate: about {100 * missing:.0f} % of the images do not arrive'
        mapped = rate(self._window.mapped, now)
        long_enough = now - self._began > WINDOW_S
        if long_enough and mapped < settings.min_image_rate:
            return State.DEGRADED, f'rate: {mapped:.2f} images a second are mapped'
        return State.OK, ''

    def _network_is_away(self, now: float) -> str:
        """Return why, in one sentence; empty where it is not."""
        text, moment = self._trouble.get(Cause.NO_NETWORK.text, ('', -RECENT_S))
        return text if now - moment < RECENT_S else ''

    def _poses_go_on(self, now: float, settings: DiagnosticsSettings) -> bool:
        located = self._window.located
        return bool(located) and now - located[-1] <= settings.stale_timeout

    def _images_come(self, now: float) -> bool:
        arrivals = self._window.arrivals
        return bool(arrivals) and now - arrivals[-1] <= RECENT_S

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

    def mapped(self, located: LocatedFrame, arrived: float) -> None:
        """
        Report an image that was mapped.

        :param located: result for the image.
        :param arrived: monotonic seconds.
        """
        self._health.mapped(located, time.monotonic() - arrived)
        if located.height is not None:
            self.note(
                'floor found',
                f'the floor is {located.height:.2f} m below the camera, by what it sees: set '
                'camera.height, a base_frame or imu_topic where that is wrong',
            )
        if located.doubt:
            self.warn('mount of the camera', located.doubt)
        elif located.tracked.followed.slips:
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
