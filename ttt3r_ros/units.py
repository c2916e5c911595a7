# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Stamps are integer nanoseconds, durations are seconds."""

from __future__ import annotations

NANOSECONDS = 1_000_000_000  # in a second
