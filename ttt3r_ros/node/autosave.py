# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The map that survives a restart: loaded at the start, saved now and then and at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import time

from rclpy.impl.rcutils_logger import RcutilsLogger

from ttt3r_ros.errors import UserError
from ttt3r_ros.mapping import files
from ttt3r_ros.node.diagnostics import Reporter
from ttt3r_ros.node.pipeline import Pipeline
from ttt3r_ros.settings import NodeSettings


class EarlierMap(UserError):
    """A map that was not loaded is not replaced without a word."""


class Autosave:
    """Loads and saves by itself; used by the worker's thread only."""

    def __init__(
        self,
        pipeline: Pipeline,
        settings: Callable[[], NodeSettings],
        logger: RcutilsLogger,
        reporter: Reporter,
    ) -> None:
        """
        Begin with nothing to save.

        :param pipeline: has the map.
        :param settings: returns the present ones.
        :param logger: receives what was read.
        :param reporter: receives why nothing was saved.
        """
        self._pipeline, self._settings = pipeline, settings
        self._logger, self._reporter = logger, reporter
        self._saved_changes = 0
        self._earlier: tuple[int, int] | None = None  # a file that is not continued
        self._due = time.monotonic() + settings().autosave_period

    def load(self) -> None:
        """Continue with the saved map, where the settings want it and there is one."""
        try:
            path = self._path()
            self._earlier = _identity(path)
            if self._settings().autoload and self._earlier is not None:
                self._logger.info(f'autoload: {self._pipeline.load_map(path)}')
                self._earlier = None
        except UserError as error:
            self._logger.error(f'autoload: {error}; the map begins empty')
        self._saved_changes = self._pipeline.changes

    def save_when_due(self) -> None:
        """Save, when the period is over."""
        if time.monotonic() >= self._due:
            self.save()

    def save(self) -> None:
        """Save a map that changed since it was saved last; an empty one replaces none."""
        period = self._settings().autosave_period
        self._due = time.monotonic() + period
        changes = self._pipeline.changes
        if not period or changes == self._saved_changes:
            return
        try:
            path = self._path()
            if self._earlier is not None and _identity(path) == self._earlier:
                raise EarlierMap(
                    f'{path} is of an earlier session: ~/load_map or autoload continues with it, '
                    '~/save_map replaces it'
                )
            files.save(self._pipeline.mapper, path)
        except files.EmptyMap:
            pass
        except UserError as error:
            self._reporter.warn('autosave', f'the map was not saved: {error}')
            return
        self._saved_changes = changes

    def _path(self) -> Path:
        node = self._settings()
        return files.confined(node.map_directory, node.map_file)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what changes when a file is written anew; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
