# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a server offers, against what a robot wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path

from ttt3r_ros.model.checkpoint import CheckpointInfo, hash_file, resolve_checkpoint
from ttt3r_ros.model.predictor import chosen_gain_scale, Predictor, RANDOM_CHECKPOINT
from ttt3r_ros.model.published.files import PUBLISHED
from ttt3r_ros.serving.failures import Refused
from ttt3r_ros.serving.messages import Offer
from ttt3r_ros.settings import ModelSettings


@dataclass(frozen=True)
class CheckpointElsewhere(CheckpointInfo):
    """The origin of a network whose file is on another machine."""

    recorded_sha256: str = field(default='')

    @cached_property
    def sha256(self) -> str:
        """Return the SHA-256 of the file, in hexadecimal."""
        return self.recorded_sha256


def offer_of(predictor: Predictor, settings: ModelSettings) -> Offer:
    """
    Return what a server offers.

    :param settings: with which the predictor was loaded.
    """
    info = predictor.checkpoint
    return Offer(
        metadata.version('ttt3r_ros'),
        str(predictor.device),
        predictor.architecture,
        settings.update_rule,
        chosen_gain_scale(settings, info),
        '' if info is None else info.name,
        '' if info is None else info.sha256,
        {} if info is None else dict(info.metadata),
    )


def checkpoint_of(offer: Offer) -> CheckpointInfo | None:
    """Return the origin of the network of a server; None of random weights."""
    if not offer.sha256:
        return None
    return CheckpointElsewhere(
        offer.name, Path(offer.name), offer.architecture, offer.metadata, offer.sha256
    )


def check_offer(offer: Offer, settings: ModelSettings, server: str) -> None:
    """
    Compare what a server offers with the settings of a robot.

    :param settings: an empty checkpoint takes what the server has.
    :param server: its address, for the text.
    :raises Refused: when they differ.
    """
    for name in ('precision', 'runtime'):
        if getattr(settings, name) != 'auto':
            raise Refused(f'model.{name} is decided where the network is: ttt3r serve --{name}')
    has = f'{offer.name or RANDOM_CHECKPOINT} ({offer.sha256[:12]})'
    wanted = _wanted_sha256(settings.checkpoint)
    if wanted is not None and wanted != offer.sha256:
        raise Refused(
            f'{server} has the weights {has}, wanted is {settings.checkpoint} ({wanted[:12]}): '
            'start it with the same --checkpoint, or leave model.checkpoint empty'
        )
    rule = settings.update_rule, chosen_gain_scale(settings, checkpoint_of(offer))
    if rule != (offer.update_rule, offer.gain_scale):
        raise Refused(
            f'{server} has the update rule {offer.update_rule} and gain scale '
            f'{offer.gain_scale:g}, wanted are {rule[0]} and {rule[1]:g}: start it with the same'
        )


def _wanted_sha256(checkpoint: str) -> str | None:
    """Return the hash of the weights of a setting; None: any."""
    if not checkpoint:
        return None
    if checkpoint == RANDOM_CHECKPOINT:
        return ''
    if checkpoint in PUBLISHED:
        return PUBLISHED[checkpoint].sha256
    return hash_file(resolve_checkpoint(checkpoint))
