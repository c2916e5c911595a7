# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Pictures: images beside depth and paths from above; the error against the length."""

from __future__ import annotations

import io
from typing import IO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmark.bench import Bench, Report
from benchmark.errors import mean, Record
from benchmark.estimates import Array, Estimate, Method, RULES, run_mapper
from benchmark.films import Film, simulated
from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.tools.evaluation import evaluate_trajectory, EvaluationError

TRUTH = '#303030'
COLORS = ('#0b7285', '#d1495b', '#e9a227', '#5f3dc4', '#2b8a3e')
SHORT_FRAMES = 8
COLUMNS = 4
FAR_PERCENTILE = 98


def measure(bench: Bench) -> Report:
    """Draw a short and a long film of each family."""
    longest, interval = bench.lengths[-1], bench.intervals[-1]
    plans = {
        'short': (SHORT_FRAMES, [Method('ttt3r')]),
        'long': (longest, [Method('ttt3r', interval), Method('ttt3r'), Method('cut3r')]),
    }
    images = sum(frames * len(chosen) for frames, chosen in plans.values())
    with tqdm(total=len(bench.families) * images, desc='pictures', unit='frame') as progress:
        for family in bench.families:
            for name, (frames, chosen) in plans.items():
                film = simulated(family, 'robot', 0, frames, bench.rate_hz, bench.fit)
                runs = {m.name: run_mapper(bench.network, film, m, progress) for m in chosen}
                with atomic_file(bench.out / f'{name}_{family}.png') as file:
                    title = f'Family {family}, {frames} frames at {bench.rate_hz:g} Hz'
                    draw_film(file, title, film, runs)
    return Report([])


def draw_film(file: IO[bytes], title: str, film: Film, runs: dict[str, Estimate]) -> None:
    """
    Draw some images with true and predicted depth, and the paths from above.

    :param file: open for binary writing; gets a PNG.
    :param title: one line.
    :param film: with the truth.
    :param runs: by the name of the method; the first one gives the depth.
    """
    figure = _figure(13, 5.2)
    figure.suptitle(title, fontsize=11)
    left, right = figure.subfigures(1, 2, width_ratios=[1.9, 1])
    grid = left.subplots(3, COLUMNS, squeeze=False)
    points = next(iter(runs.values())).points_camera
    for column, i in enumerate(np.linspace(0, len(film) - 1, COLUMNS).round().astype(int)):
        truth, depth = film.depth[i].astype(np.float32), points[i, ..., 2]
        far = np.percentile(truth, FAR_PERCENTILE)
        grid[0, column].imshow(film.rgb[i])
        for row, values in ((1, truth), (2, depth)):
            grid[row, column].imshow(values, cmap='turbo', vmin=0, vmax=far)
        grid[0, column].set_title(f'frame {i}, depth to {far:.1f} m', fontsize=8)
    for axes, label in zip(grid[:, 0], ('image', 'true depth', 'predicted depth')):
        axes.set_ylabel(label, fontsize=8)
    for axes in grid.ravel():
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    _draw_paths(right.subplots(), film.world_T_camera, runs)
    _save(figure, file)


def _draw_paths(axes: Axes, truth: Array, runs: dict[str, Estimate]) -> None:
    # From above: the first camera looks along z with x to its right.
    axes.plot(*truth[:, [0, 2], 3].T, color=TRUTH, lw=2.6, label='truth')
    for color, (name, run) in zip(COLORS, runs.items()):
        try:
            errors = evaluate_trajectory(run.world_T_camera, truth, 'sim3')
        except EvaluationError:
            continue  # a path without motion is a point
        label = f'{name}: ATE {errors.ate.rmse:.2f} m, scale {errors.alignment.scale:.2f}'
        axes.plot(*errors.aligned[:, [0, 2], 3].T, color=color, lw=1.4, label=label)
    axes.plot(*truth[0, [0, 2], 3], 'o', color=TRUTH, ms=6)
    axes.axis('equal')
    axes.set_xlabel('to the right [m]', fontsize=8)
    axes.set_ylabel('forward [m]', fontsize=8)
    axes.set_title('path from above, after Sim(3)', fontsize=9)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=7, loc='upper center', bbox_to_anchor=(0.5, -0.13), frameon=False)
    _lighten(axes)


def draw_curves(file: IO[bytes], records: list[Record], rate_hz: float) -> None:
    """
    Draw the ATE of every method against the number of frames, a panel a family.

    :param file: open for binary writing; gets a PNG.
    :param records: their settings are numbers of frames.
    :param rate_hz: of the films.
    """
    families = list(dict.fromkeys(record.group for record in records))
    figure = _figure(1.8 + 4.2 * len(families), 4.6)
    for axes, family in zip(figure.subplots(1, len(families), squeeze=False)[0], families):
        of_family = [record for record in records if record.group == family]
        for method in dict.fromkeys(record.method for record in of_family):
            lengths, errors = _curve([r for r in of_family if r.method == method])
            axes.plot(lengths, errors, label=method, **_line_style(method))
        axes.set(xlabel='frames', ylabel='ATE after Sim(3) [m]', title=f'family {family}')
        axes.set(xlim=(0, None), ylim=(0, None))
        _lighten(axes)
    figure.suptitle(f'Trajectory error against length, {rate_hz:g} Hz', fontsize=11)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside right upper', fontsize=7, frameon=False)
    _save(figure, file)


def _curve(records: list[Record]) -> tuple[list[float], list[float]]:
    lengths = sorted({record.setting for record in records})
    errors = [
        mean([r.path.ate for r in records if r.setting == length]).value for length in lengths
    ]
    return lengths, errors


def _line_style(method: str) -> dict[str, object]:
    """Give a rule its colour, its segments their dashes; baselines are grey."""
    rule, _, segments = method.partition(', segments of ')
    if rule not in RULES:
        dashes = {'constant pose': ':', 'constant velocity': '--'}.get(rule, '-.')
        return {'color': '#868e96', 'lw': 1.2, 'ls': dashes}
    color = COLORS[list(RULES).index(rule)]
    if not segments:
        return {'color': color, 'lw': 2.0}
    length = max(1.0, int(segments) / 6)
    return {'color': color, 'lw': 1.1, 'ls': (0, (length, 1.2))}


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=100, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def _lighten(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.spines[['top', 'right']].set_visible(False)


def _save(figure: Figure, file: IO[bytes]) -> None:
    drawn = io.BytesIO()
    figure.savefig(drawn, format='png')
    picture = Image.open(drawn).convert('RGB')
    # With a palette the noise of the images takes a third of the bytes; dithered, hardly seen.
    palette = picture.quantize(256, Image.Quantize.MEDIANCUT)
    picture.quantize(palette=palette).save(file, format='PNG', optimize=True)
