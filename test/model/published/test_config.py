# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from pathlib import Path

import pytest

from ttt3r_ros.model import Architecture
from ttt3r_ros.model.architecture import ArchitectureError
from ttt3r_ros.model.published.config import config_architecture, parse_config

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


def test_the_published_config_gives_the_published_sizes():
    assert config_architecture(PUBLISHED_CONFIG) == Architecture.published_512()


def test_the_config_of_the_linear_model_gives_its_sizes():
    config = {**PUBLISHED_CONFIG, 'head_type': 'linear', 'img_size': (224, 224)}

    assert config_architecture(config) == Architecture.published_224()


def test_sizes_that_a_config_does_not_mention_are_the_published_ones():
    assert config_architecture({}) == Architecture.published_512()


def test_the_last_width_of_a_dpt_head_is_half_of_its_width_unless_it_is_given():
    assert config_architecture({'dpt_feature_dim': 64}).dpt_last_width == 32
    both = {'dpt_feature_dim': 64, 'dpt_last_dim': 48}
    assert config_architecture(both).dpt_last_width == 48


@pytest.mark.parametrize(
    'config',
    [{'state_pe': '1d'}, {'pos_embed': 'cosine'}, {'pose_head': False}, {'head_type': 'mesh'}],
)
def test_a_config_that_cannot_be_followed_is_refused(config):
    with pytest.raises(ArchitectureError, match=next(iter(config.values())) or 'pose_head'):
        config_architecture(config)


@pytest.mark.parametrize(
    'text',
    [
        "__import__('os').system('touch MARKER')",
        "Model(a=__import__('os').system('touch MARKER'))",
        'Model(a=[].__class__.__mro__)',
        'Model(a=nan)',
        'Model(a=(lambda: 1)())',
        'Model(1, 2)',
        'Model(',
        '(' * 3000,
        'Model(a=' + '-' * 3000 + '1)',
        '',
    ],
)
def test_a_config_that_is_not_plain_is_not_read(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert parse_config(text) is None
    assert not Path('MARKER').exists()
