# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The observation of a running system as plain data, which needs no ROS."""

from __future__ import annotations

from dataclasses import dataclass, field

from ttt3r_ros.settings import ModelSettings, NodeSettings


@dataclass(frozen=True)
class Endpoint:
    """
    A publisher or a subscriber.

    node: full name. kind: type of the messages, for example `sensor_msgs/msg/Image`. reliability:
    BEST_EFFORT or RELIABLE. durability: VOLATILE or TRANSIENT_LOCAL.
    """

    node: str
    kind: str
    reliability: str
    durability: str = 'VOLATILE'


@dataclass(frozen=True)
class Arrivals:
    """
    Statistics of the received messages of a topic.

    count: number of messages. rate_hz: 0 for fewer than two. age_s: median age of the stamps at
    arrival, by the system clock. clock_age_s: the same by /clock, None without one. zero_stamps:
    number of stamps that are 0. disordered: number of stamps that are not newer than the previous
    one. missing: fraction of missing messages, 0 to 1, from the gaps between stamps.
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
    A topic, its endpoints and the received messages.

    frame_id, width, height, encoding, size (bytes): of the newest message, where it has them.
    problem: why the newest message cannot be used, or empty. A calibration has the size of the
    images that it describes.
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

    authors: the nodes that published it. certain: False where authors are only candidates, as
    some ROS distributions do not report the publisher of a message.
    """

    parent: str
    child: str
    static: bool = False
    authors: tuple[str, ...] = ()
    certain: bool = True
    arrivals: Arrivals = Arrivals(1)


@dataclass(frozen=True)
class Clock:
    """The publishers of /clock; went_back: how often time decreased."""

    publishers: tuple[str, ...] = ()
    count: int = 0
    went_back: int = 0


@dataclass(frozen=True)
class ObservationSource:
    """How a costmap layer uses a cloud, by the names of Nav2's parameters; metres."""

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
    The mapping node as observed through its topics and services.

    state: lifecycle state, or empty when the service does not answer. report: its diagnostics.
    answers: whether its parameter services answer; otherwise the settings are the defaults.
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
    The observed system.

    name: of the mapping node. node: None when it does not run. nodes: full names of the other
    nodes. wanted_topic: topic of the images as the user named it, or empty. image_topics: topics
    of other nodes with images. sources: costmap sources that use the points. middleware: the name
    that rclpy reports. domain: ROS_DOMAIN_ID.
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
        """Return the settings of the node; the defaults where it does not run."""
        return NodeSettings() if self.node is None else self.node.settings

    @property
    def follows_clock(self) -> bool:
        """Return whether the ages of stamps are measured by /clock."""
        return self.clock.count > 0 if self.node is None else self.node.use_sim_time
