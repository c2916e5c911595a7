#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Generate tf2_msgs into a virtual environment that holds the ROS 2 wheels, unless it is there.
#   scripts/build_tf2_msgs.sh VENV
set -euo pipefail
source=$(cd "$(dirname "$0")/../ros_standins/tf2_msgs" && pwd)
venv=$(cd "$1" && pwd)
python=$venv/bin/python
built_from=$venv/share/tf2_msgs/built-from
inputs=$({
    cat "$0" "$source"/*.* "$source"/msg/*
    "$python" -m pip list --disable-pip-version-check 2>/dev/null | grep rosidl
} | sha256sum)
if [ "$(cat "$built_from" 2>/dev/null)" = "$inputs" ]; then exit 0; fi

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

missing=()
command -v cmake >/dev/null || missing+=(cmake)
command -v c++ >/dev/null || missing+=(g++)
command -v make >/dev/null || missing+=(make)
include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
[ -f "$include/Python.h" ] || missing+=("$(basename "$include")-dev")
if [ ${#missing[@]} -gt 0 ]; then
    echo "tf2_msgs needs a compiler; install it: sudo apt install ${missing[*]}" >&2
    exit 1
fi

echo 'generating tf2_msgs, about 20 s'
# The wheels' CMake files name the include folders of the machine they were built on.
numpy_include=$("$python" -c 'import numpy; print(numpy.get_include())')
sed -i \
    -e "s|/opt/python/[^;\"]*/numpy/_*core/include|$numpy_include|g" \
    -e "s|/opt/python/[^;\"]*/include/python[0-9.]*|$include|g" \
    "$venv"/share/*/cmake/*Export.cmake

if ! {
    cmake -S "$source" -B "$build" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF \
        -DCMAKE_PREFIX_PATH="$venv" -DCMAKE_INSTALL_PREFIX="$venv" \
        -DPython3_EXECUTABLE="$venv/bin/python3" -DPython3_FIND_VIRTUALENV=ONLY &&
        cmake --build "$build" --parallel &&
        cmake --install "$build"
} >"$build/log" 2>&1; then
    tail -n 30 "$build/log" >&2
    exit 1
fi
echo "$inputs" >"$built_from"
