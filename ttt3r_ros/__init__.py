# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One camera in, a metric map out."""

import ttt3r_ros.threads  # noqa: F401 - before all that loads torch
