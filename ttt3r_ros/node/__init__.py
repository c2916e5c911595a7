# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""ROS messages -> mapper -> ROS messages; the only room with rclpy."""
