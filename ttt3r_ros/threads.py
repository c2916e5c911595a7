# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
How threads wait for each other; imported before all else, so before any module that loads torch.

The threads of OpenMP spin at hundreds of barriers in a step of the network. Where another program
holds the core of one of them, the others spin for a whole time slice each time. The library reads
the environment once, when torch loads it.
"""

import os
import sys

_SET_BY_USER = not {'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'}.isdisjoint(os.environ)
# Whether it was too late, and the user has decided nothing.
SPINNING = 'torch' in sys.modules and not _SET_BY_USER

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
