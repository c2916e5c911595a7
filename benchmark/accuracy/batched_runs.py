# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Estimates by every update rule, for many sequences in one batch.

The result is that of a Tracker for each sequence, with less computation: an image is encoded once
for all rules and segments; segments begin with the initial state, so the segments of a sequence
are clips of one batch; every rule writes the first image with gain 1, so it is decoded once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from benchmark.accuracy.estimates import BASELINES, baselines, Estimate, Method, RULES
from benchmark.accuracy.sequences import ImageSequence
from ttt3r_ros.arrays import Array, Array32, Mask
from ttt3r_ros.geometry import IDENTITY, rotation_from_quaternion, Similarity, transform
from ttt3r_ros.model import HeadSelection, Network
from ttt3r_ros.model.image_input import normalised
from ttt3r_ros.model.network import Decoded, ImageTokens
from ttt3r_ros.tracking.front_end import FRONT_ENDS
from ttt3r_ros.tracking.segments import next_segment, Segment, SegmentView

SEGMENT_SCALE = FRONT_ENDS['network'].segment_scale
BATCH = 16  # clips that are decoded together: more do not fit into the caches of a core


@dataclass(frozen=True, eq=False)
class EncodedSequences:
    """
    F sequences of one image size and length T, with their image tokens.

    tokens: (F, T, N, E), N = height * width tokens of E channels.
    """

    sequences: list[ImageSequence]
    tokens: Tensor
    height: int
    width: int

    @classmethod
    @torch.inference_mode()
    def of(cls, network: Network, sequences: list[ImageSequence]) -> EncodedSequences:
        """Encode every image of the sequences, all of one image size and length."""
        device = next(network.parameters()).device
        images = torch.from_numpy(np.concatenate([sequence.rgb for sequence in sequences]))
        parts = []
        for pixels in images.split(BATCH):
            parts.append(network.encode(normalised(pixels.to(device))))
        tokens = torch.cat([part.tokens for part in parts]).unflatten(0, (len(sequences), -1))
        return cls(sequences, tokens, parts[0].height, parts[0].width)

    def every(self, step: int) -> EncodedSequences:
        """Return every step-th image: the same paths at a lower rate."""
        sequences = [sequence.every(step) for sequence in self.sequences]
        return replace(self, sequences=sequences, tokens=self.tokens[:, ::step])

    def __len__(self) -> int:
        """Return the number of images of one sequence."""
        return self.tokens.shape[1]


@dataclass(frozen=True, eq=False)
class ClipPredictions:
    """
    The predictions for C clips of L images; zeros where nothing was predicted.

    poses: (C, L, 4, 4) world_T_camera, the world of a clip being its first camera. points:
    (C, L, H, W, 3) float32, metres, camera frame. confidence: (C, L, H, W) float32. gains: (C, L)
    mean gain of the state tokens.
    """

    poses: Array
    points: Array32
    confidence: Array32
    gains: Array

    @classmethod
    def empty(cls, clips: int, images: int, height: int, width: int) -> ClipPredictions:
        """Return zeros; memory pages that are never written are not allocated."""
        shape = clips, images, height, width
        return cls(
            np.zeros((clips, images, 4, 4)),
            np.zeros((*shape, 3), np.float32),
            np.zeros(shape, np.float32),
            np.zeros((clips, images)),
        )

    def of_clips(self, clips: slice) -> ClipPredictions:
        """Return the predictions for a range of clips."""
        return ClipPredictions(
            self.poses[clips], self.points[clips], self.confidence[clips], self.gains[clips]
        )


