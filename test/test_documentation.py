# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What the pages say is there: links, topics, services, parameters, arguments and commands."""

import argparse
import ast
from collections.abc import Iterator
import importlib
from itertools import pairwise
from pathlib import Path
import re
import shlex
import subprocess

import pytest

from ttt3r_ros import settings
from ttt3r_ros.players.launch_arguments import DEMO, MAPPING, REPLAY
from ttt3r_ros.settings import (
    knobs,
    MappingSettings,
    ModelSettings,
    NodeSettings,
    own_knobs,
    PlayerSettings,
    RecorderSettings,
    RobotSettings,
    rooms,
)
from ttt3r_ros.tools.main import COMMANDS
from ttt3r_ros.tools.options import option_name

KNOBS = {
    name: field
    for room in (ModelSettings, MappingSettings, NodeSettings)
    for name, field in knobs(room).items()
}
EXECUTABLES = {
    'mapping_node': KNOBS,
    'simulated_robot': knobs(RobotSettings),
    'dataset_player': knobs(PlayerSettings),
    'recorder': knobs(RecorderSettings),
}
TOPIC_MAKERS = {'_make', 'create_publisher', 'create_subscription'}
LAUNCH_FILES = {
    f'{name}.launch.py': {argument.name for argument in table}
    for name, table in (('mapping', MAPPING), ('replay', REPLAY), ('demo', DEMO))
}


# ---- reading pages


def pages(repository: Path) -> list[Path]:
    listing = subprocess.run(
        ['git', 'ls-files', '-z', '--', '*.md'], cwd=repository, check=True, capture_output=True
    )
    return [repository / name for name in listing.stdout.decode().split('\0') if name]


def section(text: str, title: str) -> str:
    """Give what stands below a heading, up to the next one of the same or a higher level."""
    found = re.search(rf'^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)', text, re.M | re.S)
    assert found, f'there is no heading {title!r}'
    return found[2]


