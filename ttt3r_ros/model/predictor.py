# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The network with numpy input and output, on one device in one precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import logging
import math

import numpy as np
import torch
from torch import Tensor

from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.errors import UserError
from ttt3r_ros.geometry import rotation_from_quaternion, transform
from ttt3r_ros.image_fit import ImageFit, Resize
from ttt3r_ros.model.architecture import Architecture
from ttt3r_ros.model.checkpoint import (
    CheckpointError,
    CheckpointInfo,
    load_network_of_images,
    read_info,
    resolve_checkpoint,
)
from ttt3r_ros.model.image_input import normalised
from ttt3r_ros.model.match_map import match_per_patch
from ttt3r_ros.model.network import FramePrediction, HeadSelection, Network
from ttt3r_ros.model.openvino_step import OpenVinoStep, pays
from ttt3r_ros.model.precision import choose_precision
from ttt3r_ros.model.recorded_step import (
    CudaGraphRecorder,
    RecordedStep,
    RecordingRefused,
    StepRecorder,
)
from ttt3r_ros.model.resize import DeviceResize, resize_on_host
from ttt3r_ros.model.state import RecurrentState
from ttt3r_ros.model.state_update import update_rule, UpdateRule
from ttt3r_ros.settings import ModelSettings, TrackingSettings
from ttt3r_ros.threads import SPINNING

LOGGER = logging.getLogger(__name__)

# (rgb (h, w, 3) uint8, state, write) -> (P,) float32 as of `_packed`, next state.
WholeStep = Callable[[Pixels, RecurrentState, bool], tuple[Array32, RecurrentState]]

RANDOM_CHECKPOINT = 'random'
WIDE_IMAGE = 1280, 720  # or another of this shape: it becomes the same network's image
# Keys of a checkpoint's metadata.
ADVICE = 'reset_interval'
GAIN_ADVICE = 'gain_scale'  # and the name of the rule: gain_scale.ttt3r


class DeviceError(UserError):
    """The chosen device does not exist or cannot be used."""


@dataclass(frozen=True)
class HostPrediction:
    """
    The prediction for one frame, on the host.

    points_camera: (h, w, 3) float32 metres, camera frame. confidence: (h, w) float32 > 1.
    world_T_camera: (4, 4) float64, the world being the first camera of the segment; all NaN
    where the network predicted no finite pose. gains: (S,) float32, of
    each state token, 0 to 1.
    """

    points_camera: Array32
    confidence: Array32
    world_T_camera: Array
    gains: Array32

    @property
    def gain_mean(self) -> float:
        """Return the mean gain of the state tokens."""
        return float(self.gains.mean())


class NetworkFacts:
    """
    What is known of a network, wherever it runs.

    architecture: its sizes. checkpoint: origin of the weights, None for random ones.
    """

    def __init__(self, architecture: Architecture, checkpoint: CheckpointInfo | None) -> None:
        """Keep the facts."""
        self.architecture, self.checkpoint = architecture, checkpoint

    @property
    def patch(self) -> int:
        """Return the patch size, pixels; both sides of an image are multiples of it."""
        return self.architecture.patch_size

    def fit(self, width: int, height: int) -> ImageFit:
        """
        Return how images are resized and cropped for the network.

        :param width: of the original images, pixels.
        :param height: pixels.
        :raises BadImage: when no image of this size can be used.
        """
        return self.architecture.fit(width, height)

    @property
    def checkpoint_name(self) -> str:
        """Return the name of the weights."""
        return RANDOM_CHECKPOINT if self.checkpoint is None else self.checkpoint.name

    @property
    def checkpoint_note(self) -> str:
        """Return the message of its author to users, mostly empty."""
        return '' if self.checkpoint is None else self.checkpoint.note

    def advise(self, settings: TrackingSettings) -> TrackingSettings:
        """
        Return the settings with automatic values replaced by those of the checkpoint.

        :param settings: of the tracker; other values are not changed.
        :raises CheckpointError: when the value in the checkpoint is not a number of frames.
        """
        if settings.reset_interval >= 0:
            return settings
        advice = '0' if self.checkpoint is None else self.checkpoint.metadata.get(ADVICE, '0')
        if not advice.isdecimal():
            raise CheckpointError(f'{self.checkpoint_name} advises {ADVICE}={advice!r}: set one')
        return replace(settings, reset_interval=int(advice))

    @property
    def checkpoint_sha256(self) -> str:
        """Return the hash of the file of the weights, empty for random ones."""
        return '' if self.checkpoint is None else self.checkpoint.sha256


