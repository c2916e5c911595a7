# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The services of the node; each responds with a sentence of what was done, or why not."""

from __future__ import annotations

from collections.abc import Callable
import traceback

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import SetBool, Trigger

from ttt3r_ros.errors import UserError
from ttt3r_ros.mapping import files
from ttt3r_ros.node import interface
from ttt3r_ros.node.pipeline import Pipeline
from ttt3r_ros.settings import NodeSettings

Answer = tuple[bool, str]


class Services:
    """Respond to requests; those about the map are served by the worker, one after the other."""

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
        Create the services.

        :param node: has the services.
        :param pipeline: owns the map; used in the worker's thread.
        :param settings: returns the present ones.
        :param post: runs a job in the worker's thread.
        :param pause: pauses mapping (true) or resumes it.
        :param forget: drops the images in process.
        """
        self._node, self._pipeline, self._settings = node, pipeline, settings
        self._post, self._pause, self._forget = post, pause, forget
        # A service that awaits the worker must not keep the callbacks of its group waiting.
        group = ReentrantCallbackGroup()
        self._services = [
            node.create_service(service.kind, service.name, callback, callback_group=group)
            for service, callback in (
                (interface.RESET, self._on_reset),
                (interface.PAUSE, self._on_pause),
                (interface.SET_LOCALIZATION_MODE, self._on_localization),
                (interface.SAVE_MAP, self._on_save),
                (interface.LOAD_MAP, self._on_load),
                (interface.EXPORT_CLOUD, self._on_export),
            )
        ]

    def close(self) -> None:
        """Destroy the services."""
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
        response.message = 'paused' if request.data else 'mapping'
        return response

    async def _on_localization(
        self, request: SetBool.Request, response: SetBool.Response
    ) -> SetBool.Response:
        def job() -> str:
            mapper = self._pipeline.mapper
            if request.data and not mapper.frames:
                raise UserError('there is no map yet to localize in: map, or load a map, first')
            mapper.follow_only(request.data)
            return 'localization: the map does not change' if request.data else 'mapping'

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
        """Run a job in the worker between two images, while the executor spins."""
        executor = self._node.executor
        answer: Future[Answer] = Future(executor=executor)

        def run() -> None:
            try:
                answer.set_result((True, job()))
            except UserError as error:
                answer.set_result((False, str(error)))
            except Exception as error:  # noqa: BLE001 - each request gets a response
                self._node.get_logger().error(traceback.format_exc())
                answer.set_result((False, f'internal error: {error!r}; see the log of the node'))
            if executor is not None:
                executor.wake()

        self._post(run)
        answered: Answer | None = await answer
        assert answered is not None  # a future is awaited until it has a result
        return answered
