# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Map the images of one's own camera as they come; Ctrl-C ends the loop."""

import cv2

import ttt3r_ros

mapper = ttt3r_ros.CameraMapper()  # CameraMapper('camera.json') where it is calibrated
camera = cv2.VideoCapture(0)
found, bgr = camera.read()
while found:
    frame = mapper.add(bgr[..., ::-1])  # red first
    print(frame.map_T_camera[:3, 3].round(2) if frame else mapper.refusal)
    found, bgr = camera.read()
mapper.cloud.save('map.ply')
mapper.trajectory.save('trajectory.txt')
