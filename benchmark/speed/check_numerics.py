# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Compare the network with recorded outputs of the published implementation.

Example: python -m benchmark.speed.check_numerics BUNDLE.npz
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
import json
from pathlib import Path
import sys
import textwrap
from typing import Any
import zipfile
import zlib

import numpy as np
import torch
from torch import Tensor

from ttt3r_ros.errors import UserError
from ttt3r_ros.model import (
    FramePrediction,
    HeadSelection,
    Network,
    RecurrentState,
    update_rule,
)
from ttt3r_ros.model.image_input import normalised
from ttt3r_ros.model.published.config import config_architecture
from ttt3r_ros.model.state_update import UpdateRule

# Largest absolute errors that separate right from wrong.
TOLERANCES = {
    'pts3d_in_self_view': 2e-6,
    'conf_self': 2e-6,
    'pts3d_in_other_view': 2e-6,
    'conf': 2e-6,
    'rgb': 2e-6,
    'camera_pose': 4e-5,
    'state': 1e-4,
    'states': 1e-4,
    'mem': 1e-4,
    'mems': 1e-4,
}
WORLD_OUTPUTS = ('pts3d_in_other_view', 'conf')

# Published names of what the heads predict, and ours.
STORED_FIELDS = {
    'pts3d_in_self_view': 'points_camera',
    'conf_self': 'confidence',
    'pts3d_in_other_view': 'points_world',
    'conf': 'confidence_world',
    'rgb': 'rgb',
}

