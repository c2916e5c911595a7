# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The accuracy of depth, poses and maps; run with `python -m benchmark.accuracy`."""
