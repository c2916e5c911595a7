# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
import json

import pytest
import torch

from training.presets import PRESETS
from ttt3r_ros.model import Architecture, Network
from ttt3r_ros.model.architecture import ArchitectureError
from ttt3r_ros.model.published.config import config_architecture

ARCHITECTURES = [
    Architecture.published_512(),
    Architecture.published_224(),
    Architecture.base(),
    Architecture.small(),
    Architecture.tiny(),
]


@pytest.mark.parametrize('architecture', ARCHITECTURES)
def test_a_record_goes_through_json_and_back(architecture):
    text = json.dumps(architecture.to_record())

    assert Architecture.from_record(json.loads(text)) == architecture


@pytest.mark.parametrize('architecture', ARCHITECTURES)
def test_every_preset_can_be_built(architecture):
    with torch.device('meta'):
        assert Network(architecture).architecture is architecture


def test_sizes_cannot_be_changed_afterwards():
    with pytest.raises(FrozenInstanceError):
        Architecture.tiny().decoder_width = 64


@pytest.mark.parametrize('preset', ['base', 'small'])
def test_the_state_reaches_over_the_images_that_a_preset_is_trained_on(preset):
    recipe = PRESETS[preset]
    network = Network(recipe.architecture)

    rows, columns = (network._state_positions(torch.device('cpu')).amax(dim=0) + 1).tolist()

    assert columns >= recipe.width / recipe.architecture.patch_size
    assert rows >= recipe.height / recipe.architecture.patch_size


@pytest.mark.parametrize(
    ('sizes', 'named'),
    [
        ({'encoder_width': 66}, 'encoder: width 66 over 4 heads'),
        ({'decoder_heads': 3}, 'decoder: width 32 over 3 heads'),
        ({'state_heads': 16}, 'state decoder: width 32 over 16 heads'),
        ({'decoder_depth': 1}, 'decoder_depth'),
        ({'patch_size': 8}, 'patch_size must be 16'),
        ({'head': 'linear', 'patch_size': 6, 'stem_widths': (8, 8)}, 'patch_size'),
        ({'head': 'mesh'}, 'mesh'),
        ({'encoder_depth': 10**9}, 'encoder_depth is 1000000000, allowed is 0 to 128'),
        ({'world_depth': -1}, 'world_depth'),
        ({'decoder_heads': 0}, 'decoder_heads'),
        ({'memory_rows': 2**40}, 'memory_rows'),
        ({'stem_widths': ('8',)}, 'stem_widths'),
        ({'stem_widths': (8,) * 5}, '5 stem convolutions'),
        ({'rotary_base': float('nan')}, 'rotary_base'),
        ({'dpt_layer_widths': (8, 8, 8)}, 'four'),
    ],
)
def test_sizes_that_do_not_fit_together_are_refused_by_name(sizes, named):
    with pytest.raises(ArchitectureError, match=named):
        replace(Architecture.tiny(), **sizes)


@pytest.mark.parametrize(
    ('record', 'named'),
    [
        ({'encoder_size': 3}, 'encoder_size'),
        ({'encoder_width': '64'}, 'encoder_width must be int'),
        ({'encoder_width': 64.0}, 'encoder_width must be int'),
        ({'world_head': 1}, 'world_head must be bool'),
        ({'encoder_depth': True}, 'encoder_depth must be int'),
        ({'stem_widths': 32}, 'stem_widths must be tuple'),
    ],
)
def test_a_record_with_a_wrong_name_or_kind_is_refused(record, named):
    with pytest.raises(ArchitectureError, match=named):
        Architecture.from_record(record)


def test_ray_map_heads_that_do_not_fit_forbid_only_ray_maps():
    # The published code has 16 of them whatever the width, and images never meet them.
    config = {'enc_embed_dim': 96, 'enc_num_heads': 4, 'enc_depth': 1, 'dec_depth': 2}
    network = Network(
        replace(
            Architecture.tiny(), encoder_width=96, encoder_depth=1, state_tokens=4, memory_rows=2
        )
    )

    assert config_architecture(config).encoder_width == 96
    network.step(torch.zeros(1, 3, 32, 32), network.initial_state())
    with pytest.raises(ArchitectureError, match='ray encoder: width 96 over 16 heads'):
        network.encode(None, torch.zeros(1, 6, 32, 32))
