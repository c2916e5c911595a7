# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from ttt3r_ros.doctor.finding import Level


def test_a_healthy_system_is_ok_throughout(judge):
    assert {one.level for one in judge({})} == {Level.OK}
