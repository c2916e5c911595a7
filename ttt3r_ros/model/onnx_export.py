# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
A step as an ONNX graph of one image size, for TensorRT and other runtimes.

The graph holds the update rule, so that the state goes in and comes out. Only operators that
TensorRT documents are in it, which a test checks. In float32 the file names the nodes that must
stay in float32 where a builder turns the rest to float16; in float16 the types of the graph say so
themselves, as `trtexec --stronglyTyped` takes them.
"""

from __future__ import annotations

from importlib.util import find_spec
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn, Tensor

from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.errors import UserError
from ttt3r_ros.model.image_input import normalised
from ttt3r_ros.model.network import HeadSelection, Network
from ttt3r_ros.model.state_update import Candidate, Cut3r, Scaled, Ttt3r, UpdateRule

OPSET = 18
INPUTS = 'image', 'fresh', 'tokens', 'memory'
OUTPUTS = (
    'points_camera',
    'confidence',
    'translation',
    'quaternion_xyzw',
    'gain',
    'tokens_after',
    'memory_after',
)
FLOAT32_NODES = 'ttt3r.float32_nodes'

# Sums over many numbers, and functions whose values leave the range of float16 or lose its digits.
FLOAT32_OPERATORS = {
    'Exp',
    'LayerNormalization',
    'Pow',
    'ReduceL2',
    'ReduceMean',
    'ReduceSum',
    'Softmax',
    'Sqrt',
}
LARGEST_FLOAT16, LEAST_FLOAT16 = 65504.0, 2.0**-14


class ExportError(UserError):
    """A network cannot be exported."""


class OnnxStep(nn.Module):
    """A step with its update rule, as a function of tensors."""

    def __init__(self, network: Network, rule: UpdateRule) -> None:
        """
        Wrap a network.

        :param network: on the CPU.
        :param rule: without memory.
        """
        super().__init__()
        self.network, self.rule = network, rule

    def forward(
        self, image: Tensor, fresh: Tensor, tokens: Tensor, memory: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """
        Process one image.

        :param image: (1, h, w, 3) uint8.
        :param fresh: (1,) bool, whether it is the first image of a segment.
        :param tokens: (1, S, D) of the state.
        :param memory: (1, M, V) of the state; None where the network has none.
        :returns: the tensors of OUTPUTS; memory_after only where there is a memory.
        """
        network = self.network
        # TensorRT takes uint8 as the type of an input and for nothing but its cast.
        encoded = network.encode(normalised(image.float()))
        before = tokens if memory is None else memory
        query = network.pose_query(encoded, before, fresh)
        decoded, proposed, match = network.decode(encoded, query, tokens)
        gain, _ = self.rule.gain(Candidate(tokens, proposed, match), ())
        gain = torch.where(fresh, torch.ones_like(gain), gain)
        moved = tokens + gain[..., None] * (proposed - tokens)
        after = torch.where(fresh, proposed, moved)
        prediction = network.predict(decoded, gain, HeadSelection())
        outputs = (*prediction.points(), *prediction.pose(), gain, after)
        return (
            outputs if memory is None else (*outputs, network.remember(encoded, decoded, memory))
        )


def export_step(network: Network, rule: UpdateRule, width: int, height: int, path: Path) -> Any:
    """
    Write a step as an ONNX file, with its weights.

    :param network: on the CPU, in precision strict or fast_float16.
    :param rule: of the state.
    :param width: of the fitted images, pixels, a multiple of the patch size.
    :param height: of the fitted images.
    :param path: of the file; more than 2 GB of weights go beside it, into its name and `.data`.
    :returns: the onnx.ModelProto, without weights that lie in another file.
    :raises ExportError: when the rule has a memory, or a package is missing.
    """
    core = rule.rule if isinstance(rule, Scaled) else rule
    if not isinstance(core, (Cut3r, Ttt3r)):
        raise ExportError('only the update rules cut3r and ttt3r can be exported')
    if find_spec('onnx') is None or find_spec('onnxscript') is None:
        raise ExportError('export needs onnx: pip install -r requirements/onnx.txt')
    import onnx

    has_memory = network.architecture.pose_memory
    program = torch.onnx.export(
        OnnxStep(network, rule).eval(),
        _example(network, width, height),
        dynamo=True,
        opset_version=OPSET,
        input_names=list(INPUTS if has_memory else INPUTS[:-1]),
        output_names=list(OUTPUTS if has_memory else OUTPUTS[:-1]),
        verbose=False,
    )
    assert program is not None
    program.save(str(path))
    model = onnx.load(str(path), load_external_data=False)
    names = float32_nodes(model)
    model.metadata_props.add(key=FLOAT32_NODES, value=json.dumps(names))
    with atomic_file(path) as file:
        file.write(model.SerializeToString())
    return model


def _example(network: Network, width: int, height: int) -> tuple[Tensor, ...]:
    """Return inputs of the shapes to export, which own their memory."""
    state = network.initial_state()
    image, fresh = torch.zeros(1, height, width, 3, dtype=torch.uint8), torch.tensor([True])
    state_inputs = [state.tokens, state.memory][: 1 + network.architecture.pose_memory]
    return image, fresh, *(torch.empty_like(each).copy_(each) for each in state_inputs)


def float32_nodes(model: Any) -> list[str]:
    """
    Return the names of the nodes that float16 would spoil.

    Those of FLOAT32_OPERATORS, and those that read a constant beyond the range of float16: the
    smallest lengths to divide by, for example.

    :param model: an onnx.ModelProto in float32.
    """
    beyond = {name for name, values in _constants(model) if _leaves_float16(values)}
    return [
        node.name
        for node in model.graph.node
        if node.op_type in FLOAT32_OPERATORS or beyond & set(node.input)
    ]


def _constants(model: Any) -> list[tuple[str, np.ndarray]]:
    """Return the small float constants of a graph; weights are none of them."""
    from onnx import numpy_helper, TensorProto

    tensors = [(each.name, each) for each in model.graph.initializer]
    tensors += [
        (node.output[0], attribute.t)
        for node in model.graph.node
        for attribute in node.attribute
        if node.op_type == 'Constant' and attribute.name == 'value'
    ]
    return [
        (name, numpy_helper.to_array(tensor))
        for name, tensor in tensors
        if tensor.data_type == TensorProto.FLOAT and int(np.prod(tensor.dims)) <= 1
    ]


def _leaves_float16(values: np.ndarray) -> bool:
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    return bool(((sizes > LARGEST_FLOAT16) | (sizes < LEAST_FLOAT16)).any())
