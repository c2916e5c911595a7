# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Validation errors of a training run against its training frames, extrapolated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, IO

import numpy as np

from benchmark.accuracy.pictures import COLORS, lighten, new_figure, save_figure
from benchmark.accuracy.setup import Experiment, Report
from training.log import read_rows
from ttt3r_ros.arrays import Array
from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.bench.tables import Table

FAR = (1_000_000, 3_000_000, 10_000_000)
LEAST_CHECKS = 6  # after the breakthrough: four to fit, two to predict
MOVING = 0.9  # of the rotation error of a camera that does not move: below, motion is seen
AROUND = 3  # neighbours on each side that smooth a curve
PICTURE = 'error_by_frames.png'
ERRORS: dict[str, Callable[[dict[str, Any]], float]] = {
    'depth AbsRel scaled': lambda row: row['depth_scaled'],
    'rotation over no motion': lambda row: row['rotation_deg'] / row['still_deg'],
    'ATE over path': lambda row: row['ate_fraction'],
}


@dataclass(frozen=True)
class PowerLaw:
    """error = factor * frames ** -exponent, fitted to logarithms by least squares."""

    factor: float
    exponent: float

    @classmethod
    def fit(cls, frames: Array, errors: Array) -> PowerLaw:
        """
        Fit the law to measurements.

        :param frames: (N,) training frames, positive, N >= 2.
        :param errors: (N,) positive errors.
        """
        slope, intercept = np.polyfit(np.log(frames), np.log(errors), 1)
        return cls(float(np.exp(intercept)), float(-slope))

    def at(self, frames: Array) -> Array:
        """
        Return the predicted errors.

        :param frames: (N,) training frames.
        :returns: (N,) errors.
        """
        return self.factor * frames**-self.exponent


@dataclass(frozen=True, eq=False)
class Curve:
    """
    One error of one family at N validations.

    begin: index of the first validation at which the network predicts motion; the law is fitted
    from there on.
    """

    family: str
    name: str
    frames: Array
    errors: Array
    begin: int

    @property
    def law(self) -> PowerLaw:
        """Return the law fitted to all validations from `begin` on."""
        return PowerLaw.fit(self.frames[self.begin :], self.errors[self.begin :])

    @property
    def surprise(self) -> float:
        """Return the median ratio of prediction to measurement, the last third from the rest."""
        frames, errors = self.frames[self.begin :], self.errors[self.begin :]
        known = 2 * len(frames) // 3
        law = PowerLaw.fit(frames[:known], errors[:known])
        return float(np.median(law.at(frames[known:]) / errors[known:]))


def measure(experiment: Experiment) -> Report:
    """Fit power laws to the log of a training run, where --log is set."""
    if experiment.log is None:
        print('curve: skipped, --log is not a log of a training run')
        return Report([])
    rows = read_rows(experiment.log, 'validation')
    curves = [curve for family in experiment.letters for curve in curves_of(rows, family)]
    if not curves:
        print(f'curve: skipped, {experiment.log} has fewer than {LEAST_CHECKS} checks with motion')
        return Report([])
    with atomic_file(experiment.out / PICTURE) as file:
        draw(file, curves)
    caption = 'Validation errors against training frames; dashed: fitted power laws'
    return Report([], pictures={PICTURE: caption}, details=[_table(curves)])


def curves_of(rows: Sequence[dict[str, Any]], family: str) -> list[Curve]:
    """
    Return the curves of a family; none where too few validations predict motion.

    :param rows: log rows of kind validation.
    """
    rows = sorted((row for row in rows if row['family'] == family), key=lambda r: r['frames'])
    moving = [i for i, r in enumerate(rows) if r['rotation_deg'] <= MOVING * r['still_deg']]
    begin = moving[0] if moving else len(rows)
    if len(rows) - begin < LEAST_CHECKS:
        return []
    frames = np.array([row['frames'] for row in rows], dtype=np.float64)
    return [
        Curve(family, name, frames, np.array([error(row) for row in rows]), begin)
        for name, error in ERRORS.items()
    ]


def _table(curves: Sequence[Curve]) -> Table:
    rows = []
    for curve in curves:
        law = curve.law
        rows.append(
            [
                f'{curve.family}, {curve.name}',
                f'{curve.errors[-1]:.3f}',
                f'{law.exponent:.2f}',
                f'{curve.surprise:.2f}',
                *(f'{error:.3f}' for error in law.at(np.array(FAR, np.float64))),
            ]
        )
    first, last = curves[0].frames[curves[0].begin], curves[0].frames[-1]
    return Table(
        f'error = a * frames^-b, fitted from {first:,.0f} frames on, where motion is seen, to '
        f'{last:,.0f}. Do not trust it far: the checks are few sequences, the learning rate falls '
        'towards the end of a run, which flatters b, and a network of this size stops somewhere. '
        'Prediction: the last third as the law of the first two says it, over what came',
        ['error', 'at the end', 'b', 'prediction', *(f'{far / 1e6:g} M' for far in FAR)],
        rows,
    )


def draw(file: IO[bytes], curves: Sequence[Curve]) -> None:
    """
    Plot each error in a panel: checks as dots, what is left without their noise as a line.

    :param file: open for binary writing; gets a PNG.
    """
    names = list(dict.fromkeys(curve.name for curve in curves))
    families = list(dict.fromkeys(curve.family for curve in curves))
    figure = new_figure(4.2 * len(names), 4.0)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names):
        texts = []
        for curve in (curve for curve in curves if curve.name == name):
            color = COLORS[families.index(curve.family)]
            axes.plot(curve.frames, curve.errors, '.', color=color, alpha=0.25, ms=4)
            axes.plot(curve.frames, steady(curve.errors), color=color, lw=2, label=curve.family)
            ahead = np.geomspace(curve.frames[-1], FAR[-1], 50)
            axes.plot(ahead, curve.law.at(ahead), '--', color=color, lw=1)
            now, far = steady(curve.errors)[-1], float(curve.law.at(ahead[-1:])[0])
            texts.append(f'{curve.family} {now:.2f} (hoped {far:.2f})')
        axes.axvline(curve.frames[-1], color='#868e96', lw=0.8, ls=':')
        axes.set(xlabel='training frames seen', xscale='log', ylim=(0, None))
        axes.set_title(f'{name}\n{", ".join(texts)}', fontsize=8)
        lighten(axes)
    axes.legend(title='family', fontsize=8, frameon=False)
    figure.suptitle(
        f'Errors while training; dashed: if the law held to {FAR[-1] / 1e6:g} M frames',
        fontsize=11,
    )
    save_figure(figure, file)


def steady(errors: Array) -> Array:
    """
    Return the running median of errors, which a single bad check does not move.

    :param errors: (N,) in their order.
    :returns: (N,) medians of up to 2 * AROUND + 1 neighbours, those behind the end left out.
    """
    last = len(errors)
    return np.array(
        [np.median(errors[max(0, i - AROUND) : min(last, i + AROUND + 1)]) for i in range(last)]
    )
