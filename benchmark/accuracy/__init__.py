# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How good depth, poses and maps are; `python -m benchmark.accuracy`."""
