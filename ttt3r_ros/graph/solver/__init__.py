# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Measured motions and scales of key frames -> the poses that agree best with them."""
