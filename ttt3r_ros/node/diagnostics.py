# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How the node is doing: counters, and one status that names the cause of trouble."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
import math
import resource
import threading
import time

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
import numpy as np
from rclpy.impl.rcutils_logger import RcutilsLogger
import torch

from ttt3r_ros.settings import DiagnosticsSettings
from ttt3r_ros.tracking.scale import ScaleEstimate

# Rates and percentages are those of so many images, or of so many seconds.
WINDOW_IMAGES = 120
WINDOW_S = 5.0

# More missing or dropped images than this part are worth a warning.
MISSING_PART = 0.2

# The same cause is logged again only after so long.
THROTTLE_S = 5.0
NOTE_S = 60.0

# A failure this recent counts as present.
RECENT_S = 3.0

LEVELS = {
    'OK': DiagnosticStatus.OK,
    'DEGRADED': DiagnosticStatus.WARN,
    'LOST': DiagnosticStatus.ERROR,
    'STALE': DiagnosticStatus.STALE,
}


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
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_IMAGES))


class Health:
    """Count what happens; may be called from every thread."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self._window = _Window()
        self._received = 0
        self._mapped = 0
        self._dropped: Counter[str] = Counter()
        self._trouble: dict[str, tuple[str, float]] = {}
        self._stamp_age_s = 0.0
        self._gain_mean = 0.0
        self._calibrated = False
        self._scale = 1.0
        self._odometry_scale = ScaleEstimate(0.0, math.inf)
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

    def dropped(self, cause: str, explanation: str = '') -> None:
        """
        Count an image that is not mapped.

        :param cause: a few words, the same for all of a kind.
        :param explanation: the whole story; where it is given the drop is a fault.
        """
        with self._lock:
            self._dropped[cause] += 1
            if explanation:
                self._trouble[cause] = (explanation, time.monotonic())

    def warn(self, cause: str, explanation: str) -> None:
        """
        Note something wrong that costs no image.

        :param cause: a few words.
        :param explanation: the whole story.
        """
        with self._lock:
            self._trouble[cause] = (explanation, time.monotonic())

    def mapped(self, latency_s: float, gain_mean: float, calibrated: bool) -> None:
        """
        Count an image that was mapped.

        :param latency_s: from its arrival to its outputs.
        :param gain_mean: how much of the state it rewrote, 0 to 1.
        :param calibrated: whether its camera_info was used.
        """
        with self._lock:
            self._mapped += 1
            self._calibrated = calibrated
            self._gain_mean = gain_mean
            self._window.mapped.append(time.monotonic())
            self._window.latencies_s.append(latency_s)

    def measured_scale(self, scale: float, by_odometry: ScaleEstimate) -> None:
        """
        Take note of the unit of length.

        :param scale: metres of the map per unit of the network.
        :param by_odometry: from lengths of the map to those of somebody's odometry.
        """
        with self._lock:
            self._scale, self._odometry_scale = scale, by_odometry

    def restart(self) -> None:
        """Forget rates and troubles, as after a reset; the counts stay."""
        with self._lock:
            self._window = _Window()
            self._trouble.clear()
            self._began = time.monotonic()

    def status(
        self, name: str, hardware_id: str, around: Surroundings, settings: DiagnosticsSettings
    ) -> DiagnosticStatus:
        """
        Say how it goes.

        :param name: of the status.
        :param hardware_id: of the device.
        :param around: what the node sees.
        :param settings: say what is healthy.
        """
        with self._lock:
            now = time.monotonic()
            state, reason = self._state(now, around, settings)
            window = self._window
            latencies = list(window.latencies_s) or [0.0]
            values = {
                'state': state,
                'images received': self._received,
                'images mapped': self._mapped,
                'input rate (Hz)': f'{rate(window.arrivals, now):.2f}',
                'map rate (Hz)': f'{rate(window.mapped, now):.2f}',
                'stamp age (s)': f'{self._stamp_age_s:.3f}',
                'latency median (s)': f'{np.median(latencies):.3f}',
                'latency max (s)': f'{max(latencies):.3f}',
                'missing images (%)': f'{100 * missing_part(window.stamps_ns):.0f}',
                'checkpoint': around.checkpoint,
                'calibration': 'camera_info' if self._calibrated else 'estimated focal length',
                'gate mean': f'{self._gain_mean:.4f}',
                'scale': f'{self._scale:.3f}',
                'odometry over map': self._odometry_scale.in_words(),
                **memory_mb(),
                **{f'dropped: {cause}': count for cause, count in sorted(self._dropped.items())},
            }
        return DiagnosticStatus(
            level=LEVELS[state],
            name=name,
            message=f'{state}: {reason}' if reason else state,
            hardware_id=hardware_id,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )

    def _state(
        self, now: float, around: Surroundings, settings: DiagnosticsSettings
    ) -> tuple[str, str]:
        """Name the state and, unless all is well, the most telling cause."""
        if not around.active:
            return 'STALE', 'the node is not active'
        if around.failure:
            return 'LOST', around.failure
        if around.paused:
            return 'STALE', 'paused by its service'
        troubles = [text for text, moment in self._trouble.values() if now - moment < RECENT_S]
        newest = self._window.mapped[-1] if self._window.mapped else self._began
        if now - newest > settings.stale_timeout:
            if around.loading:
                return 'STALE', 'the network is being loaded'
            if troubles and not around.clock_is_silent:
                return 'LOST', troubles[-1]
            return 'STALE', self._why_nothing_comes(now, around)
        if around.conflict:
            return 'DEGRADED', around.conflict
        if troubles:
            return 'DEGRADED', troubles[-1]
        missing = missing_part(self._window.stamps_ns)
        if missing > MISSING_PART:
            return 'DEGRADED', f'rate: about {100 * missing:.0f} % of the images do not arrive'
        mapped = rate(self._window.mapped, now)
        long_enough = now - self._began > WINDOW_S
        if long_enough and mapped < settings.min_image_rate:
            return 'DEGRADED', f'rate: {mapped:.2f} images a second are mapped'
        return 'OK', ''

    def _why_nothing_comes(self, now: float, around: Surroundings) -> str:
        arrivals = self._window.arrivals
        if around.clock_is_silent:
            return 'use_sim_time is set, but nothing publishes /clock'
        if around.incompatible_qos:
            return f'publishers of {around.image_topic} are not heard: {around.incompatible_qos}'
        if not around.publishers:
            return f'nothing publishes {around.image_topic}: check the name and remaps'
        if not arrivals or now - arrivals[-1] > RECENT_S:
            return (
                f'{around.image_topic} has {around.publishers} publisher(s), but no image comes: '
                'is the camera on? are large messages lost (docs/node.md, Fast DDS profile)?'
            )
        return 'images come, but none is mapped yet'


def rate(moments: deque[float], now: float) -> float:
    """
    Give how many moments a second there were lately.

    :param moments: increasing, seconds.
    :param now: seconds.
    """
    recent = [moment for moment in moments if now - moment < WINDOW_S]
    if len(recent) < 2:
        return len(recent) / WINDOW_S
    return (len(recent) - 1) / max(now - recent[0], 1e-9)


def missing_part(stamps_ns: deque[int]) -> float:
    """
    Estimate from the gaps between stamps which part of the images never came.

    :param stamps_ns: of the images that came.
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


