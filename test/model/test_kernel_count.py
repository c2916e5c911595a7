# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The kernels that a step launches on a GPU, counted without one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ttt3r_ros.model import Architecture, Network
from ttt3r_ros.model.image_input import normalised

# One kernel on CUDA, though made of several operations elsewhere.
WHOLE = {'aten::scaled_dot_product_attention', 'aten::upsample_bilinear2d'}
WITHOUT_KERNEL = {'aten::empty', 'aten::empty_like', 'aten::_unsafe_view', 'aten::detach'}


class Kernels(TorchDispatchMode):
    """Counts operations that write memory; views and allocations do not."""

    def __init__(self):
        super().__init__()
        self.counted = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs, schema = kwargs or {}, operation._schema
        if schema.name not in WHOLE:
            with self:
                result = operation.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        returns = [each.alias_info for each in schema.returns]
        is_view = any(alias is not None and not alias.is_write for alias in returns)
        if not is_view and schema.name not in WITHOUT_KERNEL:
            self.counted[schema.name] += 1
        return operation(*args, **kwargs)


@cache
@torch.inference_mode()
def kernels(precision):
    with torch.device('meta'):
        network = Network(Architecture.published_512()).eval()
        image = torch.empty(1, 288, 512, 3, dtype=torch.uint8)
    if precision == 'fast':
        network.use_bfloat16()
    state = replace(network.initial_state(), frames_seen=1)
    with Kernels() as kernels:
        network.step(normalised(image), state)
    return kernels.counted


@pytest.mark.parametrize(('precision', 'most'), [('fast', 1720), ('strict', 1480)])
def test_a_step_of_the_published_sizes_launches_no_more_kernels_than_it_did(precision, most):
    counted = kernels(precision)

    assert counted['aten::scaled_dot_product_attention'] == 24 + 4 * 12 + 2 * 4
    assert sum(counted.values()) <= most, counted


def test_only_the_state_decoder_pays_for_the_match():
    """Of each of its twelve blocks the mean key and the mean over heads; the look of the image."""
    assert kernels('fast')['aten::mean'] == 2 * 12 + 2
