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

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser'))), None)
OPTIONS = (
    '--headless=new',
    '--no-sandbox',  # inside a container there is none
    '--remote-debugging-port=0',
    '--use-angle=swiftshader',  # WebGL without a GPU
    '--enable-unsafe-swiftshader',
    '--window-size=1280,800',
    '--hide-scrollbars',
    '--no-first-run',
    '--disable-background-networking',
)
DEADLINE_S = 60.0


class Browser:
    """One page of a headless Chromium; a context manager."""

    def __init__(self, profile):
        from websockets.sync.client import connect

        command = [CHROMIUM, *OPTIONS, f'--user-data-dir={profile}', 'about:blank']
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        url = next(
            found[1]
            for line in self._process.stderr
            if (found := re.search(r'on (ws://\S+)', line))
        )
        self._socket = connect(url, max_size=None)
        self._number, self.console, self._session = 0, [], None
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        attached = self.call('Target.attachToTarget', targetId=target, flatten=True)
        self._session = attached['sessionId']
        for domain in ('Runtime', 'Log', 'Page'):
            self.call(f'{domain}.enable')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()
        self._process.terminate()
        self._process.wait(10)
        self._process.stderr.close()

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
        self.call('Page.navigate', url=url)

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

    def picture(self):
        """Return what the page looks like, (h, w, 3) uint8 RGB."""
        data = base64.b64decode(self.call('Page.captureScreenshot')['data'])
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
