# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Two cameras on one device: two steps of an image each, or one step of both images.

Two nodes do the former, each with its own network. A process that maps both cameras could do the
latter: it would load the weights once, and would have to wait for the later image. The steps
alternate, so that other load on the machine affects both alike.

Examples:
  python -m benchmark.speed.two_cameras
  python -m benchmark.speed.two_cameras --busy --random published_512 --resolution 512x288 \
      --precision fast --pairs 3

"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
import sys

import numpy as np
import torch
from tqdm import tqdm

from benchmark.speed.against_published import add_pairs, read_pairs
from ttt3r_ros.bench.network import NetworkChoice
from ttt3r_ros.bench.tables import Table
from ttt3r_ros.errors import UserError
from ttt3r_ros.model import RecurrentState
from ttt3r_ros.model.predictor import chosen_rule

CAMERAS = 2


@torch.inference_mode()
def compare(
    choice: NetworkChoice, resolution: tuple[int, int], pairs: int, clock: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """
    Time alternating steps, without the first of each kind.

    :param choice: the network.
    :param resolution: width and height of the camera images, pixels.
    :param pairs: number of timed pairs.
    :param clock: returns seconds.
    :returns: milliseconds of two steps of one image, and of one step of two images.
    """
    network, info = choice.load()
    rule = chosen_rule(choice.settings, info)
    fit = network.architecture.fit(*resolution)
    images = torch.rand(CAMERAS, 3, fit.height, fit.width, device=choice.device) * 2 - 1

    def wait() -> None:
        if choice.device.type == 'cuda':
            torch.cuda.synchronize(choice.device)

    def apart(states: list[RecurrentState]) -> list[RecurrentState]:
        pairs = zip(images.split(1), states)
        return [network.step(image, state, rule=rule)[1] for image, state in pairs]

    def together(state: RecurrentState) -> RecurrentState:
        return network.step(images, state, rule=rule)[1]

    states = [network.initial_state() for _ in range(CAMERAS)]
    both = network.initial_state(CAMERAS)
    times: tuple[list[float], list[float]] = [], []
    for number in tqdm(range(1 + pairs), unit='pair'):
        begin = clock()
        states = apart(states)
        wait()
        middle = clock()
        both = together(both)
        wait()
        end = clock()
        if number:
            times[0].append((middle - begin) * 1e3)
            times[1].append((end - middle) * 1e3)
    return times


def main(argv: Sequence[str] | None = None) -> int:
    """Compare and print, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.speed.two_cameras',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_pairs(parser)
    arguments = parser.parse_args(argv)
    try:
        choice, clock = read_pairs(arguments)
        apart, together = compare(choice, arguments.resolution, arguments.pairs, clock)
    except UserError as error:
        print(f'two_cameras: error: {error}', file=sys.stderr)
        return 1
    low, high = np.percentile(np.divide(apart, together), [25, 75])
    ratio = np.median(apart) / np.median(together)
    caption = f'{choice}; {len(apart)} pairs, half of their ratios {low:.2f} to {high:.2f}'
    rows = [
        ['two steps of one image', f'{np.median(apart):.1f}', '1'],
        ['one step of two images', f'{np.median(together):.1f}', f'{ratio:.2f}'],
    ]
    print(Table(caption, ['', 'both cameras [ms]', 'times faster'], rows).markdown())
    return 0


if __name__ == '__main__':
    sys.exit(main())
