# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import hashlib
import struct

import numpy as np
import torch

from ttt3r_ros.model.tensor_hash import hash_tensors


def test_the_hash_is_that_of_headers_and_bytes_in_the_order_of_names():
    transposed = torch.tensor([[1, 2], [3, 4]], dtype=torch.int16).T
    tensors = {
        'b': torch.tensor(0.5, dtype=torch.float64),
        'a.weight': transposed,
        'none': torch.from_numpy(np.zeros(0, dtype=np.float32)),
        'half': torch.tensor([1.0]).bfloat16(),
    }
    written = (
        b'a.weight torch.int16 (2, 2)\n' + struct.pack('<4h', 1, 3, 2, 4),
        b'b torch.float64 ()\n' + struct.pack('<d', 0.5),
        b'half torch.bfloat16 (1,)\n' + b'\x80\x3f',
        b'none torch.float32 (0,)\n',
    )

    assert hash_tensors(tensors) == hashlib.sha256(b''.join(written)).hexdigest()


def test_names_and_shapes_count_and_not_only_numbers():
    numbers = torch.arange(6.0)
    hashes = {
        hash_tensors({'a': numbers}),
        hash_tensors({'b': numbers}),
        hash_tensors({'a': numbers.view(2, 3)}),
        hash_tensors({'a': numbers.view(torch.int32)}),
    }

    assert len(hashes) == 4
