# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""When a camera counts as carried away: the threshold of LOST, and what others would do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np

from benchmark.accuracy.covariance import HANDS, ROBOTS
from benchmark.accuracy.drives import drive_of, IMAGE_RATE
from benchmark.accuracy.pictures import COLORS, lighten, new_figure, save_figure, TRUTH
from benchmark.accuracy.setup import Experiment, Report
from benchmark.accuracy.slam import CACHE, front_of, seen_images
from ttt3r_ros.arrays import Array
from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.tracking.backwards import match_past_images
from ttt3r_ros.tracking.cut import LEAST_RESEMBLANCE, RICH
from ttt3r_ros.tracking.features import begin, resemblance
from ttt3r_ros.tracking.following import look, track_features
from ttt3r_ros.tracking.locating import locate
from ttt3r_ros.tracking.tracked_pose import CONTINUOUS, FollowState, View

GAPS_S = (0.1, 0.5, 1.0, 2.0)  # after which the camera's next image comes
CARRIED = 'carried away'
EVERY = 10  # images from one probe to the next
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6)
FINE = np.linspace(0.0, 1.0, 201)
PICTURE = 'lost.png'


@dataclass(frozen=True)
class Probe:
    """
    An image shown to a camera that was somewhere before.

    kind: what happened between. lost: whether neither features nor matches agree on a pose, and
    both images have many. resemblance: of the two.
    """

    kind: str
    lost: bool
    resemblance: float


def measure(experiment: Experiment) -> Report:
    """Show images after gaps, and of other buildings; what is not cached is filmed first."""
    front, count = front_of(experiment), experiment.sequences
    names = [*ROBOTS[:count], *HANDS[:count]]
    films = [
        seen_images(drive_of(front, CACHE, name), None, '_robot_' in name, True) for name in names
    ]
    probes = [
        probe
        for number, film in enumerate(films)
        for probe in probes_of(film, films[(number + 1) % len(films)])
    ]
    with atomic_file(experiment.out / PICTURE) as file:
        draw(file, probes)
    caption = f'Images that count as those of another place, % of {len(probes)} probes'
    head = ['resemblance below', *kinds()]
    rows = [
        [f'{threshold:g}', *(f'{100 * found(probes, kind, threshold):.1f}' for kind in kinds())]
        for threshold in THRESHOLDS
    ]
    counts = [str(sum(probe.kind == kind for probe in probes)) for kind in kinds()]
    rows.append(['probes', *counts])
    shares = ', '.join(
        f'{kind} {100 * found(probes, kind, LEAST_RESEMBLANCE):.1f} %' for kind in kinds()
    )
    at_threshold = f'Taken for another place below {LEAST_RESEMBLANCE:g}: {shares}'
    return Report([], pictures={PICTURE: at_threshold}, details=[Table(caption, head, rows)])


def kinds() -> list[str]:
    """Return what may happen between two images."""
    return [*(f'after {gap:g} s' for gap in GAPS_S), CARRIED]


def probes_of(film: Sequence[View], other: Sequence[View]) -> Iterator[Probe]:
    """
    Follow a film, and show images in place of the next.

    :param film: of a drive.
    :param other: of a drive through another place.
    """
    state: FollowState | None = None
    rng = np.random.default_rng(0)
    gaps = {f'after {gap:g} s': round(gap * IMAGE_RATE) for gap in GAPS_S}
    for number, view in enumerate(film[: -max(gaps.values())]):
        _, state = look(view, state)
        if number % EVERY or state.continuous < CONTINUOUS:
            continue
        for kind, gap in gaps.items():
            yield probe_of(kind, film[number + gap], state)
        yield probe_of(CARRIED, other[int(rng.integers(len(other)))], state)


def probe_of(kind: str, view: View, state: FollowState) -> Probe:
    """
    Show an image to a tracker.

    :param kind: what happened before.
    :param state: of the tracker.
    """
    traced = track_features(view.image, None, state)
    fresh = begin(traced.tracks.gray)
    rich = min(len(state.tracks), len(fresh)) >= RICH
    tracked_pose = locate(view, traced, state)
    lost = rich and not (
        tracked_pose.inliers or match_past_images(tracked_pose, view, state.past).inliers
    )
    return Probe(kind, lost, resemblance(state.tracks.gray, fresh.gray))


def found(probes: Sequence[Probe], kind: str, threshold: float) -> float:
    """
    Return the share of the probes of a kind that count as another place.

    :param threshold: of the resemblance.
    """
    cut = [p.lost and p.resemblance < threshold for p in probes if p.kind == kind]
    return float(np.mean(cut))


def draw(file: IO[bytes], probes: Sequence[Probe]) -> None:
    """
    Plot how many are noticed against how many are taken for it wrongly, for each gap.

    :param file: open for binary writing; gets a PNG.
    """
    figure = new_figure(5.0, 4.0)
    axes = figure.subplots()
    noticed = _curve(probes, CARRIED)
    here = int(np.argmin(np.abs(FINE - LEAST_RESEMBLANCE)))
    for kind, color in zip(kinds()[:-1], COLORS):
        wrong = _curve(probes, kind)
        axes.plot(wrong, noticed, color=color, lw=1.5, label=kind)
        axes.plot(wrong[here], noticed[here], 'o', color=color, ms=5)
    axes.plot([], [], 'o', color=TRUTH, ms=5, label=f'below {LEAST_RESEMBLANCE:g}, in use')
    axes.set_xlabel('taken for it, though the camera went there itself [%]', fontsize=8)
    axes.set_ylabel('carried away and noticed [%]', fontsize=8)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=8, frameon=False)
    lighten(axes)
    save_figure(figure, file)


def _curve(probes: Sequence[Probe], kind: str) -> Array:
    return 100 * np.array([found(probes, kind, threshold) for threshold in FINE])
