# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The ROS 2 node: the cameras of a robot in, a metric map, a pose and TF out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
import os
import sys
import threading
import time
import traceback
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from rcl_interfaces.msg import SetParametersResult
import rclpy
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from ttt3r_ros.errors import UserError
from ttt3r_ros.mapping.mapper import Mapper
from ttt3r_ros.model.checkpoint import resolve_checkpoint
from ttt3r_ros.model.predictor import RANDOM_CHECKPOINT
from ttt3r_ros.node import interface, messages, parameters
from ttt3r_ros.node.autosave import Autosave
from ttt3r_ros.node.bond import form_bond
from ttt3r_ros.node.cameras import named_cameras, NamedCamera
from ttt3r_ros.node.diagnostics import Health, Reporter, Surroundings
from ttt3r_ros.node.gravity import Gravity
from ttt3r_ros.node.inputs import ImageInput, ReceivedImage
from ttt3r_ros.node.interface import Cause, State
from ttt3r_ros.node.managed_node import logged, ManagedNode, run
from ttt3r_ros.node.observer import Observer
from ttt3r_ros.node.outputs import Outputs
from ttt3r_ros.node.parameters import Settings
from ttt3r_ros.node.pending_images import PendingImages
from ttt3r_ros.node.pipeline import Arrival, Pipeline
from ttt3r_ros.node.services import Services
from ttt3r_ros.node.transforms import FrameTree, WatchedBuffer
from ttt3r_ros.node.usage import printed_help
from ttt3r_ros.node.worker import FOLLOWER_NAME, Worker
from ttt3r_ros.serving.address import is_elsewhere
from ttt3r_ros.serving.choice import chosen_predictor, memory_here
from ttt3r_ros.serving.failures import Unreachable
from ttt3r_ros.settings import NodeSettings
from ttt3r_ros.tracking.image_rotation import ImageRotation
from ttt3r_ros.units import NANOSECONDS

HOUSEKEEPING_S = 0.5
PENDING_S = 0.02
LATE_S = 0.15  # half an odometry of 5 Hz and a bit: users should know what it costs
STOP_TIMEOUT_S = 4.0
GRAPH_THREAD = 'ttt3r_graph'
GRAPH_NICENESS = 5
# An image is followed by dozens of short calls that release the interpreter's lock; after each of
# them it would wait for up to 5 ms, the default, while the graph is optimised.
SWITCH_S = 2e-4
SERVER_PAUSE_S = 1.0  # between two attempts to reach a server at the start
EXPECTED_SIZE = 640, 480  # or another of this shape: it becomes the same network's image


def build_mapper(settings: Settings) -> Mapper:
    """
    Load the network and return its mapper.

    :raises UserError: when the device or the checkpoint cannot be used.
    """
    need = memory_here(settings.model)
    logger = rclpy.logging.get_logger('ttt3r')
    if need is not None and need.fits:
        logger.info(str(need))
    elif need is not None:
        logger.warning(str(need))
    predictor = chosen_predictor(settings.model)
    predictor.warm_up(*EXPECTED_SIZE)
    return Mapper(predictor, settings.mapping, executor=graph_thread())


def graph_thread() -> ThreadPoolExecutor:
    """Return the thread that adds key frames to the graph; poses do not wait for it."""
    return ThreadPoolExecutor(1, thread_name_prefix=GRAPH_THREAD, initializer=_lower_priority)


def _lower_priority() -> None:
    if sys.platform == 'linux':  # elsewhere it would count for the whole process
        thread = threading.get_native_id()
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + GRAPH_NICENESS
        os.setpriority(os.PRIO_PROCESS, thread, niceness)


