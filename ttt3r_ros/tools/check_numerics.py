# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Hold the network against recorded outputs of the published one.

Example: python -m ttt3r_ros.tools.check_numerics BUNDLE.npz
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
import json
from pathlib import Path
import sys
from typing import Any
import zipfile

import numpy as np
import torch
from torch import Tensor

from ttt3r_ros.errors import UserError
from ttt3r_ros.model import Architecture, Network, Outputs, RecurrentState, update_rule
from ttt3r_ros.model.network import FramePrediction

# Largest absolute errors that separate right from wrong.
TOLERANCES = {
    'pts3d_in_self_view': 2e-6,
    'conf_self': 2e-6,
    'pts3d_in_other_view': 2e-6,
    'conf': 2e-6,
    'rgb': 2e-6,
    'camera_pose': 1e-5,
    'state': 5e-5,
    'states': 5e-5,
    'mem': 5e-5,
    'mems': 5e-5,
}
WORLD_OUTPUTS = ('pts3d_in_other_view', 'conf')


class BundleError(UserError):
    """The file is not a bundle of recorded runs."""


@dataclass(frozen=True)
class Bundle:
    """A network's weights and configuration, images, and what the published code made of them."""

    network: Network
    runs: list[dict[str, Any]]
    arrays: Any

    @classmethod
    def load(cls, path: Path) -> Bundle:
        """
        Read a bundle and build its network.

        :raises BundleError: when the file is missing or something is missing from it.
        """
        try:
            arrays = np.load(path, allow_pickle=False)
            config = json.loads(str(arrays['config']))
            runs = json.loads(str(arrays['runs']))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise BundleError(f'{path} is no bundle of recorded runs: {error}') from error
        network = Network(Architecture.from_published_config(config)).eval()
        named = {
            name[3:]: torch.from_numpy(arrays[name]).float()
            for name in arrays.files
            if name.startswith('sd:') and '.layer_rn.' not in name
        }
        try:
            network.load_state_dict(named, strict=True)
        except RuntimeError as error:
            raise BundleError(f'{path}: the weights do not fit its configuration: {error}')
        return cls(network, runs, arrays)


@torch.inference_mode()
def replay(bundle: Bundle, run: dict[str, Any]) -> dict[str, np.ndarray]:
    """
    Run the network as a recorded run did.

    :returns: arrays under the names of the bundle, without the run's name.
    """
    pixels = torch.from_numpy(bundle.arrays[run['images']]).float()
    images = (pixels / 255 - 0.5) / 0.5
    rule = update_rule(run['update'])
    outputs = Outputs(
        world_points=any(name in WORLD_OUTPUTS for name in run['stored']),
        rgb='rgb' in run['stored'],
    )
    frames = run['frames']
    resets = run['reset'] or [False] * len(frames)
    writes = run['update_flags'] or [True] * len(frames)
    state = bundle.network.initial_state()
    states, predictions = [state], []
    for frame, reset, write in zip(frames, resets, writes):
        image = images[frame].movedim(-1, 0)[None]
        prediction, state = bundle.network.step(
            image, state, rule=rule, outputs=outputs, write=write
        )
        if reset:
            state = bundle.network.initial_state()
        predictions.append(prediction)
        states.append(state)
    return _record(run, predictions, states)


def _record(
    run: dict[str, Any], predictions: list[FramePrediction], states: list[RecurrentState]
) -> dict[str, np.ndarray]:
    recorded: dict[str, Any] = {
        'camera_pose': torch.cat([_published_pose(p) for p in predictions]),
        'state': states[-1].tokens,
        'mem': states[-1].memory,
        'states': torch.stack([state.tokens for state in states]),
        'mems': torch.stack([state.memory for state in states]),
    }
    fields = {
        'pts3d_in_self_view': 'points_camera',
        'conf_self': 'confidence',
        'pts3d_in_other_view': 'points_world',
        'conf': 'confidence_world',
        'rgb': 'rgb',
    }
    for name in run['stored']:
        kept = [getattr(predictions[i], fields[name]) for i in run['stored_frames']]
        recorded[name] = torch.cat(kept)
    return {name: tensor.numpy() for name, tensor in recorded.items()}


def _published_pose(prediction: FramePrediction) -> Tensor:
    """Give (B, 7): translation, then the quaternion as w x y z."""
    assert prediction.translation is not None and prediction.quaternion_xyzw is not None
    return torch.cat([prediction.translation, prediction.quaternion_xyzw.roll(1, -1)], dim=-1)


def compare(bundle: Bundle) -> list[tuple[str, str, float, float]]:
    """
    Replay every run.

    :returns: a row per run and output: run, output, worst absolute error, tolerance. An output
        of the wrong shape, or one that is not finite, has an infinite error.
    """
    rows = []
    for run in bundle.runs:
        ours = replay(bundle, run)
        prefix = run['name'] + '.'
        for name, tolerance in TOLERANCES.items():
            if prefix + name in bundle.arrays.files:
                error = worst_error(ours.get(name), bundle.arrays[prefix + name])
                rows.append((run['name'], name, error, tolerance))
    if not rows:
        raise BundleError('the bundle holds no runs')
    return rows


def worst_error(ours: np.ndarray | None, theirs: np.ndarray) -> float:
    """Give the worst absolute error; infinity where the arrays cannot be compared."""
    if ours is None or ours.shape != theirs.shape or not np.isfinite(ours).all():
        return float('inf')
    return float(np.abs(ours.astype(np.float64) - theirs).max())


def main(argv: list[str] | None = None) -> int:
    """Print the worst error per run and output; 1 when one is beyond its tolerance."""
    parser = argparse.ArgumentParser(
        prog='python -m ttt3r_ros.tools.check_numerics', description=__doc__.split('\n')[1]
    )
    parser.add_argument('bundle', type=Path, help='a .npz of weights, images and recorded runs')
    arguments = parser.parse_args(argv)
    try:
        rows = compare(Bundle.load(arguments.bundle))
    except UserError as error:
        print(f'check_numerics: error: {error}', file=sys.stderr)
        return 1
    print(f'{"run":20} {"output":20} {"worst error":>12} {"tolerance":>10}')
    for run, name, error, tolerance in rows:
        verdict = 'ok' if error <= tolerance else 'BEYOND'
        print(f'{run:20} {name:20} {error:12.2e} {tolerance:10.0e}  {verdict}')
    return int(any(error > tolerance for _, _, error, tolerance in rows))


if __name__ == '__main__':
    sys.exit(main())
