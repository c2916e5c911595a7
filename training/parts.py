# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A run's state in files of bounded size, for machines that hand back only small ones."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import torch

from ttt3r_ros.atomic import atomic_file
from ttt3r_ros.errors import UserError

PART_BYTES = 16_000_000
INDEX_FILE = 'resume.json'


class PartsError(UserError):
    """A saved state is missing or damaged."""


def save_parts(folder: Path, state: dict[str, Any], part_bytes: int = PART_BYTES) -> None:
    """
    Write a state; the one written before stays valid until this one is whole.

    :param folder: gets `resume.json`, which names the parts, and the parts.
    :param state: what torch.save takes, of tensors and numbers.
    :param part_bytes: largest size of a part.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    digest = hashlib.sha256(content).hexdigest()
    names: list[str] = []
    for start in range(0, len(content), part_bytes):
        names.append(f'resume-{digest[:12]}-{len(names):03d}.part')
        (folder / names[-1]).write_bytes(content[start : start + part_bytes])
    with atomic_file(folder / INDEX_FILE) as file:
        file.write(json.dumps({'parts': names, 'sha256': digest}).encode())
    for old in folder.glob('resume-*.part'):
        if old.name not in names:
            old.unlink()


def load_parts(folder: Path, device: torch.device) -> dict[str, Any]:
    """
    Read what `save_parts` wrote.

    :param folder: where it is.
    :param device: where tensors go.
    :raises PartsError: when there is nothing, a part is missing, or one is damaged.
    """
    index = folder / INDEX_FILE
    if not index.exists():
        raise PartsError(f'nothing to resume: {index} does not exist')
    try:
        told = json.loads(index.read_text())
        content = b''.join((folder / name).read_bytes() for name in told['parts'])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PartsError(
            f'cannot resume from {folder}: {error}; start again without --resume'
        ) from error
    if hashlib.sha256(content).hexdigest() != told['sha256']:
        raise PartsError(f'cannot resume from {folder}: a part is damaged or of another save')
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    return state
