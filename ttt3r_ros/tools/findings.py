# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is wrong with a system that was looked at: from plain data to findings, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from ttt3r_ros.node.observed import (
    Arrivals,
    Endpoint,
    Link,
    ObservationSource,
    Observed,
    Topic,
)
from ttt3r_ros.settings import NodeSettings

# Larger best-effort messages do not fit into the shared memory of Fast DDS as it comes.
SMALL_SEGMENT = 512 * 1024

# Up to 101 the ports of a domain lie below those that Linux gives to other programs.
HIGHEST_DOMAIN, HIGHEST_SAFE_DOMAIN = 232, 101
RANGES = ('SUBNET', 'LOCALHOST', 'OFF', 'SYSTEM_DEFAULT')

OLD_STAMP_S = 1.0
MISSING_PART = 0.2
# A moving transform that is older than this has stopped.
STOPPED_S = 1.0

TAKE_OURS = 'take config/nav2_costmap.yaml'


class Level(Enum):
    """How bad it is."""

    OK = 'OK'
    WARN = 'WARN'
    FAIL = 'FAIL'


@dataclass(frozen=True)
class Finding:
    """One line: about what, what was seen, and what to do (empty where nothing is)."""

    level: Level
    subject: str
    seen: str
    advice: str = ''


def ok(subject: str, seen: str) -> Finding:
    """Find that something is as it should be."""
    return Finding(Level.OK, subject, seen)


def warn(subject: str, seen: str, advice: str) -> Finding:
    """Find something that may be wrong."""
    return Finding(Level.WARN, subject, seen, advice)


def fail(subject: str, seen: str, advice: str) -> Finding:
    """Find something that is wrong."""
    return Finding(Level.FAIL, subject, seen, advice)


# ---- how the nodes meet


@dataclass(frozen=True)
class Profile:
    """
    The profile of Fast DDS that the variable names.

    segment_size: in bytes, or None where the file has none. shipped: the one that comes with us.
    """

    variable: str
    path: str = ''
    exists: bool = False
    segment_size: int | None = None
    shipped: str = 'config/fastdds_large_messages.xml'


def judge_middleware(observed: Observed, environment: Mapping[str, str]) -> Iterator[Finding]:
    """
    Judge how the nodes find each other.

    :param observed: by the probe.
    :param environment: variables of this process.
    """
    yield ok('middleware', observed.middleware)
    domain = f'ROS_DOMAIN_ID {observed.domain}, {len(observed.nodes)} other node(s)'
    if observed.domain > HIGHEST_SAFE_DOMAIN:
        yield warn(
            'domain',
            domain,
            f'above {HIGHEST_SAFE_DOMAIN} other programs may hold the ports: choose a lower one',
        )
    elif not observed.nodes and observed.node is None:
        yield fail(
            'domain',
            f'ROS_DOMAIN_ID {observed.domain}, no other node is there',
            'set the same ROS_DOMAIN_ID here and there, and start the camera and the node',
        )
    else:
        yield ok('domain', domain)
    yield _judge_range(environment)


def _judge_range(environment: Mapping[str, str]) -> Finding:
    chosen = environment.get('ROS_AUTOMATIC_DISCOVERY_RANGE', '')
    if environment.get('ROS_LOCALHOST_ONLY') == '1':
        return warn(
            'discovery',
            'ROS_LOCALHOST_ONLY=1: only nodes on this machine are found',
            'unset it if the camera is on another machine',
        )
    if chosen == 'OFF':
        return fail(
            'discovery',
            'ROS_AUTOMATIC_DISCOVERY_RANGE=OFF: no node finds another',
            'set it to LOCALHOST or SUBNET',
        )
    if chosen and chosen not in RANGES:
        return warn(
            'discovery',
            f'ROS_AUTOMATIC_DISCOVERY_RANGE={chosen} is unknown',
            f'choose one of {", ".join(RANGES)}',
        )
    where = {'LOCALHOST': 'this machine only', '': 'the whole subnet (default)'}
    return ok('discovery', f'{chosen} {where.get(chosen, "")}'.strip())