def rows(text: str, heading: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the table whose first heading is this."""
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip('|').split('|')]
        if not line.startswith('|'):
            inside = False
        elif inside and not set(cells[0]) <= set('-: '):
            yield cells
        inside = inside or (line.startswith('|') and cells[0] == heading)


def quoted(text: str) -> list[str]:
    return re.findall('`([^`]+)`', text)


def blocks(text: str) -> Iterator[str]:
    """Yield the lines of fenced code; a line that goes on in the next one is one."""
    for block in re.findall(r'^ *```\w*\n(.*?)^ *```', text, re.M | re.S):
        yield from block.replace('\\\n', ' ').splitlines()


def anchor(heading: str) -> str:
    """Name a heading as GitHub does."""
    plain = re.sub(r'\[([^]]*)\]\([^)]*\)|[`*]', r'\1', heading).strip().lower()
    return re.sub(r'[^\w\- ]', '', plain).replace(' ', '-')


# ---- links


def test_links_lead_to_files_and_headings_that_are_there(repository):
    broken = []
    for page in pages(repository):
        text = re.sub(r'^ *```.*?^ *```', '', page.read_text(), flags=re.M | re.S)
        for target in re.findall(r'\]\(([^)\s]+)\)', text):
            if re.match('https?:|mailto:', target):
                continue
            name, _, heading = target.partition('#')
            path = (page.parent / name).resolve() if name else page
            if not path.exists():
                broken.append(f'{page.name}: {target}')
            elif heading and path.suffix == '.md':
                headings = re.findall('^#+ (.*)$', path.read_text(), re.M)
                if heading not in map(anchor, headings):
                    broken.append(f'{page.name}: {target}')
    assert broken == []


def test_the_readme_leads_to_every_page(repository):
    readme = (repository / 'README.md').read_text()
    linked = set(re.findall(r'\]\(docs/(\w+\.md)', readme))
    assert {page.name for page in (repository / 'docs').glob('*.md')} <= linked


# ---- topics and services


@pytest.fixture(scope='module')
def node_page(repository):
    return (repository / 'docs' / 'node.md').read_text()


@pytest.fixture(scope='module')
def readme(repository):
    return (repository / 'README.md').read_text()


def parts(repository: Path, module: str, kind: type[ast.AST]) -> Iterator[ast.AST]:
    """Yield the parts of one kind of a module of the node."""
    path = repository / 'ttt3r_ros' / 'node' / f'{module}.py'
    return (part for part in ast.walk(ast.parse(path.read_text())) if isinstance(part, kind))


def strings(part: ast.AST) -> list[str]:
    constants = (leaf for leaf in ast.walk(part) if isinstance(leaf, ast.Constant))
    return [leaf.value for leaf in constants if isinstance(leaf.value, str)]


def classes(part: ast.AST) -> list[str]:
    names = (leaf.id for leaf in ast.walk(part) if isinstance(leaf, ast.Name))
    return [name for name in names if name[0].isupper()]


def topics_in_source(repository: Path) -> dict[str, tuple[str, str]]:
    """Give the type of each topic, and the expression for its quality of service."""
    found = {}
    for module in ('inputs', 'outputs', 'mapping_node'):
        renamed = {
            alias.asname: alias.name
            for part in parts(repository, module, ast.ImportFrom)
            for alias in part.names
        }
        for call in parts(repository, module, ast.Call):
            if getattr(call.func, 'attr', '') in TOPIC_MAKERS:
                kinds = [renamed.get(name, name) for name in classes(call.args[0])]
                quality = ast.unparse(call.args[-1])
                for kind, name in zip(kinds, strings(call.args[1])):
                    found[name] = kind, quality
    return found


def services_in_source(repository: Path) -> dict[str, str]:
    rows = (part.elts for part in parts(repository, 'services', ast.Tuple) if len(part.elts) == 3)
    return {f'~/{row[1].value}': row[0].id for row in rows if isinstance(row[1], ast.Constant)}


def in_table(text: str, heading: str) -> dict[str, str]:
    """Give the type of each name in a table: one for all names of a row, or one for each."""
    found = {}
    for cells in rows(text, heading):
        names = quoted(cells[0])
        kinds = re.findall(r'\b[A-Z]\w*[a-z]\w*', cells[1])
        found.update(zip(names, kinds if len(kinds) == len(names) else kinds * len(names)))
    return found


def test_the_page_of_the_node_has_the_topics_and_services_of_the_source(repository, node_page):
    source = {name: kind for name, (kind, _) in topics_in_source(repository).items()}
    heard = in_table(section(node_page, 'Subscribed topics'), 'topic')
    told = in_table(section(node_page, 'Published topics'), 'topic')
    of_tf2 = {'/tf': 'TFMessage', '/tf_static': 'TFMessage'}

    assert len(source) > 10
    assert not heard.keys() & told.keys()
    assert {**heard, **told} == {**source, **of_tf2}
    assert in_table(section(node_page, 'Services'), 'service') == services_in_source(repository)


def test_the_quality_of_service_of_each_output_is_the_one_in_the_page(repository, node_page):
    qos = pytest.importorskip('rclpy.qos', reason='ROS 2 is not importable')
    outputs = importlib.import_module('ttt3r_ros.node.outputs')

    def words(expression):
        profile = getattr(outputs, expression, None) or qos.QoSProfile(depth=int(expression))
        reliable = profile.reliability == qos.ReliabilityPolicy.RELIABLE
        latched = profile.durability == qos.DurabilityPolicy.TRANSIENT_LOCAL
        return (
            f'{"reliable" if reliable else "best effort"}{", latched" * latched}, '
            f'depth {profile.depth}'
        )

    source = topics_in_source(repository)
    table = {quoted(row[0])[0]: row[2] for row in rows(node_page, 'topic')}
    told = in_table(section(node_page, 'Published topics'), 'topic')
    for name in (*told, 'initialpose'):
        assert table[name] == words(source[name][1]), name


def test_the_page_of_the_node_has_every_key_of_the_diagnostics(repository, node_page):
    said = section(node_page, 'Diagnostics')
    functions = parts(repository, 'diagnostics', ast.FunctionDef)
    source = set()
    for function in functions:
        if function.name in {'status', 'memory_mb'}:
            for part in ast.walk(function):
                if isinstance(part, ast.Dict):
                    source |= {key.value for key in part.keys if isinstance(key, ast.Constant)}
                elif isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Constant):
                    source.add(part.slice.value)
    keys = {key for row in rows(said, 'key') for key in quoted(row[0])}
    states = {row[0] for row in rows(said, 'state')}

    assert keys == {key for key in source if isinstance(key, str)} | {'dropped: CAUSE'}
    levels = next(
        part.value
        for part in parts(repository, 'diagnostics', ast.Assign)
        if part.targets[0].id == 'LEVELS'
    )
    assert states == {key.value for key in levels.keys}


def test_the_page_of_the_node_has_every_cause_of_a_drop(repository, node_page):
    source = {'refused by the mapper'}
    for path in (repository / 'ttt3r_ros' / 'node').glob('*.py'):
        for call in parts(repository, path.stem, ast.Call):
            if getattr(call.func, 'attr', '') in {'drop', 'dropped'}:
                source |= {
                    text
                    for text in strings(call.args[0])
                    if call.args[0].__class__ is ast.Constant
                }
    for part in parts(repository, 'pipeline', ast.AnnAssign):
        if getattr(part.target, 'id', '') == 'CAUSES':
            source |= set(strings(part.value))
    (verdicts,) = (p for p in parts(repository, 'stamps', ast.ClassDef) if p.name == 'Verdict')
    source |= {
        part.value.value
        for part in verdicts.body
        if isinstance(part, ast.Assign) and part.targets[0].id not in {'USE', 'WENT_BACK'}
    }
    table = {cause for row in rows(node_page, 'cause of a drop') for cause in quoted(row[0])}
    assert table == source


# ---- parameters and arguments


def written(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_the_parameters_of_the_page_of_the_node_have_their_defaults(node_page):
    table = {}
    for cells in rows(node_page, 'parameter'):
        table.update(zip(quoted(cells[0]), cells[1].split(', ')))
    assert len(table) > 8
    assert table == {name: written(KNOBS[name].default) for name in table}


# ---- commands


class Commands:
    """Judge commands by what the repository offers; nothing is run."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._makefile = (repository / 'Makefile').read_text()
        setup = (repository / 'setup.py').read_text()
        self._executables = set(re.findall(r"'(\w+) = ttt3r_ros\.", setup))
        self._services = services_in_source(repository)
        self._names = {'use_sim_time'}.union(*LAUNCH_FILES.values(), *EXECUTABLES.values())

    def complaint(self, text: str, complete: bool) -> str:
        """
        Say what is wrong with a command; empty when nothing is, or it is not one of ours.

        :param complete: whether a required argument may be asked for.
        """
        if name := re.fullmatch(r'(\w+):=\S*', text):
            return '' if name[1] in self._names else f'no argument {name[1]}'
        found = re.match(
            r'\s*(?:\w+=\S* )*(?:\S*/)?(ttt3r|python3?|torchrun|make|ros2) (.*)', text
        )
        if found is None:
            return ''
        words = shlex.split(found[2], comments=True)
        if found[1] == 'ttt3r':
            return self._ttt3r(words, complete)
        if found[1] == 'make':
            return self._make(words)
        if found[1] == 'ros2':
            return self._ros2(words, complete)
        return self._module(words)

    def _ttt3r(self, words: list[str], complete: bool) -> str:
        if not words or words[0] == 'COMMAND':
            return ''
        if words[0] not in COMMANDS:
            return 'no such command'
        name, *rest = words
        if not complete:
            return self._unknown_options(f'ttt3r_ros/tools/{name}.py', rest)
        parser = argparse.ArgumentParser(exit_on_error=False)
        importlib.import_module(f'ttt3r_ros.tools.{name}').add_arguments(parser)
        try:
            parser.parse_args(rest)
        except (argparse.ArgumentError, SystemExit) as error:
            return f'refused: {error}'
        return ''

    def _make(self, words: list[str]) -> str:
        for word in words:
            variable, is_variable, _ = word.partition('=')
            if is_variable and not re.search(rf'\b{variable}\b', self._makefile):
                return f'no variable {variable}'
            if not is_variable and not re.search(rf'^{re.escape(word)}:', self._makefile, re.M):
                return f'no target {word}'
        return ''

    def _module(self, words: list[str]) -> str:
        if '-m' not in words:
            return ''
        name, *rest = words[words.index('-m') + 1 :]
        if name.partition('.')[0] not in {'ttt3r_ros', 'benchmark', 'training'}:
            return ''
        path = name.replace('.', '/')
        package = (self._repository / path).is_dir()
        return self._unknown_options(f'{path}/__main__.py' if package else f'{path}.py', rest)

    def _unknown_options(self, path: str, words: list[str]) -> str:
        if not (self._repository / path).is_file():
            return f'no file {path}'
        source = (self._repository / path).read_text()
        for shared in re.findall(r'^from (benchmark[.\w]+) import add_', source, re.MULTILINE):
            source += (self._repository / f'{shared.replace(".", "/")}.py').read_text()
        known = {*re.findall(r"'(--[\w-]+)'", source), '--help'}
        for kind in re.findall(r'add_settings\(parser, (\w+)\)', source):
            known |= {
                option_name(room, field)
                for room in rooms(getattr(settings, kind))
                for field in own_knobs(room)
            }
        known |= {f'--{name}' for name in re.findall(r"add_option\(parser, \w+, '(\w+)'", source)}
        unknown = {word for word in words if word.startswith('--')} - known
        return f'no option {", ".join(sorted(unknown))}' if unknown else ''

    def _ros2(self, words: list[str], complete: bool) -> str:
        match words:
            case ['launch', 'ttt3r_ros', file, *rest]:
                if file not in LAUNCH_FILES:
                    return f'no launch file {file}'
                known = LAUNCH_FILES[file] | LAUNCH_FILES['mapping.launch.py']
                given = {word.partition(':=')[0] for word in rest}
                return f'no argument {given - known}' if given - known else ''
            case ['run', 'ttt3r_ros', 'ttt3r', *rest]:
                return self._ttt3r(rest, complete)
            case ['run', 'ttt3r_ros', name, *rest]:
                if name not in self._executables:
                    return f'no executable {name}'
                given = {b.partition(':=')[0] for a, b in pairwise(rest) if a == '-p'}
                unknown = given - {*EXECUTABLES[name], 'use_sim_time'}
                return f'no parameter {unknown}' if unknown else ''
            case ['service', 'call', name, kind, *_]:
                own = self._services.get(name.replace('/ttt3r', '~', 1))
                return '' if kind == f'std_srvs/srv/{own}' else f'no service {name} of {kind}'
            case ['param', verb, '/ttt3r', name, *_]:
                if name not in KNOBS:
                    return f'no parameter {name}'
                fixed = verb == 'set' and not KNOBS[name].metadata['live']
                return f'{name} cannot be set while the node runs' if fixed else ''
        return ''


def test_the_commands_in_the_pages_are_accepted(repository):
    commands = Commands(repository)
    wrong, count = [], 0
    for page in pages(repository):
        text = page.read_text()
        prose = re.sub(r'^ *```.*?^ *```', '', text, flags=re.M | re.S)
        shown = [(line.strip(), True) for line in blocks(text)]
        shown += [(' '.join(code.split()), False) for code in quoted(prose)]
        for line, complete in shown:
            if complaint := commands.complaint(line, complete):
                wrong.append(f'{page.name}: {line}: {complaint}')
        count += len(shown)
    assert count > 500
    assert wrong == []


@pytest.mark.parametrize(
    'command',
    [
        'ttt3r mop video.mp4',
        'ttt3r map video.mp4',
        'ttt3r map video.mp4 --output out --voxelsize 0.1',
        'ttt3r weights steal 512',
        'make toast',
        'make demo FROM=drive.mp4',
        'python -m benchmark.accuracy.precision --part short',
        'python -m benchmark.accuracy --piece short',
        'OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 -m training.train --presets small',
        'ros2 launch ttt3r_ros maps.launch.py',
        'ros2 launch ttt3r_ros mapping.launch.py images:=/camera/image_raw',
        'ros2 run ttt3r_ros mapper',
        'ros2 run ttt3r_ros ttt3r doctor --domain 3',
        'ros2 run ttt3r_ros dataset_player --ros-args -p bag:=drive/',
        'ros2 service call /ttt3r/rest std_srvs/srv/Trigger',
        'ros2 service call /ttt3r/pause std_srvs/srv/Trigger',
        'ros2 param set /ttt3r map.voxel_size 0.1',
        'ros2 param get /ttt3r voxels',
        'image_toppic:=/camera/image_raw',
    ],
)
def test_a_wrong_command_is_found(repository, command):
    assert Commands(repository).complaint(command, complete=True)


def test_every_command_is_in_the_readme(readme):
    for name in COMMANDS:
        assert f'\nttt3r {name} ' in readme
