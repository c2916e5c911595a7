# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Every way to write the state, on many films at once.

What a Tracker makes of each film alone, with less work: an image is encoded once for all
rules and segments; segments begin with a fresh state, so those of a film are clips of one batch;
and their first image is written fully by every rule, so it is decoded once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from benchmark.accuracy.estimates import BASELINES, baselines, Estimate, Method, RULES
from benchmark.accuracy.films import Film
from ttt3r_ros.arrays import Array, Array32, Mask
from ttt3r_ros.geometry import IDENTITY, rotation_from_quaternion, Similarity, transform
from ttt3r_ros.model import Network, Outputs
from ttt3r_ros.model.image_input import normalised
from ttt3r_ros.model.network import Decoded, ImageTokens
from ttt3r_ros.settings import TrackingSettings
from ttt3r_ros.tracking.segments import next_segment, Segment, View

SEGMENT_SCALE = TrackingSettings().segment_scale
BATCH = 16  # clips that are decoded together: more do not fit into the caches of a core


@dataclass(frozen=True, eq=False)
class EncodedFilms:
    """
    Films of one size and length, and what the encoder made of them.

    tokens: (F, T, N, E) of a height x width grid.
    """

    films: list[Film]
    tokens: Tensor
    height: int
    width: int

    @classmethod
    @torch.inference_mode()
    def of(cls, network: Network, films: list[Film]) -> EncodedFilms:
        """Encode every image of some films."""
        device = next(network.parameters()).device
        images = torch.from_numpy(np.concatenate([film.rgb for film in films]))
        parts = []
        for pixels in images.split(BATCH):
            parts.append(network.encode(normalised(pixels.to(device))))
        tokens = torch.cat([part.tokens for part in parts]).unflatten(0, (len(films), -1))
        return cls(films, tokens, parts[0].height, parts[0].width)

    def every(self, step: int) -> EncodedFilms:
        """Keep every step-th image: the same paths at a lower rate."""
        films = [film.every(step) for film in self.films]
        return replace(self, films=films, tokens=self.tokens[:, ::step])

    def __len__(self) -> int:
        """Count the images of one film."""
        return self.tokens.shape[1]


@dataclass(frozen=True, eq=False)
class Told:
    """
    What the network says about C clips of L images; zeros where it was not asked.

    poses: (C, L, 4, 4) world_T_camera, each clip in a world of its own. points: (C, L, H, W, 3)
    float32 metres. confidence: (C, L, H, W) float32. gains: (C, L) mean of the state tokens.
    """

    poses: Array
    points: Array32
    confidence: Array32
    gains: Array

    @classmethod
    def empty(cls, clips: int, images: int, height: int, width: int) -> Told:
        """Make room; pages that nothing is written to cost nothing."""
        shape = clips, images, height, width
        return cls(
            np.zeros((clips, images, 4, 4)),
            np.zeros((*shape, 3), np.float32),
            np.zeros(shape, np.float32),
            np.zeros((clips, images)),
        )

    def of_clips(self, clips: slice) -> Told:
        """Give what was told about some clips."""
        return Told(
            self.poses[clips], self.points[clips], self.confidence[clips], self.gains[clips]
        )


