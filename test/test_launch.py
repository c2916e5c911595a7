# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The launch files start what there is; `launch` itself is not needed here."""

import importlib.util
import re
import subprocess
import sys
from unittest import mock

import pytest
import yaml

from ttt3r_ros.players.launch_arguments import (
    camera_remappings,
    DEMO,
    MAPPING,
    NAV2_DEMO,
    REPLAY,
)
from ttt3r_ros.players.processes import NODES
from ttt3r_ros.settings import (
    DrivenRobotSettings,
    knobs,
    MappingSettings,
    ModelSettings,
    NodeSettings,
    PlayerSettings,
    RecorderSettings,
    RobotSettings,
    SettingsError,
    values,
    ViewerSettings,
)

# Of mapping.launch.py, as other packages know them.
CONTRACT = {
    'image_topic',
    'camera_info_topic',
    'image_transport',
    'image_qos',
    'map_frame',
    'odom_frame',
    'base_frame',
    'checkpoint',
    'device',
    'update_rule',
    'namespace',
    'use_sim_time',
    'rviz',
    'viewer',
    'foxglove',
    'log_level',
    'params_file',
}


@pytest.mark.parametrize('info', ['', '/{camera}/info'])
def test_each_camera_has_topics_of_its_own(info):
    found = camera_remappings('front back=lens', '/{camera}/image_raw', info)

    own = info or '/{camera}/camera_info'
    assert found == [
        (f'{name}/{ours}', theirs.replace('{camera}', name))
        for name in ('front', 'back')
        for ours, theirs in (
            ('image', '/{camera}/image_raw'),
            ('image/compressed', '/{camera}/image_raw/compressed'),
            ('camera_info', own),
        )
    ]


def test_topics_of_one_camera_are_remapped_without_a_name():
    assert camera_remappings('', '/camera/image_raw', '') == [
        ('image', '/camera/image_raw'),
        ('image/compressed', '/camera/image_raw/compressed'),
        ('camera_info', '/camera/camera_info'),
    ]
    assert camera_remappings('', 'image', '')[2] == ('camera_info', 'camera_info')
    assert camera_remappings('front back', 'image', '') == []


@pytest.mark.parametrize('topics', [('/image', ''), ('/{camera}/image', '/info')])
def test_cameras_that_would_share_a_topic_are_refused(topics):
    with pytest.raises(SettingsError, match='the topics contain'):
        camera_remappings('front back', *topics)


SETTINGS = {
    'mapping_node': {**knobs(ModelSettings), **knobs(MappingSettings), **knobs(NodeSettings)},
    'simulated_robot': knobs(RobotSettings),
    'driven_robot': knobs(DrivenRobotSettings),
    'dataset_player': knobs(PlayerSettings),
    'recorder': knobs(RecorderSettings),
    'viewer': knobs(ViewerSettings),
}
ARGUMENTS = {'mapping': MAPPING, 'demo': DEMO, 'replay': REPLAY, 'nav2_demo': NAV2_DEMO}


@pytest.fixture
def load(monkeypatch):
    """Load a launch file from where it lies, as `ros2 launch` does; no node is started."""
    for name in ('actions', 'launch_description_sources', 'substitutions'):
        monkeypatch.setitem(sys.modules, f'launch.{name}', mock.MagicMock())
    for name in ('launch', 'launch_ros', 'launch_ros.actions'):
        monkeypatch.setitem(sys.modules, name, mock.MagicMock())

    def load(path):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def started(launch_file, arguments, **given):
    """Return the parameters of each node by its executable, as a launch file starts it."""
    texts = {argument.name: argument.default for argument in arguments} | given
    launch_file.LaunchConfiguration.side_effect = lambda name: mock.Mock(
        perform=lambda context: texts[name]
    )
    for kind in ('Node', 'LifecycleNode'):
        if hasattr(launch_file, kind):
            getattr(launch_file, kind).side_effect = lambda **words: words
    nodes = launch_file.start(None)
    return {node['executable']: node.get('parameters', []) for node in nodes}


