# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is wrong with a system that was looked at: from plain data to findings, nothing else."""
