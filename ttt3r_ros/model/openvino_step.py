# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
A step that OpenVINO computes, on CPUs: the same float32 numbers in less time.

The network is exported by torch.export once for each image size, which takes tens of seconds, and
cached. The graph contains everything but the update rule of the state, which torch applies to what
it returns: so one graph serves all rules, first frames and later ones, and frames that are not
written. The state stays a value of torch.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from copy import deepcopy
from importlib.util import find_spec
import logging
from pathlib import Path
import shutil
from typing import Any

import numpy as np
import torch
from torch import nn, Tensor

from ttt3r_ros.arrays import Array32, Pixels
from ttt3r_ros.atomic import new_folder
from ttt3r_ros.errors import UserError
from ttt3r_ros.model.architecture import Architecture
from ttt3r_ros.model.cache_folder import cache_folder, digest
from ttt3r_ros.model.image_input import normalised
from ttt3r_ros.model.layers import Int8Linear
from ttt3r_ros.model.network import HeadSelection, Network
from ttt3r_ros.model.precision import LEAST_WIDTH
from ttt3r_ros.model.recorded_step import RecordingRefused
from ttt3r_ros.model.state import RecurrentState
from ttt3r_ros.model.state_update import Candidate, UpdateRule

LOGGER = logging.getLogger(__name__)

MOST_SIZES = 4
ROUNDED_TOGETHER = 128  # numbers of an input that share a scale, before an int8 layer
MOST_GRAPHS = 8  # on disk, of 30 MB each for the checkpoint that ships
_SOURCES = sorted(Path(__file__).parent.glob('*.py'))


def is_installed() -> bool:
    """Return whether this Python has OpenVINO."""
    return find_spec('openvino') is not None


def pays(architecture: Architecture) -> bool:
    """
    Return whether OpenVINO is there and the fastest for a network in float32.

    For wide networks it holds the weights a second time, and torch has the faster int8.
    """
    return is_installed() and architecture.encoder_width < LEAST_WIDTH


class Int8Weights(nn.Module):
    """
    A layer of int8 weights as OpenVINO recognises it.

    Where the processor can, it rounds the input too, with a scale for each token, and multiplies
    int8 by int8, as Int8Product does.
    """

    def __init__(self, layer: Int8Linear) -> None:
        """Construct it with the weights of a layer."""
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """
        Apply the layer.

        :param x: (..., in) float32.
        :returns: (..., out) float32.
        """
        layer = self.layer
        return nn.functional.linear(x, layer.weight.float() * layer.scale[:, None], layer.bias)


def exportable(network: Network) -> Network:
    """
    Return a network that shares all weights and can be exported.

    :param network: strict, or int8 with float32 elsewhere.
    """
    if not any(isinstance(module, Int8Linear) for module in network.modules()):
        return network
    tensors = (*network.parameters(), *network.buffers())
    copy = deepcopy(network, {id(tensor): tensor for tensor in tensors})
    for parent in list(copy.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, Int8Linear):
                setattr(parent, name, Int8Weights(layer))
    return copy


