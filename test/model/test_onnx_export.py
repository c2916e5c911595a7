# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""An exported step computes what the network does, with what TensorRT documents."""

from __future__ import annotations

from dataclasses import replace
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from ttt3r_ros.model import Architecture, HeadSelection, update_rule
from ttt3r_ros.model.image_input import normalised
from ttt3r_ros.model.onnx_export import export_step, ExportError, FLOAT32_NODES, OUTPUTS

WIDTH, HEIGHT = 64, 48
# Every part that points and pose need, each once.
SIZES = replace(
    Architecture.tiny(),
    encoder_depth=1,
    decoder_depth=2,
    memory_depth=1,
    ray_encoder=False,
    world_head=False,
    rgb_head=False,
)
RULE = update_rule('ttt3r', 0.5)

# Marked Y for float32 and float16 in docs/operators.md of https://github.com/onnx/onnx-tensorrt
# for TensorRT 10.15, opset 9 to 24.
DOCUMENTED = frozenset(
    {
        'Add',
        'Cast',
        'Clip',
        'Concat',
        'Conv',
        'ConvTranspose',
        'Div',
        'Erf',
        'Exp',
        'Expand',
        'Gather',
        'Gelu',
        'Gemm',
        'LayerNormalization',
        'Less',
        'MatMul',
        'Mul',
        'Neg',
        'Pow',
        'ReduceL2',
        'ReduceMean',
        'ReduceSum',
        'Relu',
        'Reshape',
        'Resize',
        'Sigmoid',
        'Sign',
        'Slice',
        'Softmax',
        'Split',
        'Sqrt',
        'Squeeze',
        'Sub',
        'Transpose',
        'Unsqueeze',
        'Where',
        'DepthToSpace',
        'Identity',
        'Constant',
    }
)


@pytest.fixture(scope='module')
def network(make_network):
    return make_network(SIZES)


@pytest.fixture(scope='module')
def exported(network, tmp_path_factory):
    path = tmp_path_factory.mktemp('onnx') / 'step.onnx'
    return path, export_step(network, RULE, WIDTH, HEIGHT, path)


def differences(network, path):
    """Run both on the same images, each with its own state; return the worst of each output."""
    session = onnxruntime.InferenceSession(path)
    images = np.random.default_rng(0).integers(0, 256, (3, 1, HEIGHT, WIDTH, 3), dtype=np.uint8)
    state, worst = network.initial_state(), dict.fromkeys(OUTPUTS, 0.0)
    tokens, memory = state.tokens.numpy(), state.memory.numpy()
    for number, image in enumerate(images):
        told = dict(
            zip(
                OUTPUTS,
                session.run(
                    list(OUTPUTS),
                    {
                        'image': image,
                        'fresh': np.array([number == 0]),
                        'tokens': tokens,
                        'memory': memory,
                    },
                ),
            )
        )
        tokens, memory = told['tokens_after'], told['memory_after']
        expected, state = network.step(
            normalised(torch.from_numpy(image)), state, rule=RULE, outputs=HeadSelection()
        )
        fields = {**vars(expected), 'tokens_after': state.tokens, 'memory_after': state.memory}
        for name, values in told.items():
            apart = np.abs(values - fields[name].numpy()).max()
            worst[name] = max(worst[name], apart / max(1, np.abs(values).max()))
    return worst


def test_three_steps_and_their_states_are_those_of_the_network(network, exported):
    """A key of the encoder that falls to the other side of a float16 costs 1e-4."""
    worst = differences(network, exported[0])

    assert all(error < 2e-4 for error in worst.values()), worst


def test_all_operators_are_documented_for_tensorrt(exported):
    _, model = exported

    assert {node.op_type for node in model.graph.node} <= DOCUMENTED
    assert {node.domain for node in model.graph.node} == {''}
    assert not model.functions
    assert [(each.domain, each.version) for each in model.opset_import] == [('', 18)]


def test_operators_keep_to_the_restrictions_of_tensorrt(exported):
    _, model = exported
    reads = {}
    for node in model.graph.node:
        for name in node.input:
            reads.setdefault(name, []).append(node.op_type)
        if node.op_type == 'Resize':
            given = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
            assert given['mode'] == b'linear'
            assert given['coordinate_transformation_mode'] == b'align_corners'
            assert not given.get('antialias')
        if node.op_type == 'LayerNormalization':
            assert len(node.output) == 1

    # uint8 is the type of an input only.
    assert reads['image'] == ['Cast']
    for value in model.graph.input:
        assert all(dim.dim_value > 0 for dim in value.type.tensor_type.shape.dim), value.name


def test_what_float16_would_spoil_is_named(exported):
    path, model = exported
    named = set(json.loads(onnx.load(path).metadata_props[-1].value))
    assert onnx.load(path).metadata_props[-1].key == FLOAT32_NODES

    constants = {
        each.name: onnx.numpy_helper.to_array(each)
        for each in model.graph.initializer
        if each.data_type == onnx.TensorProto.FLOAT
    }
    for node in model.graph.node:
        values = [constants[name] for name in node.input if name in constants]
        largest = max((np.abs(v[np.isfinite(v)]).max(initial=0) for v in values), default=0)
        assert largest < 65504, node.name
        # Small numbers among weights become zero, which adds nothing; to divide by they may not.
        tiny = any(v.size == 1 and 0 < np.abs(v).max() < 2**-14 for v in values)
        sums = node.op_type in ('Softmax', 'LayerNormalization', 'Exp', 'ReduceL2', 'Sqrt')
        assert node.name in named or not (tiny or sums), node.name
    assert all(node.name for node in model.graph.node)


@pytest.mark.slow
def test_in_float16_the_types_of_the_graph_say_what_stays_float32(network, make_network, tmp_path):
    half, path = make_network(SIZES), tmp_path / 'half.onnx'
    half.use_precision('fast_float16', torch.device('cpu'))

    model = export_step(half, RULE, WIDTH, HEIGHT, path)

    assert {node.op_type for node in model.graph.node} <= DOCUMENTED
    kinds = {each.name: each.data_type for each in model.graph.initializer}
    products = [n for n in model.graph.node if n.op_type in ('Conv', 'LayerNormalization')]
    for node in products:
        wanted = {'Conv': onnx.TensorProto.FLOAT16}.get(node.op_type, onnx.TensorProto.FLOAT)
        if 'head.4' not in node.input[1]:  # the last layer of a dense head
            assert kinds[node.input[1]] == wanted, node.input[1]
    assert max(differences(network, path).values()) < 2e-2


def test_a_rule_with_a_memory_of_its_own_is_refused(network, tmp_path):
    with pytest.raises(ExportError, match='only the update rules cut3r and ttt3r'):
        export_step(network, update_rule('filt3r'), WIDTH, HEIGHT, tmp_path / 'step.onnx')


def test_without_the_package_the_command_to_install_it_is_named(network, monkeypatch, tmp_path):
    monkeypatch.setattr('ttt3r_ros.model.onnx_export.find_spec', lambda name: None)

    with pytest.raises(ExportError, match=r'pip install -r requirements/onnx\.txt'):
        export_step(network, RULE, WIDTH, HEIGHT, tmp_path / 'step.onnx')
