# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Observation of a running system through ROS 2, for `ttt3r doctor`; without judgement."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
import dataclasses
from itertools import pairwise
import os
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
import numpy as np
from rcl_interfaces.srv import GetParameters, ListParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from tf2_msgs.msg import TFMessage

from ttt3r_ros.doctor.observed import (
    Arrivals,
    Clock,
    Endpoint,
    Link,
    MappingNodeSeen,
    ObservationSource,
    Observed,
    Topic,
)
from ttt3r_ros.errors import UserError
from ttt3r_ros.intrinsics import CalibrationError
from ttt3r_ros.node import messages
from ttt3r_ros.node.diagnostics import missing_part
from ttt3r_ros.node.distributions import with_info
from ttt3r_ros.node.parameters import Settings
from ttt3r_ros.node.qos import FROM_ANY, MANY, MANY_LATCHED
from ttt3r_ros.settings import changed, knobs
from ttt3r_ros.units import NANOSECONDS

# Discovery takes 0.1 s, or about 3 s.
DISCOVERY_S = 5.0
ANSWER_S = 3.0

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO, TF = 'sensor_msgs/msg/CameraInfo', 'tf2_msgs/msg/TFMessage'


class ProbeError(UserError):
    """ROS 2 is installed, but cannot be used."""


def observe(name: str, image_topic: str, seconds: float) -> Observed:
    """
    Observe the nodes, topics and transforms of a running system.

    :param name: full name of the mapping node, which its own topics begin with.
    :param image_topic: topic of the images; empty: the one that the node subscribes to.
    :param seconds: duration of the observation, after the discovery of other nodes.
    :raises ProbeError: when ROS 2 does not start.
    """
    context = rclpy.Context()
    try:
        rclpy.init(args=[], context=context)
        node = rclpy.create_node(
            f'ttt3r_doctor_{os.getpid()}',
            context=context,
            start_parameter_services=False,
            enable_rosout=False,
        )
    except RuntimeError as error:  # rclpy derives no class of its own from it that is public
        raise ProbeError(f'ROS 2 does not start: {error}') from error
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        return _Probe(node, executor, name).observe(image_topic, seconds)
    finally:
        executor.shutdown(timeout_sec=0)
        node.destroy_node()
        context.try_shutdown()


class _Stream:
    """Collects the arrivals of stamped messages."""

    def __init__(self, probe: _Probe) -> None:
        self._probe = probe
        self._moments: list[float] = []
        self._stamps_ns: deque[int] = deque()
        self._ages_s: list[float] = []
        self._clock_ages_s: list[float] = []
        self.newest: Any = None

    def on_message(self, message: Any) -> None:
        self.newest = message
        self.add(messages.nanoseconds(message.header.stamp))

    def add(self, stamp_ns: int) -> None:
        self._moments.append(time.monotonic())
        self._stamps_ns.append(stamp_ns)
        self._ages_s.append((time.time_ns() - stamp_ns) / NANOSECONDS)
        if self._probe.clock_ns is not None:
            self._clock_ages_s.append((self._probe.clock_ns - stamp_ns) / NANOSECONDS)

    def arrivals(self) -> Arrivals:
        count = len(self._moments)
        if not count:
            return Arrivals()
        span = self._moments[-1] - self._moments[0]
        stamps = list(self._stamps_ns)
        ages = self._clock_ages_s
        return Arrivals(
            count=count,
            rate_hz=(count - 1) / span if span > 0 else 0.0,
            age_s=float(np.median(self._ages_s)),
            clock_age_s=float(np.median(ages)) if ages else None,
            zero_stamps=stamps.count(0),
            disordered=sum(new <= old for old, new in pairwise(stamps)),
            missing=missing_part(self._stamps_ns),
        )


