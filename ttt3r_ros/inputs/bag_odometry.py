# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Find the odometry of the robot in a rosbag2."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ttt3r_ros.arrays import Array
from ttt3r_ros.inputs.bag import BagSource
from ttt3r_ros.inputs.bag_transforms import read_motion, RecordedMotion
from ttt3r_ros.inputs.odometry import (
    AUTO,
    NoOdometry,
    OdometryChoice,
    SourceWithOdometry,
)
from ttt3r_ros.inputs.source import InputError
from ttt3r_ros.inputs.transform_tree import FixedPose, Link, TransformTree

# An error that lists more links than this is not read.
MOST_LISTED = 20


class OdometryMissing(InputError):
    """The bag lacks the odometry that was asked for."""


@dataclass(frozen=True, eq=False)
class BagOdometry:
    """
    The odometry of one robot in a bag.

    summary: one sentence about its source. odom, base, camera: names of frames of the tree; for
    an Odometry topic odom is the topic.
    """

    summary: str
    tree: TransformTree
    odom: str
    base: str
    camera: str

    def base_T_camera(self, stamp_ns: int) -> Array | None:
        """
        Return the mount of the camera.

        :param stamp_ns: nanoseconds.
        :returns: (4, 4), metres; None where the camera is the base.
        :raises TransformMissing: when TF does not know it at this time.
        """
        if self.base == self.camera:
            return None
        return self.tree.look_up(self.base, self.camera, stamp_ns)

    def odom_T_base(self, stamp_ns: int) -> Array:
        """
        Return what the odometry measured.

        :param stamp_ns: nanoseconds.
        :returns: (4, 4), metres.
        :raises TransformMissing: when it measured nothing near this time.
        """
        return self.tree.look_up(self.odom, self.base, stamp_ns)


def with_odometry(path: Path, images: BagSource, choice: OdometryChoice) -> SourceWithOdometry:
    """
    Add the odometry of a bag to its images; the bag is read once for it.

    :param path: the bag.
    :param images: of the same bag.
    :param choice: not `none`.
    :raises InputError: when a topic was asked for and the bag does not have it, or has no
        transform from base to camera.
    """
    motion = read_motion(path)
    search = _Search(motion, images.topic, images.camera_frame(), choice)
    try:
        return SourceWithOdometry(images, search.find(choice.wanted))
    except OdometryMissing as error:
        if choice.wanted == AUTO:
            return SourceWithOdometry(images, NoOdometry(f'no odometry: {error}{motion.trouble}'))
        raise OdometryMissing(f'{path}: {error}{motion.trouble}') from error


class _Search:
    """The search for the odometry that belongs to the images of one topic."""

    def __init__(
        self, motion: RecordedMotion, images: str, camera: str, choice: OdometryChoice
    ) -> None:
        self._motion = motion
        self._images = images
        self._camera = camera
        self._odom = choice.odom_frame.lstrip('/')
        self._base = choice.base_frame.lstrip('/') or camera

    def find(self, wanted: str) -> BagOdometry:
        """Return the chosen odometry."""
        if not self._camera:
            raise OdometryMissing('the images have no frame_id')
        return self._any() if wanted == AUTO else self._of_topic(wanted)

    def _any(self) -> BagOdometry:
        """Return the TF, else an Odometry topic of the base."""
        try:
            return self._of_transforms(self._images)
        except OdometryMissing:
            of_base = [link for link in self._motion.odometry if link.child == self._base]
            links = [link for link in of_base if link.parent == self._odom] or of_base
            if not links:
                raise
        if len(links) > 1:
            names = ', '.join(sorted(link.topic for link in links))
            raise OdometryMissing(f'there are several Odometry topics, choose one: {names}')
        return self._of_link(links[0])

    def _of_topic(self, topic: str) -> BagOdometry:
        if any(link.topic == topic for link in self._motion.transforms):
            return self._of_transforms(topic)
        links = [link for link in self._motion.odometry if link.topic == topic]
        if not links:
            every = self._motion.transforms + self._motion.odometry
            names = ', '.join(sorted({link.topic for link in every})) or 'none'
            raise OdometryMissing(
                f'there is no odometry on {topic}; topics with transforms or odometry: {names}'
            )
        return self._of_link(links[0])

    def _of_transforms(self, near: str) -> BagOdometry:
        tree = self._motion.tree(near)
        path = self._path(tree, self._odom, self._base)
        if all(isinstance(link.poses, FixedPose) for link in path):
            raise OdometryMissing(f'the transform from {self._odom!r} to {self._base!r} is static')
        return self._of_tree(tree, self._odom, f'TF {self._odom} -> {self._base}')

    def _of_link(self, link: Link) -> BagOdometry:
        """Attach the TF to the child frame of an Odometry topic."""
        # The topic stands for the odometry's frame: TF may have one of the same name.
        measured = replace(link, parent=link.topic, child=link.child or self._base)
        tree = TransformTree([measured, *self._motion.tree(self._images).links])
        self._path(tree, measured.child, self._base)
        return self._of_tree(tree, link.topic, f'{link.topic} ({link})')

    def _of_tree(self, tree: TransformTree, odom: str, what: str) -> BagOdometry:
        self._path(tree, self._base, self._camera)
        summary = f'odometry: {what}{self._motion.trouble}'
        return BagOdometry(summary, tree, odom, self._base, self._camera)

    def _path(self, tree: TransformTree, parent: str, child: str) -> list[Link]:
        path = tree.path(parent, child)
        if path is None:
            topics = [f'{link} on {link.topic}' for link in self._motion.odometry]
            has = [*(str(link) for link in tree.links if link.parent != link.topic), *topics]
            listed = '; it has ' + _listed(has) if has else ''
            raise OdometryMissing(f'no transform from {parent!r} to {child!r} in the bag{listed}')
        return path


def _listed(names: list[str]) -> str:
    """Return names as a phrase, shortened when there are many."""
    rest = len(names) - MOST_LISTED
    return ', '.join(sorted(names)[:MOST_LISTED]) + (f' and {rest} more' if rest > 0 else '')
