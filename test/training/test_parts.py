# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A run's state comes back whole from its parts, or not at all."""

import pytest
import torch

from training.parts import load_parts, PartsError, save_parts

CPU = torch.device('cpu')


def state(seed):
    generator = torch.Generator().manual_seed(seed)
    return {'weights': torch.rand(5000, generator=generator), 'steps': seed}


def test_a_state_comes_back_from_small_parts(tmp_path):
    save_parts(tmp_path, state(1), part_bytes=4096)
    parts = list(tmp_path.glob('*.part'))
    back = load_parts(tmp_path, CPU)

    assert len(parts) == sum(part.stat().st_size for part in parts) // 4096 + 1
    assert max(part.stat().st_size for part in parts) == 4096
    assert torch.equal(back['weights'], state(1)['weights'])
    assert back['steps'] == 1


def test_a_new_save_takes_the_place_of_the_old(tmp_path):
    save_parts(tmp_path, state(1), part_bytes=4096)
    before = set(tmp_path.glob('*.part'))
    save_parts(tmp_path, state(2), part_bytes=4096)

    assert load_parts(tmp_path, CPU)['steps'] == 2
    assert before.isdisjoint(tmp_path.glob('*.part'))


def test_a_save_that_is_cut_short_leaves_the_old_one(tmp_path, monkeypatch):
    save_parts(tmp_path, state(1), part_bytes=4096)
    with monkeypatch.context() as patch:
        patch.setattr('training.parts.atomic_file', None)
        with pytest.raises(TypeError):
            save_parts(tmp_path, state(2), part_bytes=4096)

    assert load_parts(tmp_path, CPU)['steps'] == 1


def test_a_missing_or_damaged_part_is_named_in_one_line(tmp_path):
    with pytest.raises(PartsError, match='nothing to resume'):
        load_parts(tmp_path, CPU)

    save_parts(tmp_path, state(1), part_bytes=4096)
    part = sorted(tmp_path.glob('*.part'))[2]
    content = part.read_bytes()
    part.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(PartsError, match='damaged'):
        load_parts(tmp_path, CPU)

    part.unlink()
    with pytest.raises(PartsError, match=part.name):
        load_parts(tmp_path, CPU)
