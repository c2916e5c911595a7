# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Depth that is bent over the image, and how points move when the bend is taken out.

The logarithm of a key frame's depth errs smoothly over the tangents of its rays; features whose
depth is known otherwise show by how much. Points move along the rays by what was found of it.
Images of the key frame have their scale from features of its depth and err about alike, so their
points are moved by the same, in the axes of the key frame.

A bend is (NODES,): what is to be added to the log depth at the nodes of a grid over the tangents,
row by row; it is linear between them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ttt3r_ros.arrays import Array, Array32

# The bend is known where features are; beyond these tangents the depth is as wrong as there.
FARTHEST = 1.0
SIDE = 9
NODES = SIDE**2
TABLE = 1024

NO_BEND: Array = np.zeros(NODES)

# Log depths of the network err by so much, and alike within such an angle (its tangent).
SIGMA, REACH = 0.1, 0.25
# What the depth of one feature says differs by so much from what those around say: an edge is
# near, or it has slid. A feature that differs by many such sigmas says little.
NOISE, KERNEL = 0.05, 2.0
ROUNDS = 4


def _prior() -> Array:
    """Return the information of a bend of which nothing is known, (NODES, NODES)."""
    line = np.linspace(-FARTHEST, FARTHEST, SIDE)
    along, across = (axis.ravel() for axis in np.meshgrid(line, line))
    apart = np.subtract.outer(along, along) ** 2 + np.subtract.outer(across, across) ** 2
    covariance = SIGMA**2 * np.exp(-0.5 * apart / REACH**2)
    information: Array = np.linalg.inv(covariance + 1e-4 * SIGMA**2 * np.eye(NODES))
    return information


_PRIOR = _prior()


def fit(tangents: Array, log_ratio: Array, sigma: Array) -> Array:
    """
    Find the bend of a depth, (NODES,).

    :param tangents: (N, 2) of features.
    :param log_ratio: (N,) of their depth to that of the network.
    :param sigma: (N,) of it.
    """
    basis, features = np.zeros((len(tangents), NODES)), np.arange(len(tangents))
    for node, share in _around(tangents[:, 0], tangents[:, 1]):
        basis[features, node] = share
    variance, bend = sigma**2 + NOISE**2, NO_BEND
    for _ in range(ROUNDS):
        square = (log_ratio - basis @ bend) ** 2 / variance
        weighted = basis.T / (variance * (1.0 + square / KERNEL**2))
        bend = np.linalg.solve(weighted @ basis + _PRIOR, weighted @ log_ratio)
    return bend


def stretch(points: Sequence[Array32], bend: Array) -> Array32:
    """
    Return by what the distance of points to a key frame is multiplied, of their shape.

    :param points: x, y and z, each (N,) or (h, w), in the axes of the key frame's camera, in any
        unit. Those behind it stay where they are.
    :param bend: (NODES,), which is added to the log depth.
    """
    x, y, z = points
    ahead = np.where(z > 0, z, np.float32(np.inf))
    with np.errstate(invalid='ignore'):  # points that are not finite stay so
        column, row = (_in_nodes(axis / ahead) for axis in (x, y))
    # OpenCV interpolates in tables of float32, of bounded sides.
    table = -(-column.size // TABLE) or 1, TABLE
    columns, rows = (np.resize(axis.astype(np.float32), table) for axis in (column, row))
    nodes = bend.reshape(SIDE, SIDE).astype(np.float32)
    deeper = cv2.remap(nodes, columns, rows, cv2.INTER_LINEAR).ravel()[: column.size]
    factor: Array32 = np.exp(np.where(z > 0, deeper.reshape(z.shape), np.float32(0)))
    return factor


def _in_nodes(tangent: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the place between the nodes of a line, 0 to SIDE - 1."""
    to_nodes = 0.5 * (SIDE - 1) / FARTHEST
    place: NDArray[np.floating] = np.fmin(np.fmax((tangent + FARTHEST) * to_nodes, 0), SIDE - 1)
    return place


def _around(along: Array, across: Array) -> list[tuple[NDArray[np.intp], Array]]:
    """Return the four nodes around tangents, and the share that each has of their bend."""
    places = [_in_nodes(axis) for axis in (along, across)]
    column, row = (np.minimum(np.floor(place), SIDE - 2) for place in places)
    right, below = places[0] - column, places[1] - row
    first = (row * SIDE + column).astype(np.intp)
    return [
        (first, (1 - right) * (1 - below)),
        (first + 1, right * (1 - below)),
        (first + SIDE, (1 - right) * below),
        (first + SIDE + 1, right * below),
    ]
