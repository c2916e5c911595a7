# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What the network says about films."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
import torch
from tqdm import tqdm

from benchmark.baselines import classical, constant_pose, constant_velocity
from benchmark.films import Film
from ttt3r_ros.geometry import rotation_from_quaternion, transform
from ttt3r_ros.mapping.mapper import OnlineMapper
from ttt3r_ros.model import Network, Outputs, update_rule
from ttt3r_ros.model.predictor import Predictor
from ttt3r_ros.model.state_update import UpdateRule
from ttt3r_ros.settings import MappingSettings

RULES: dict[str, UpdateRule] = {
    'cut3r': update_rule('cut3r'),
    'ttt3r': update_rule('ttt3r'),
    'ttt3r x 0.5': update_rule('ttt3r', 0.5),
    'brake': update_rule('brake'),
    'filt3r': update_rule('filt3r'),
}
BASELINES = ('constant pose', 'constant velocity', 'features + PnP')
TOLD = 'constant velocity is told the true first motion, features + PnP the intrinsics'
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Estimate:
    """
    What is said about one film.

    world_T_camera: (T, 4, 4), the world being about the first camera. points_camera:
    (T, H, W, 3) float32 metres.
    """

    world_T_camera: Array
    points_camera: NDArray[np.float32]


@dataclass(frozen=True)
class Method:
    """
    A way to write the state.

    rule: one of RULES. interval: frames of a segment, 0 for one segment without end.
    """

    rule: str
    interval: int = 0

    @property
    def name(self) -> str:
        """Give the method's name in tables."""
        return f'{self.rule}, segments of {self.interval}' if self.interval else self.rule


def methods(intervals: list[int]) -> list[Method]:
    """List every rule without segments, then with segments of each interval."""
    return [Method(rule, interval) for interval in (0, *intervals) for rule in RULES]


@torch.inference_mode()
def run_together(
    network: Network, films: list[Film], rule: str, progress: tqdm, points: bool
) -> list[Estimate]:
    """
    Run the network on films of one size and length as one batch, in one segment.

    :param rule: one of RULES.
    :param progress: is moved on by a unit for each image.
    :param points: whether they are wanted; without them it is faster, and they are empty.
    """
    device = next(network.parameters()).device
    state = network.initial_state(len(films))
    poses, clouds = [], []
    for images in zip(*(film.rgb for film in films)):
        pixels = torch.from_numpy(np.stack(images)).to(device).movedim(-1, 1)
        prediction, state = network.step(
            (pixels.float() / 255 - 0.5) / 0.5,
            state,
            rule=RULES[rule],
            outputs=Outputs(points=points),
        )
        rotation = rotation_from_quaternion(prediction.quaternion_xyzw.cpu().numpy())
        poses.append(transform(rotation, prediction.translation.cpu().numpy()))
        if points:
            clouds.append(prediction.points_camera.float().cpu().numpy())
        progress.update(len(films))
    of_films = np.stack(clouds, axis=1) if points else np.empty((len(films), 0), np.float32)
    return [Estimate(*estimate) for estimate in zip(np.stack(poses, axis=1), of_films)]


def run_mapper(network: Network, film: Film, method: Method, progress: tqdm) -> Estimate:
    """
    Send a film through the product's own mapper.

    :param progress: is moved on by a unit for each image.
    """
    predictor = Predictor(
        network, device=next(network.parameters()).device, rule=RULES[method.rule]
    )
    settings = MappingSettings(reset_interval=method.interval)
    mapper = OnlineMapper(predictor, settings, map_T_world=np.eye(4))
    poses, points = [], []
    for rgb, stamp_ns in zip(film.rgb, film.stamps_ns.tolist()):
        frame = mapper.add_frame(rgb, stamp_ns)
        poses.append(frame.map_T_camera)
        points.append(frame.points_camera)
        progress.update()
    return Estimate(np.stack(poses), np.stack(points))


def trajectories(
    network: Network, films: list[Film], intervals: list[int], progress: tqdm
) -> dict[str, list[Array]]:
    """
    Give the path of each film by every rule, with and without segments, and by the baselines.

    :param films: of one size and length.
    :param intervals: frames of a segment, at least one. The classical baseline gets the depth
        of ttt3r with the last of them.
    :param progress: gets 1 unit for each image and rule, see `units`.
    :returns: for each method's name, (T, 4, 4) of each film.
    """
    paths: dict[str, list[Array]] = {}
    depths = []
    for method in methods(intervals):
        if method.interval == 0:
            runs = run_together(network, films, method.rule, progress, points=False)
            paths[method.name] = [run.world_T_camera for run in runs]
            continue
        paths[method.name] = []
        for film in films:
            run = run_mapper(network, film, method, progress)
            paths[method.name].append(run.world_T_camera)
            if method == Method('ttt3r', intervals[-1]):
                depths.append(run.points_camera[..., 2].copy())
    of_films = [baselines(film, depth) for film, depth in zip(films, depths)]
    return paths | {name: [others[name] for others in of_films] for name in BASELINES}


def units(films: int, frames: int, intervals: list[int]) -> int:
    """Count the units of progress of `trajectories`."""
    return films * frames * len(methods(intervals))


def baselines(film: Film, depth: NDArray[np.floating]) -> dict[str, Array]:
    """
    Give the baselines' paths of a film.

    :param depth: (T, H, W) metres, for the classical one.
    :returns: (T, 4, 4) for each of BASELINES.
    """
    paths = (
        constant_pose(len(film)),
        constant_velocity(film.world_T_camera[1], len(film)),
        classical(film.rgb, depth, film.intrinsics),
    )
    return dict(zip(BASELINES, paths))
