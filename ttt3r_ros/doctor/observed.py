# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a probe saw of a running system, as plain data: no ROS is needed to read it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ttt3r_ros.settings import ModelSettings, NodeSettings


@dataclass(frozen=True)
class Endpoint:
    """
    A publisher or a subscriber.

    node: its full name. kind: of the messages, `sensor_msgs/msg/Image`. reliability:
    BEST_EFFORT or RELIABLE. durability: VOLATILE or TRANSIENT_LOCAL.
    """

    node: str
    kind: str
    reliability: str
    durability: str = 'VOLATILE'


@dataclass(frozen=True)
class Arrivals:
    """
    What came of a stream of stamped messages.

    count: of messages. rate_hz: 0 for fewer than two. age_s: median of the stamps at arrival, by
    the system's clock. clock_age_s: the same by /clock, or None without one. zero_stamps: so
    many were 0. disordered: so many were not newer than the one before. missing: part of the
    messages, 0 to 1, that the gaps between stamps tell of.
    """

    count: int = 0
    rate_hz: float = 0.0
    age_s: float = 0.0
    clock_age_s: float | None = None
    zero_stamps: int = 0
    disordered: int = 0
    missing: float = 0.0


@dataclass(frozen=True)
class Topic:
    """
    A topic and what came on it.

    frame_id, width, height, encoding, size (bytes): of the newest message, where it has them.
    problem: why the newest message cannot be used, or empty.
    """

    name: str
    publishers: tuple[Endpoint, ...] = ()
    subscribers: tuple[Endpoint, ...] = ()
    arrivals: Arrivals = Arrivals()
    frame_id: str = ''
    width: int = 0
    height: int = 0
    encoding: str = ''
    size: int = 0
    problem: str = ''


@dataclass(frozen=True)
class Link:
    """
    A transform of TF.

    authors: the nodes that sent it. certain: or else those that may have, for the messages do not
    tell in every distribution.
    """

    parent: str
    child: str
    static: bool = False
    authors: tuple[str, ...] = ()
    certain: bool = True
    arrivals: Arrivals = Arrivals(1)


@dataclass(frozen=True)
class Clock:
    """What came on /clock; went_back: so many times."""

    publishers: tuple[str, ...] = ()
    count: int = 0
    went_back: int = 0


@dataclass(frozen=True)
class ObservationSource:
    """How a layer of a costmap uses a cloud, in the words of Nav2's parameters; metres."""

    costmap: str
    layer: str
    source: str
    enabled: bool = True
    marking: bool = True
    clearing: bool = True
    min_obstacle_height: float = 0.08
    max_obstacle_height: float = 1.8


@dataclass(frozen=True)
class MappingNodeSeen:
    """
    The mapping node as seen from outside.

    state: of its lifecycle, or empty when it does not answer. report: what its diagnostics say.
    answers: whether the settings are its own; they are the defaults else.
    """

    state: str = 'active'
    report: str = ''
    answers: bool = True
    use_sim_time: bool = False
    model: ModelSettings = field(default_factory=ModelSettings)
    settings: NodeSettings = field(default_factory=NodeSettings)


@dataclass(frozen=True)
class Observed:
    """
    All that was seen.

    name: of the mapping node. node: None when there is none. nodes: the full names of the others.
    wanted_topic: of the images, as the user gave it, or empty. image_topics: those of others that
    carry images. sources: of costmaps, that use the points. middleware: as rclpy names it.
    domain: ROS_DOMAIN_ID.
    """

    name: str
    node: MappingNodeSeen | None
    nodes: tuple[str, ...]
    image: Topic
    camera_info: Topic
    tf: Topic
    tf_static: Topic
    points: Topic
    map_cloud: Topic
    grid: Topic
    links: tuple[Link, ...] = ()
    sources: tuple[ObservationSource, ...] = ()
    clock: Clock = Clock()
    wanted_topic: str = ''
    image_topics: tuple[str, ...] = ()
    middleware: str = 'rmw_fastrtps_cpp'
    domain: int = 0
    seconds: float = 5.0

    @property
    def settings(self) -> NodeSettings:
        """Give the settings of the node; the defaults where there is none."""
        return NodeSettings() if self.node is None else self.node.settings

    @property
    def follows_clock(self) -> bool:
        """Tell whether the ages of stamps count by /clock."""
        return self.clock.count > 0 if self.node is None else self.node.use_sim_time