@pytest.mark.parametrize(
    ('name', 'given', 'nodes'),
    [
        ('mapping', {}, {'mapping_node'}),
        ('mapping', {'viewer': 'true'}, {'mapping_node', 'viewer'}),
        ('demo', {}, {'simulated_robot'}),
        ('demo', {'record': 'out'}, {'simulated_robot', 'recorder'}),
        ('replay', {'bag': 'drive/'}, {'dataset_player'}),
    ],
)
def test_the_nodes_are_installed_and_have_the_parameters_that_are_set(
    repository, load, name, given, nodes
):
    launch_file = load(repository / 'launch' / f'{name}.launch.py')

    found = started(launch_file, ARGUMENTS[name], **given)

    assert found.keys() == nodes
    for executable, parameters in found.items():
        assert parameters[-1].keys() <= {*SETTINGS[executable], 'use_sim_time'}
        assert (
            f"'{executable} = {NODES[executable]}:main'" in (repository / 'setup.py').read_text()
        )


def test_the_launch_file_has_the_arguments_that_were_promised():
    assert {argument.name for argument in MAPPING} >= CONTRACT


def test_an_argument_that_is_not_given_leaves_its_parameter_to_the_file(repository, load):
    mapping = load(repository / 'launch' / 'mapping.launch.py')

    (own,) = started(mapping, MAPPING).values()
    (other,) = started(
        mapping,
        MAPPING,
        params_file='mine.yaml',
        odom_frame='none',
        checkpoint='512',
        autostart='False',
        use_sim_time='True',
    ).values()

    assert own == [str(repository / 'config' / 'mapping.yaml'), {'use_sim_time': False}]
    assert other == [
        'mine.yaml',
        {'odom_frame': '', 'model.checkpoint': '512', 'autostart': False, 'use_sim_time': True},
    ]


@pytest.mark.parametrize('distro', ['humble', 'jazzy'])
def test_nav2_has_all_its_nodes_and_a_robot_that_takes_its_commands(
    repository, load, monkeypatch, distro
):
    monkeypatch.setenv('ROS_DISTRO', distro)
    demo = load(repository / 'launch' / 'nav2_demo.launch.py')

    found = started(demo, NAV2_DEMO, rviz='true')

    servers = {executable for _, executable in demo.NAV2}
    assert found.keys() == {'driven_robot', 'lifecycle_manager', 'rviz2', *servers}
    assert found['driven_robot'] == [{'family': 'S', 'seed': 7}]
    assert set(found['lifecycle_manager'][0]['node_names']) == servers
    config = yaml.safe_load((repository / 'config' / 'nav2_demo.yaml').read_text())
    plugins = {}
    for server in servers:
        path, overrides = found[server]
        assert path == str(repository / 'config' / 'nav2_demo.yaml')
        own = config[server]['ros__parameters']
        assert not own.get('enable_stamped_cmd_vel', False)
        for name, value in overrides.items():
            plugin, key = name.split('.')
            assert own[plugin][key] == value.replace('/', '::')
        plugins |= {f'{server}.{name}': value for name, value in overrides.items()}
    assert bool(plugins) == (distro == 'humble')


def test_the_costmap_of_the_demo_is_the_one_that_is_explained(repository):
    explained, demo = (
        yaml.safe_load((repository / 'config' / name).read_text())['local_costmap'][
            'local_costmap'
        ]['ros__parameters']
        for name in ('nav2_costmap.yaml', 'nav2_demo.yaml')
    )

    for name in ('global_frame', 'robot_base_frame', 'rolling_window', 'voxel_layer', 'plugins'):
        assert demo[name] == explained[name]
    assert demo['transform_tolerance'] >= explained['transform_tolerance']


def test_a_drive_has_the_defaults_of_the_robot_but_goes_round_and_round(repository, load):
    demo = load(repository / 'launch' / 'demo.launch.py')

    ((own,),) = started(demo, DEMO).values()

    robot = {**values(RobotSettings()), 'loop': True}
    assert own.items() <= robot.items()
    assert {name: type(value) for name, value in own.items()} == {
        'family': str,
        'seed': int,
        'seconds': float,
        'loop': bool,
        'wait_for_recorder': float,
    }