class StepGraph(nn.Module):
    """A step of a network without its update rule, as a function of tensors."""

    def __init__(self, network: Network) -> None:
        """
        Wrap a network.

        :param network: strict, or int8 with float32 elsewhere; on the CPU.
        """
        super().__init__()
        self.network = exportable(network)

    def forward(
        self, pixels: Tensor, tokens: Tensor, memory: Tensor, fresh: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """
        Process one image.

        :param pixels: (h, w, 3) uint8.
        :param tokens: (1, S, D) of the state.
        :param memory: (1, M, V) of the state.
        :param fresh: (1,) bool, whether it is the first image of a segment.
        :returns: (P,) points, confidence and pose; (1, S, D) proposed state; (1, S) match; (1, M,
            V) the memory after this image.
        """
        network = self.network
        encoded = network.encode(normalised(pixels[None]))
        query = network.pose_query(encoded, memory, fresh)
        decoded, proposed, match = network.decode(encoded, query, tokens)
        prediction = network.predict(decoded, match, HeadSelection())
        numbers = [tensor.flatten() for tensor in (*prediction.points(), *prediction.pose())]
        return torch.cat(numbers), proposed, match, network.remember(encoded, decoded, memory)


class OpenVinoStep:
    """Steps of a network and a rule; a graph is compiled at the first image of a size."""

    def __init__(self, network: Network, rule: UpdateRule, weights: str) -> None:
        """
        Construct it; nothing is compiled yet.

        :param network: strict, or int8 with float32 elsewhere; on the CPU.
        :param rule: update rule of the state.
        :param weights: hash of the weights, for the cache; empty: do not cache.
        :raises UserError: when OpenVINO is not installed.
        """
        if not is_installed():
            raise UserError(
                'model.runtime openvino needs the package openvino: '
                'pip install -r requirements/openvino.txt, or use runtime torch'
            )
        self._graph = StepGraph(network)
        self._precision = 'strict' if self._graph.network is network else 'int8'
        self._rule = rule
        self._weights = weights
        self._requests: OrderedDict[tuple[int, int], Any] = OrderedDict()

    @torch.inference_mode()
    def __call__(
        self, rgb: Pixels, state: RecurrentState, write: bool
    ) -> tuple[Array32, RecurrentState]:
        """
        Process one image.

        :param rgb: (h, w, 3) uint8.
        :param state: it is not changed.
        :param write: False: do not update the state tokens and the memory.
        :returns: (P,) points, confidence, pose and gains; the next state.
        :raises RecordingRefused: when OpenVINO cannot convert or compile the network.
        """
        inputs = rgb, state.tokens.numpy(), state.memory.numpy(), np.array([state.fresh])
        try:
            request = self._request(*rgb.shape[:2])
            request.infer([np.ascontiguousarray(each) for each in inputs], share_inputs=True)
        except RuntimeError as error:  # of torch.export and of OpenVINO alike
            raise RecordingRefused(f'OpenVINO: {error}') from error
        # Copied: the buffers are those of the next step.
        numbers, *others = (np.array(tensor.data) for tensor in request.output_tensors)
        proposed, match, memory = (torch.from_numpy(each) for each in others)
        candidate = Candidate(state.tokens, proposed, match)
        gain, state = state.advanced(self._rule, candidate, memory, write)
        return np.append(numbers, gain.numpy().ravel()), state

    def _request(self, height: int, width: int) -> Any:
        """Return the compiled graph of an image size."""
        key = height, width
        if key not in self._requests:
            self._requests[key] = self._compile(height, width)
        self._requests.move_to_end(key)
        while len(self._requests) > MOST_SIZES:
            self._requests.popitem(last=False)
        return self._requests[key]

    def _compile(self, height: int, width: int) -> Any:
        import openvino

        options = {
            'INFERENCE_NUM_THREADS': torch.get_num_threads(),
            'INFERENCE_PRECISION_HINT': 'f32',
            'PERFORMANCE_HINT': 'LATENCY',
            # A thread that may not leave a core waits there for other programs.
            'ENABLE_CPU_PINNING': False,
            'DYNAMIC_QUANTIZATION_GROUP_SIZE': ROUNDED_TOGETHER,
        }
        core = openvino.Core()
        folder = self._folder(height, width)
        path = folder / 'step.xml'
        if self._weights and path.is_file():
            # Memory-mapped; what is compiled for this processor is cached beside it.
            try:
                compiled = core.compile_model(path, 'CPU', {**options, 'CACHE_DIR': str(folder)})
                return compiled.create_infer_request()
            except RuntimeError as error:
                LOGGER.warning('%s is damaged and made anew: %s', path, error)
                shutil.rmtree(folder, ignore_errors=True)
        model = self._convert(height, width)
        if self._weights:
            _store(model, path)
        return core.compile_model(model, 'CPU', options).create_infer_request()

    def _convert(self, height: int, width: int) -> Any:
        """Export the graph, and convert it for OpenVINO."""
        import openvino

        LOGGER.warning(
            'the network is converted for OpenVINO, once for images of %dx%d; this takes up to a '
            'minute',
            width,
            height,
        )
        state = self._graph.network.initial_state().clone()
        pixels = torch.zeros(height, width, 3, dtype=torch.uint8)
        inputs = pixels, state.tokens, state.memory, torch.tensor([True])
        with torch.inference_mode(False), torch.no_grad():
            own = tuple(torch.empty_like(each).copy_(each) for each in inputs)
            exported = torch.export.export(self._graph.eval(), own)
            return openvino.convert_model(exported)

    def _folder(self, height: int, width: int) -> Path:
        """Return the cache of one graph, whose name changes with all that it was made from."""
        import openvino

        made_from = [
            self._weights,
            f'{height}x{width}',
            self._precision,
            openvino.__version__,
            torch.__version__,
            *(source.read_text() for source in _SOURCES),
        ]
        return cache_folder() / 'openvino' / digest(made_from)


def _store(model: Any, path: Path) -> None:
    """Cache a graph, where the folder can be written."""
    import openvino

    with suppress(OSError, UserError, RuntimeError):
        with new_folder(path.parent) as folder:
            openvino.save_model(model, folder / path.name, compress_to_fp16=False)
        drop_oldest(path.parent.parent)


def drop_oldest(folder: Path) -> None:
    """
    Remove cached graphs but the newest ones; one that is in use stays mapped.

    :param folder: with a folder for each graph.
    """
    graphs = sorted(folder.iterdir(), key=lambda graph: graph.stat().st_mtime)
    for graph in graphs[:-MOST_GRAPHS]:
        shutil.rmtree(graph, ignore_errors=True)
