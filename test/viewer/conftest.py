# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A headless Chromium, driven over the protocol of its developer tools."""

import base64
import json
import re
import shutil
import subprocess
import time

import cv2
import numpy as np
import pytest

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
DEADLINE_S = 60.0

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
    """One page at a time of a headless Chromium; a context manager."""

    def __init__(self, profile):
        from websockets.sync.client import connect

        command = [CHROMIUM, *OPTIONS, f'--user-data-dir={profile}', 'about:blank']
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        listening = re.compile(r'listening on (ws://\S+)')
        url = next(found[1] for line in self._process.stderr if (found := listening.search(line)))
        self._socket = connect(url, max_size=None)
        self._number, self._session, self._target = 0, None, None
        self.console = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()
        self._process.kill()
        self._process.wait(10)
        self._process.stderr.close()

    def new_page(self):
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

    def call(self, method, **parameters):
        """Call the browser, and return its answer."""
        self._number += 1
        message = {'id': self._number, 'method': method, 'params': parameters}
        if self._session is not None:
            message['sessionId'] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(DEADLINE_S))
            if answer.get('id') == self._number:
                assert 'error' not in answer, answer
                return answer['result']
            self._note(answer)

    def _note(self, event):
        parameters = event.get('params', {})
        if event['method'] == 'Runtime.exceptionThrown':
            self.console.append(str(parameters['exceptionDetails']))
        elif event['method'] == 'Log.entryAdded' and parameters['entry']['level'] == 'error':
            self.console.append(parameters['entry']['text'])
        elif event['method'] == 'Runtime.consoleAPICalled' and parameters['type'] == 'error':
            self.console.append(str(parameters['args']))

    def open(self, url):
        """Open a page, and wait until it is there."""
        self.call('Page.navigate', url=url)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, expression):
        """Return the value of a JavaScript expression."""
        return self.call('Runtime.evaluate', expression=expression, returnByValue=True)[
            'result'
        ].get('value')

    def wait_for(self, expression):
        """Wait until a JavaScript expression is true, and return its value."""
        end = time.monotonic() + DEADLINE_S
        while not (value := self.value(expression)):
            assert time.monotonic() < end, f'never true: {expression}'
            time.sleep(0.1)
        return value

    def has_text(self, text):
        """Return whether the page shows a text."""
        return text in self.value('document.body.innerText').replace('\n', ' ')

    @staticmethod
    def text_is(text):
        """Return an expression for the innermost element with a text."""
        path = f"//*[normalize-space(text())='{text}']"
        found = 'XPathResult.FIRST_ORDERED_NODE_TYPE'
        return f'document.evaluate({json.dumps(path)}, document, null, {found}).singleNodeValue'

    def field(self, label):
        """Return an expression for the last input beside a label of the panel."""
        return (
            f'(() => {{ let at = {self.text_is(label)};'
            ' while (at && !at.querySelector("input")) at = at.parentElement;'
            ' return at && [...at.querySelectorAll("input")].pop(); })()'
        )

    def type(self, label, value):
        """Write a value into the field of a control."""
        self.wait_for(f'{self.field(label)} !== null')
        self.value(f'{{ const at = {self.field(label)}; at.focus(); at.select(); 0 }}')
        self.call('Input.insertText', text=str(value))
        for kind in ('keyDown', 'keyUp'):
            self.call('Input.dispatchKeyEvent', type=kind, key='Enter', windowsVirtualKeyCode=13)

    def choose(self, label, option):
        """Choose an option of a list."""
        self.value(f'{self.field(label)}.click()')
        self.wait_for(f'{self.text_is(option)} !== null')
        self.value(f'{self.text_is(option)}.click()')

    def picture(self):
        """Return what the page looks like, (h, w, 3) uint8 RGB."""
        data = base64.b64decode(self.call('Page.captureScreenshot')['data'])
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


@pytest.fixture(scope='session')
def chromium(tmp_path_factory):
    pytest.importorskip('viser', reason='needs the package viser')
    if CHROMIUM is None:
        pytest.skip('needs a browser: apt install chromium')
    with Browser(tmp_path_factory.mktemp('profile')) as browser:
        yield browser


@pytest.fixture
def browser(chromium):
    """Return a browser with an empty page; at the end its console must be without errors."""
    chromium.new_page()
    yield chromium
    errors = list(chromium.console)
    chromium.new_page()
    assert errors == []
