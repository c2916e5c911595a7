# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The picture of a run: the map in perspective with the cameras, from above, images and depth."""

from __future__ import annotations

import io
from typing import IO

import cv2
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
import numpy as np
from PIL import Image

from ttt3r_ros.arrays import Array, Array32, Pixels
from ttt3r_ros.geometry import transform_points
from ttt3r_ros.mapping.occupancy import Occupancy
from ttt3r_ros.mapping.voxels import VoxelCloud
from ttt3r_ros.tools.captions import Caption
from ttt3r_ros.tools.occupancy_picture import draw_occupancy
from ttt3r_ros.tools.point_view import (
    above,
    alike,
    BACKGROUND,
    below_ceiling,
    on_background,
    perspective,
    rendered,
)
from ttt3r_ros.tools.run_record import Sample
from ttt3r_ros.trajectory import Trajectory

HALO, TRUE_PATH = 'white', '#111111'
TIME = colormaps['plasma']  # of path, cameras and frames, from the start to the end
TIME_RANGE = (0.0, 0.88)  # its last part is too pale for a line
DEPTH = colormaps['turbo_r']  # near is red
FACE = '#{:02x}{:02x}{:02x}'.format(*BACKGROUND)

# Of the picture, pixels.
WIDTH, MARGIN, GAP = 1300, 20, 8
TEXT, LINE, WARNING = 56, 22, 26
VIEW = (800, 470)
STRIP, TALLEST_STRIP, TITLE, BAR = 125, 160, 20, 64
MOST_FRAMES = 12

# Of the cameras in the map: how many, those with their image, and how large, part of the distance.
MOST_CAMERAS, CAMERA_SIZE = 24, 0.045
MOST_IMAGES, IMAGE_SIZE = 4, 0.12
# So many widths of the map further a true path is shown; one of another unit may be anywhere.
MOST_ROOM = 1.5
CUT_OFF = '; black: truth, cut off'
MARGIN_OF_TRUTH = 0.04  # around it, part of its size
OUTSIDE = '#888888'  # of frames that are not in the map


