# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Nodes in place of a robot: simulated, played back or recording; and their processes."""
