# The mapping node and the command line on ROS 2, without a GPU.
#
#   docker build -t ttt3r_ros .
#   docker run --rm -it --network host --ipc host ttt3r_ros \
#       ros2 launch ttt3r_ros mapping.launch.py image_topic:=/camera/image_raw
#   docker run --rm -v "$PWD:/data" ttt3r_ros ros2 run ttt3r_ros ttt3r map /data/video.mp4 --output /data/out
#
# --network host and --ipc host: Fast DDS exchanges large images by shared memory.
# Checked with hadolint; not built yet: see CONTRIBUTING.md, "Release".
# With an NVIDIA GPU: --build-arg TORCH_INDEX=https://pypi.org/simple, and `docker run --gpus all`.
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# Ubuntu 24.04 lets pip write beside apt's packages only when it is told to.
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

WORKDIR /ws
COPY package.xml src/ttt3r_ros/package.xml
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-pip ros-dev-tools \
    && pip install 'torch>=2.4,<3' --index-url "${TORCH_INDEX}" \
    && pip install 'safetensors>=0.4,<1' \
    && rosdep update --rosdistro "${ROS_DISTRO}" \
    && rosdep install -y --from-paths src --ignore-src --skip-keys python3-pytorch-pip \
    && rm -rf /var/lib/apt/lists/*

COPY . src/ttt3r_ros
RUN source "/opt/ros/${ROS_DISTRO}/setup.bash" && colcon build --packages-select ttt3r_ros

RUN useradd --create-home --uid 1100 mapper
USER 1100
ENTRYPOINT ["/bin/bash", "-c", "source /ws/install/setup.bash && exec \"$@\"", "--"]
CMD ["ros2", "run", "ttt3r_ros", "ttt3r", "--help"]
