"""Tests for the places of names beside their points."""

from itertools import combinations

import pytest
from matplotlib.text import Annotation

from benchmark.report.placement import Box, overlap, place_beside
from benchmark.report.style import new_figure


@pytest.mark.parametrize(
    ("one", "other", "area"),
    [
        ((0, 0, 4, 2), (1, 1, 2, 2), 2),
        ((0, 0, 4, 2), (0, 0, 1, 1), 1),
        ((0, 0, 4, 2), (4, 0, 4, 2), 0),
    ],
)
def test_the_overlap_of_two_boxes_is_the_area_that_they_share(one: Box, other: Box, area: float) -> None:
    assert overlap(one, other) == overlap(other, one) == area


def test_names_of_close_points_cover_neither_each_other_nor_the_edge_of_the_panel() -> None:
    figure = new_figure(3, "Title", "Subtitle")
    axes = figure.subplots()
    points = [(1.0, 0.90), (1.05, 0.905), (10.0, 0.95)]
    axes.set(xscale="log", xlim=(0.8, 11), ylim=(0.85, 0.955))
    names = [
        axes.annotate(f"a long name {place}\n0.9", point, (0, 0), textcoords="offset points", ha="center", va="center")
        for place, point in enumerate(points)
    ]
    assert _covered(names) > 0

    place_beside(figure, axes, names, [(x, y - 0.01, y + 0.01) for x, y in points])

    panel = axes.get_window_extent()
    assert _covered(names) == 0
    assert all(panel.contains(*corner) for name in names for corner in name.get_window_extent().corners())
    assert names[-1].get_position()[0] < 0, "the right edge leaves room on the left only"


def test_a_name_between_two_intervals_stands_above_its_own() -> None:
    figure = new_figure(3, "Title", "Subtitle")
    axes = figure.subplots()
    axes.set(xlim=(0, 10), ylim=(0, 10))
    beside = {"textcoords": "offset points", "ha": "center", "va": "center"}
    name = axes.annotate("a long name at the edge\n0.9", (9.5, 4), (0, 0), **beside)

    place_beside(figure, axes, [name], [(9.5, 3, 8), (9.0, 0, 7)])

    extent, panel = name.get_window_extent(), axes.get_window_extent()
    assert extent.y0 >= axes.transData.transform((9.5, 8))[1]
    assert extent.x1 <= panel.x1


def _covered(names: list[Annotation]) -> int:
    """How many pairs of names overlap, once the figure is laid out."""
    names[0].figure.draw_without_rendering()  # type: ignore[union-attr]
    extents = [name.get_window_extent() for name in names]
    return sum(bool(one.overlaps(other)) for one, other in combinations(extents, 2))