class _Probe:
    """One observation of a system; used once."""

    def __init__(self, node: Node, executor: SingleThreadedExecutor, name: str) -> None:
        self._node, self._executor, self._name = node, executor, name
        self._namespace = name.rpartition('/')[0]
        self.clock_ns: int | None = None
        self._clock_count = self._went_back = 0
        self._report = ''
        self._links: dict[tuple[str, str, bool], _Stream] = {}
        self._authors: defaultdict[tuple[str, str, bool], set[bytes]] = defaultdict(set)
        node.create_subscription(ClockMessage, '/clock', self._on_clock, FROM_ANY)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def observe(self, image_topic: str, seconds: float) -> Observed:
        self._spin_until(lambda: self._name in self._nodes(), DISCOVERY_S)
        seen = self._look_at_node()
        own = self._topics_by_kind()
        image = image_topic or own.get(IMAGE) or own.get(COMPRESSED) or self._beside('image')
        beside_image = f'{image.removesuffix("/compressed").rpartition("/")[0]}/camera_info'
        info = own.get(CAMERA_INFO) or beside_image
        tf, tf_static = self._tf_topics()
        images, infos, points = (_Stream(self) for _ in range(3))
        kind = CompressedImage if self._is_compressed(image) else Image
        for message, topic, callback, qos in (
            (kind, image, images.on_message, FROM_ANY),
            (CameraInfo, info, infos.on_message, FROM_ANY),
            (PointCloud2, f'{self._name}/points', points.on_message, FROM_ANY),
            (TFMessage, tf, with_info(self._on_moving_tf), MANY),
            (TFMessage, tf_static, with_info(self._on_static_tf), MANY_LATCHED),
        ):
            self._node.create_subscription(message, topic, callback, qos)
        self._spin_until(lambda: False, seconds)
        seen_image = self._topic(image, images)
        return Observed(
            name=self._name,
            node=None if seen is None else dataclasses.replace(seen, report=self._report),
            nodes=tuple(sorted(self._nodes() - {self._name})),
            image=seen_image,
            camera_info=self._calibration(info, infos, seen_image),
            tf=self._topic(tf),
            tf_static=self._topic(tf_static),
            points=self._topic(f'{self._name}/points', points),
            map_cloud=self._topic(f'{self._name}/map_cloud'),
            grid=self._topic(self._beside('map')),
            links=self._seen_links(tf, tf_static),
            sources=self._observation_sources(f'{self._name}/points'),
            clock=Clock(
                tuple(end.node for end in self._topic('/clock').publishers),
                self._clock_count,
                self._went_back,
            ),
            wanted_topic=image_topic,
            image_topics=self._image_topics(),
            middleware=rclpy.get_rmw_implementation_identifier(),
            domain=self._node.context.get_domain_id(),
            seconds=seconds,
        )

    # ---- the graph

    def _spin_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not (held := condition()) and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.05)
        return held

    def _nodes(self) -> set[str]:
        """Return the full names of the other nodes."""
        names = self._node.get_node_names_and_namespaces()
        full = {f'{namespace.rstrip("/")}/{name}' for name, namespace in names}
        return full - {self._node.get_fully_qualified_name()}

    def _beside(self, name: str) -> str:
        """Return the name that a topic of the node has without remaps."""
        return f'{self._namespace}/{name}'

    def _subscriptions(self) -> dict[str, list[str]]:
        """Return the topics that the node subscribes to, with their types."""
        if self._name not in self._nodes():
            return {}
        return dict(
            self._node.get_subscriber_names_and_types_by_node(
                self._name.rpartition('/')[2], self._namespace or '/'
            )
        )

    def _topics_by_kind(self) -> dict[str, str]:
        """Return a subscribed topic of the node for each message type."""
        return {kind: topic for topic, kinds in self._subscriptions().items() for kind in kinds}

    def _tf_topics(self) -> tuple[str, str]:
        names = [topic for topic, kinds in self._subscriptions().items() if TF in kinds]
        static = [name for name in names if 'static' in name]
        moving = [name for name in names if 'static' not in name]
        return (moving or ['/tf'])[0], (static or ['/tf_static'])[0]

    def _is_compressed(self, topic: str) -> bool:
        kinds = [end.kind for end in self._topic(topic).publishers]
        return COMPRESSED in kinds or (not kinds and topic.endswith('/compressed'))

    def _image_topics(self) -> tuple[str, ...]:
        return tuple(
            topic
            for topic, kinds in sorted(self._node.get_topic_names_and_types())
            if {IMAGE, COMPRESSED} & set(kinds)
            and not topic.startswith(f'{self._name}/')
            and self._node.count_publishers(topic)
        )

    def _topic(self, name: str, stream: _Stream | None = None) -> Topic:
        publishers = map(_endpoint, self._node.get_publishers_info_by_topic(name))
        subscribers = map(_endpoint, self._node.get_subscriptions_info_by_topic(name))
        own = self._node.get_fully_qualified_name()
        ends = tuple(publishers), tuple(end for end in subscribers if end.node != own)
        if stream is None:
            return Topic(name, *ends)
        message = stream.newest
        return Topic(
            name,
            *ends,
            arrivals=stream.arrivals(),
            frame_id='' if message is None else message.header.frame_id,
            width=getattr(message, 'width', 0),
            height=getattr(message, 'height', 0),
            encoding=getattr(message, 'encoding', '') or getattr(message, 'format', ''),
            size=len(getattr(message, 'data', ())),
        )

    def _calibration(self, name: str, stream: _Stream, image: Topic) -> Topic:
        """Return the topic of a calibration, with the size of the images that it describes."""
        topic, message = self._topic(name, stream), stream.newest
        if message is None or not (message.width or message.height or image.width):
            return topic
        try:
            camera = messages.intrinsics_from(message, image.width, image.height)
        except CalibrationError as error:
            return dataclasses.replace(topic, problem=str(error))
        return dataclasses.replace(topic, width=camera.width, height=camera.height)

    # ---- the mapping node

    def _look_at_node(self) -> MappingNodeSeen | None:
        if self._name not in self._nodes():
            return None
        state = self._ask(GetState, f'{self._name}/get_state', GetState.Request())
        label = '' if state is None else state.current_state.label
        values = self._parameters(self._name, [*knobs(Settings), 'use_sim_time'])
        if not values:
            return MappingNodeSeen(state=label, answers=False)
        settings = changed(Settings(), values)
        return MappingNodeSeen(
            state=label,
            use_sim_time=bool(values['use_sim_time']),
            model=settings.model,
            settings=settings.node,
        )

    def _parameters(self, node: str, names: list[str]) -> dict[str, Any]:
        """Return parameters of a node; none unless it answers for all of them."""
        request = GetParameters.Request(names=names)
        answer = self._ask(GetParameters, f'{node}/get_parameters', request)
        if answer is None or len(answer.values) != len(names):
            return {}
        return dict(zip(names, map(parameter_value_to_python, answer.values)))

    def _observation_sources(self, topic: str) -> tuple[ObservationSource, ...]:
        """Return how the costmaps that subscribe to a topic use it."""
        sources: list[ObservationSource] = []
        subscribers = {end.node for end in self._topic(topic).subscribers if 'costmap' in end.node}
        for costmap in sorted(subscribers):
            request = ListParameters.Request()
            listed = self._ask(ListParameters, f'{costmap}/list_parameters', request)
            if listed is not None:
                values = self._parameters(costmap, list(listed.result.names))
                sources.extend(observation_sources(costmap, values, topic))
        return tuple(sources)

    def _ask(self, kind: Any, service: str, request: Any) -> Any:
        """Call a service and return its response, or None without an answer."""
        client: Any = self._node.create_client(kind, service)
        try:
            if not self._spin_until(client.service_is_ready, ANSWER_S):
                return None
            future = client.call_async(request)
            return future.result() if self._spin_until(future.done, ANSWER_S) else None
        finally:
            self._node.destroy_client(client)

    # ---- what comes

    def _on_clock(self, message: ClockMessage) -> None:
        clock_ns = messages.nanoseconds(message.clock)
        if self.clock_ns is not None and clock_ns < self.clock_ns:
            self._went_back += 1
        self.clock_ns = clock_ns
        self._clock_count += 1

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == f'{self._name}: mapping':
                self._report = status.message

    def _on_moving_tf(self, message: TFMessage, info: Mapping[str, Any]) -> None:
        self._on_tf(message, info, static=False)

    def _on_static_tf(self, message: TFMessage, info: Mapping[str, Any]) -> None:
        self._on_tf(message, info, static=True)

    def _on_tf(self, message: TFMessage, info: Mapping[str, Any], static: bool) -> None:
        author = (info.get('publisher_gid') or {}).get('data', b'')
        for transform in message.transforms:
            parent, child = transform.header.frame_id, transform.child_frame_id
            key = (parent.lstrip('/'), child.lstrip('/'), static)
            stream = self._links.setdefault(key, _Stream(self))
            stream.add(messages.nanoseconds(transform.header.stamp))
            self._authors[key].add(bytes(author))

    def _seen_links(self, tf: str, tf_static: str) -> tuple[Link, ...]:
        links = []
        for key, stream in sorted(self._links.items()):
            parent, child, static = key
            infos = self._node.get_publishers_info_by_topic(tf_static if static else tf)
            names = {bytes(info.endpoint_gid): _endpoint(info).node for info in infos}
            certain = self._authors[key] <= names.keys()
            gids = self._authors[key] if certain else names.keys()
            authors = tuple(sorted({names[gid] for gid in gids}))
            links.append(Link(parent, child, static, authors, certain, stream.arrivals()))
        return tuple(links)


