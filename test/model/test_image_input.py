# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

import torch

from ttt3r_ros.model.image_input import normalised


def test_pixels_become_channels_first_in_minus_one_to_one():
    pixels = torch.tensor([[[[0, 51, 255]] * 2] * 3], dtype=torch.uint8)

    image = normalised(pixels)

    assert image.shape == (1, 3, 3, 2)
    for channel, value in enumerate((-1.0, -0.6, 1.0)):
        torch.testing.assert_close(
            image[0, channel], torch.full((3, 2), value), atol=1e-6, rtol=0.0
        )
