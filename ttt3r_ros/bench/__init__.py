# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How fast this machine maps, stage by stage: what `ttt3r bench` measures."""
