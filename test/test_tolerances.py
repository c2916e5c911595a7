# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Every comparison of floats names its absolute tolerance, so that it holds on any processor."""

import ast

import pytest

# What compares floats, and the keyword of its absolute tolerance. A relative one alone shrinks to
# nothing where a sum cancels, and the order of a sum is another on each instruction set.
TOLERANCE = {
    'assert_allclose': {'atol'},
    'assert_close': {'atol'},
    'allclose': {'atol'},
    'isclose': {'atol', 'abs_tol'},
    'approx': {'abs'},
}


def without_tolerance(source: str) -> list[int]:
    """Return the lines of comparisons of floats that name no absolute tolerance."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = (
                node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            )
            keywords = {keyword.arg for keyword in node.keywords}
            if name in TOLERANCE and not TOLERANCE[name] & keywords:
                lines.append(node.lineno)
    return sorted(lines)


def test_every_comparison_of_floats_names_its_absolute_tolerance(repository):
    folder = repository / 'test'
    found = [
        f'{path.relative_to(repository)}:{line}'
        for path in sorted(folder.rglob('*.py'))
        for line in without_tolerance(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    ('source', 'lines'),
    [
        ('np.testing.assert_allclose(a, b, rtol=1e-5)', [1]),
        ('torch.testing.assert_close(a, b)', [1]),
        ('\nassert x == pytest.approx(0.1, rel=1e-3)', [2]),
        ('assert np.isclose(a, b).all() and isclose(c, d)', [1, 1]),
        ('assert not torch.allclose(a, b)', [1]),
        ('np.testing.assert_allclose(a, b, atol=1e-6)', []),
        ('assert x == approx(0.1, abs=1e-9) and math.isclose(a, b, abs_tol=1e-9)', []),
        ('assert torch.equal(a, b)', []),
    ],
)
def test_a_comparison_without_absolute_tolerance_is_found(source, lines):
    assert without_tolerance(source) == lines
