"""Places for names beside the points of a panel, where they cover neither points nor each other."""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

Box = tuple[float, float, float, float]  # middle, width and height, in points
MARKER = 7.0  # the width of a marker, in points
NEAR, ABOVE = 6.0, 4.0  # from a point to its name beside it and above it, in points
HIDING = 4.0  # how much worse it is to lie outside the panel or on a marker than on a name or an interval
SIDES = ((1, -1), (1, 1), (-1, 1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0))
"""Where a name can lie from its point, the usual place first: to the right and below."""
ALIGNED: dict[int, Literal["left", "center", "right"]] = {1: "left", 0: "center", -1: "right"}
"""How the lines of a name are aligned on each side."""


def overlap(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    width = (one[2] + other[2]) / 2 - abs(one[0] - other[0])
    height = (one[3] + other[3]) / 2 - abs(one[1] - other[1])
    return max(0.0, min(width, one[2], other[2])) * max(0.0, min(height, one[3], other[3]))


def place_beside(
    figure: Figure, axes: Axes, names: Sequence[Annotation], intervals: Iterable[tuple[float, float, float]]
) -> None:
    """Move each name to the side of its point, or above its interval, where it covers least.

    Earlier names choose first. A name avoids the markers of all names, the `intervals` (x, low, high), the names that
    were placed before it, and the edges of the panel.
    """
    figure.draw_without_rendering()  # the layout gives the panel its size
    points_per_pixel = 72 / figure.dpi

    def middle(x: float, y: float) -> tuple[float, float]:
        return tuple(axes.transData.transform((x, y)) * points_per_pixel)

    markers: list[Box] = [(*middle(*name.xy), MARKER, MARKER) for name in names]
    taken: list[Box] = []
    ends: dict[float, float] = {}  # the upper end of the interval by the point's place across
    for x, low, high in intervals:
        (across, bottom), (_, top) = middle(x, low), middle(x, high)
        taken.append((across, (bottom + top) / 2, 2.0, top - bottom))
        ends[across] = top
    left, bottom, right, top = (edge * points_per_pixel for edge in axes.get_window_extent().extents)
    panel = ((left + right) / 2, (bottom + top) / 2, right - left, top - bottom)
    for name in names:
        extent = name.get_window_extent()
        width, height = extent.width * points_per_pixel, extent.height * points_per_pixel
        x, y = middle(*name.xy)
        boxes = [
            (x + side * (NEAR + width / 2), y + rise * (ABOVE + height / 2), width, height) for side, rise in SIDES
        ]
        if x in ends:  # last choice: above the interval, moved into the panel
            inside = min(max(x, left + width / 2), right - width / 2)
            boxes.append((inside, ends[x] + 1 + height / 2, width, height))
        hidden = [
            width * height - overlap(box, panel) + sum(overlap(box, marker) for marker in markers) for box in boxes
        ]
        covered = [sum(overlap(box, other) for other in taken) for box in boxes]
        chosen = int(np.argmin(np.round(HIDING * np.array(hidden) + covered, 1)))
        taken.append(boxes[chosen])
        name.set_multialignment(ALIGNED[SIDES[chosen][0]] if chosen < len(SIDES) else "center")
        name.set_position((boxes[chosen][0] - x, boxes[chosen][1] - y))
