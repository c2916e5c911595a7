# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Checks of the clock of the node and of the stamps of its images."""

from __future__ import annotations

from ttt3r_ros.doctor.finding import fail, Finding, listed, ok, warn
from ttt3r_ros.doctor.observed import Arrivals, Observed

OLD_STAMP_S = 1.0


def judge_clock(observed: Observed) -> Finding:
    """
    Check use_sim_time and /clock.

    :param observed: the observed system.
    """
    clock, node = observed.clock, observed.node
    simulated = node is not None and node.use_sim_time
    if clock.count == 0:
        if not simulated:
            return ok('clock', "the system's; nothing on /clock")
        return fail(
            'clock',
            'use_sim_time is true, but nothing is published on /clock',
            'play the bag with --clock, or set use_sim_time:=false',
        )
    seen = f'/clock from {listed(clock.publishers)}'
    if len(clock.publishers) > 1:
        return fail('clock', f'{seen}: {len(clock.publishers)} publishers', 'stop all but one')
    if clock.went_back:
        return warn(
            'clock',
            f'{seen} went back {clock.went_back} time(s)',
            'a bag that loops: the map is cleared each time',
        )
    if node is not None and not simulated:
        return warn(
            'clock',
            f'{seen}, but the node has use_sim_time false',
            'start it with use_sim_time:=true if the images come from the bag or the simulator',
        )
    return ok('clock', f'{seen}, use_sim_time is {str(simulated).lower()}')


def judge_stamps(arrivals: Arrivals, observed: Observed) -> Finding:
    """
    Compare stamps with the clock of the node.

    :param arrivals: statistics of the stamped messages.
    :param observed: the observed system.
    """
    simulated, settings = observed.follows_clock, observed.settings
    age_s = arrivals.clock_age_s if simulated else arrivals.age_s
    tolerance_s = settings.inputs.stamp_tolerance
    bad = fail if settings.inputs.bad_stamps == 'refuse' else warn
    if arrivals.zero_stamps:
        return bad(
            'stamps',
            f'{arrivals.zero_stamps} of {arrivals.count} are 0',
            'configure the camera driver to stamp its images, or set inputs.bad_stamps to restamp',
        )
    if age_s is None:
        return fail('stamps', 'cannot be compared: no /clock', 'see clock')
    seen = f'{abs(age_s):.3f} s {"old" if age_s >= 0 else "ahead"} at arrival'
    if abs(age_s) > tolerance_s:
        other_s = arrivals.age_s if simulated else arrivals.clock_age_s
        if other_s is not None and abs(other_s) <= tolerance_s:
            wanted = str(not simulated).lower()
            return bad(
                'stamps',
                f'{seen}; they fit {"the system clock" if simulated else "/clock"}',
                f'start the node with use_sim_time:={wanted}',
            )
        return bad(
            'stamps',
            f'{seen}, inputs.stamp_tolerance is {tolerance_s:g} s',
            'synchronize the clocks (chrony, ptp), or set inputs.bad_stamps to restamp',
        )
    if arrivals.disordered:
        return warn(
            'stamps',
            f'{seen}; {arrivals.disordered} repeated or out of order',
            'two publishers, a bag that loops, or a faulty driver: those images are dropped',
        )
    if abs(age_s) > OLD_STAMP_S:
        return warn('stamps', seen, 'a slow network, or clocks that differ: TF may not reach it')
    return ok('stamps', seen)
