# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What the pages name exists: links, parameters, arguments and commands."""

import argparse
from collections.abc import Iterator
import importlib
from itertools import pairwise
from pathlib import Path
import re
import shlex
import subprocess

import pytest

from ttt3r_ros import settings
from ttt3r_ros.players.launch_arguments import DEMO, MAPPING, NAV2_DEMO, REPLAY
from ttt3r_ros.settings import (
    DrivenRobotSettings,
    knobs,
    MappingSettings,
    ModelSettings,
    NodeSettings,
    own_knobs,
    PlayerSettings,
    RecorderSettings,
    RobotSettings,
    rooms,
    ViewerSettings,
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
    'driven_robot': knobs(DrivenRobotSettings),
    'dataset_player': knobs(PlayerSettings),
    'recorder': knobs(RecorderSettings),
    'viewer': knobs(ViewerSettings),
}
LAUNCH_FILES = {
    f'{name}.launch.py': {argument.name for argument in table}
    for name, table in (
        ('mapping', MAPPING),
        ('replay', REPLAY),
        ('demo', DEMO),
        ('nav2_demo', NAV2_DEMO),
    )
}


# ---- reading pages


def pages(repository: Path) -> list[Path]:
    listing = subprocess.run(
        ['git', 'ls-files', '-z', '--', '*.md'], cwd=repository, check=True, capture_output=True
    )
    return [repository / name for name in listing.stdout.decode().split('\0') if name]


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
    """Return the name of a heading as GitHub writes it."""
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


# ---- commands


class Commands:
    """Check commands against what the repository has; nothing is run."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._makefile = (repository / 'Makefile').read_text()
        setup = (repository / 'setup.py').read_text()
        self._executables = set(re.findall(r"'(\w+) = ttt3r_ros\.", setup))
        # Written from the table of the node, which needs ROS 2; its test_node_page compares.
        page = (repository / 'docs' / 'node.md').read_text()
        self._services = {(quoted(row[0])[0], row[1]) for row in rows(page, 'service')}
        self._names = {'use_sim_time'}.union(*LAUNCH_FILES.values(), *EXECUTABLES.values())

    def complaint(self, text: str, complete: bool) -> str:
        """
        Return what is wrong with a command; empty when nothing is, or it is not one of ours.

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
                given = {word.partition(':=')[0] for word in rest} - {'--show-args'}
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
                own = name.replace('/ttt3r', '~', 1), kind.replace('/srv/', '/')
                return '' if own in self._services else f'no service {name} of {kind}'
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


def test_every_command_is_in_the_readme(repository):
    readme = (repository / 'README.md').read_text()
    for name in COMMANDS:
        assert f'\nttt3r {name} ' in readme


# ---- the table of faults


def test_every_fault_of_the_table_has_its_file_and_its_test(repository):
    page = (repository / 'docs' / 'testing.md').read_text()
    table = list(rows(page, 'fault'))
    assert len(table) > 30
    missing = []
    for _, place, test in table:
        place, (file, name) = place.strip('`'), test.strip('`').split('::')
        if not (repository / 'ttt3r_ros' / place).exists():
            missing.append(place)
        path = repository / file
        if not path.is_file() or f'def {name}(' not in path.read_text():
            missing.append(test)
    assert missing == []
