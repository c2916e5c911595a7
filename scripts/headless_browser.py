# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A headless Chromium, driven over the protocol of its developer tools."""

from __future__ import annotations

import base64
import json
from pathlib import Path
import re
import shutil
import subprocess
import time
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from websockets.sync.client import connect

from ttt3r_ros.arrays import Pixels

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser'))), None)
OPTIONS = (
    '--headless=new',
    '--no-sandbox',  # inside a container there is none
    '--remote-debugging-port=0',
    '--use-angle=swiftshader',  # WebGL without a GPU
    '--enable-unsafe-swiftshader',
    '--window-size=1600,900',
    '--hide-scrollbars',
    '--no-first-run',
    '--disable-background-networking',
)
DEADLINE_S = 180.0  # software renders slowly on a busy machine

# Counts the points of every call that draws points, the largest call of each frame.
COUNT_POINTS = """
window.drawn = {points: 0};
for (const name of ['drawArrays', 'drawArraysInstanced']) {
  const before = WebGL2RenderingContext.prototype[name];
  WebGL2RenderingContext.prototype[name] = function (mode, first, count, ...rest) {
    if (mode === this.POINTS) window.drawn.points = count;
    return before.call(this, mode, first, count, ...rest);
  };
}
"""


class Browser:
    """
    One page at a time of a headless Chromium; a context manager.

    console: errors of the page.
    """

    def __init__(self, profile: Path) -> None:
        """
        Start it.

        :param profile: empty folder for what it writes.
        """
        assert CHROMIUM is not None
        command = [CHROMIUM, *OPTIONS, f'--user-data-dir={profile}', 'about:blank']
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        listening = re.compile(r'listening on (ws://\S+)')
        url = next(found[1] for line in self._process.stderr if (found := listening.search(line)))
        self._socket = connect(url, max_size=None)
        self._number = 0
        self._session: str | None = None
        self._target: str | None = None
        self.console: list[str] = []

    def __enter__(self) -> Browser:
        """Return this object."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        assert self._process.stderr is not None
        self._socket.close()
        self._process.kill()
        self._process.wait(10)
        self._process.stderr.close()

    def new_page(self) -> None:
        """Close the page, and begin with another one."""
        self._session, self.console = None, []
        if self._target is not None:
            self.call('Target.closeTarget', targetId=self._target)
        self._target = self.call('Target.createTarget', url='about:blank')['targetId']
        attached = self.call('Target.attachToTarget', targetId=self._target, flatten=True)
        self._session = attached['sessionId']
        for domain in ('Runtime', 'Log', 'Page'):
            self.call(f'{domain}.enable')
        self.call('Page.addScriptToEvaluateOnNewDocument', source=COUNT_POINTS)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """
        Call the browser, and return its answer.

        :param method: of the protocol of the developer tools.
        :param parameters: of the method.
        """
        self._number += 1
        message: dict[str, Any] = {'id': self._number, 'method': method, 'params': parameters}
        if self._session is not None:
            message['sessionId'] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(DEADLINE_S))
            if answer.get('id') == self._number:
                assert 'error' not in answer, answer
                result: dict[str, Any] = answer['result']
                return result
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get('params', {})
        if event['method'] == 'Runtime.exceptionThrown':
            self.console.append(str(parameters['exceptionDetails']))
        elif event['method'] == 'Log.entryAdded' and parameters['entry']['level'] == 'error':
            self.console.append(parameters['entry']['text'])
        elif event['method'] == 'Runtime.consoleAPICalled' and parameters['type'] == 'error':
            self.console.append(str(parameters['args']))

    def open(self, url: str) -> None:
        """
        Open a page, and wait until it is there.

        :param url: of the page.
        """
        self.call('Page.navigate', url=url)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, expression: str) -> Any:
        """
        Return the value of a JavaScript expression.

        :param expression: whose value JSON can hold.
        """
        answer = self.call('Runtime.evaluate', expression=expression, returnByValue=True)
        return answer['result'].get('value')

    def wait_for(self, expression: str) -> Any:
        """
        Wait until a JavaScript expression is true, and return its value.

        :param expression: see `value`.
        """
        end = time.monotonic() + DEADLINE_S
        while not (value := self.value(expression)):
            assert time.monotonic() < end, f'never true: {expression}'
            time.sleep(0.1)
        return value

    def has_text(self, text: str) -> bool:
        """
        Return whether the page shows a text.

        :param text: may reach over lines.
        """
        return text in str(self.value('document.body.innerText')).replace('\n', ' ')

    @staticmethod
    def text_is(text: str) -> str:
        """Return an expression for the innermost element with a text."""
        path = f"//*[normalize-space(text())='{text}']"
        found = 'XPathResult.FIRST_ORDERED_NODE_TYPE'
        return f'document.evaluate({json.dumps(path)}, document, null, {found}).singleNodeValue'

    def field(self, label: str) -> str:
        """Return an expression for the last input beside a label of the panel."""
        return (
            f'(() => {{ let at = {self.text_is(label)};'
            ' while (at && !at.querySelector("input")) at = at.parentElement;'
            ' return at && [...at.querySelectorAll("input")].pop(); })()'
        )

    def type(self, label: str, value: float) -> None:
        """
        Write a value into the field of a control.

        :param label: of the control.
        :param value: number.
        """
        self.wait_for(f'{self.field(label)} !== null')
        self.value(f'{{ const at = {self.field(label)}; at.focus(); at.select(); 0 }}')
        self.call('Input.insertText', text=str(value))
        for kind in ('keyDown', 'keyUp'):
            self.call('Input.dispatchKeyEvent', type=kind, key='Enter', windowsVirtualKeyCode=13)

    def tick(self, label: str) -> None:
        """
        Click the box of a control.

        :param label: of the control.
        """
        self.wait_for(f'{self.field(label)} !== null')
        self.value(f'{self.field(label)}.click()')

    def press(self, text: str) -> None:
        """
        Click a button, or an option of a list.

        :param text: on it.
        """
        self.wait_for(f'{self.text_is(text)} !== null')
        self.value(f'{self.text_is(text)}.click()')

    def choose(self, label: str, option: str) -> None:
        """
        Choose an option of a list.

        :param label: of the list.
        :param option: its text.
        """
        self.tick(label)
        self.press(option)

    def picture(self) -> Pixels:
        """Return what the page looks like, (h, w, 3) uint8 RGB."""
        data = base64.b64decode(self.call('Page.captureScreenshot')['data'])
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        return np.asarray(picture, np.uint8)[..., ::-1]
