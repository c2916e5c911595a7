# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The services of the node; each answers in words what was done, or why not."""

from __future__ import annotations

from collections.abc import Callable
import traceback

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import SetBool, Trigger

from ttt3r_ros.errors import UserError
from ttt3r_ros.mapping import files
from ttt3r_ros.node.pipeline import Pipeline
from ttt3r_ros.settings import NodeSettings

Answer = tuple[bool, str]


class Services:
    """Answer requests; what touches the map is done by the worker, one after the other."""

    def __init__(
        self,
        node: Node,
        pipeline: Pipeline,
        settings: Callable[[], NodeSettings],
        post: Callable[[Callable[[], None]], None],
        pause: Callable[[bool], None],
        forget: Callable[[], None],
    ) -> None:
        """
        Offer the services.

        :param node: whose they are.
        :param pipeline: holds the map; used in the worker's thread.
        :param settings: gives the present ones.
        :param post: has a job done in the worker's thread.
        :param pause: stops or goes on mapping.
        :param forget: lets nothing that is under way come out.
        """
        self._node, self._pipeline, self._settings = node, pipeline, settings
        self._post, self._pause, self._forget = post, pause, forget
        # A service that awaits the worker must not keep the callbacks of its group waiting.
        group = ReentrantCallbackGroup()
        self._services = [
            node.create_service(kind, f'~/{name}', callback, callback_group=group)
            for kind, name, callback in (
                (Trigger, 'reset', self._on_reset),
                (SetBool, 'pause', self._on_pause),
                (SetBool, 'set_localization_mode', self._on_localization),
                (Trigger, 'save_map', self._on_save),
                (Trigger, 'load_map', self._on_load),
                (Trigger, 'export_cloud', self._on_export),
            )
        ]

    def close(self) -> None:
        """Take the services back."""
        for service in self._services:
            self._node.destroy_service(service)

    async def _on_reset(
        self, _request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        self._forget()
        response.success, response.message = await self._by_worker(self._pipeline.reset)
        return response

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._pause(request.data)
        response.success = True
        response.message = 'paused' if request.data else 'mapping goes on'
        return response

    async def _on_localization(
        self, request: SetBool.Request, response: SetBool.Response
    ) -> SetBool.Response:
        def job() -> str:
            mapper = self._pipeline.mapper
            if request.data and not mapper.frames:
                raise UserError('there is nothing to localize in yet: map or load something first')
            mapper.follow_only(request.data)
            return 'only the pose is followed' if request.data else 'the map grows'

        response.success, response.message = await self._by_worker(job)
        return response

    async def _on_save(
        self, _request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        settings = self._settings()
        response.success, response.message = await self._by_worker(
            lambda: files.save(
                self._pipeline.mapper, files.confined(settings.map_directory, settings.map_file)
            )
        )
        return response

    async def _on_load(
        self, _request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        settings = self._settings()
        response.success, response.message = await self._by_worker(
            lambda: self._pipeline.load_map(
                files.confined(settings.map_directory, settings.map_file)
            )
        )
        return response

    async def _on_export(
        self, _request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        settings = self._settings()
        response.success, response.message = await self._by_worker(
            lambda: files.export(
                self._pipeline.mapper,
                files.confined(settings.map_directory, settings.export_file),
            )
        )
        return response

    async def _by_worker(self, job: Callable[[], str]) -> Answer:
        """Have a job done between two images, while the executor goes on."""
        executor = self._node.executor
        answer: Future[Answer] = Future(executor=executor)

        def run() -> None:
            try:
                answer.set_result((True, job()))
            except UserError as error:
                answer.set_result((False, str(error)))
            except Exception as error:  # noqa: BLE001 - whoever asked must get an answer
                self._node.get_logger().error(traceback.format_exc())
                answer.set_result((False, f'internal error: {error!r}; see the log of the node'))
            if executor is not None:
                executor.wake()

        self._post(run)
        answered: Answer | None = await answer
        assert answered is not None  # a future is awaited until it has a result
        return answered