@pytest.mark.parametrize(
    ('given', 'said'),
    [
        ({'seed': 'x'}, "seed must be int, not 'x'"),
        ({'seconds': '0.1'}, 'seconds is 0.1, allowed is 1.0 to 86400.0 s'),
        ({'seconds': 'nan'}, 'seconds is nan'),
        ({'family': 'XL'}, "family must be one of S, M, L, not 'XL'"),
    ],
)
def test_a_wrong_argument_is_refused_with_the_reason(repository, load, given, said):
    demo = load(repository / 'launch' / 'demo.launch.py')

    with pytest.raises(SettingsError, match=f'^{re.escape(said)}'):
        started(demo, DEMO, **given)


@pytest.mark.parametrize('arguments', ARGUMENTS.values(), ids=ARGUMENTS)
def test_an_argument_says_the_sentence_and_the_choices_of_its_knob(arguments):
    for argument in arguments:
        declared = argument.declaration()
        if declared['choices'] and argument.default is not None:
            assert argument.default in declared['choices']
        if argument.knob is not None:
            metadata = argument.knob.metadata
            sentence = argument.description.replace('none:', 'empty:')
            assert sentence.removesuffix(' Empty: as in params_file.') == metadata['sentence']
            assert {*map(str, metadata['choices'])} <= {*argument.choices}


@pytest.mark.parametrize('place', ['checkout', 'installed', 'linked'])
def test_the_files_are_found_wherever_the_launch_files_lie(repository, tmp_path, load, place):
    folder = repository
    if place == 'installed':
        setup = [sys.executable, 'setup.py', '-q', 'install_data', '--install-dir', str(tmp_path)]
        subprocess.run(setup, cwd=repository, check=True)
        folder = tmp_path / 'share' / 'ttt3r_ros'
    if place == 'linked':
        (tmp_path / 'launch').mkdir()
        for path in (repository / 'launch').iterdir():
            (tmp_path / 'launch' / path.name).symlink_to(path)
    start = tmp_path if place == 'linked' else folder

    mapping = load(start / 'launch' / 'mapping.launch.py')

    assert str(folder / 'config' / 'fastdds_large_messages.xml') == mapping.PROFILE
    assert str(folder / 'config' / 'mapping.yaml') == mapping.PARAMS_FILE
    for name in ('fastdds_large_messages.xml', 'mapping.yaml', 'mapping.rviz'):
        assert (mapping.SHARE / 'config' / name).is_file()
    for name in ('demo', 'replay', 'nav2_demo'):
        other = load(start / 'launch' / f'{name}.launch.py')
        assert folder / 'launch' / 'mapping.launch.py' == other.MAPPING_FILE
        assert other.MAPPING_FILE.is_file()


@pytest.mark.parametrize('chosen', ['', 'profile.xml'])
def test_large_messages_travel_by_our_profile_unless_another_is_set(
    repository, load, monkeypatch, chosen
):
    mapping = load(repository / 'launch' / 'mapping.launch.py')
    monkeypatch.setattr(mapping, 'profile_variable', lambda: 'PROFILE_OF_FAST_DDS')
    if chosen:
        monkeypatch.setenv('PROFILE_OF_FAST_DDS', chosen)

    mapping.generate_launch_description()

    expected = [] if chosen else [mock.call('PROFILE_OF_FAST_DDS', mapping.PROFILE)]
    assert mapping.SetEnvironmentVariable.call_args_list == expected


@pytest.mark.parametrize('name', ['mapping.rviz', 'foxglove_layout.json', 'nav2_demo.rviz'])
def test_the_views_show_topics_that_the_node_publishes(repository, name):
    text = (repository / 'config' / name).read_text()
    yaml.safe_load(text)  # JSON is YAML
    shown = set(re.findall(r'/ttt3r/(\w+)', text))
    interface = (repository / 'ttt3r_ros' / 'node' / 'interface.py').read_text()

    assert {'map_cloud', 'points', 'path', 'pose'} <= shown
    assert shown <= set(re.findall(r"'~/(\w+)'", interface))