def judge_profile(profile: Profile, observed: Observed | None) -> Finding:
    """
    Judge whether large messages get through Fast DDS.

    :param profile: as this process sees it.
    :param observed: by the probe; the size of the images is known from it.
    """
    subject = 'large messages'
    if observed is not None and 'fastrtps' not in observed.middleware:
        return ok(subject, f'{observed.middleware} needs no profile of Fast DDS')
    advice = (
        f'export {profile.variable}={profile.shipped} for this node and for that of the camera'
    )
    if not profile.path:
        return warn(
            subject,
            f'{profile.variable} is not set: best-effort images above 512 KB are lost',
            advice,
        )
    if not profile.exists:
        return fail(subject, f'{profile.variable} names {profile.path}, which is no file', advice)
    needed = max(SMALL_SEGMENT, 2 * (0 if observed is None else observed.image.size))
    if profile.segment_size is not None and profile.segment_size > needed:
        return ok(
            subject, f'{profile.path}, shared memory of {profile.segment_size / 2**20:.0f} MB'
        )
    said = 'no segment_size' if profile.segment_size is None else f'{profile.segment_size} bytes'
    return warn(subject, f'{profile.path} gives shared memory {said}', advice)


# ---- the node


def judge_node(observed: Observed) -> Iterator[Finding]:
    """
    Judge whether the node is there, and what it says itself.

    :param observed: by the probe.
    """
    name, node = observed.name, observed.node
    if node is None:
        others = [other for other in observed.nodes if other.endswith('/ttt3r')]
        yield fail(
            'node',
            f'there is no node {name}',
            f'look at --namespace {others[0]}'
            if others
            else 'start it: ros2 launch ttt3r_ros mapping.launch.py image_topic:=...',
        )
        return
    if not node.answers:
        yield fail(
            'node',
            f'{name} is there, but its services do not answer',
            'look at its log; start it again',
        )
    elif node.state not in ('active', ''):
        step = 'configure' if node.state == 'unconfigured' else 'activate'
        yield fail(
            'node',
            f'{name} is {node.state}',
            f'ros2 lifecycle set {name} {step}, or start it with autostart:=true; its log says '
            'why if it was refused',
        )
    else:
        yield ok('node', f'{name} is active')
    if node.report:
        yield _judge_report(node.report)
    elif node.state == 'active':
        yield warn('its diagnostics', 'none came', 'look at its log: is it busy or stuck?')


def _judge_report(report: str) -> Finding:
    subject, state = 'its diagnostics', report.partition(':')[0]
    if state == 'OK':
        return ok(subject, report)
    advice = 'docs/node.md explains the states; the lines below may name the cause'
    return (warn if state == 'DEGRADED' else fail)(subject, report, advice)


def judge_clock(observed: Observed) -> Finding:
    """
    Judge whether the node and its clock fit.

    :param observed: by the probe.
    """
    clock, node = observed.clock, observed.node
    simulated = node is not None and node.use_sim_time
    if clock.count == 0:
        if not simulated:
            return ok('clock', "the system's; nothing on /clock")
        return fail(
            'clock',
            'use_sim_time is true, but nothing comes on /clock',
            'play the bag with --clock, or set use_sim_time:=false',
        )
    seen = f'/clock from {_names(clock.publishers)}'
    if len(clock.publishers) > 1:
        return fail('clock', f'{seen}: {len(clock.publishers)} publishers', 'let only one run')
    if clock.went_back:
        return warn(
            'clock',
            f'{seen} went back {clock.went_back} time(s)',
            'a bag that loops: the map starts anew each time',
        )
    if node is not None and not simulated:
        return warn(
            'clock',
            f'{seen}, but the node has use_sim_time false',
            'start it with use_sim_time:=true if the images come from the bag or the simulator',
        )
    return ok('clock', f'{seen}, use_sim_time is {str(simulated).lower()}')


# ---- topics


def mismatch(publisher: Endpoint, subscriber: Endpoint) -> str:
    """
    Say why two ends of a topic do not meet; empty when they do.

    :param publisher: one end.
    :param subscriber: the other end.
    """
    if publisher.kind != subscriber.kind:
        return (
            f'{publisher.node} sends {publisher.kind}, {subscriber.node} hears {subscriber.kind}'
        )
    offered, wanted = publisher.reliability, subscriber.reliability
    if (offered, wanted) == ('BEST_EFFORT', 'RELIABLE'):
        return f'{publisher.node} offers BEST_EFFORT, {subscriber.node} asks for RELIABLE'
    offered, wanted = publisher.durability, subscriber.durability
    if (offered, wanted) == ('VOLATILE', 'TRANSIENT_LOCAL'):
        return f'{publisher.node} offers VOLATILE, {subscriber.node} asks for TRANSIENT_LOCAL'
    return ''