class PlainStep:
    """All operations of a step on the device, one by one, from pixels to one vector."""

    def __init__(self, network: Network, rule: UpdateRule) -> None:
        """
        Construct the step.

        It is no method of a predictor, which holds its recordings: that cycle would keep the
        network in the memory of the device until Python collects it.

        :param network: on its device, in its precision.
        :param rule: of the state.
        """
        self._network, self._rule = network, rule

    def __call__(
        self, pixels: Tensor, state: RecurrentState, write: bool
    ) -> tuple[Tensor, RecurrentState]:
        """
        Process one image.

        :param pixels: (h, w, 3) uint8.
        :param state: it is not changed.
        :param write: False: do not update the state tokens and the memory.
        :returns: (P,) points, confidence, pose and gains; the next state.
        """
        prediction, state = self._network.step(
            normalised(pixels[None]), state, rule=self._rule, outputs=HeadSelection(), write=write
        )
        return _packed(prediction), state


class Predictor(NetworkFacts):
    """A network on a device, with the update rule of its state."""

    def __init__(
        self,
        network: Network,
        checkpoint: CheckpointInfo | None = None,
        *,
        device: torch.device = torch.device('cpu'),
        rule: UpdateRule | None = None,
        recorder: StepRecorder | None = None,
        compiled: WholeStep | None = None,
    ) -> None:
        """
        Construct the predictor of a network.

        :param network: on `device`, in its precision.
        :param checkpoint: origin of the weights, None for random ones.
        :param rule: of the state; None: the default one, with the gain of the checkpoint.
        :param recorder: records a step, to be replayed; None: run its operations one by one.
        :param compiled: the step of this network and rule in another runtime, instead.
        """
        super().__init__(network.architecture, checkpoint)
        self._network = network.eval()
        self._rule = chosen_rule(ModelSettings(), checkpoint) if rule is None else rule
        self._step = PlainStep(self._network, self._rule)
        self._whole_step = compiled
        if recorder is not None:
            self._whole_step = RecordedStep(self._step, recorder)
        self.device = device
        if device.type == 'cuda':
            use_full_float32()
        self.resize: Resize = DeviceResize(device) if device.type == 'cuda' else resize_on_host

    @property
    def recorded(self) -> bool:
        """Return whether whole steps are replayed, or run by another runtime."""
        return self._whole_step is not None

    def wait_for_network(self, seconds: float) -> None:
        """Do nothing: the network is here."""

    def warm_up(self, width: int, height: int) -> None:
        """
        Record or compile the steps of a segment before its first image, where this is done.

        A GPU, which records them in a second, does so for wide images too.

        :param width: of the expected images, pixels.
        :param height: of the expected images, pixels.
        """
        if self._whole_step is None:
            return
        wide = [WIDE_IMAGE] if self.device.type == 'cuda' else []
        for size in ((width, height), *wide):
            fit = self.fit(*size)
            blank, state = np.zeros((fit.height, fit.width, 3), np.uint8), self.initial_state()
            # The first of a segment, a later one, and one that is only localised.
            for write in (True, True, False):
                _, state = self.step(blank, state, write)

    @torch.inference_mode()
    def initial_state(self) -> RecurrentState:
        """Return the state before the first frame of a segment."""
        return self._network.initial_state()

    @torch.inference_mode()
    def step(
        self, rgb: Pixels, state: RecurrentState, write: bool = True
    ) -> tuple[HostPrediction, RecurrentState]:
        """
        Process one fitted image.

        :param rgb: (h, w, 3) uint8, both sides multiples of `patch`.
        :param state: from initial_state or from the last step; it is not changed.
        :param write: False: do not update the state tokens and the memory.
        """
        height, width = rgb.shape[:2]
        if self._whole_step is not None:
            try:
                numbers, state = self._whole_step(rgb, state, write)
            except RecordingRefused as error:
                LOGGER.warning('steps run one operation at a time, slower: %s', error)
                self._whole_step = None
            else:
                return _unpack(numbers, height, width), state
        packed, state = self._step(self._pixels(rgb), state, write)
        return _unpack(packed.cpu().numpy(), height, width), state

    @torch.inference_mode()
    def match(self, rgb: Pixels, state: RecurrentState) -> Array32:
        """
        Compute where in an image the state finds what it knows; another step, run by torch.

        :param rgb: (h, w, 3) uint8, fitted.
        :param state: before the image; it is not changed.
        :returns: (rows, columns) float32 in [0, 1]: the logistic function of the match of each
            patch, which is TTT3R's gain where it is averaged over the image.
        """
        logits = match_per_patch(self._network, self.upload(rgb), state)
        found: Array32 = logits.sigmoid().cpu().numpy()
        return found

    def upload(self, rgb: Pixels) -> Tensor:
        """
        Copy one fitted image to the device, as input of the network.

        :param rgb: (h, w, 3) uint8.
        :returns: (1, 3, h, w) float32 in [-1, 1].
        """
        return normalised(self._pixels(rgb)[None])

    @property
    def place(self) -> str:
        """Return where the network runs, in words."""
        return str(self.device)

    def _pixels(self, rgb: Pixels) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(rgb)).to(self.device)


