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

ARCHITECTURES = [
    Architecture.published_512(),
    Architecture.published_224(),
    Architecture.small(),
    Architecture.tiny(),
]

PUBLISHED_CONFIG = {
    'freeze': 'encoder',
    'state_size': 768,
    'state_pe': '2d',
    'pos_embed': 'RoPE100',
    'rgb_head': True,
    'pose_head': True,
    'patch_embed_cls': 'ManyAR_PatchEmbed',
    'img_size': (512, 512),
    'head_type': 'dpt',
    'output_mode': 'pts3d+pose',
    'depth_mode': ('exp', float('-inf'), float('inf')),
    'conf_mode': ('exp', 1, float('inf')),
    'pose_mode': ('exp', float('-inf'), float('inf')),
    'enc_embed_dim': 1024,
    'enc_depth': 24,
    'enc_num_heads': 16,
    'dec_embed_dim': 768,
    'dec_depth': 12,
    'dec_num_heads': 12,
    'landscape_only': False,
}


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


@pytest.mark.parametrize('preset', ['small', 'mini'])
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


def test_the_published_config_gives_the_published_sizes():
    assert Architecture.from_published_config(PUBLISHED_CONFIG) == Architecture.published_512()


def test_the_config_of_the_linear_model_gives_its_sizes():
    config = {**PUBLISHED_CONFIG, 'head_type': 'linear', 'img_size': (224, 224)}

    assert Architecture.from_published_config(config) == Architecture.published_224()


def test_sizes_that_a_config_does_not_mention_are_the_published_ones():
    assert Architecture.from_published_config({}) == Architecture.published_512()


def test_the_last_width_of_a_dpt_head_is_half_of_its_width_unless_it_is_given():
    assert Architecture.from_published_config({'dpt_feature_dim': 64}).dpt_last_width == 32
    both = {'dpt_feature_dim': 64, 'dpt_last_dim': 48}
    assert Architecture.from_published_config(both).dpt_last_width == 48


@pytest.mark.parametrize(
    'config',
    [{'state_pe': '1d'}, {'pos_embed': 'cosine'}, {'pose_head': False}, {'head_type': 'mesh'}],
)
def test_a_config_that_cannot_be_followed_is_refused(config):
    with pytest.raises(ArchitectureError, match=next(iter(config.values())) or 'pose_head'):
        Architecture.from_published_config(config)


def test_ray_map_heads_that_do_not_fit_forbid_only_ray_maps():
    # The published code has 16 of them whatever the width, and images never meet them.
    config = {'enc_embed_dim': 96, 'enc_num_heads': 4, 'enc_depth': 1, 'dec_depth': 2}
    network = Network(
        replace(
            Architecture.tiny(), encoder_width=96, encoder_depth=1, state_tokens=4, memory_rows=2
        )
    )

    assert Architecture.from_published_config(config).encoder_width == 96
    network.step(torch.zeros(1, 3, 32, 32), network.initial_state())
    with pytest.raises(ArchitectureError, match='ray encoder: width 96 over 16 heads'):
        network.encode(None, torch.zeros(1, 6, 32, 32))
