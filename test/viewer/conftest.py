# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A headless Chromium for the tests of the page."""

import pytest


@pytest.fixture(scope='session')
def chromium(tmp_path_factory):
    pytest.importorskip('viser', reason='needs the package viser')
    from scripts.headless_browser import Browser, CHROMIUM

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