class MappingNode(ManagedNode):
    """
    Turn the topics of a camera into a map; docs/node.md describes it for users.

    The executor's thread serves subscriptions and services, the follower's publishes where each
    image was taken, the worker's maps the newest.
    """

    def __init__(
        self,
        build_mapper: Callable[[Settings], Mapper] = build_mapper,
        **node_options: Any,
    ) -> None:
        """
        Declare the parameters; `on_configure` makes everything else.

        :param build_mapper: makes the mapper, in the worker's thread.
        :param node_options: of rclpy's Node.
        :raises UserError: when a parameter is invalid.
        """
        super().__init__('ttt3r', **node_options)
        self._build_mapper = build_mapper
        self._settings = parameters.declare(self)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._buffer = WatchedBuffer(self)
        self._worker: Worker[Arrival] | None = None
        self._active = False
        self._end_bond: Callable[[], None] | None = None

    @property
    def autostart(self) -> bool:
        """Return whether the node is to start by itself."""
        return self._node_settings.autostart

    # ---- lifecycle

    @logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Create everything, and begin to load the network."""
        self._check_settings()
        self._paused = False
        self._failure = self._checkpoint = ''
        self._sent_ns = 0
        self._traced: set[tuple[type[Exception], str]] = set()
        self._cameras = named_cameras(self._node_settings)
        self._health = Health([camera.name for camera in self._cameras])
        self._reporter = Reporter(self.get_logger(), self._health)
        # Each camera waits for itself: one without transforms keeps no other waiting.
        self._pending_images = [
            PendingImages(
                self._is_ready,
                self._follow,
                lambda image: self._health.dropped(Cause.NO_TRANSFORM),
            )
            for _ in self._cameras
        ]
        self._make_worker()
        self._make_inputs()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        for period, callback in (
            (HOUSEKEEPING_S, self._run_maintenance),
            (PENDING_S, self._release_pending_images),
            (1 / self._node_settings.tf.rate, self._send_tf),
        ):
            timer = self.create_timer(period, callback, clock=steady)
            self.held.callback(self.destroy_timer, timer)
        return super().on_configure(state)

    def _make_worker(self) -> None:
        self._frames = FrameTree(self, self._buffer)
        self.held.callback(self._frames.close)
        for child in self._frames_of_ours():
            self._frames.buffer.claim(child)
        image_rotation = ImageRotation(self._settings.mapping.camera.rotation)
        self._outputs = Outputs(
            self,
            lambda: self._settings,
            self._frames,
            self._reporter,
            self._on_failure,
            image_rotation,
        )
        self.held.callback(self._outputs.close)
        topic = interface.DIAGNOSTICS
        self._diagnostics = self.create_publisher(
            topic.kind, topic.name, topic.profile(self._node_settings)
        )
        self.held.callback(self.destroy_publisher, self._diagnostics)
        self._pipeline = Pipeline(
            self._build_mapper,
            lambda: self._settings,
            Observer(
                lambda: self._node_settings,
                self._frames,
                self._reporter,
                self._gravity(),
                image_rotation,
            ),
            self._outputs,
            self._health,
            self._reporter,
            self._offer,
        )
        self._autosave = Autosave(
            self._pipeline, lambda: self._node_settings, self.get_logger(), self._reporter
        )
        self._worker = Worker(self._pipeline.process, self._on_failure)
        self._follower = Worker(self._pipeline.follow, self._on_failure, FOLLOWER_NAME)
        self.held.callback(self._stop_worker)
        self._loaded = threading.Event()
        self._worker.post(self._load)
        self._follower.post(self._wait_until_loaded)  # meanwhile the newest image waits

    def _gravity(self) -> Gravity | None:
        topic = self._node_settings.imu_topic
        if not topic:
            return None
        gravity = Gravity(self, topic)
        self.held.callback(gravity.close)
        return gravity

    def _make_inputs(self) -> None:
        self._inputs = [self._make_input(camera) for camera in self._cameras]
        topic = interface.INITIAL_POSE
        initial_pose = self.create_subscription(
            topic.kind,
            topic.name,
            self._on_initial_pose,
            topic.profile(self._node_settings),
        )
        self.held.callback(self.destroy_subscription, initial_pose)
        services = Services(
            self,
            self._pipeline,
            lambda: self._settings.node,
            self._post,
            self._pause,
            self._forget,
        )
        self.held.callback(services.close)
        jumps = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False
            ),
            post_callback=self._on_clock_jump,
        )
        self.held.callback(jumps.unregister)

    def _make_input(self, camera: NamedCamera) -> ImageInput:
        made = ImageInput(
            self,
            camera,
            lambda: self._settings.node,
            self._health,
            self._reporter,
            self._on_image,
            self._reset_for_new_time,
        )
        self.held.callback(made.close)
        return made

    @logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to map."""
        self._active = True
        self._health.restart()
        if not self.autostart:
            self._end_bond = form_bond(self)
        return super().on_activate(state)

    @logged
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop mapping; the map stays."""
        self._deactivate()
        self._clear()
        return super().on_deactivate(state)

    def _deactivate(self) -> None:
        self._active = False
        end_bond, self._end_bond = self._end_bond, None
        if end_bond is not None:
            end_bond()

    def release(self) -> None:
        """Undo what configuring did, however far it came."""
        self._deactivate()
        super().release()

    def _stop_worker(self) -> None:
        worker, self._worker = self._worker, None
        self._frames.stop_waiting()
        self._loaded.set()
        self._pipeline.begin_epoch()
        if worker is not None:
            worker.post(self._autosave.save)
            stopped = self._follower.stop(STOP_TIMEOUT_S), worker.stop(STOP_TIMEOUT_S)
            if not all(stopped):
                self.get_logger().error(f'the worker did not end within {STOP_TIMEOUT_S:g} s')
        self._pipeline.close()

    # ---- inputs

    def _on_image(self, image: ReceivedImage) -> None:
        if not self._active or self._worker is None:
            self._health.dropped(Cause.NOT_ACTIVE)
        elif self._paused:
            self._health.dropped(Cause.PAUSED)
        else:
            self._pending_images[image.camera_index].put(image)

    def _release_pending_images(self) -> None:
        for pending in self._pending_images:
            pending.look()

    def _follow(self, image: ReceivedImage) -> None:
        if self._follower.offer(Arrival(image, self._pipeline.epoch), image.camera_index):
            ready = self._pipeline.ready
            self._health.dropped(Cause.NEWER_IMAGE if ready else Cause.NOT_LOADED)

    def _offer(self, arrival: Arrival) -> None:
        """Run the network on an image that was followed, unless a newer one comes first."""
        slot = arrival.image.camera_index
        if self._worker is not None and self._worker.offer(arrival, slot):
            self._health.dropped(Cause.NEWER_IMAGE)

    def _is_ready(self, image: ReceivedImage) -> bool:
        """Return whether an image can be located, or has waited long enough."""
        waited_s = time.monotonic() - image.arrived
        if waited_s >= self._node_settings.tf.timeout:
            return True
        # Images that waited for TF come all at once: none shall take the place of another.
        known = self._has_transforms(image, waited_s)
        return known and (waited_s < PENDING_S or self._has_time(image.camera_index))

    def _has_time(self, slot: int) -> bool:
        """Return whether the next image of a camera is followed at once."""
        begun = self._pipeline.started or self._worker is None or self._worker.is_idle(slot)
        return begun and self._follower.is_idle(slot)

    def _has_transforms(self, image: ReceivedImage, waited_s: float) -> bool:
        """Return whether TF knows where an image was taken."""
        node = self._node_settings
        needed = [(image.base_frame, image.camera_frame)]
        if node.odom_frame and not node.publish_odom_to_base_tf:
            needed.append((node.odom_frame, image.base_frame))
        known = all(a == b or self._frames.knows(a, b, image.stamp_ns) for a, b in needed)
        if known and waited_s > LATE_S:
            self._reporter.warn(
                'late transforms',
                f'images wait {waited_s:.2f} s for TF: the odometry is slow, or late '
                f'(parameter tf.timeout, {node.tf.timeout:g} s, bounds it)',
            )
        return known

    def _on_initial_pose(self, message: PoseWithCovarianceStamped) -> None:
        wanted, given = self._node_settings.map_frame, message.header.frame_id
        if given != wanted:
            self.get_logger().error(f'initial pose refused: it is in {given!r}, not in {wanted!r}')
            return
        try:
            map_T_base = messages.matrix_from_pose(message.pose.pose)
        except ValueError as error:
            self.get_logger().error(f'initial pose refused: {error}')
            return
        self._post(lambda: self._pipeline.place_base(map_T_base))
        self.get_logger().info(f'initial pose accepted: {map_T_base[:3, 3].round(2)} m')

    def _on_set_parameters(self, changes: list[Parameter[Any]]) -> SetParametersResult:
        configured = self._worker is not None
        self._settings, result = parameters.try_change(self._settings, changes, configured)
        self._post(lambda: self._pipeline.change())
        return result

    def _on_clock_jump(self, jump: TimeJump) -> None:
        now_ns = self.get_clock().now().nanoseconds
        went_back = [one.gate.clock_went_back(now_ns) for one in self._inputs]
        if any(went_back):
            self._reset_for_new_time(
                f'the clock went back by {-jump.delta.nanoseconds / NANOSECONDS:.3f} s'
            )

    def _reset_for_new_time(self, reason: str) -> None:
        """Reset the map after time went back."""
        self.get_logger().warning(f'{reason}: the map is reset')
        self._frames.buffer.clear()
        self._forget()
        self._post(self._reset)

    def _forget(self) -> None:
        """Drop the images in process."""
        self._pipeline.begin_epoch()
        self._clear()

    def _clear(self) -> None:
        """Drop the images that wait."""
        for pending in self._pending_images:
            pending.clear()
        if self._worker is not None:
            self._follower.clear()
            self._worker.clear()

    def _reset(self) -> None:
        if self._pipeline.ready:
            self._pipeline.reset()

    def _post(self, job: Callable[[], None]) -> None:
        if self._worker is not None:
            self._worker.post(job)

    def _pause(self, paused: bool) -> None:
        self._paused = paused

    # ---- worker and timers

    def _wait_until_loaded(self) -> None:
        self._loaded.wait()

    def _load(self) -> None:
        try:
            self._load_and_resume()
        finally:
            self._loaded.set()

    def _load_and_resume(self) -> None:
        try:
            while not self._has_loaded():
                if self._loaded.wait(SERVER_PAUSE_S):  # the node is released
                    return
        except (UserError, RuntimeError) as error:  # torch has no class for a lack of memory
            self._failure = f'the network cannot be loaded: {error}'
            self.get_logger().fatal(self._failure)
        else:
            predictor = self._pipeline.mapper.predictor
            self._checkpoint = predictor.checkpoint_name
            self.get_logger().info(f'the network is loaded: {self._checkpoint}')
            if predictor.checkpoint_note:
                self.get_logger().warning(predictor.checkpoint_note)
            self._autosave.load()

    def _has_loaded(self) -> bool:
        """Load the network; return False where it is on a server that is away."""
        try:
            self._pipeline.load()
        except Unreachable as error:
            self._reporter.warn(Cause.NO_NETWORK.text, str(error))
            return False
        return True

    def _on_failure(self, error: Exception) -> None:
        if not self.context.ok():
            return  # ROS was shut down; the worker ends, too
        self._reporter.drop(Cause.INTERNAL, f'internal error: {error!r}')
        place = repr(traceback.extract_tb(error.__traceback__)[-1:])
        if (type(error), place) not in self._traced:
            self._traced.add((type(error), place))
            trace = ''.join(traceback.format_exception(type(error), error, error.__traceback__))
            self.get_logger().error(f'internal error, logged once\n{trace}')

    def _send_tf(self) -> None:
        """Send map to odom, whatever the worker does."""
        node = self._node_settings
        if not (self._active and node.publish_map_to_odom_tf and node.odom_frame):
            return
        now_ns = self.get_clock().now().nanoseconds
        stamp_ns = now_ns + round(node.transform_tolerance * NANOSECONDS)
        if now_ns == 0 or stamp_ns == self._sent_ns:  # a simulated clock that stands still
            return
        self._sent_ns = stamp_ns
        map_T_odom = self._pipeline.map_T_odom
        if map_T_odom is not None:
            self._frames.send(node.map_frame, node.odom_frame, map_T_odom, stamp_ns)

    def _run_maintenance(self) -> None:
        if self._active:
            self._post(self._pipeline.catch_up)
            if self._node_settings.autosave_period:
                self._post(self._autosave.save_when_due)
        self._frames.notice_lost_publishers()
        around = self._surroundings()
        if around.conflict:
            self._reporter.warn('second parent', around.conflict)
        status = self._health.status(
            f'{self.get_fully_qualified_name()}: mapping',
            self._settings.model.checkpoint or 'default',
            around,
            self._node_settings.diagnostics,
        )
        of_cameras = self._health.camera_statuses(
            f'{self.get_fully_qualified_name()}: camera',
            status.hardware_id,
            self._node_settings.diagnostics,
        )
        message = DiagnosticArray(status=[status, *of_cameras])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)
        self._log_trouble(status)

    def _log_trouble(self, status: DiagnosticStatus) -> None:
        """Log why nothing is mapped."""
        nothing_mapped = status.level in (State.LOST.level, State.STALE.level)
        trouble = status.message if self._active and nothing_mapped else ''
        self._reporter.state(trouble)

    def _surroundings(self) -> Surroundings:
        simulated = self.get_parameter('use_sim_time').value
        first = self._inputs[0]
        return Surroundings(
            active=self._active,
            paused=self._paused,
            image_topic=first.topic,
            publishers=first.publishers(),
            incompatible_qos=first.incompatible_qos(),
            clock_is_silent=bool(simulated) and self.get_clock().now().nanoseconds == 0,
            conflict=self._frames.buffer.conflict(),
            loading=not self._pipeline.ready,
            failure=self._failure,
            checkpoint=self._checkpoint,
        )

    # ---- settings

    @property
    def _node_settings(self) -> NodeSettings:
        return self._settings.node

    def _frames_of_ours(self) -> list[str]:
        """Return the frames whose parent this node publishes."""
        node = self._node_settings
        ours = []
        if node.publish_map_to_odom_tf:
            ours.append(node.odom_frame or node.base_frame)
        if node.publish_odom_to_base_tf:
            ours.append(node.base_frame)
        return [frame for frame in ours if frame]

    def _check_settings(self) -> None:
        """Check what would only fail later."""
        settings = self._settings
        if settings.node.publish_odom_to_base_tf and not settings.node.odom_frame:
            raise UserError('publish_odom_to_base_tf needs an odom_frame')
        node = settings.node
        frames = [f for f in (node.map_frame, node.odom_frame, node.base_frame) if f]
        if len(set(frames)) < len(frames) or not node.map_frame:
            raise UserError(
                'map_frame, odom_frame and base_frame must be different frames, not '
                f'{node.map_frame!r}, {node.odom_frame!r} and {node.base_frame!r}'
            )
        checkpoint = settings.model.checkpoint
        elsewhere = is_elsewhere(settings.model.device)
        if (
            self._build_mapper is build_mapper
            and checkpoint != RANDOM_CHECKPOINT
            and not elsewhere
        ):
            resolve_checkpoint(checkpoint)


def main(
    args: list[str] | None = None,
    build_mapper: Callable[[Settings], Mapper] = build_mapper,
) -> int:
    """
    Run the node until it is shut down.

    :param args: of the command line, for ROS.
    :param build_mapper: makes the mapper.
    :returns: the exit code of the process.
    """
    sentence = 'Map the images of one camera; a managed (lifecycle) node.'
    if printed_help(args, 'mapping_node', sentence, Settings, 'node.md'):
        return 0
    sys.setswitchinterval(SWITCH_S)
    return run(lambda: MappingNode(build_mapper), lambda node: node.autostart, args)


if __name__ == '__main__':
    sys.exit(main())
