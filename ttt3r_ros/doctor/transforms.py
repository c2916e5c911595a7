# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Checks of the TF tree from the map frame to the camera, link by link."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from ttt3r_ros.doctor.finding import fail, Finding, listed, ok, warn
from ttt3r_ros.doctor.observed import Link, Observed
from ttt3r_ros.doctor.topics import own_mismatches

# A moving transform that is older than this has stopped.
STOPPED_S = 1.0


def judge_tf(observed: Observed) -> Iterator[Finding]:
    """
    Check each transform between the map frame and the camera.

    :param observed: the observed system.
    """
    for topic in (observed.tf, observed.tf_static):
        if reasons := own_mismatches(topic, observed.name):
            yield fail('TF', '; '.join(reasons), f'make the publisher of {topic.name} be reliable')
    parents: dict[str, list[Link]] = {}
    for link in observed.links:
        parents.setdefault(link.child, []).append(link)
    for links in parents.values():
        yield from _judge_parents(links)
    settings = observed.settings
    camera = settings.camera_optical_frame or observed.image.frame_id
    if not camera:
        yield warn(
            'TF', 'the frame of the camera is unknown without an image', 'fix the images first'
        )
    frames = (settings.map_frame, settings.odom_frame, settings.base_frame, camera)
    chain = [frame for frame in frames if frame]
    parent_of = {child: links[0] for child, links in parents.items()}
    for upper, lower in pairwise(chain):
        yield _judge_link(observed, parent_of, upper, lower)


def _judge_parents(links: list[Link]) -> Iterator[Finding]:
    """Check the transforms of one frame: one parent and one publisher."""
    child = links[0].child
    if len({link.parent for link in links}) > 1:
        sentence = ' and '.join(f'{link.parent!r} (by {_by(link)})' for link in links)
        yield fail('TF', f'{child!r} has two parents: {sentence}', 'stop one of them')
    elif all(link.certain for link in links):
        authors = sorted({author for link in links for author in link.authors})
        if len(authors) > 1:
            seen = f'{links[0].parent!r} -> {child!r} is published by {listed(authors)}'
            yield fail('TF', seen, 'stop one of them')


def _judge_link(
    observed: Observed, parent_of: Mapping[str, Link], upper: str, lower: str
) -> Finding:
    """Check the chain of parents from one frame to another."""
    walked: list[Link] = []
    frame = lower
    while frame != upper and frame in parent_of and len(walked) <= len(parent_of):
        walked.append(parent_of[frame])
        frame = walked[-1].parent
    if frame != upper:
        return _missing(observed, upper, lower, frame)
    for link in walked:
        arrivals = link.arrivals
        age_s = arrivals.clock_age_s if observed.follows_clock else arrivals.age_s
        if not link.static and age_s is not None and abs(age_s) > STOPPED_S:
            return warn(
                'TF',
                f'{link.parent} -> {link.child} by {_by(link)} is {age_s:.1f} s old at arrival',
                'the clocks differ, or use_sim_time is not the same everywhere',
            )
    return ok('TF', ', '.join(map(_link_text, reversed(walked))))


def _missing(observed: Observed, upper: str, lower: str, top: str) -> Finding:
    """Return a finding for a missing transform, and the node that should publish it."""
    gap = f'no node publishes {upper!r} -> {top!r}'
    if top != lower:
        gap += f' ({lower!r} hangs below {top!r})'
    children = sorted({link.child for link in observed.links if link.parent == upper})
    if children:
        gap += f'; {upper!r} has {listed(map(repr, children))}'
    settings = observed.settings
    if upper == settings.map_frame:
        advice = (
            'the mapping node sends it while it is active (see node)'
            if settings.publish_map_to_odom_tf
            else 'set publish_map_to_odom_tf:=true, or start another localization'
        )
    elif upper == settings.odom_frame:
        advice = (
            'the mapping node sends it with each image that it maps'
            if settings.publish_odom_to_base_tf
            else 'start the odometry, or correct base_frame; without odometry set '
            'publish_odom_to_base_tf:=true'
        )
    else:
        advice = (
            'start robot_state_publisher, or: ros2 run tf2_ros static_transform_publisher '
            f'--frame-id {upper} --child-frame-id {top} --z ...; for a camera alone set '
            'base_frame and odom_frame to ""'
        )
    return fail('TF', gap, advice)


def _link_text(link: Link) -> str:
    how = 'static' if link.static else f'{link.arrivals.rate_hz:.0f} Hz'
    return f'{link.parent} -> {link.child} ({how}, {_by(link)})'


def _by(link: Link) -> str:
    return listed(link.authors) if link.certain else f'one of {listed(link.authors)}'