def run_films(
    network: Network,
    encoded: EncodedFilms,
    methods: Sequence[Method],
    progress: tqdm,
    with_points: Collection[Method] = (),
) -> dict[str, list[Estimate]]:
    """
    Say what the mapper would say about each film by each method.

    :param progress: gets a unit for each decoding, see `decodings`.
    :param with_points: methods whose points are wanted; those of others are empty.
    :returns: for each method's name an estimate of each film.
    """
    estimates: dict[str, list[Estimate]] = {method.name: [] for method in methods}
    for interval in dict.fromkeys(method.interval for method in methods):
        chosen = [method for method in methods if method.interval == interval]
        cut = Cut(len(encoded), interval)
        together = max(1, BATCH // len(cut.images))
        for begin in range(0, len(encoded.films), together):
            films = encoded.films[begin : begin + together]
            part = replace(encoded, films=films, tokens=encoded.tokens[begin : begin + together])
            wanted = {method.rule: cut.wanted(method in with_points) for method in chosen}
            told = _decode(network, part, cut, wanted, progress)
            for method in chosen:
                estimates[method.name] += _estimates(
                    told[method.rule], films, cut, network, method in with_points
                )
    return estimates


def run_all(
    network: Network,
    encoded: EncodedFilms,
    methods: Sequence[Method],
    depth_by: Method,
    progress: tqdm,
) -> dict[str, list[Estimate]]:
    """
    Say what each method and each baseline says about each film.

    :param depth_by: one of the methods, whose depth the classical baseline gets.
    :param progress: gets a unit for each decoding, see `decodings`.
    :returns: for each name an estimate of each film.
    """
    estimates = run_films(network, encoded, methods, progress, [depth_by])
    of_films = [
        baselines(film, estimate.points_camera[..., 2])
        for film, estimate in zip(encoded.films, estimates[depth_by.name])
    ]
    return estimates | {name: [said[name] for said in of_films] for name in BASELINES}


def decodings(films: int, frames: int, methods: Sequence[Method]) -> int:
    """Count how often `run_films` moves its progress on."""
    clips = [Cut(frames, method.interval).images for method in methods]
    return films * sum(len(images) * (len(images[0]) - 1) for images in clips)


class Cut:
    """
    How a film is cut into segments of `interval` images (0: one segment without end).

    All but the first segment see the last image of the segment before again. Clips are of one
    length: the first one ends with an image too many, the last one may repeat the film's last.

    images: (segments, L) image of each place of each clip. segment, place: (T,) where an image
    is looked up.
    """

    def __init__(self, frames: int, interval: int) -> None:
        """Cut a film of so many frames."""
        length = min(interval or frames, frames)
        first = np.maximum(np.arange(0, frames, length) - 1, 0)
        self.images = np.minimum(first[:, None] + np.arange(length + 1), frames - 1)
        self.segment, self.place = np.divmod(np.arange(frames), length)
        self.place += self.segment > 0
        self.joints = np.arange(length, frames, length) - 1  # images that two segments see

    def wanted(self, every_image: bool) -> Mask:
        """
        Say where points are needed: (segments, L).

        :param every_image: False for those alone that segments are joined by.
        """
        wanted = np.zeros(self.images.shape, np.bool_)
        wanted[1:, 0] = True
        at = slice(None) if every_image else self.joints
        wanted[self.segment[at], self.place[at]] = True
        return wanted


@torch.inference_mode()
def _decode(
    network: Network,
    encoded: EncodedFilms,
    cut: Cut,
    wanted: dict[str, Mask],
    progress: tqdm,
) -> dict[str, Told]:
    """
    Run all clips of some films by some rules.

    :param wanted: for each rule (segments, L), where its points are needed.
    :returns: for each rule what it says about (films * segments) clips.
    """
    films, (segments, length) = len(encoded.films), cut.images.shape
    film_of_clip = np.repeat(np.arange(films), segments)
    images = np.tile(cut.images, (films, 1))
    wanted = {rule: np.tile(mask, (films, 1)) for rule, mask in wanted.items()}
    told = {rule: Told.empty(*images.shape, *encoded.films[0].rgb.shape[1:3]) for rule in wanted}
    by_any_rule = np.any(list(wanted.values()), axis=0)
    for begin in range(0, len(images), BATCH):
        clips = slice(begin, begin + BATCH)
        count = len(images[clips])

        def tokens(place: int, clips: slice = clips) -> ImageTokens:
            of_clips = encoded.tokens[film_of_clip[clips], images[clips, place]]
            return ImageTokens(of_clips, encoded.height, encoded.width)

        # The first image is written fully by every rule, and cut3r remembers nothing besides.
        decoded, gain, fresh = network.advance(
            tokens(0), network.initial_state(count), rule=RULES['cut3r'], write=True
        )
        _note(network, decoded, gain, list(told.values()), clips, 0, by_any_rule)
        for rule, needed in wanted.items():
            state = fresh
            for place in range(1, length):
                decoded, gain, state = network.advance(
                    tokens(place), state, rule=RULES[rule], write=True
                )
                _note(network, decoded, gain, [told[rule]], clips, place, needed)
                progress.update(count)
    return told


def _note(
    network: Network,
    decoded: Decoded,
    gain: Tensor,
    told: list[Told],
    clips: slice,
    place: int,
    wanted: Mask,
) -> None:
    """Run the heads on one image of some clips, the dense ones where they are wanted."""
    pose = network.predict(decoded, gain, Outputs(points=False)).pose()
    translation, quaternion = (tensor.cpu().numpy().astype(np.float64) for tensor in pose)
    poses = transform(rotation_from_quaternion(quaternion), translation)
    for each in told:
        each.poses[clips, place] = poses
        each.gains[clips, place] = gain.mean(dim=1).cpu().numpy()
    (chosen,) = np.nonzero(wanted[clips, place])
    if not len(chosen):
        return
    of_chosen = Decoded(
        decoded.levels.map(lambda level: level[chosen]), decoded.pose_token[chosen]
    )
    dense = network.predict(of_chosen, gain[chosen], Outputs(pose=False)).points()
    points, confidence = (tensor.float().cpu().numpy() for tensor in dense)
    for each in told:
        each.points[clips.start + chosen, place] = points
        each.confidence[clips.start + chosen, place] = confidence


def _estimates(
    told: Told, films: list[Film], cut: Cut, network: Network, with_points: bool
) -> list[Estimate]:
    """Join the clips of each film."""
    segments = len(cut.images)
    estimates = []
    for number, film in enumerate(films):
        of_film = told.of_clips(slice(number * segments, (number + 1) * segments))
        chain = _chain(of_film, film, cut, network.architecture.patch_size**2)
        poses = np.stack(
            [
                chain[segment].track_T_world.pose(of_film.poses[segment, place])
                for segment, place in zip(cut.segment, cut.place)
            ]
        )
        points = np.empty((len(film), 0), np.float16)
        if with_points:
            scales = np.array([segment.track_T_world.scale for segment in chain], np.float32)[
                cut.segment
            ]
            points = of_film.points[cut.segment, cut.place] * scales[:, None, None, None]
        gains = of_film.gains[cut.segment, cut.place]
        estimates.append(Estimate(poses, points.astype(np.float16), gains))
    return estimates


def _chain(told: Told, film: Film, cut: Cut, independent_pixels: int) -> list[Segment]:
    """Join each segment to the one before as the mapper does."""

    def view(segment: int, place: int, image: int) -> View:
        depth = told.points[segment, place, ..., 2]
        confidence, pose = told.confidence[segment, place], told.poses[segment, place]
        return View(film.rgb[image], depth, confidence, pose)

    chain = [Segment(0, Similarity(IDENTITY))]
    for image in cut.joints.tolist():
        number, place = int(cut.segment[image]), int(cut.place[image])
        before, after = view(number, place, image), view(number + 1, 0, image)
        chain.append(next_segment(chain[-1], [before], [after], SEGMENT_SCALE, independent_pixels))
    return chain
