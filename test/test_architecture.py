# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The house keeps its shape: imports point one way, files are signed, no machine is named."""

import ast
from collections.abc import Iterator
from pathlib import Path
import re
import subprocess
import sys

import pytest

PACKAGE = 'ttt3r_ros'

# The table of docs/architecture.md: which other rooms each room may import, and for the
# foundation, which libraries.
LIBRARIES = {
    'errors': set(),
    'threads': set(),
    'units': set(),
    'arrays': {'numpy'},
    'settings': set(),
    'geometry': {'numpy'},
    'intrinsics': {'numpy'},
    'image_formats': {'numpy', 'cv2', 'PIL'},
    'image_fit': {'numpy'},
    'atomic': set(),
    'home': set(),
    'table': set(),
    'trajectory': {'numpy'},
}
FOUNDATION = set(LIBRARIES)
MAP = {'model', 'tracking', 'graph', 'mapping'}
ROOMS = {
    'errors': set(),
    'threads': set(),
    'units': set(),
    'settings': {'errors'},
    'arrays': set(),
    'geometry': {'errors', 'settings', 'arrays'},
    'intrinsics': {'errors', 'settings', 'arrays', 'geometry'},
    'image_formats': {'errors', 'arrays'},
    'image_fit': {'errors', 'arrays', 'intrinsics'},
    'atomic': {'errors'},
    'home': {'errors'},
    'table': set(),
    'trajectory': {'errors', 'units', 'arrays', 'geometry', 'atomic', 'table'},
    'inputs': FOUNDATION,
    'model': FOUNDATION,
    'tracking': FOUNDATION | {'model'},
    'serving': FOUNDATION | {'model'},
    'graph': FOUNDATION | {'model', 'tracking'},
    'mapping': FOUNDATION | {'model', 'tracking', 'graph', 'serving'},
    'viewer': FOUNDATION | MAP,
    'simulation': FOUNDATION,
    'evaluation': FOUNDATION,
    'archive': FOUNDATION | {'inputs', 'evaluation'},
    'node': FOUNDATION | MAP | {'serving'},
    'players': FOUNDATION | {'inputs', 'mapping', 'viewer', 'simulation', 'node'},
    'doctor': FOUNDATION | {'model', 'serving', 'node', 'players'},
    'bench': FOUNDATION | MAP | {'simulation', 'node'},
}
ROOMS['tools'] = FOUNDATION | (ROOMS.keys() - {'tools'})
ROOMS['api'] = FOUNDATION | (ROOMS.keys() - {'api'})
ROS = {
    'rclpy',
    'tf2_ros',
    'tf_transformations',
    'cv_bridge',
    'bondpy',
    'sensor_msgs_py',
    'builtin_interfaces',
    'rcl_interfaces',
    'lifecycle_msgs',
    'rosgraph_msgs',
    'sensor_msgs',
    'geometry_msgs',
    'nav_msgs',
    'diagnostic_msgs',
    'std_msgs',
    'std_srvs',
    'visualization_msgs',
    'tf2_msgs',
}
ROOMS_WITH_ROS = {'node', 'players', 'doctor'}


