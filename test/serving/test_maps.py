# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Mappers whose network is on a server: saved maps, and a state that is lost."""

import numpy as np
import pytest

from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.model.elsewhere import NetworkLost
from ttt3r_ros.settings import changed, MappingSettings
from ttt3r_ros.tracking.observation import Observation

SETTINGS = changed(MappingSettings(), {'tracking.guard': False, 'tracking.front_end': 'network'})


def show(mapper, image, number):
    located = mapper.observe(Observation(image, 10**9 * (1 + number)))
    mapper.integrate()
    return located.tracked


@pytest.fixture
def mappers(start_server, robot, local):
    """Return mappers with the network on a server and in this process."""
    server = start_server()
    return [Mapper(predictor, SETTINGS) for predictor in (robot(server), local)]


def test_a_map_is_saved_with_the_state_of_the_server_and_gone_on_with(mappers, images, robot):
    for mapper in mappers:
        for number in range(3):
            show(mapper, images[number], number)
    stored = [mapper.stored() for mapper in mappers]
    tokens = [one.track.network.tokens.numpy() for one in stored]
    np.testing.assert_array_equal(*tokens)
    for mapper in mappers:
        mapper.resume(stored[0])
    points = [show(mapper, images[3], 3).pointmap.points_camera for mapper in mappers]
    np.testing.assert_array_equal(*points)


def test_a_map_whose_state_is_lost_is_not_saved_as_if_it_were_whole(start_server, robot, images):
    server = start_server()
    mapper = Mapper(robot(server), SETTINGS)
    show(mapper, images[0], 0)
    server.stop(0)
    with pytest.raises(NetworkLost):
        mapper.stored()


def test_a_lost_state_begins_a_segment_at_the_place_of_the_last_image(
    start_server, robot, local, images
):
    now = [0.0]
    mapper = Mapper(robot(start_server(clock=lambda: now[0])), SETTINGS)
    before = [show(mapper, images[number], number) for number in range(3)][-1]
    now[0] += 100.0  # the lease is one minute
    after = show(mapper, images[3], 3)

    # The new segment has seen the last image again; its first camera stands where that one stood.
    _, state = local.step(images[2], local.initial_state())
    again, _ = local.step(images[3], state)
    first, _ = local.step(images[2], local.initial_state())
    assert after.segment == before.segment + 1
    motion = np.linalg.inv(first.world_T_camera) @ again.world_T_camera
    motion[:3, 3] *= after.scale
    expected = before.pose.track_T_camera @ motion
    np.testing.assert_allclose(after.pose.track_T_camera, expected, atol=1e-5)