def memory_mb() -> dict[str, str]:
    """Give the memory of this process in megabytes, by what it is."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    memory = {'memory peak (MB)': f'{peak:.0f}'}
    if torch.cuda.is_initialized():
        memory['GPU memory (MB)'] = f'{torch.cuda.memory_allocated() / 2**20:.0f}'
    return memory


class Reporter:
    """Count what goes wrong, and log each cause now and then, not every time."""

    def __init__(self, logger: RcutilsLogger, health: Health) -> None:
        """
        Begin with nothing said.

        :param logger: takes the warnings.
        :param health: counts.
        """
        self._logger = logger
        self._health = health
        self._lock = threading.Lock()
        self._said: dict[str, float] = {}

    def drop(self, cause: str, explanation: str) -> None:
        """
        Report an image that is dropped because something is wrong.

        :param cause: a few words, the same for all of a kind.
        :param explanation: the whole story in one line.
        """
        self._health.dropped(cause, explanation)
        self._say(cause, f'{explanation}; image dropped')

    def warn(self, cause: str, explanation: str) -> None:
        """
        Report something wrong that costs no image.

        :param cause: a few words.
        :param explanation: the whole story in one line.
        """
        self._health.warn(cause, explanation)
        self._say(cause, explanation)

    def note(self, cause: str, explanation: str) -> None:
        """
        Say something that the user should know once in a while; nothing is wrong.

        :param cause: a few words.
        :param explanation: the whole story in one line.
        """
        self._say(cause, explanation, NOTE_S)

    def _say(self, cause: str, text: str, interval_s: float = THROTTLE_S) -> None:
        now = time.monotonic()
        with self._lock:
            if now - self._said.get(cause, -interval_s) < interval_s:
                return
            self._said[cause] = now
        self._logger.warning(text)
