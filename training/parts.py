# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The state of a training run in files of bounded size, for file size limits of a host."""

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
    """A saved training state is missing or damaged."""


def save_parts(folder: Path, state: dict[str, Any], part_bytes: int = PART_BYTES) -> None:
    """
    Write a state; the previous one stays valid until this one is complete.

    :param folder: gets the parts and `resume.json`, which lists them.
    :param state: tensors, numbers and containers of them, as torch.save takes.
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
    Read the state that `save_parts` wrote.

    :param folder: the folder of the run.
    :param device: device of the tensors.
    :raises PartsError: when there is no state, or a part of it is missing or damaged.
    """
    index = folder / INDEX_FILE
    if not index.exists():
        raise PartsError(f'nothing to resume: {index} does not exist')
    try:
        listed = json.loads(index.read_text())
        content = b''.join((folder / name).read_bytes() for name in listed['parts'])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PartsError(
            f'cannot resume from {folder}: {error}; start again without --resume'
        ) from error
    if hashlib.sha256(content).hexdigest() != listed['sha256']:
        raise PartsError(f'cannot resume from {folder}: a part is damaged or of another save')
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    return state