def observation_sources(
    costmap: str, values: Mapping[str, Any], topic: str
) -> list[ObservationSource]:
    """
    Return how a costmap uses a topic, from its parameters.

    :param costmap: name of the costmap node.
    :param values: all its parameters by name, for example `LAYER.SOURCE.topic`.
    :param topic: resolved name.
    """
    sources = []
    for key, value in values.items():
        layer, _, rest = key.partition('.')
        source, _, last = rest.rpartition('.')
        if last != 'topic' or not source or f'/{str(value).lstrip("/")}' != topic:
            continue
        prefix = f'{layer}.{source}'
        sources.append(
            ObservationSource(
                costmap,
                layer,
                source,
                enabled=bool(values.get(f'{layer}.enabled', True)),
                # What is not there has the default of Nav2.
                marking=bool(values.get(f'{prefix}.marking', True)),
                clearing=bool(values.get(f'{prefix}.clearing', False)),
                min_obstacle_height=float(values.get(f'{prefix}.min_obstacle_height', 0.0)),
                max_obstacle_height=float(values.get(f'{prefix}.max_obstacle_height', 0.0)),
            )
        )
    return sources


def _endpoint(info: TopicEndpointInfo) -> Endpoint:
    return Endpoint(
        node=f'{info.node_namespace.rstrip("/")}/{info.node_name}',
        kind=info.topic_type,
        reliability=info.qos_profile.reliability.name,
        durability=info.qos_profile.durability.name,
    )
