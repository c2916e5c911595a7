# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Measure how good and how fast the product is; not installed."""

import ttt3r_ros  # noqa: F401 - before torch, for how the threads of torch wait
