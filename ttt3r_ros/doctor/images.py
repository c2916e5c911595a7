# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Checks that images and their calibration reach the node."""

from __future__ import annotations

from collections.abc import Iterator

from ttt3r_ros.doctor.clock import judge_stamps
from ttt3r_ros.doctor.finding import fail, Finding, listed, ok, warn
from ttt3r_ros.doctor.middleware import Profile
from ttt3r_ros.doctor.observed import Observed
from ttt3r_ros.doctor.topics import own_ends, own_mismatches
from ttt3r_ros.intrinsics import is_same_shape

MISSING_PART = 0.2


def judge_image(observed: Observed, profile: Profile) -> Iterator[Finding]:
    """
    Check whether images reach the node, complete and at the expected rate.

    :param observed: the observed system.
    :param profile: the Fast DDS profile of this process.
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
    least = observed.settings.diagnostics.min_image_rate
    if arrivals.count > 1 and arrivals.rate_hz < least:
        yield warn(
            'images', seen, f'fewer than diagnostics.min_image_rate ({least:g} Hz): a slow camera?'
        )
    elif arrivals.missing > MISSING_PART:
        yield warn(
            'images',
            f'{seen}; about {100 * arrivals.missing:.0f} % are missing',
            'the network or this machine is too slow: image_transport:=compressed, or set '
            f'{profile.variable}',
        )
    else:
        yield ok('images', seen)
    yield judge_stamps(arrivals, observed)


def _judge_image_ends(observed: Observed) -> Iterator[Finding]:
    image, name = observed.image, observed.name
    others = [topic for topic in observed.image_topics if topic != image.name]
    if not image.publishers:
        yield fail(
            'image topic',
            f'nothing publishes {image.name}',
            f'images are on {listed(others)}: start the node with image_topic:={others[0]}'
            if others
            else 'start the camera; check ROS_DOMAIN_ID and its log',
        )
        return
    ends = ', '.join(f'{end.node} ({end.reliability})' for end in image.publishers)
    own = own_ends(image, name)
    if observed.node is not None and not own:
        yield fail(
            'image topic',
            f'{image.name} from {ends} has no subscriber in {name}',
            f'start the node with image_topic:={image.name.removesuffix("/compressed")}'
            + (' image_transport:=compressed' if image.name.endswith('/compressed') else ''),
        )
    elif reasons := own_mismatches(image, name):
        advice = (
            'set image_transport to what the camera sends'
            if ' sends ' in reasons[0]
            else 'start the node with image_qos:=sensor_data'
        )
        yield fail('image topic', f'{image.name}: {"; ".join(reasons)}', advice)
    elif len(image.publishers) > 1:
        yield warn('image topic', f'{image.name} from {ends}', 'one camera is mapped: stop others')
    else:
        received = f' to {name} ({own[0].reliability})' if own else ''
        yield ok('image topic', f'{image.name} from {ends}{received}')


def judge_camera_info(observed: Observed) -> Finding:
    """
    Check the calibration of the camera.

    :param observed: the observed system.
    """
    info, image, subject = observed.camera_info, observed.image, 'camera_info'
    required = observed.settings.inputs.require_camera_info
    bad = fail if required else warn
    otherwise = '' if required else '; until then the focal length is estimated'
    if not info.publishers:
        return bad(
            subject,
            f'nothing publishes {info.name}',
            f'start the camera with a calibration, or set camera_info_topic{otherwise}',
        )
    if reasons := own_mismatches(info, observed.name):
        return bad(subject, '; '.join(reasons), f'set image_qos:=sensor_data{otherwise}')
    if not info.arrivals.count:
        return bad(subject, f'none came on {info.name}', f'does the camera publish it?{otherwise}')
    if info.problem:
        return bad(subject, info.problem, f'calibrate the camera{otherwise}')
    # Some drivers leave one of them empty.
    frames = {info.frame_id.lstrip('/'), image.frame_id.lstrip('/'), ''}
    if image.arrivals.count and len(frames) > 2:
        return bad(
            subject,
            f'of the frame {info.frame_id!r}, the images are of {image.frame_id!r}',
            f'is it of another camera? set camera_info_topic{otherwise}',
        )
    shapes = image.width, image.height, info.width, info.height
    if all(shapes) and not is_same_shape(*shapes):
        return bad(
            subject,
            f'for {info.width}x{info.height}, the images have {image.width}x{image.height}',
            f'calibrate at this resolution{otherwise}',
        )
    return ok(subject, f'{info.name}, {info.arrivals.rate_hz:.1f} Hz, {info.width}x{info.height}')