def draw_preview(
    file: IO[bytes],
    caption: Caption,
    cloud: VoxelCloud,
    trajectory: Trajectory,
    samples: list[Sample],
    voxel_size: float,
    floor: Occupancy | None = None,
    truth: Trajectory | None = None,
) -> None:
    """
    Draw the picture.

    :param file: open for binary writing; gets a PNG.
    :param caption: the text.
    :param cloud: the map; may be empty.
    :param trajectory: map_T_camera, at least one pose.
    :param samples: some are chosen, evenly; may be empty.
    :param voxel_size: of the map, metres.
    :param floor: the occupancy grid, or None.
    :param truth: map_T_camera of the true path, which begins where the other does, or None.
    """
    shown = chosen_samples(samples)
    top = TEXT + (WARNING if caption.warning else 0)
    below = top + TITLE + VIEW[1] + 30
    sheet = Sheet(
        WIDTH, below + (round(2 * strip_height(shown)) + TITLE + 2 * GAP if shown else 0)
    )
    sheet.write(caption)
    axes = sheet.axes(MARGIN, top + TITLE, *VIEW)
    draw_perspective(axes, cloud, trajectory, shown, voxel_size)
    left = MARGIN + VIEW[0] + 50
    room = WIDTH - left - MARGIN
    heights = [VIEW[1]] if floor is None else [VIEW[1] // 2 - 24] * 2
    from_above = sheet.axes(left, top + TITLE, room, heights[0])
    draw_from_above(from_above, cloud, trajectory, voxel_size, room / heights[0], truth)
    if floor is not None:
        grid = sheet.axes(left, top + TITLE + heights[0] + 48, room, heights[1])
        draw_occupancy(grid, floor)
        _draw_truth(grid, truth)
        _draw_path(grid, trajectory.poses[:, :2, 3])
        grid.set(xlim=from_above.get_xlim(), ylim=from_above.get_ylim())
    if shown:
        draw_strip(sheet, below, trajectory, shown)
    sheet.save(file)


class Sheet:
    """A picture whose parts are placed in pixels, from the upper left."""

    def __init__(self, width: int, height: int) -> None:
        """Begin an empty picture."""
        self._width, self._height = width, height
        self.figure = Figure(figsize=(width / 100, height / 100), dpi=100)
        FigureCanvasAgg(self.figure)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """
        Add axes.

        :param left: pixels.
        :param top: pixels, from the upper edge.
        :param width: pixels.
        :param height: pixels.
        """
        bottom = self._height - top - height
        part = (left / self._width, bottom / self._height)
        return self.figure.add_axes((*part, width / self._width, height / self._height))

    def write(self, caption: Caption) -> None:
        """Write the text at the top."""
        room = self._width - 2 * MARGIN
        lines = [(caption.headline, 14, '#111111', 'bold'), (caption.details, 9, '#555555', None)]
        if caption.warning:
            # The first sentence fits into the picture; the screen has the rest.
            first = caption.warning.partition(' (')[0]
            lines.append((first, 10, '#a03000', 'bold'))
        for number, (text, size, color, weight) in enumerate(lines):
            line = self.figure.text(
                MARGIN / self._width,
                1 - (12 + LINE * number) / self._height,
                # Names of files may have dollars, and bytes that are no text.
                text.encode(errors='replace').decode(),
                fontsize=size,
                color=color,
                weight=weight,
                va='top',
                parse_math=False,
            )
            line.set_fontsize(size * room / max(line.get_window_extent().width, room))

    def save(self, file: IO[bytes]) -> None:
        """
        Write the picture.

        :param file: open for binary writing; gets a PNG.
        """
        drawn = io.BytesIO()
        self.figure.savefig(drawn, format='png')
        # A palette makes the file a third as large, and hardly shows.
        picture = Image.open(drawn).convert('RGB')
        picture.quantize(256, Image.Quantize.MEDIANCUT).save(file, format='PNG', optimize=True)


def strip_height(samples: list[Sample]) -> float:
    """
    Return the height of the images in a strip, pixels; 0 without images.

    :param samples: of images of one size; may be empty.
    """
    return min(_most_and_height(samples[0])[1], TALLEST_STRIP) if samples else 0.0


def chosen_samples(samples: list[Sample]) -> list[Sample]:
    """
    Choose as many samples as fill a strip, evenly.

    :param samples: of images of one size; may be empty.
    """
    if not samples:
        return []
    most = min(_most_and_height(samples[0])[0], len(samples))
    chosen = np.linspace(0, len(samples) - 1, most).round().astype(int)
    return [samples[which] for which in chosen]


def _most_and_height(sample: Sample) -> tuple[int, float]:
    """Return how many images of this shape fill a strip, and their height, pixels."""
    height, width = sample.rgb.shape[:2]
    room = WIDTH - 2 * MARGIN - BAR
    heights = {n: (room / n - GAP) * height / width for n in range(1, MOST_FRAMES + 1)}
    most = min(heights, key=lambda n: abs(heights[n] - STRIP))
    return most, heights[most]


# ---- the map


def draw_perspective(
    axes: Axes,
    cloud: VoxelCloud,
    trajectory: Trajectory,
    samples: list[Sample],
    voxel_size: float,
) -> None:
    """
    Draw the map in perspective with the path and the cameras.

    :param axes: of the size VIEW.
    :param cloud: the map; may be empty.
    :param trajectory: map_T_camera, at least one pose.
    :param samples: shown as numbered images where their cameras were.
    :param voxel_size: of the map, metres.
    """
    poses = trajectory.poses
    seen = cloud if alike(poses) else below_ceiling(cloud, poses)
    placed = [
        (number, sample, index)
        for number, sample in enumerate(samples, start=1)
        if (index := index_at(trajectory, sample.stamp_ns)) is not None
    ]
    few = np.linspace(0, len(placed) - 1, min(MOST_IMAGES, len(placed))).round().astype(int)
    placed = [placed[which] for which in few]
    view = perspective(seen, poses, *VIEW)
    size = float(np.median(view.project(poses[:, :3, 3])[1]))
    frusta = {
        number: _frustum(poses[index], sample.tangents(), IMAGE_SIZE * size)
        for number, sample, index in placed
    }
    if frusta:
        view = perspective(seen, poses, *VIEW, np.concatenate(list(frusta.values())))
    picture = on_background(rendered(seen, view, voxel_size))
    corners = {number: view.project(frustum)[0] for number, frustum in frusta.items()}
    for number, sample, _ in placed:
        _put_image(picture, sample.rgb, corners[number][1:])
    axes.imshow(picture, extent=(0, view.width, view.height, 0), interpolation='none')
    axes.set(xlim=(0, view.width), ylim=(view.height, 0), xticks=[], yticks=[])
    axes.set_title('the map and the cameras', fontsize=10)
    _draw_path(axes, view.project(poses[:, :3, 3])[0])
    tangents = samples[0].tangents() if samples else (0.6, 0.45)
    few = np.linspace(0, len(poses) - 1, min(MOST_CAMERAS, len(poses))).round().astype(int)
    for index in few:
        outline = view.project(_frustum(poses[index], tangents, CAMERA_SIZE * size))[0]
        _draw_frustum(axes, outline, time_color(index / max(1, len(poses) - 1)), 0.7)
    for number, _, index in placed:
        color = time_color(index / max(1, len(poses) - 1))
        _draw_frustum(axes, corners[number], color, 1.4)
        _write_number(axes, corners[number][1], number, color)


def draw_from_above(
    axes: Axes,
    cloud: VoxelCloud,
    trajectory: Trajectory,
    voxel_size: float,
    aspect: float,
    truth: Trajectory | None = None,
) -> None:
    """
    Draw the map from above with the path.

    :param axes: axes of the drawing.
    :param cloud: the map; may be empty.
    :param trajectory: map_T_camera, at least one pose.
    :param voxel_size: of the map, metres.
    :param aspect: width of the axes by their height.
    :param truth: map_T_camera of the true path, or None.
    """
    positions = trajectory.poses[:, :3, 3]
    seen = below_ceiling(cloud, trajectory.poses)
    low, high = widened(*with_truth(*limits(seen.points[:, :2], positions[:, :2]), truth), aspect)
    draw_cloud_from_above(axes, seen, low, high, voxel_size)
    _draw_truth(axes, truth)
    _draw_path(axes, positions[:, :2])
    axes.plot(*positions[0, :2], 'o', color=time_color(0.0), mec=HALO, ms=9, zorder=3)
    axes.plot(*positions[-1, :2], 's', color=time_color(1.0), mec=HALO, ms=9, zorder=3)
    what = f'from above, metres; ● start, ■ end{truth_text(low, high, truth)}'
    axes.set_title(what, fontsize=10)
    draw_scale_bar(axes, low, high)


def truth_text(low: Array, high: Array, truth: Trajectory | None) -> str:
    """
    Return what a title says of the true path; empty without one.

    :param low: (2,) smallest x and y that are shown, metres.
    :param high: (2,) largest x and y, metres.
    :param truth: map_T_camera, or None.
    """
    if truth is None:
        return ''
    places = truth.poses[:, :2, 3]
    return '; black: truth' if ((places >= low) & (places <= high)).all() else CUT_OFF


def _draw_truth(axes: Axes, truth: Trajectory | None) -> None:
    """Draw the true path, thick, so that the estimate is seen on it."""
    if truth is not None:
        places = truth.poses[:, :2, 3].T
        axes.plot(*places, color=HALO, lw=6, solid_capstyle='round', zorder=1.5)
        axes.plot(*places, color=TRUE_PATH, lw=4, solid_capstyle='round', zorder=1.6)


def with_truth(low: Array, high: Array, truth: Trajectory | None) -> tuple[Array, Array]:
    """
    Return limits that show a true path, too, unless that leaves the map by far.

    :param low: (2,) smallest x and y, metres.
    :param high: (2,) largest x and y, metres.
    :param truth: map_T_camera, or None.
    """
    if truth is None:
        return low, high
    places, room = truth.poses[:, :2, 3], MOST_ROOM * (high - low).max()
    margin = MARGIN_OF_TRUTH * min(np.ptp(places, axis=0).max(), room)
    return (
        np.minimum(low, np.maximum(places.min(axis=0) - margin, low - room)),
        np.maximum(high, np.minimum(places.max(axis=0) + margin, high + room)),
    )


def draw_cloud_from_above(
    axes: Axes, cloud: VoxelCloud, low: Array, high: Array, voxel_size: float
) -> None:
    """
    Draw points from above, and set the limits of the axes.

    :param axes: axes of the drawing.
    :param cloud: the points; may be none.
    :param low: (2,) smallest x and y, metres.
    :param high: (2,) largest x and y, metres.
    :param voxel_size: of the map, metres.
    """
    pixel = float(np.max(high - low)) / 640
    view = above(low, high, pixel)
    extent = (low[0], low[0] + view.width * pixel, low[1], low[1] + view.height * pixel)
    axes.imshow(rendered(cloud, view, voxel_size), extent=extent, interpolation='none')
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    axes.set_facecolor(FACE)
    axes.grid(alpha=0.25, lw=0.6)
    axes.tick_params(labelsize=8)


def limits(points: Array32, positions: Array) -> tuple[Array, Array]:
    """
    Return limits around a path and nearly all points; outliers are outside.

    :param points: (N, 2) metres; may be none.
    :param positions: (N, 2) metres.
    :returns: (2,) smallest and (2,) largest x and y, metres.
    """
    low, high = positions.min(axis=0), positions.max(axis=0)
    if len(points):
        low = np.minimum(low, np.percentile(points, 2, axis=0))
        high = np.maximum(high, np.percentile(points, 98, axis=0))
    margin = 0.04 * max(float(np.max(high - low)), 0.5)
    return low - margin, high + margin


def widened(low: Array, high: Array, aspect: float) -> tuple[Array, Array]:
    """
    Return limits of the shape of the axes around the same middle.

    :param low: (2,) smallest x and y, metres.
    :param high: (2,) largest x and y, metres.
    :param aspect: width by height.
    """
    width, height = high - low
    half = 0.5 * np.array([max(width, height * aspect), max(height, width / aspect)])
    middle = 0.5 * (low + high)
    return middle - half, middle + half


def draw_scale_bar(axes: Axes, low: Array, high: Array) -> None:
    """
    Draw a bar of a round length into the lower right corner.

    :param axes: axes of the drawing.
    :param low: (2,) smallest x and y, metres.
    :param high: (2,) largest x and y, metres.
    """
    width = float(high[0] - low[0])
    power = 10.0 ** np.floor(np.log10(width / 4))
    length = max(factor * power for factor in (1, 2, 5) if factor * power <= width / 4)
    x, y = high[0] - 0.04 * width - length, low[1] + 0.04 * float(high[1] - low[1])
    halo = [withStroke(linewidth=5, foreground=HALO)]
    axes.plot([x, x + length], [y, y], color='black', lw=2.5, path_effects=halo)
    axes.annotate(
        f'{length:g} m',
        (x + length / 2, y),
        xytext=(0, 5),
        textcoords='offset points',
        ha='center',
        fontsize=9,
        path_effects=[withStroke(linewidth=3, foreground=HALO)],
    )


def time_color(part: float) -> tuple[float, float, float, float]:
    """
    Return the colour of a moment.

    :param part: of the run, from 0 to 1.
    """
    return TIME(TIME_RANGE[0] + part * (TIME_RANGE[1] - TIME_RANGE[0]))


def index_at(trajectory: Trajectory, stamp_ns: int) -> int | None:
    """
    Return the index of the pose at a stamp, or None.

    :param stamp_ns: nanoseconds.
    """
    index = int(np.searchsorted(trajectory.stamps_ns, stamp_ns))
    there = index < len(trajectory.stamps_ns) and trajectory.stamps_ns[index] == stamp_ns
    return index if there else None


def _draw_path(axes: Axes, places: Array) -> None:
    """Draw a path, (N, 2), coloured by time."""
    if len(places) < 2:
        return
    axes.plot(*places.T, color=HALO, lw=3.6, solid_capstyle='round')
    pieces = list(np.stack([places[:-1], places[1:]], axis=1))
    colors = [time_color(part) for part in np.linspace(0, 1, len(pieces))]
    axes.add_collection(LineCollection(pieces, colors=colors, linewidths=2.0, capstyle='round'))


def _frustum(map_T_camera: Array, tangents: tuple[float, float], size: float) -> Array:
    """Return the eye and the corners of the image of a camera, (5, 3) metres, map frame."""
    x, y = tangents
    corners = np.array([[0, 0, 0], [-x, -y, 1], [x, -y, 1], [x, y, 1], [-x, y, 1]]) * size
    return np.asarray(transform_points(map_T_camera, corners), np.float64)


def _draw_frustum(
    axes: Axes, outline: Array, color: tuple[float, float, float, float], width: float
) -> None:
    eye, corners = outline[0], outline[1:]
    lines = [np.stack([eye, corner]) for corner in corners] + [np.vstack([corners, corners[:1]])]
    axes.add_collection(LineCollection(lines, colors=[color], linewidths=width))


def _put_image(picture: Pixels, rgb: Pixels, corners: Array) -> None:
    """Warp an image between four corners of a picture, (4, 2) pixels, in place."""
    height, width = rgb.shape[:2]
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    warp = cv2.getPerspectiveTransform(source, corners.astype(np.float32))
    size = (picture.shape[1], picture.shape[0])
    warped = cv2.warpPerspective(rgb, warp, size)
    inside = cv2.warpPerspective(np.full((height, width), 255, np.uint8), warp, size)
    picture[inside > 127] = warped[inside > 127]


def _write_number(
    axes: Axes, place: Array, number: int, color: tuple[float, float, float, float]
) -> None:
    axes.annotate(
        str(number),
        (float(place[0]), float(place[1])),
        color='white',
        fontsize=8,
        weight='bold',
        ha='center',
        va='center',
        bbox={'boxstyle': 'circle,pad=0.2', 'fc': color, 'ec': HALO, 'lw': 0.8},
        annotation_clip=True,
    )


# ---- images and their depth


def draw_strip(sheet: Sheet, top: float, trajectory: Trajectory, samples: list[Sample]) -> None:
    """
    Draw images, below them their depth, all on one scale.

    :param sheet: the picture.
    :param top: of the strip, pixels.
    :param trajectory: for the colours of their times.
    :param samples: those chosen, at least one.
    """
    tall = strip_height(samples)
    known = np.concatenate([sample.depth[sample.depth > 0] for sample in samples])
    near, far = np.percentile(known, [2, 98]).tolist() if len(known) else (0.0, 1.0)
    norm = Normalize(near, max(far, near + 1e-6))
    height, width = samples[0].rgb.shape[:2]
    wide = tall * width / height
    for number, sample in enumerate(samples, start=1):
        left = MARGIN + (number - 1) * (wide + GAP)
        index = index_at(trajectory, sample.stamp_ns)
        last = max(1, len(trajectory.stamps_ns) - 1)
        color = OUTSIDE if index is None else time_color(index / last)
        where = ', not in the map' if index is None else ''
        image = sheet.axes(left, top + TITLE, wide, tall)
        image.imshow(sample.rgb, aspect='auto')
        image.set_title(f'{number}: frame {sample.index}{where}', fontsize=8, color=color)
        depth = sheet.axes(left, top + TITLE + tall + GAP, wide, tall)
        depth.imshow(sample.depth, cmap=DEPTH, norm=norm, aspect='auto')
        for axes in (image, depth):
            axes.set(xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set(edgecolor=color, linewidth=1.8)
    right = MARGIN + len(samples) * (wide + GAP)
    bar = sheet.axes(right, top + TITLE + tall + GAP, 12, tall)
    sheet.figure.colorbar(ScalarMappable(norm, DEPTH), cax=bar)
    bar.tick_params(labelsize=8)
    bar.invert_yaxis()
    bar.set_title('depth [m]', fontsize=8, loc='left')
