# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math

import torch

from ttt3r_ros.model.attention import SelfAttention
from ttt3r_ros.model.rotary import grid_positions, rotary, rotate


def test_every_feature_turns_as_the_published_formula_says():
    torch.manual_seed(0)
    features = torch.randn(2, 3, 4, 12)
    positions = torch.tensor([[0, 0], [-1, -1], [3, 7], [-2, 31]])

    turned = rotate(features, rotary(positions, 12, 100.0))

    # One feature pair after the other: [u_row | v_row | u_column | v_column], three of each.
    for token, (row, column) in enumerate(positions.tolist()):
        for start, position in ((0, row), (6, column)):
            for i in range(3):
                angle = position * 100.0 ** (-i / 3)
                u = features[:, :, token, start + i]
                v = features[:, :, token, start + 3 + i]
                turned_u = u * math.cos(angle) - v * math.sin(angle)
                turned_v = v * math.cos(angle) + u * math.sin(angle)
                torch.testing.assert_close(
                    turned[:, :, token, start + i], turned_u, rtol=0, atol=2e-6
                )
                torch.testing.assert_close(
                    turned[:, :, token, start + 3 + i], turned_v, rtol=0, atol=2e-6
                )


def test_the_recorded_rotation_holds(reference):
    arrays = reference.arrays
    turn = rotary(arrays['dbg.rope.pos'][0], 16, 100.0)

    turned = rotate(arrays['dbg.rope.in'], turn)

    assert (arrays['dbg.rope.pos'] < 0).any()
    torch.testing.assert_close(turned, arrays['dbg.rope.out'], rtol=0, atol=2e-6)


def test_the_recorded_half_precision_rotation_holds_to_the_last_bit(reference):
    arrays = reference.arrays
    attention = SelfAttention(32, heads=2, half_rotation=True)

    turned = attention._rotate(arrays['dbg.rope.in'], rotary(arrays['dbg.rope.pos'][0], 16, 100.0))

    assert turned.dtype == torch.float16
    # A value on the edge between two float16 numbers may fall to either side elsewhere.
    different = (turned != arrays['dbg.rope.out_fp16']).float().mean()
    torch.testing.assert_close(turned, arrays['dbg.rope.out_fp16'], rtol=1e-3, atol=1e-6)
    assert different < 0.02


def test_a_dot_product_depends_on_the_distance_alone():
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 16)
    here, there = torch.tensor([[2, 5]]), torch.tensor([[4, -3]])

    def product(shift):
        q_turned = rotate(q, rotary(here + shift, 16, 100.0))
        return (q_turned * rotate(k, rotary(there + shift, 16, 100.0))).sum()

    torch.testing.assert_close(product(0), product(11), rtol=0, atol=1e-5)


def test_positions_count_row_by_row():
    assert grid_positions(2, 3).tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]


def test_half_precision_features_are_turned_in_float32():
    features = torch.randn(1, 1, 8).half()
    turn = rotary(torch.tensor([[3, 1]]), 8, 100.0)

    turned = rotate(features, turn)

    assert turned.dtype == torch.float32
    assert torch.equal(turned, rotate(features.float(), turn))
