# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The speed of mapping on this machine, stage by stage, as `ttt3r bench` prints it."""
