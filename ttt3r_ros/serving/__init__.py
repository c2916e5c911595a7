# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One copy of the network for several robots: a server that steps, and what robots use of it."""
