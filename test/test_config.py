# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

from xml.etree import ElementTree

import yaml

from ttt3r_ros.settings import changed, knobs, MappingSettings, ModelSettings, NodeSettings


def test_the_file_of_parameters_holds_only_settings_that_are_allowed(repository):
    values = yaml.safe_load((repository / 'config' / 'mapping.yaml').read_text())
    overrides = values['/**']['ros__parameters']
    known = {}
    for kind in (ModelSettings, MappingSettings, NodeSettings):
        known |= knobs(kind)
        changed(kind(), overrides)
    assert overrides
    assert {name: known[name].default for name in overrides}.items().isdisjoint(overrides.items())


def test_the_costmap_avoids_the_traps_of_nav2(repository):
    text = (repository / 'config' / 'nav2_costmap.yaml').read_text()
    costmap = yaml.safe_load(text)['local_costmap']['local_costmap']['ros__parameters']
    layer = costmap['voxel_layer']
    source = layer['ttt3r']

    assert source['topic'] == '/ttt3r/points'
    assert source['data_type'] == 'PointCloud2'
    assert source['marking']
    assert source['clearing']
    assert 0 < source['min_obstacle_height'] < source['max_obstacle_height']
    assert source['max_obstacle_height'] <= layer['max_obstacle_height']
    assert source['obstacle_max_range'] < source['raytrace_max_range']
    assert layer['z_voxels'] <= 16
    assert layer['z_voxels'] * layer['z_resolution'] >= source['max_obstacle_height']
    assert costmap['transform_tolerance'] > NodeSettings().transform_tolerance


def test_the_profile_for_large_messages_gives_them_room(repository):
    tree = ElementTree.parse(repository / 'config' / 'fastdds_large_messages.xml')
    name = '{http://www.eprosima.com}'
    assert int(tree.find(f'.//{name}segment_size').text) == 64 * 2**20
    assert tree.find(f'.//{name}useBuiltinTransports').text == 'false'
    assert tree.find(f'.//{name}participant').get('is_default_profile') == 'true'
