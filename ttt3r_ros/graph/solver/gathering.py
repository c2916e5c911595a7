# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where loops of a large graph are gathered: at every so many key frames of a path."""

from __future__ import annotations

import numpy as np

from ttt3r_ros.graph.solver.sums import Indices


def hubs(count: int, links: Indices, every: int) -> Indices:
    """
    Return the key frame at which loops of each key frame are gathered, (count,) indices.

    :param count: number of key frames, in the order of time.
    :param links: (2, L) indices of those that are measured from each other and close in time;
        hubs are of the same path, which begins anew where no link leads on.
    :param every: key frames between two hubs.
    """
    ahead = np.zeros(count + 1, np.intp)  # links that lead over each key frame from those before
    np.add.at(ahead, links.min(axis=0) + 1, 1)
    np.add.at(ahead, links.max(axis=0) + 1, -1)
    index = np.arange(count)
    begins = np.cumsum(ahead)[:count] == 0
    path = np.cumsum(begins) - 1
    first = index[begins]
    last = np.append(first[1:], count) - 1
    hub = first[path] + (index - first[path] + every // 2) // every * every
    result: Indices = np.minimum(hub, last[path])
    return result