def use_full_float32() -> None:
    """
    Multiply float32 as float32 on CUDA, in this process: strict promises it.

    cuDNN rounds the factors to TensorFloat-32 unless it is set not to, an error of 5e-4.
    """
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def to_host(prediction: FramePrediction) -> HostPrediction:
    """
    Copy the prediction of one image with points and pose to the host, in one transfer.

    :raises ValueError: when the points or the pose were not computed.
    """
    height, width = prediction.points()[1].shape[1:]
    return _unpack(_packed(prediction).cpu().numpy(), height, width)


def _packed(prediction: FramePrediction) -> Tensor:
    """Return everything that the host needs in one vector."""
    numbers = [tensor.flatten() for tensor in (*prediction.points(), *prediction.pose())]
    return torch.cat([*numbers, prediction.gain.flatten()])


def _unpack(flat: Array32, height: int, width: int) -> HostPrediction:
    count = height * width
    pose = flat[4 * count : 4 * count + 7].astype(np.float64)
    return HostPrediction(
        flat[: 3 * count].reshape(height, width, 3),
        flat[3 * count : 4 * count].reshape(height, width),
        _pose_matrix(pose),
        flat[4 * count + 7 :],
    )


def _pose_matrix(pose: Array) -> Array:
    if not np.isfinite(pose).all() or not pose[3:].any():
        return np.full((4, 4), np.nan)
    return transform(rotation_from_quaternion(pose[3:]), pose[:3])