def _own(topic: Topic, name: str) -> list[Endpoint]:
    return [end for end in topic.subscribers if end.node == name]


def _own_mismatches(topic: Topic, name: str) -> list[str]:
    pairs = [(one, other) for one in topic.publishers for other in _own(topic, name)]
    return [why for why in (mismatch(*pair) for pair in pairs) if why]


def judge_image(observed: Observed, profile: Profile) -> Iterator[Finding]:
    """
    Judge whether images come to the node, in good order.

    :param observed: by the probe.
    :param profile: of Fast DDS.
    """
    image = observed.image
    yield from _judge_image_ends(observed)
    if not image.publishers:
        return
    arrivals = image.arrivals
    if not arrivals.count:
        advice = 'is the camera on? does its log complain?'
        if not profile.path and 'fastrtps' in observed.middleware:
            advice += f' Or the images are too large: set {profile.variable} (see above)'
        yield fail('images', f'none came in {observed.seconds:g} s', advice)
        return
    shape = f'{image.width}x{image.height} ' if image.width else ''
    seen = f'{arrivals.rate_hz:.1f} Hz, {shape}{image.encoding}, frame {image.frame_id!r}'
    least = _settings(observed).min_image_rate
    if arrivals.count > 1 and arrivals.rate_hz < least:
        yield warn('images', seen, f'fewer than min_image_rate ({least:g} Hz): a slow camera?')
    elif arrivals.missing > MISSING_PART:
        yield warn(
            'images',
            f'{seen}; about {100 * arrivals.missing:.0f} % are missing',
            'the network or this machine is too slow: image_transport:=compressed, or set '
            f'{profile.variable}',
        )
    else:
        yield ok('images', seen)
    yield _judge_stamps(arrivals, observed)


def _judge_image_ends(observed: Observed) -> Iterator[Finding]:
    image, name = observed.image, observed.name
    others = [topic for topic in observed.image_topics if topic != image.name]
    if not image.publishers:
        yield fail(
            'image topic',
            f'nothing publishes {image.name}',
            f'images are on {_names(others)}: start the node with image_topic:={others[0]}'
            if others
            else 'start the camera; check ROS_DOMAIN_ID and its log',
        )
        return
    ends = ', '.join(f'{end.node} ({end.reliability})' for end in image.publishers)
    own = _own(image, name)
    if observed.node is not None and not own:
        yield fail(
            'image topic',
            f'{image.name} from {ends} is not heard by {name}',
            f'start the node with image_topic:={image.name.removesuffix("/compressed")}'
            + (' image_transport:=compressed' if image.name.endswith('/compressed') else ''),
        )
    elif reasons := _own_mismatches(image, name):
        advice = (
            'set image_transport to what the camera sends'
            if ' sends ' in reasons[0]
            else 'start the node with image_qos:=sensor_data'
        )
        yield fail('image topic', f'{image.name}: {"; ".join(reasons)}', advice)
    elif len(image.publishers) > 1:
        yield warn('image topic', f'{image.name} from {ends}', 'one camera is mapped: stop others')
    else:
        heard = f' to {name} ({own[0].reliability})' if own else ''
        yield ok('image topic', f'{image.name} from {ends}{heard}')


