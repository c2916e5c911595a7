# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where images come from: videos, folders, rosbags and cameras, all behind one protocol."""