def choose_device(name: str) -> torch.device:
    """
    Return the device of a setting.

    :param name: auto, cpu, cuda or cuda:N.
    :raises DeviceError: when it does not exist.
    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    kind, _, index = name.partition(':')
    if kind not in ('cpu', 'cuda') or (index and not index.isdigit()):
        raise DeviceError(f'device {name!r} is not one of auto, cpu, cuda, cuda:N')
    if kind == 'cuda':
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(index or 0) >= count:
            raise DeviceError(
                f'device {name} was asked for, but this machine has {count} CUDA devices: '
                'use --device cpu, or install a driver and a CUDA build of torch'
            )
    return torch.device(name)


def chosen_rule(settings: ModelSettings, info: CheckpointInfo | None) -> UpdateRule:
    """Return the update rule of the settings, see `chosen_gain_scale`."""
    return update_rule(settings.update_rule, chosen_gain_scale(settings, info))


def chosen_gain_scale(settings: ModelSettings, info: CheckpointInfo | None) -> float:
    """
    Return the factor on the gain of the update rule.

    :param settings: a negative gain scale chooses that of the checkpoint.
    :param info: of the checkpoint, None for random weights.
    :raises CheckpointError: when the value in the checkpoint is not a factor.
    """
    if settings.gain_scale >= 0:
        return settings.gain_scale
    key = f'{GAIN_ADVICE}.{settings.update_rule}'
    advice = '1' if info is None else info.metadata.get(key, '1')
    try:
        scale = float(advice)
    except ValueError:
        scale = math.nan
    if not 0 <= scale <= 1:
        name = RANDOM_CHECKPOINT if info is None else info.name
        raise CheckpointError(f'{name} advises {key}={advice!r}: set gain_scale, 0 to 1')
    return scale


def load_predictor(settings: ModelSettings) -> Predictor:
    """
    Load the checkpoint of the settings.

    The name `random` returns a tiny network with fixed random weights, for tests without a
    checkpoint; its map is meaningless.

    :raises UserError: when the device or the checkpoint cannot be used.
    """
    device = choose_device(settings.device)
    if SPINNING and torch.get_num_threads() > 1:
        LOGGER.warning(
            'one thread is used: torch was imported before ttt3r_ros, so its threads would spin '
            'while they wait; import ttt3r_ros first, or set OMP_WAIT_POLICY=PASSIVE'
        )
        torch.set_num_threads(1)
    if settings.checkpoint == RANDOM_CHECKPOINT:
        sizes = Architecture.tiny()
        precision = choose_precision(settings.precision, device, sizes, settings.runtime)
        network, info = random_network(device, precision), None
    else:
        path = resolve_checkpoint(settings.checkpoint)
        sizes = read_info(path).architecture
        precision = choose_precision(settings.precision, device, sizes, settings.runtime)
        network, info = load_network_of_images(path, device, precision)
    rule, recorder = chosen_rule(settings, info), step_recorder(device)
    compiled = compiled_step(settings, network, precision, rule, info)
    return Predictor(network, info, device=device, rule=rule, recorder=recorder, compiled=compiled)


def choose_runtime(
    name: str, device: torch.device, precision: str, info: CheckpointInfo | None
) -> str:
    """
    Return the runtime of a setting: torch or openvino.

    `auto` is OpenVINO where it was measured to be faster and just as exact: on CPUs that have it,
    in float32, for a checkpoint of the shipped sizes. Its first use takes up to a minute.

    :param name: auto, torch or openvino.
    :param device: device of the network.
    :param precision: from `choose_precision`.
    :param info: of the checkpoint, None for random weights.
    :raises UserError: when OpenVINO is asked for and cannot compute this.
    """
    able = device.type == 'cpu' and precision in ('strict', 'int8_float32')
    if name == 'openvino' and not able:
        raise UserError('model.runtime openvino needs device cpu and precision strict or int8')
    if name == 'auto':
        exact = able and precision == 'strict'
        return 'openvino' if exact and info and pays(info.architecture) else 'torch'
    return name


def compiled_step(
    settings: ModelSettings,
    network: Network,
    precision: str,
    rule: UpdateRule,
    info: CheckpointInfo | None,
) -> WholeStep | None:
    """
    Return the step in the runtime of the settings.

    :param network: on its device, in its precision.
    :param precision: from `choose_precision`.
    :param rule: of the settings.
    :param info: of the checkpoint, None for random weights.
    :returns: None: torch runs the step.
    :raises UserError: when OpenVINO is asked for and cannot be used.
    """
    device = network.pose_token.device
    if choose_runtime(settings.runtime, device, precision, info) == 'torch':
        return None
    return OpenVinoStep(network, rule, '' if info is None else info.sha256)


def step_recorder(device: torch.device) -> StepRecorder | None:
    """
    Return the step recorder of a device.

    :param device: device of the network.
    :returns: None on a CPU, which has no launch overhead.
    """
    return CudaGraphRecorder() if device.type == 'cuda' else None


def random_network(device: torch.device, precision: str) -> Network:
    """Return a tiny network with fixed random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)  # the CPU's alone, which alone is forked
        network = Network(Architecture.tiny()).to(device)
    return network.use_precision(precision, device)