def run_sequences(
    network: Network,
    encoded: EncodedSequences,
    methods: Sequence[Method],
    progress: tqdm,
    with_points: Collection[Method] = (),
) -> dict[str, list[Estimate]]:
    """
    Estimate each sequence by each method, as the mapper would.

    :param progress: advanced by one for each decoding, see `decodings`.
    :param with_points: methods whose estimates contain points; those of others are empty.
    :returns: by the name of the method, one estimate for each sequence.
    """
    estimates: dict[str, list[Estimate]] = {method.name: [] for method in methods}
    for interval in dict.fromkeys(method.interval for method in methods):
        chosen = [method for method in methods if method.interval == interval]
        layout = SegmentLayout(len(encoded), interval)
        together = max(1, BATCH // len(layout.images))
        for begin in range(0, len(encoded.sequences), together):
            sequences = encoded.sequences[begin : begin + together]
            part = replace(
                encoded, sequences=sequences, tokens=encoded.tokens[begin : begin + together]
            )
            wanted = {method.rule: layout.wanted(method in with_points) for method in chosen}
            predictions = _decode(network, part, layout, wanted, progress)
            for method in chosen:
                estimates[method.name] += _estimates(
                    predictions[method.rule], sequences, layout, network, method in with_points
                )
    return estimates


def run_all(
    network: Network,
    encoded: EncodedSequences,
    methods: Sequence[Method],
    depth_by: Method,
    progress: tqdm,
) -> dict[str, list[Estimate]]:
    """
    Estimate each sequence by each method and each baseline.

    :param depth_by: one of the methods; the classical baseline uses its depth.
    :param progress: advanced by one for each decoding, see `decodings`.
    :returns: by the name of the method or baseline, one estimate for each sequence.
    """
    estimates = run_sequences(network, encoded, methods, progress, [depth_by])
    of_sequences = [
        baselines(sequence, estimate.points_camera[..., 2])
        for sequence, estimate in zip(encoded.sequences, estimates[depth_by.name])
    ]
    return estimates | {name: [of[name] for of in of_sequences] for name in BASELINES}


def decodings(sequences: int, frames: int, methods: Sequence[Method]) -> int:
    """Return how often `run_sequences` advances its progress."""
    clips = [SegmentLayout(frames, method.interval).images for method in methods]
    return sequences * sum(len(images) * (len(images[0]) - 1) for images in clips)


class SegmentLayout:
    """
    The division of a sequence of T images into segments of `interval` images (0: one segment).

    Each segment but the first begins with the last image of the previous segment. All clips have
    the same length L: the first one ends with one image too many, the last one may repeat the
    last image of the sequence.

    images: (segments, L) index of the image at each place of each clip. segment, place: (T,)
    indices of the clip and the place that each image is read from.
    """

    def __init__(self, frames: int, interval: int) -> None:
        """Divide a sequence of so many frames."""
        length = min(interval or frames, frames)
        first = np.maximum(np.arange(0, frames, length) - 1, 0)
        self.images = np.minimum(first[:, None] + np.arange(length + 1), frames - 1)
        self.segment, self.place = np.divmod(np.arange(frames), length)
        self.place += self.segment > 0
        self.joints = np.arange(length, frames, length) - 1  # images that two segments see

    def wanted(self, every_image: bool) -> Mask:
        """
        Return where points are needed.

        :param every_image: False for only the images that two segments share.
        :returns: (segments, L) bool.
        """
        wanted = np.zeros(self.images.shape, np.bool_)
        wanted[1:, 0] = True
        at = slice(None) if every_image else self.joints
        wanted[self.segment[at], self.place[at]] = True
        return wanted


@torch.inference_mode()
def _decode(
    network: Network,
    encoded: EncodedSequences,
    layout: SegmentLayout,
    wanted: dict[str, Mask],
    progress: tqdm,
) -> dict[str, ClipPredictions]:
    """
    Predict all clips of the sequences by each rule.

    :param wanted: by rule, (segments, L) bool where its points are needed.
    :returns: by rule, the predictions for sequences * segments clips.
    """
    sequences, (segments, length) = len(encoded.sequences), layout.images.shape
    sequence_of_clip = np.repeat(np.arange(sequences), segments)
    images = np.tile(layout.images, (sequences, 1))
    wanted = {rule: np.tile(mask, (sequences, 1)) for rule, mask in wanted.items()}
    predictions = {
        rule: ClipPredictions.empty(*images.shape, *encoded.sequences[0].rgb.shape[1:3])
        for rule in wanted
    }
    by_any_rule = np.any(list(wanted.values()), axis=0)
    for begin in range(0, len(images), BATCH):
        clips = slice(begin, begin + BATCH)
        count = len(images[clips])

        def tokens(place: int, clips: slice = clips) -> ImageTokens:
            of_clips = encoded.tokens[sequence_of_clip[clips], images[clips, place]]
            return ImageTokens(of_clips, encoded.height, encoded.width)

        # The first image is written fully by every rule, and cut3r remembers nothing besides.
        decoded, gain, fresh = network.advance(
            tokens(0), network.initial_state(count), rule=RULES['cut3r'], write=True
        )
        _note(network, decoded, gain, list(predictions.values()), clips, 0, by_any_rule)
        for rule, needed in wanted.items():
            state = fresh
            for place in range(1, length):
                decoded, gain, state = network.advance(
                    tokens(place), state, rule=RULES[rule], write=True
                )
                _note(network, decoded, gain, [predictions[rule]], clips, place, needed)
                progress.update(count)
    return predictions


def _note(
    network: Network,
    decoded: Decoded,
    gain: Tensor,
    predictions: list[ClipPredictions],
    clips: slice,
    place: int,
    wanted: Mask,
) -> None:
    """Run the pose head on one image of a range of clips, the dense heads where wanted."""
    pose = network.predict(decoded, gain, HeadSelection(points=False)).pose()
    translation, quaternion = (tensor.cpu().numpy().astype(np.float64) for tensor in pose)
    poses = transform(rotation_from_quaternion(quaternion), translation)
    for each in predictions:
        each.poses[clips, place] = poses
        each.gains[clips, place] = gain.mean(dim=1).cpu().numpy()
    (chosen,) = np.nonzero(wanted[clips, place])
    if not len(chosen):
        return
    of_chosen = Decoded(
        decoded.levels.map(lambda level: level[chosen]), decoded.pose_token[chosen]
    )
    dense = network.predict(of_chosen, gain[chosen], HeadSelection(pose=False)).points()
    points, confidence = (tensor.float().cpu().numpy() for tensor in dense)
    for each in predictions:
        each.points[clips.start + chosen, place] = points
        each.confidence[clips.start + chosen, place] = confidence


def _estimates(
    predictions: ClipPredictions,
    sequences: list[ImageSequence],
    layout: SegmentLayout,
    network: Network,
    with_points: bool,
) -> list[Estimate]:
    """Return one estimate for each sequence, from its aligned segments."""
    segments = len(layout.images)
    estimates = []
    for number, sequence in enumerate(sequences):
        of_sequence = predictions.of_clips(slice(number * segments, (number + 1) * segments))
        chain = _chain(of_sequence, sequence, layout, network.architecture.patch_size**2)
        poses = np.stack(
            [
                chain[segment].track_T_world.pose(of_sequence.poses[segment, place])
                for segment, place in zip(layout.segment, layout.place)
            ]
        )
        points = np.empty((len(sequence), 0), np.float16)
        if with_points:
            scales = np.array([segment.track_T_world.scale for segment in chain], np.float32)[
                layout.segment
            ]
            points = of_sequence.points[layout.segment, layout.place] * scales[:, None, None, None]
        gains = of_sequence.gains[layout.segment, layout.place]
        estimates.append(Estimate(poses, points.astype(np.float16), gains))
    return estimates


def _chain(
    predictions: ClipPredictions,
    sequence: ImageSequence,
    layout: SegmentLayout,
    correlated_pixels: int,
) -> list[Segment]:
    """Align each segment with the previous one, as the mapper does."""

    def view(segment: int, place: int, image: int) -> SegmentView:
        depth = predictions.points[segment, place, ..., 2]
        confidence, pose = (
            predictions.confidence[segment, place],
            predictions.poses[segment, place],
        )
        return SegmentView(sequence.rgb[image], depth, confidence, pose)

    chain = [Segment(0, Similarity(IDENTITY))]
    for image in layout.joints.tolist():
        number, place = int(layout.segment[image]), int(layout.place[image])
        before, after = view(number, place, image), view(number + 1, 0, image)
        chain.append(next_segment(chain[-1], [before], [after], SEGMENT_SCALE, correlated_pixels))
    return chain
