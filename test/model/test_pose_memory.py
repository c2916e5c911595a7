# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from ttt3r_ros.model import Architecture
from ttt3r_ros.model.pose_memory import PoseMemory


@pytest.fixture
def memory(make_network) -> PoseMemory:
    return make_network(Architecture.tiny()).pose_retriever


@pytest.fixture
def look() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 1, 64)


def test_reading_needs_no_self_attention_beyond_its_values(memory, look):
    torch.manual_seed(2)
    rows = torch.randn(2, 12, 64)

    pose_token = memory.read(look, rows)

    # One token attends to itself with weight one, so its self-attention is proj(v).
    x = torch.cat([memory.proj_q(look), memory.masked_token.repeat(2, 1, 1)], dim=-1)
    for block in memory.read_blocks:
        values = block.attn.qkv(block.norm1(x))[..., 2 * 64 :]
        x = x + block.attn.proj(values)
        x = x + block.cross_attn(block.norm2(x), block.norm_y(rows), None, None)[0]
        x = x + block.mlp(block.norm3(x))
    torch.testing.assert_close(pose_token, x[..., 32:], rtol=0, atol=2e-5)


def test_writing_adds_the_same_entry_to_every_row(memory, look):
    torch.manual_seed(3)
    rows, pose_token = torch.randn(2, 12, 64), torch.randn(2, 1, 32)

    written = memory.write(look, pose_token, rows)

    # One context token is attended to with weight one, so its cross-attention is proj(projv).
    entry = torch.cat([memory.proj_q(look), pose_token], dim=-1)
    x = rows
    for block in memory.write_blocks:
        x = x + block.attn(block.norm1(x), None)
        x = x + block.cross_attn.proj(block.cross_attn.projv(block.norm_y(entry)))
        x = x + block.mlp(block.norm3(x))
    torch.testing.assert_close(written, x, rtol=0, atol=2e-5)


def test_rows_have_no_order(memory, look):
    torch.manual_seed(4)
    rows, pose_token = torch.randn(2, 12, 64), torch.randn(2, 1, 32)
    order = torch.randperm(12)

    torch.testing.assert_close(
        memory.read(look, rows[:, order]), memory.read(look, rows), rtol=0, atol=2e-5
    )
    torch.testing.assert_close(
        memory.write(look, pose_token, rows[:, order]),
        memory.write(look, pose_token, rows)[:, order],
        rtol=0,
        atol=2e-5,
    )
