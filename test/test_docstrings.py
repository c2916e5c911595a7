# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Every array that a public function takes has its shape in the docstring."""

import ast
from collections.abc import Iterator
from pathlib import Path
import re
from typing import NamedTuple

import pytest

# numpy and torch, and the names that the package has for arrays of one type.
ARRAY_TYPES = {
    'ndarray', 'NDArray', 'ArrayLike', 'Tensor', 'Array', 'Array32', 'Pixels', 'Mask', 'Integers',
    'Indices', 'Steps', 'Words', 'GreyImage',
}  # fmt: skip
# The arrays of a mapping have their names, by which their shapes are documented elsewhere.
WITHOUT_SHAPE = {'Mapping', 'dict', 'Callable'}
SHAPE = re.compile(r'\((\w|\.\.\.)[^()]*,[^()]*\)|\b(any|same) shape\b')


class Parameter(NamedTuple):
    """One array of a public function, and what its docstring has about it."""

    file: str
    function: str
    name: str
    text: str


def array_parameters(source: str, file: str = '') -> Iterator[Parameter]:
    """Yield the array parameters of the public functions and methods of a module."""
    module = ast.parse(source)
    classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
    protocols = [node for node in classes if 'Protocol' in map(ast.unparse, node.bases)]
    documented = {f.name for one in protocols for f in functions(one) if ast.get_docstring(f)}
    for owner in [module, *classes]:
        for function in functions(owner):
            if owner in protocols and not ast.get_docstring(function):
                continue  # the class that follows the protocol documents it
            if owner not in [module, *protocols] and function.name in documented:
                continue
            for argument in [*function.args.posonlyargs, *function.args.args]:
                names = {*re.findall(r'\w+', ast.unparse(argument.annotation or ast.Tuple([])))}
                if names & ARRAY_TYPES and not names & WITHOUT_SHAPE:
                    doc = ast.get_docstring(function) or ''
                    yield Parameter(file, function.name, argument.arg, text_of(argument.arg, doc))


def functions(owner: ast.Module | ast.ClassDef) -> list[ast.FunctionDef]:
    """Return the functions of a module, or the methods of a class, that others may call."""
    if isinstance(owner, ast.ClassDef) and owner.name.startswith('_'):
        return []
    return [
        node
        for node in owner.body
        if isinstance(node, ast.FunctionDef)
        and (node.name == '__init__' or not node.name.startswith('_'))
    ]


def text_of(name: str, docstring: str) -> str:
    """Return what a docstring has about a parameter: its field, or else the summary."""
    field = re.search(rf'(?:^:param |; ){name}: (.*?)(?=^:|\Z)', docstring, re.S | re.M)
    return field.group(1) if field else docstring.partition('\n:')[0]


def test_every_array_that_a_public_function_takes_has_a_shape(repository):
    found = [
        parameter
        for path in sorted((repository / 'ttt3r_ros').rglob('*.py'))
        for parameter in array_parameters(Path(path).read_text(), path.name)
    ]

    assert len(found) > 300
    assert [one[:3] for one in found if not SHAPE.search(one.text)] == []


@pytest.mark.parametrize(
    ('field', 'has_shape'),
    [
        (':param points: (N, 3) metres.', True),
        (':param weights: (N,).\n:param points: (N, 3).', True),
        (':param points: any shape, pixels.', True),
        (':param points: metres, map frame (x forward).', False),
        (':param other: (N, 3).', False),
    ],
)
def test_a_shape_counts_only_for_its_own_parameter(field, has_shape):
    docstring = f'Move.\n\n{field}\n:returns: (N, 3).'
    (found,) = array_parameters(f'def move(points: Array) -> Array:\n    """{docstring}"""\n')

    assert bool(SHAPE.search(found.text)) == has_shape