def imported_modules(source: str) -> Iterator[str]:
    """Yield the absolute name of every module a source imports, wherever the import stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'relative import in line {node.lineno}'
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


def turned_arrows(room: str, source: str) -> list[str]:
    """List the imports of a source that its room must not have."""
    wrong = []
    for module in imported_modules(source):
        top, _, rest = module.partition('.')
        other = rest.partition('.')[0]
        if top == PACKAGE:
            if other != room and other not in ROOMS[room]:
                wrong.append(module)
        elif room in LIBRARIES:
            if top not in LIBRARIES[room] and top not in sys.stdlib_module_names:
                wrong.append(module)
        elif top in ROS and room not in ROOMS_WITH_ROS:
            wrong.append(module)
    return wrong


def tracked_files(repository: Path, *patterns: str) -> list[Path]:
    listing = subprocess.run(
        ['git', 'ls-files', '-z', '--', *patterns],
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
    )
    return [repository / name for name in listing.stdout.split('\0') if name]


def test_imports_point_one_way(repository):
    package = repository / PACKAGE
    wrong = {}
    for path in sorted(package.rglob('*.py')):
        if path == package / '__init__.py':
            continue
        room = path.relative_to(package).parts[0].removesuffix('.py')
        assert room in ROOMS, f'{room} is not a room of docs/architecture.md'
        if arrows := turned_arrows(room, path.read_text()):
            wrong[str(path.relative_to(repository))] = arrows
    assert wrong == {}


@pytest.mark.parametrize(
    ('room', 'source'),
    [
        ('model', 'from ttt3r_ros.tracking.tracker import Tracker'),
        ('model', 'def f():\n    import ttt3r_ros.tools.main'),
        ('mapping', 'from ttt3r_ros import simulation'),
        ('mapping', 'import rclpy'),
        ('geometry', 'import torch'),
        ('settings', 'import numpy as np'),
        ('inputs', 'from ttt3r_ros.tools.options import positive_int'),
        ('simulation', 'from ttt3r_ros.model import Network'),
    ],
)
def test_a_turned_arrow_is_found(room, source):
    assert turned_arrows(room, source) != []


def test_the_solver_of_the_graph_knows_no_images_and_no_map(repository):
    solver = f'{PACKAGE}.graph.solver'
    for path in sorted((repository / solver.replace('.', '/')).rglob('*.py')):
        for module in imported_modules(path.read_text()):
            top, _, rest = module.partition('.')
            if top == PACKAGE and not module.startswith(f'{solver}.'):
                assert rest.partition('.')[0] in FOUNDATION, f'{path.name} imports {module}'


def test_the_architecture_page_has_every_room(repository):
    page = (repository / 'docs' / 'architecture.md').read_text()
    for room in ROOMS:
        assert f'`{room}/`' in page or f'`{room}.py`' in page


def test_every_python_file_carries_its_licence(repository):
    unsigned = [
        path.name
        for path in tracked_files(repository, '*.py')
        if path.stat().st_size and 'SPDX-License-Identifier: Apache-2.0' not in path.read_text()
    ]
    assert unsigned == []


def test_no_file_names_a_path_of_one_machine(repository):
    one_machine = re.compile(r'(?<![\w.}~-])/(home|root|work|Users)/\w')
    found = []
    for path in tracked_files(repository, '*.py', '*.md', '*.rst', '*.sh', '*.txt', '*.yaml'):
        if path.is_file() and one_machine.search(path.read_text(errors='replace')):
            found.append(str(path.relative_to(repository)))
    assert found == []


def test_the_version_is_the_same_everywhere(repository):
    in_package_xml = re.search(
        r'<version>(.*)</version>', (repository / 'package.xml').read_text()
    )
    in_setup_py = re.search(r"version='(.*)'", (repository / 'setup.py').read_text())
    in_changelog = re.search(r'^(\d+\.\d+\.\d+)', (repository / 'CHANGELOG.rst').read_text(), re.M)
    in_citation = re.search(r'^version: (.*)$', (repository / 'CITATION.cff').read_text(), re.M)
    assert in_package_xml[1] == in_setup_py[1] == in_changelog[1] == in_citation[1]


def test_the_types_of_arrays_and_the_units_are_defined_once(repository):
    defined = re.compile(
        r'^\w+ = NDArray\[np\.(float64|float32|uint8|bool_)\]|^NANOSECONDS\b', re.M
    )
    found = [
        str(path.relative_to(repository / PACKAGE))
        for path in sorted((repository / PACKAGE).rglob('*.py'))
        if defined.search(path.read_text())
    ]
    assert found == ['arrays.py', 'units.py']
