# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The SHA-256 that checkpoints and map files record of their tensors."""

from __future__ import annotations

from collections.abc import Mapping
import hashlib

import torch
from torch import Tensor


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """
    Return one SHA-256 of the names, dtypes, shapes and bytes of tensors, in the order of names.

    Unlike the hash of a file it can be written into that file.

    :param tensors: by name, of any shape.
    :returns: in hexadecimal.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}\n'.encode())
        # A column, since NumPy's empty vectors have stride 0, which torch does not view as bytes.
        digest.update(tensor.view(-1, 1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
