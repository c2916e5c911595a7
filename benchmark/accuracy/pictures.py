# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Pictures: images with depth, paths seen from above, error against length."""

from __future__ import annotations

import io
import itertools
from typing import IO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmark.accuracy.batched_runs import decodings, EncodedSequences, run_sequences
from benchmark.accuracy.errors import mean, Record
from benchmark.accuracy.estimates import BASELINES, baselines, Estimate, Method
from benchmark.accuracy.sequences import ImageSequence, simulated
from benchmark.accuracy.setup import Experiment, Report
from ttt3r_ros.arrays import Array
from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.evaluation.errors import evaluate_trajectory, EvaluationError

TRUTH = '#303030'
COLORS = ('#0b7285', '#d1495b', '#e9a227', '#5f3dc4', '#2b8a3e')
WHOLE = (Method('ttt3r'), Method('cut3r'))
COLUMNS = 4
FAR_PERCENTILE = 98


def measure(experiment: Experiment) -> Report:
    """Draw a long sequence of each family: images, depth and paths."""
    frames, pictures = experiment.lengths[-1], {}
    chosen = list(dict.fromkeys([experiment.shipped, *WHOLE]))
    total = decodings(len(experiment.letters), frames, chosen)
    with tqdm(total=total, desc='pictures', unit='frame') as progress:
        for family in experiment.letters:
            sequence = simulated(family, 'robot', 0, frames, experiment.rate_hz, experiment.fit)
            encoded = EncodedSequences.of(experiment.network, [sequence])
            runs = run_sequences(experiment.network, encoded, chosen, progress, chosen[:1])
            (first,) = runs[chosen[0].name]
            estimates = {method: of_sequences[0] for method, of_sequences in runs.items()}
            estimates[BASELINES[-1]] = baselines(sequence, first.points_camera[..., 2])[
                BASELINES[-1]
            ]
            title = f'Family {family}, robot, {frames} frames at {experiment.rate_hz:g} Hz'
            picture = f'long_{family}.png'
            with atomic_file(experiment.out / picture) as file:
                draw_sequence(file, title, sequence, estimates)
            pictures[picture] = title
    return Report([], pictures=pictures)


def draw_sequence(
    file: IO[bytes], title: str, sequence: ImageSequence, estimates: dict[str, Estimate]
) -> None:
    """
    Draw some images with true and predicted depth, and the paths seen from above.

    :param file: open for binary writing; gets a PNG.
    :param title: one line.
    :param sequence: images and ground truth.
    :param estimates: estimates by the name of the method; the depth of the first one is drawn.
    """
    figure = new_figure(13, 5.2)
    figure.suptitle(title, fontsize=11)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1.9, 1])[0]
    grid = left.subplots(3, COLUMNS, squeeze=False)
    points = next(iter(estimates.values())).points_camera
    for column, i in enumerate(np.linspace(0, len(sequence) - 1, COLUMNS).round().astype(int)):
        truth, depth = sequence.depth[i].astype(np.float32), points[i, ..., 2]
        far = np.percentile(truth, FAR_PERCENTILE)
        grid[0, column].imshow(sequence.rgb[i])
        for row, values in ((1, truth), (2, depth)):
            grid[row, column].imshow(values, cmap='turbo', vmin=0, vmax=far)
        grid[0, column].set_title(f'frame {i}, depth to {far:.1f} m', fontsize=8)
    for axes, label in zip(grid[:, 0], ('image', 'true depth', 'predicted depth')):
        axes.set_ylabel(label, fontsize=8)
    for axes in grid.ravel():
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    _draw_paths(right.subplots(), sequence.world_T_camera, estimates)
    save_figure(figure, file)


def _draw_paths(axes: Axes, truth: Array, estimates: dict[str, Estimate]) -> None:
    # From above: the first camera looks along z with x to its right.
    axes.plot(*truth[:, [0, 2], 3].T, color=TRUTH, lw=2.6, label='truth')
    for color, (name, one) in zip(COLORS, estimates.items()):
        try:
            errors = evaluate_trajectory(one.world_T_camera, truth, 'sim3')
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
    lighten(axes)


def draw_curves(file: IO[bytes], records: list[Record], rate_hz: float) -> None:
    """
    Plot the ATE against the number of frames: a band of all rules for each segment length.

    The rules differ less than the segments do; the baselines are lines.

    :param file: open for binary writing; gets a PNG.
    :param records: their settings are numbers of frames.
    :param rate_hz: of the sequences.
    """
    families = list(dict.fromkeys(record.group for record in records))
    figure = new_figure(1.6 + 4.4 * len(families), 3.8)
    panels = figure.subplots(1, len(families), squeeze=False)[0]
    for axes, family in zip(panels, families):
        _draw_bands(axes, [record for record in records if record.group == family])
        axes.set(xlim=(0, None), ylim=(0, None), xlabel='frames')
        axes.set_title(f'family {family}', fontsize=10)
        axes.tick_params(labelsize=8)
        lighten(axes)
    panels[0].set_ylabel('ATE [m]')
    figure.suptitle(
        f'How far off after so many frames, {rate_hz:g} Hz; bands: best to worst rule',
        fontsize=11,
    )
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside right center', fontsize=8, frameon=False)
    save_figure(figure, file)


def _draw_bands(axes: Axes, records: list[Record]) -> None:
    """Draw the records of one family."""
    names = list(dict.fromkeys(record.method for record in records))
    curves = {name: _curve([r for r in records if r.method == name]) for name in names}
    lengths = dict.fromkeys(_segments(name) for name in names if name not in BASELINES)
    for color, length in zip(itertools.cycle(COLORS), lengths):
        rules = [n for n in names if n not in BASELINES and _segments(n) == length]
        frames = curves[rules[0]][0]
        errors = np.array([curves[name][1] for name in rules])
        label = f'{len(rules)} rules, {length or "no segments"}'
        axes.fill_between(frames, errors.min(0), errors.max(0), color=color, alpha=0.3, lw=0)
        axes.plot(frames, np.median(errors, axis=0), color=color, lw=1.8, label=label)
    for style, name in zip((':', '--', '-.'), BASELINES):
        if name in curves:
            axes.plot(*curves[name], color='#868e96', lw=1.2, ls=style, label=name)


def _segments(name: str) -> str:
    """Return the part of a method name that describes the segments."""
    return name.partition(', ')[2]


def _curve(records: list[Record]) -> tuple[list[float], list[float]]:
    lengths = sorted({record.setting for record in records})
    errors = [
        mean([r.path.ate for r in records if r.setting == length]).value for length in lengths
    ]
    return lengths, errors


def new_figure(width: float, height: float) -> Figure:
    """Return a new figure; width and height are inches."""
    figure = Figure(figsize=(width, height), dpi=100, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def lighten(axes: Axes) -> None:
    """Remove ticks and spines that carry no information."""
    axes.grid(alpha=0.3)
    axes.spines[['top', 'right']].set_visible(False)


def save_figure(figure: Figure, file: IO[bytes]) -> None:
    """Write a figure as a small PNG."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format='png')
    picture = Image.open(drawn).convert('RGB')
    # A palette takes a third of the bytes; near colours look better here than dithered ones.
    quantized = picture.quantize(256, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
    quantized.save(file, format='PNG', optimize=True)
