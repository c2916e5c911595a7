# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What robot and server send each other: numbers at fixed places, JSON, or safetensors.

Nothing that comes is ever run or unpickled, and lengths are checked before memory is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
import json
import struct

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load, save
import torch

from ttt3r_ros.arrays import Pixels
from ttt3r_ros.model.architecture import Architecture
from ttt3r_ros.model.predictor import HostPrediction
from ttt3r_ros.model.state import RecurrentState
from ttt3r_ros.serving.codec import (
    BadMessage,
    decode_image,
    decode_numbers,
    encode_image,
    encode_numbers,
    PLANES,
    Transfer,
)

PROTOCOL = 1  # raised by every change of what travels
SERVICE = 'ttt3r.Predictor'
CLIENT_KEY, TOKEN_KEY = 'ttt3r-client', 'authorization'
TOKEN_FORM = 'Bearer {}'
ENTER, STEP, FETCH, PUT, LEAVE = 'Enter', 'Step', 'Fetch', 'Put', 'Leave'

INITIAL = 0  # number of the state before the first image, the same for all
MOST_RELEASED = 64
_STEP = struct.Struct('<QQ?BHHB')
_RESULT = struct.Struct('<BHHH16d')
_NUMBER = struct.Struct('<Q')
NUMBER_BYTES = _NUMBER.size


@dataclass(frozen=True)
class StepOrder:
    """
    One image for the network.

    state: number of the state before it. becomes: number that the state after it gets, chosen by
    the robot. released: states that the robot no longer needs. rgb: (h, w, 3) uint8, fitted.
    """

    state: int
    becomes: int
    write: bool
    transfer: Transfer
    released: tuple[int, ...]
    rgb: Pixels

    def packed(self) -> bytes:
        """Return it as bytes."""
        height, width = self.rgb.shape[:2]
        released = self.released[:MOST_RELEASED]
        head = _STEP.pack(
            self.state,
            self.becomes,
            self.write,
            self.transfer,
            height,
            width,
            len(released),
        )
        numbers = b''.join(_NUMBER.pack(number) for number in released)
        return head + numbers + encode_image(self.rgb, self.transfer)


def read_step(message: bytes, patch: int, size: int) -> StepOrder:
    """
    Read one image for the network.

    :param patch: both sides are multiples of it, pixels.
    :param size: longest side of an image, pixels.
    :raises BadMessage: when the message is none.
    """
    try:
        state, becomes, write, transfer, height, width, count = _STEP.unpack_from(message)
        end = _STEP.size + count * _NUMBER.size
        released = tuple(n for (n,) in _NUMBER.iter_unpack(message[_STEP.size : end]))
        transfer = Transfer(transfer)
    except (struct.error, ValueError) as error:
        raise BadMessage(f'a step is malformed: {error}') from error
    if len(released) != count or becomes == INITIAL:
        raise BadMessage('a step is malformed')
    if not all(0 < side <= size and side % patch == 0 for side in (height, width)):
        raise BadMessage(
            f'an image of {width}x{height} came: sides are multiples of {patch} up to {size}'
        )
    rgb = decode_image(message[end:], transfer, height, width)
    return StepOrder(state, becomes, write, transfer, released, rgb)


def pack_result(prediction: HostPrediction, transfer: Transfer) -> bytes:
    """Return a prediction as bytes; pose and gains are exact."""
    height, width = prediction.confidence.shape
    head = _RESULT.pack(
        transfer, height, width, len(prediction.gains), *prediction.world_T_camera.flat
    )
    points = np.moveaxis(prediction.points_camera, -1, 0)
    planes = np.concatenate([points, prediction.confidence[None]])
    gains = prediction.gains.astype('<f4').tobytes()
    return head + gains + encode_numbers(planes, transfer)


def read_result(message: bytes, height: int, width: int) -> HostPrediction:
    """
    Read a prediction.

    :param height: that it must have, pixels.
    :param width: that it must have, pixels.
    :raises BadMessage: when it has not.
    """
    try:
        transfer, rows, columns, count, *pose = _RESULT.unpack_from(message)
        end = _RESULT.size + 4 * count
        gains = np.frombuffer(message[_RESULT.size : end], '<f4').astype(np.float32)
        transfer = Transfer(transfer)
    except (struct.error, ValueError) as error:
        raise BadMessage(f'a prediction is malformed: {error}') from error
    if (rows, columns) != (height, width) or len(gains) != count:
        raise BadMessage('a prediction has another size than its image')
    planes = decode_numbers(message[end:], transfer, (PLANES, height, width))
    points = np.ascontiguousarray(np.moveaxis(planes[:3], 0, -1))
    return HostPrediction(points, planes[3], np.array(pose).reshape(4, 4), gains)


@dataclass(frozen=True)
class Offer:
    """
    What a server runs.

    version: of the program. device: in words. name, sha256, metadata: of the checkpoint; empty for
    random weights. update_rule, gain_scale: of the state.
    """

    version: str
    device: str
    architecture: Architecture
    update_rule: str
    gain_scale: float
    name: str = ''
    sha256: str = ''
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def network(self) -> tuple[str, Architecture, str, float]:
        """Return what a state depends on."""
        return self.sha256, self.architecture, self.update_rule, self.gain_scale

    def packed(self) -> bytes:
        """Return it as bytes."""
        record = {**asdict(self), 'architecture': self.architecture.to_record()}
        return json.dumps({'protocol': PROTOCOL, **record}).encode()


def read_offer(message: bytes) -> Offer:
    """
    Read what a server runs.

    :raises BadMessage: when the message is malformed, or of another protocol.
    """
    try:
        record = json.loads(message)
        protocol = record.pop('protocol')
        if protocol != PROTOCOL:
            raise BadMessage(
                f'the server speaks protocol {protocol} (ttt3r_ros {record.get("version")}), this '
                f'program {PROTOCOL}: install the same version of ttt3r_ros on both'
            )
        record['architecture'] = Architecture.from_record(record['architecture'])
        return Offer(**record)
    except BadMessage:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadMessage(f'the server does not say what it runs: {error}') from error


def pack_state(state: RecurrentState) -> bytes:
    """Return a state of the network as bytes of a safetensors file."""
    return save(state.to('cpu').to_tensors())


def read_state(message: bytes) -> RecurrentState:
    """
    Read a state of any network.

    :raises BadMessage: when it is none.
    """
    try:
        state = RecurrentState.from_tensors(load(message))
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise BadMessage(f'a state is malformed: {error}') from error
    if any(t.dtype != torch.float32 or not t.isfinite().all() for t in tensors_of(state)):
        raise BadMessage('a state has numbers that are not finite')
    return state


def check_state(state: RecurrentState, fresh: RecurrentState) -> RecurrentState:
    """
    Return a state on the device of a network, if it is one of that network.

    :param fresh: its initial state.
    :raises BadMessage: when it is not.
    """
    if (state.tokens.shape, state.memory.shape) != (fresh.tokens.shape, fresh.memory.shape):
        raise BadMessage('a state is none of this network')
    return state.to(fresh.tokens.device)


def tensors_of(state: RecurrentState) -> tuple[torch.Tensor, ...]:
    """Return all tensors of a state."""
    return state.tokens, state.memory, *state.rule_memory


def pack_number(number: int) -> bytes:
    """Return the number of a state as bytes."""
    return _NUMBER.pack(number)


def read_number(message: bytes) -> int:
    """
    Read the number of a state.

    :raises BadMessage: when it is none.
    """
    if len(message) != NUMBER_BYTES:
        raise BadMessage('the number of a state is missing')
    return int(_NUMBER.unpack(message)[0])
