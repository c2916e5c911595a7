# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Image sources: videos, folders, rosbags and cameras, all with one protocol."""