# What reading a file that is not what it should be may raise.
_MALFORMED = (
    OSError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


class BundleError(UserError):
    """The file is not a bundle of recorded runs."""


@dataclass(frozen=True)
class Run:
    """
    A recorded run of the published implementation.

    images: (T, H, W, 3) uint8 in the order of the frames. resets, writes: one flag per frame.
    stored: names of the outputs that were stored for the frames stored_frames. expected: the
    recorded outputs by the names of TOLERANCES.
    """

    name: str
    images: np.ndarray
    rule: UpdateRule
    resets: list[bool]
    writes: list[bool]
    stored: list[str]
    stored_frames: list[int]
    expected: dict[str, np.ndarray]

    @classmethod
    def from_record(cls, record: dict[str, Any], arrays: dict[str, np.ndarray]) -> Run:
        """
        Read one of the records called `runs`; a malformed one raises what Python raises.

        :param record: names of the arrays and settings of the run.
        :param arrays: all arrays of the bundle by name; images (T, H, W, 3) uint8.
        """
        name = record['name']
        frames, stored = record['frames'], record['stored']
        images = arrays[record['images']][frames]
        resets = record.get('reset') or [False] * len(frames)
        writes = record.get('update_flags') or [True] * len(frames)
        if not frames or images.ndim != 4 or images.shape[3] != 3:
            raise ValueError(f'run {name} needs images (T, H, W, 3)')
        if not len(frames) == len(resets) == len(writes):
            raise ValueError(f'run {name} needs a reset and an update flag per frame')
        if not all(0 <= frame < len(frames) for frame in record['stored_frames']):
            raise ValueError(f'run {name} stored frames that it does not have')
        expected = {
            output: arrays[f'{name}.{output}']
            for output in TOLERANCES
            if output in stored or f'{name}.{output}' in arrays
        }
        if not expected or not set(stored) <= set(STORED_FIELDS):
            raise ValueError(f'run {name} holds no output, or one that is not known: {stored}')
        rule = update_rule(record['update'])
        return cls(name, images, rule, resets, writes, stored, record['stored_frames'], expected)


@dataclass(frozen=True)
class Bundle:
    """A network and recorded runs of the published implementation with its weights."""

    network: Network
    runs: list[Run]

    @classmethod
    def load(cls, path: Path) -> Bundle:
        """
        Read a bundle and build its network.

        :raises BundleError: when the file is missing or incomplete.
        """
        try:
            with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            config = json.loads(str(arrays['config']))
            records = json.loads(str(arrays['runs']))
            if not isinstance(config, dict) or not isinstance(records, list) or not records:
                raise ValueError('it needs a config and runs')
            network = Network(config_architecture(config)).eval()
            runs = [Run.from_record(record, arrays) for record in records]
            named = {
                name[3:]: torch.from_numpy(array).float()
                for name, array in arrays.items()
                if name.startswith('sd:') and '.layer_rn.' not in name
            }
            network.load_state_dict(named, strict=True)
        except _MALFORMED as error:
            reason = textwrap.shorten(f'{type(error).__name__}: {error}', 300)
            raise BundleError(f'{path} is no bundle of recorded runs: {reason}') from error
        return cls(network, runs)


@torch.inference_mode()
def replay(network: Network, run: Run) -> dict[str, np.ndarray]:
    """
    Run the network on the images of a recorded run.

    :returns: arrays by the names of TOLERANCES.
    """
    images = normalised(torch.from_numpy(run.images))
    outputs = HeadSelection(
        world_points=any(name in WORLD_OUTPUTS for name in run.stored),
        rgb='rgb' in run.stored,
    )
    state = network.initial_state()
    states, predictions = [state], []
    for image, reset, write in zip(images, run.resets, run.writes):
        prediction, state = network.step(
            image[None], state, rule=run.rule, outputs=outputs, write=write
        )
        if reset:
            state = network.initial_state()
        predictions.append(prediction)
        states.append(state)
    return _record(run, predictions, states)


def _record(
    run: Run, predictions: list[FramePrediction], states: list[RecurrentState]
) -> dict[str, np.ndarray]:
    recorded: dict[str, Tensor] = {
        'camera_pose': torch.cat([_published_pose(p) for p in predictions]),
        'state': states[-1].tokens,
        'mem': states[-1].memory,
        'states': torch.stack([state.tokens for state in states]),
        'mems': torch.stack([state.memory for state in states]),
    }
    for name in run.stored:
        stored = [getattr(predictions[i], STORED_FIELDS[name]) for i in run.stored_frames]
        recorded[name] = torch.cat(stored)
    return {name: tensor.numpy() for name, tensor in recorded.items()}


def _published_pose(prediction: FramePrediction) -> Tensor:
    """Return (B, 7): translation, then the quaternion as w x y z."""
    translation, quaternion_xyzw = prediction.pose()
    return torch.cat([translation, quaternion_xyzw.roll(1, -1)], dim=-1)


def compare(bundle: Bundle) -> list[tuple[str, str, float, float]]:
    """
    Replay every run and compare its outputs.

    :returns: one row per run and output: run, output, worst absolute error, tolerance.
    """
    rows = []
    for run in bundle.runs:
        ours = replay(bundle.network, run)
        for name, theirs in run.expected.items():
            error = worst_error(ours[name], theirs)
            rows.append((run.name, name, error, TOLERANCES[name]))
    return rows


def worst_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """
    Return the largest absolute difference.

    :param ours: of any shape.
    :param theirs: of the same shape.
    :returns: infinity when the shapes differ or a value is not finite.
    """
    if ours.shape != theirs.shape:
        return float('inf')
    worst = float(np.abs(ours.astype(np.float64) - theirs).max(initial=0.0))
    return worst if np.isfinite(worst) else float('inf')


def main(argv: list[str] | None = None) -> int:
    """Print the worst error per run and output; return 1 when one exceeds its tolerance."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.speed.check_numerics', description=__doc__.split('\n')[1]
    )
    parser.add_argument('bundle', type=Path, help='a .npz of weights, images and recorded runs')
    arguments = parser.parse_args(argv)
    try:
        rows = compare(Bundle.load(arguments.bundle))
    except UserError as error:
        print(f'check_numerics: error: {error}', file=sys.stderr)
        return 1
    print(f'{"run":20} {"output":20} {"worst error":>12} {"tolerance":>10}')
    for run, name, worst, tolerance in rows:
        verdict = 'ok' if worst <= tolerance else 'BEYOND'
        print(f'{run:20} {name:20} {worst:12.2e} {tolerance:10.0e}  {verdict}')
    return int(any(worst > tolerance for _, _, worst, tolerance in rows))


if __name__ == '__main__':
    sys.exit(main())