def _judge_stamps(arrivals: Arrivals, observed: Observed) -> Finding:
    """Judge stamps against the clock of the node."""
    simulated, settings = _simulated(observed), _settings(observed)
    age_s = arrivals.clock_age_s if simulated else arrivals.age_s
    tolerance_s = settings.stamp_tolerance
    bad = fail if settings.bad_stamps == 'refuse' else warn
    if arrivals.zero_stamps:
        return bad(
            'stamps',
            f'{arrivals.zero_stamps} of {arrivals.count} are 0',
            'let the camera stamp its images, or set bad_stamps:=restamp',
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
            f'{seen}, stamp_tolerance is {tolerance_s:g} s',
            'set the clocks of both machines (chrony, ptp), or bad_stamps:=restamp',
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


def judge_camera_info(observed: Observed) -> Finding:
    """
    Judge the calibration.

    :param observed: by the probe.
    """
    info, image, subject = observed.camera_info, observed.image, 'camera_info'
    required = _settings(observed).require_camera_info
    bad = fail if required else warn
    otherwise = '' if required else '; until then the focal length is estimated'
    if not info.publishers:
        return bad(
            subject,
            f'nothing publishes {info.name}',
            f'start the camera with a calibration, or set camera_info_topic{otherwise}',
        )
    if reasons := _own_mismatches(info, observed.name):
        return bad(subject, '; '.join(reasons), f'set image_qos:=sensor_data{otherwise}')
    if not info.arrivals.count:
        return bad(subject, f'none came on {info.name}', f'does the camera send it?{otherwise}')
    if info.problem:
        return bad(subject, info.problem, f'calibrate the camera{otherwise}')
    if image.arrivals.count and info.frame_id != image.frame_id:
        return bad(
            subject,
            f'of the frame {info.frame_id!r}, the images are of {image.frame_id!r}',
            f'is it of another camera? set camera_info_topic{otherwise}',
        )
    if image.width and (info.width, info.height) != (image.width, image.height):
        return bad(
            subject,
            f'for {info.width}x{info.height}, the images have {image.width}x{image.height}',
            f'calibrate at this resolution{otherwise}',
        )
    return ok(subject, f'{info.name}, {info.arrivals.rate_hz:.1f} Hz, {info.width}x{info.height}')


# ---- TF


def judge_tf(observed: Observed) -> Iterator[Finding]:
    """
    Judge the way from the map to the camera, link by link.

    :param observed: by the probe.
    """
    for topic in (observed.tf, observed.tf_static):
        if reasons := _own_mismatches(topic, observed.name):
            yield fail('TF', '; '.join(reasons), f'let the publisher of {topic.name} be reliable')
    parents: dict[str, list[Link]] = {}
    for link in observed.links:
        parents.setdefault(link.child, []).append(link)
    for links in parents.values():
        yield from _judge_parents(links)
    settings = _settings(observed)
    camera = settings.camera_optical_frame or observed.image.frame_id
    if not camera:
        yield warn(
            'TF', 'the frame of the camera is unknown without an image', 'make images come first'
        )
    frames = (settings.map_frame, settings.odom_frame, settings.base_frame, camera)
    chain = [frame for frame in frames if frame]
    parent_of = {child: links[0] for child, links in parents.items()}
    for upper, lower in pairwise(chain):
        yield _judge_link(observed, parent_of, upper, lower)


def _judge_parents(links: list[Link]) -> Iterator[Finding]:
    """Judge all that is said about one frame."""
    child = links[0].child
    if len({link.parent for link in links}) > 1:
        said = ' and '.join(f'{link.parent!r} (by {_by(link)})' for link in links)
        yield fail('TF', f'{child!r} has two parents: {said}', 'stop one of them')
    elif all(link.certain for link in links):
        authors = sorted({author for link in links for author in link.authors})
        if len(authors) > 1:
            seen = f'{links[0].parent!r} -> {child!r} is sent by {_names(authors)}'
            yield fail('TF', seen, 'stop one of them')


def _settings(observed: Observed) -> NodeSettings:
    return NodeSettings() if observed.node is None else observed.node.settings


def _simulated(observed: Observed) -> bool:
    """Tell by which clock ages count."""
    node = observed.node
    return observed.clock.count > 0 if node is None else node.use_sim_time


def _judge_link(
    observed: Observed, parent_of: Mapping[str, Link], upper: str, lower: str
) -> Finding:
    """Follow the parents of a frame up to another one."""
    walked: list[Link] = []
    frame = lower
    while frame != upper and frame in parent_of and len(walked) <= len(parent_of):
        walked.append(parent_of[frame])
        frame = walked[-1].parent
    if frame != upper:
        return _missing(observed, upper, lower, frame)
    for link in walked:
        arrivals = link.arrivals
        age_s = arrivals.clock_age_s if _simulated(observed) else arrivals.age_s
        if not link.static and age_s is not None and abs(age_s) > STOPPED_S:
            return warn(
                'TF',
                f'{link.parent} -> {link.child} by {_by(link)} is {age_s:.1f} s old at arrival',
                'the clocks differ, or use_sim_time is not the same everywhere',
            )
    return ok('TF', ', '.join(map(_link_text, reversed(walked))))


def _missing(observed: Observed, upper: str, lower: str, top: str) -> Finding:
    """Name the link that is missing, and who should send it."""
    gap = f'nobody publishes {upper!r} -> {top!r}'
    if top != lower:
        gap += f' ({lower!r} hangs below {top!r})'
    children = sorted({link.child for link in observed.links if link.parent == upper})
    if children:
        gap += f'; {upper!r} has {_names(map(repr, children))}'
    settings = _settings(observed)
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
    return _names(link.authors) if link.certain else f'one of {_names(link.authors)}'


# ---- what comes out


def judge_points(observed: Observed) -> Iterator[Finding]:
    """
    Judge whether the points come, and whether costmaps can use them.

    :param observed: by the probe.
    """
    points = observed.points
    if observed.node is None:
        return
    if not points.arrivals.count:
        yield fail('points', f'none came on {points.name}', 'the lines above say why')
    else:
        yield ok('points', f'{points.name} {points.arrivals.rate_hz:.1f} Hz')
    reasons = [
        why
        for publisher in points.publishers
        for subscriber in points.subscribers
        if (why := mismatch(publisher, subscriber))
    ]
    if reasons:
        yield fail('costmap', '; '.join(reasons), f'let it hear {points.name} as best effort')
    elif wrong := [e.node for e in observed.map_cloud.subscribers if 'costmap' in e.node]:
        yield fail(
            'costmap',
            f'{_names(wrong)} hears {observed.map_cloud.name}',
            f'use {points.name}: the rays of a map begin at its origin, so nothing is marked',
        )
    elif not points.subscribers:
        yield warn(
            'costmap',
            f'nobody hears {points.name}: nothing can be marked',
            'for Nav2 take config/nav2_costmap.yaml',
        )
    else:
        hearers = sorted({end.node for end in points.subscribers})
        yield ok('costmap', f'{points.name} is heard by {_names(hearers)}')
    for costmap in sorted({source.costmap for source in observed.sources}):
        yield from _judge_sources([one for one in observed.sources if one.costmap == costmap])


def judge_grid(observed: Observed) -> Iterator[Finding]:
    """
    Judge who draws the plan of the floor: one at most.

    :param observed: by the probe.
    """
    authors = [end.node for end in observed.grid.publishers]
    if observed.name in authors and len(authors) > 1:
        yield fail(
            'occupancy grid',
            f'{observed.grid.name} has {len(authors)} publishers, {_names(authors)}',
            'set the parameter occupancy to false, or stop the other: costmaps take both in turn',
        )


def _judge_sources(sources: list[ObservationSource]) -> Iterator[Finding]:
    """Judge what one costmap does with the points; one source may mark and another clear."""
    idle = {source: found for source in sources if (found := _find_idle(source))}
    if len(idle) == len(sources):
        yield from idle.values()
        return
    # A layer clears only what it has marked itself.
    clearing = {source.layer for source in sources if source.enabled and source.clearing}
    for source in sources:
        if source not in idle and source.layer not in clearing:
            yield warn('costmap', f'{_where(source)}: clearing is off, so marks stay', TAKE_OURS)


def _find_idle(source: ObservationSource) -> Finding | None:
    """Find that a source marks nothing; None when it marks."""
    low, high = source.min_obstacle_height, source.max_obstacle_height
    if not (source.enabled and source.marking):
        which = 'marking' if source.enabled else 'the layer'
        seen, advice = f'{which} is off', TAKE_OURS
    elif high <= low:
        seen = f'obstacles from {low:g} to {high:g} m height'
        advice = f'set max_obstacle_height, whose default is 0; or {TAKE_OURS}'
    else:
        return None
    return fail('costmap', f'{_where(source)}: {seen}, so nothing is marked', advice)


def _where(source: ObservationSource) -> str:
    return f'{source.layer}.{source.source} of {source.costmap}'


def _names(names: Iterable[str]) -> str:
    return ', '.join(names) or 'nobody'
