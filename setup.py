# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Build the ament_python package."""

from glob import glob

from setuptools import find_packages, setup

package_name = 'ttt3r_ros'

setup(
    name=package_name,
    version='0.1.0',
    packages=find_packages(include=[package_name, f'{package_name}.*']),
    package_data={package_name: ['py.typed', 'weights/*.safetensors', 'weights/*.md']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package_name}']),
        (f'share/{package_name}', ['package.xml']),
        (f'share/{package_name}/launch', glob('launch/*.launch.py')),
        (f'share/{package_name}/config', glob('config/*')),
    ],
    python_requires='>=3.10',
    # The dependencies are those of package.xml (ROS 2) and requirements/ (without ROS 2).
    install_requires=['setuptools'],
    extras_require={
        'test': ['pytest'],
        'archive': ['ray[client]>=2.60,<3', 'fsspec'],
        'completion': ['shtab>=1.7,<2'],
        'onnx': ['onnx>=1.19,<2', 'onnxscript>=0.5,<1'],
        'openvino': ['openvino>=2026.4,<2027'],
        'serving': ['grpcio>=1.66,<2', 'cryptography>=42'],
        'viewer': ['viser>=1.1,<2'],
    },
    zip_safe=False,
    maintainer='The ttt3r_ros authors',
    maintainer_email='ttt3r-ros@users.noreply.github.com',
    url='https://github.com/ttt3r-ros/ttt3r_ros',
    description='One camera in, a live metric map out: CUT3R with the TTT3R state update.',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            'ttt3r = ttt3r_ros.tools.main:main',
            'mapping_node = ttt3r_ros.node.mapping_node:main',
            'simulated_robot = ttt3r_ros.players.simulated_robot:main',
            'driven_robot = ttt3r_ros.players.driven_robot:main',
            'dataset_player = ttt3r_ros.players.dataset_player:main',
            'recorder = ttt3r_ros.players.recorder:main',
            'viewer = ttt3r_ros.players.viewer_node:main',
        ]
    },
)
