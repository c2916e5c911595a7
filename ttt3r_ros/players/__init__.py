# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Nodes that stand for a robot: simulated, played back or listening; and their processes."""
