# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The unit of systemd starts what there is."""

import argparse
import configparser
import shlex

from ttt3r_ros.tools import serve


def test_the_service_starts_the_server_with_options_that_it_has(repository):
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read(repository / 'deploy' / 'serving' / 'ttt3r-serve.service')
    program, command, *words = shlex.split(unit['Service']['ExecStart'])
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    arguments = parser.parse_args(words)
    assert (program, command) == ('/opt/ttt3r_ros/.venv/bin/ttt3r', 'serve')
    assert arguments.bind == '0.0.0.0'
    assert not arguments.plain
