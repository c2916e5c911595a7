# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The conversions. Names and signatures are those of the real package.

The encodings are those of a colour camera: mono, rgb, bgr, rgba, bgra in 8 and 16 bit, Bayer
patterns in 8 and 16 bit, YUV 4:2:2, and OpenCV's own names (8UC1, 32FC1, ...).
"""

import array
import re
import sys

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image


class CvBridgeError(TypeError):
    """An image cannot be converted."""


_DTYPE_OF_DEPTH = {
    '8U': np.uint8,
    '8S': np.int8,
    '16U': np.uint16,
    '16S': np.int16,
    '32S': np.int32,
    '32F': np.float32,
    '64F': np.float64,
}
_DEPTH_OF_DTYPE = {np.dtype(dtype): name for name, dtype in _DTYPE_OF_DEPTH.items()}
_CHANNELS = {'mono': 1, 'rgb': 3, 'bgr': 3, 'rgba': 4, 'bgra': 4}
_YUV = {'yuv422': 'UYVY', 'uyvy': 'UYVY', 'yuv422_yuy2': 'YUY2', 'yuyv': 'YUY2'}
_FORMAT_OF_FILE = {'jpg': 'jpeg', 'jpeg': 'jpeg', 'png': 'png', 'tiff': 'tiff', 'bmp': 'bmp'}


class CvBridge:
    """Converts between ROS images and OpenCV arrays."""

    def imgmsg_to_cv2(self, img_msg, desired_encoding='passthrough'):
        """
        Return the pixels of an image.

        :param img_msg: sensor_msgs/Image.
        :param desired_encoding: an encoding, or 'passthrough' for that of the image.
        :returns: (H, W) or (H, W, C), in the type of the encoding.
        :raises CvBridgeError: when there is no such conversion.
        """
        dtype, channels = self.encoding_to_dtype_with_channels(img_msg.encoding)
        dtype = np.dtype(dtype).newbyteorder('>' if img_msg.is_bigendian else '<')
        shape = (img_msg.height, img_msg.width, channels)
        strides = (img_msg.step, dtype.itemsize * channels, dtype.itemsize)
        image = np.ndarray(shape, dtype, buffer=img_msg.data, strides=strides)
        if channels == 1:
            image = image[:, :, 0]
        if not dtype.isnative:
            image = image.astype(dtype.newbyteorder('='))
        return _convert(image, img_msg.encoding, desired_encoding)

    def cv2_to_imgmsg(self, cvim, encoding='passthrough', header=None):
        """
        Return an image message.

        :param cvim: (H, W) or (H, W, C).
        :param encoding: of the pixels; 'passthrough' names only their type, for example 8UC3.
        :param header: std_msgs/Header, or None for an empty one.
        :returns: sensor_msgs/Image.
        :raises CvBridgeError: when the pixels are not of that encoding.
        """
        if not isinstance(cvim, np.ndarray):
            raise TypeError('an image is a numpy array')
        channels = 1 if cvim.ndim == 2 else cvim.shape[2]
        own = f'{_DEPTH_OF_DTYPE[cvim.dtype.newbyteorder("=")]}C{channels}'
        if encoding == 'passthrough':
            encoding = own
        elif self.encoding_to_dtype_with_channels(encoding) != (cvim.dtype.name, channels):
            raise CvBridgeError(f'encoding specified as {encoding}, but the image is {own}')
        message = Image()
        if header is not None:
            message.header = header
        message.height, message.width = cvim.shape[:2]
        message.encoding = encoding
        message.is_bigendian = cvim.dtype.byteorder == '>' or (
            cvim.dtype.byteorder == '=' and sys.byteorder == 'big'
        )
        data = array.array('B')
        data.frombytes(memoryview(np.ascontiguousarray(cvim)).cast('B'))
        message.data = data
        message.step = len(data) // message.height if message.height else 0
        return message

    def compressed_imgmsg_to_cv2(self, cmprs_img_msg, desired_encoding='passthrough'):
        """
        Decode an image.

        :param cmprs_img_msg: sensor_msgs/CompressedImage.
        :param desired_encoding: an encoding, or 'passthrough' for what OpenCV decodes: bgr8.
        :returns: (H, W) or (H, W, C).
        :raises CvBridgeError: when it cannot be decoded or converted.
        """
        image = cv2.imdecode(np.frombuffer(cmprs_img_msg.data, np.uint8), cv2.IMREAD_ANYCOLOR)
        if image is None:
            raise CvBridgeError('the compressed image cannot be decoded')
        return _convert(image, 'mono8' if image.ndim == 2 else 'bgr8', desired_encoding)

    def cv2_to_compressed_imgmsg(self, cvim, dst_format='jpg'):
        """
        Encode an image.

        :param cvim: (H, W) or (H, W, 3) bgr.
        :param dst_format: jpg, png, tiff or bmp.
        :returns: sensor_msgs/CompressedImage.
        :raises CvBridgeError: when it cannot be encoded.
        """
        if not isinstance(cvim, np.ndarray):
            raise TypeError('an image is a numpy array')
        if dst_format not in _FORMAT_OF_FILE:
            raise CvBridgeError(f'cannot write the format {dst_format!r}')
        done, encoded = cv2.imencode(f'.{dst_format}', cvim)
        if not done:
            raise CvBridgeError(f'the image cannot be written as {dst_format}')
        return CompressedImage(
            format=_FORMAT_OF_FILE[dst_format], data=array.array('B', encoded.tobytes())
        )

    def encoding_to_dtype_with_channels(self, encoding):
        """
        Return the type of a value and the number of values of a pixel.

        :param encoding: a name of sensor_msgs, or OpenCV's such as 32FC1.
        :returns: name of the numpy type, number of channels.
        :raises CvBridgeError: when the encoding is not known.
        """
        if match := re.fullmatch(r'(8U|8S|16U|16S|32S|32F|64F)(?:C([1-4]))?', encoding):
            return np.dtype(_DTYPE_OF_DEPTH[match[1]]).name, int(match[2] or 1)
        if encoding in _YUV:
            return 'uint8', 2
        if match := re.fullmatch(
            r'(mono|rgba?|bgra?|bayer_(?:rggb|bggr|gbrg|grbg))(8|16)', encoding
        ):
            return f'uint{match[2]}', _CHANNELS.get(match[1], 1)
        raise CvBridgeError(f'Unrecognized image encoding [{encoding}]')


def _is_color(encoding):
    """Return whether an encoding defines the meaning of its channels."""
    return not re.match(r'\d', encoding)


def _convert(image, source, wanted):
    """
    Convert pixels from one encoding to another.

    First the channels, then the depth: between 8 and 16 bit the full range is scaled.
    """
    if wanted in ('passthrough', source):
        return image
    bridge = CvBridge()
    _, channels = bridge.encoding_to_dtype_with_channels(source)
    wanted_dtype, wanted_channels = bridge.encoding_to_dtype_with_channels(wanted)
    if not _is_color(source) and _is_color(wanted):
        raise CvBridgeError(
            f'[{source}] is not a color format. but [{wanted}] is. '
            'The conversion does not make sense'
        )
    if not (_is_color(source) and _is_color(wanted)):
        if channels != wanted_channels:
            raise CvBridgeError(f'[{source}] and [{wanted}] have different numbers of channels')
        return image.astype(wanted_dtype)
    source_kind, wanted_kind = source.rstrip('0123456789'), wanted.rstrip('0123456789')
    if wanted_kind not in _CHANNELS:
        raise CvBridgeError(f'there is no conversion from [{source}] to [{wanted}]')
    if source in _YUV:
        image, source_kind = (
            cv2.cvtColor(image, getattr(cv2, f'COLOR_YUV2RGB_{_YUV[source]}')),
            'rgb',
        )
    elif source_kind.startswith('bayer_'):
        pattern = source_kind.removeprefix('bayer_').upper()
        image, source_kind = cv2.cvtColor(image, getattr(cv2, f'COLOR_Bayer{pattern}2RGB')), 'rgb'
    if source_kind != wanted_kind:
        name = '2'.join('gray' if kind == 'mono' else kind for kind in (source_kind, wanted_kind))
        image = cv2.cvtColor(image, getattr(cv2, f'COLOR_{name.upper()}'))
    if image.dtype == np.uint8 and wanted_dtype == 'uint16':
        return image.astype(np.uint16) * 257
    if image.dtype == np.uint16 and wanted_dtype == 'uint8':
        return np.rint(image / 257.0).astype(np.uint8)
    return image
