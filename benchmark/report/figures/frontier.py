"""Accuracy against every cost."""

import textwrap
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullLocator

from benchmark.analysis import costs
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.configurations import COSTS
from benchmark.report.figure import Figure, compared
from benchmark.report.style import ACCURACY_RANGE, BLUE, INK, MUTED, NARROW, WIDTH, house_style, new_figure
from benchmark.report.wording import listed

MOST = 24  # as many names fit below the panels
MOST_BELOW = 3  # configurations below the axis that the subtitle names
LINE = 120  # characters of a line below the panels
SIZE = 7.5  # of its font
WIDEST = 54  # characters of a name that fit in one of two columns
Array = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]  # middle, width and height
UNITS = {
    "training_seconds": ("training time, seconds", 1.0),
    "peak_memory": ("peak memory, GB", 1e-9),
    "trained_parameters": ("trained parameters", 1.0),
    "seconds_per_text": ("prediction time, ms/text", 1000.0),
}
"""The axis label of each cost, and the factor to its unit."""
ON_GPU = (
    "Circles ran on a CPU (memory of the process, with its libraries), squares on a GPU (memory of the GPU); only "
    "their trained parameters are compared with each other. "
)
KINDS = {"encoder": BLUE, "decoder": "#d55e00", "linear": "#009e73"}
"""The colour of each kind of model, from the palette of Okabe and Ito; other kinds are dark grey."""
SPREAD = (210.0, 140.0)  # about the width and height of a panel, in points
DIGIT = (6.5, 8.5)  # those of a digit, with a margin
NEXT = 4.5  # the width of every further character
MARKER = 7.0  # the width of a marker
COVERING = 4.5  # the distance below which markers cover each other
DISTANCES = (9.0, 14.0, 20.0, 28.0, 36.0)
"""From a point to the middle of its number, in points; a farther number than the first gets a line."""
DIRECTIONS = [(1, 0.7), (1, -0.7), (-1, 0.7), (-1, -0.7), (0, 1), (0, -1), (1, 0), (-1, 0)]


@house_style()
def frontier(analysis: AnalysedResults, dataset: str, width: float = WIDTH) -> Drawing | None:
    """Accuracy against each cost, one panel each, below each other if it is narrow; then the names of the numbers."""
    comparable = compared(analysis)
    found, below = _drawn_and_below(comparable)
    measured = [cost for cost in COSTS if comparable[cost].notna().sum() > 1 and found[cost].notna().any()]
    if not measured:
        return None
    first = measured[0]
    leads = costs.significant_leads(analysis.comparisons)
    narrow = width < WIDTH
    panels_in_row = 1 if narrow else min(2, len(measured))
    rows = -(-len(measured) // panels_in_row)
    size = SIZE + narrow
    line = int(LINE * width / WIDTH * SIZE / size)
    names = [textwrap.fill(name, line, subsequent_indent=4 * " ") for name in _names(found, measured, leads)]
    columns = 1 if narrow or max(map(len, names)) > WIDEST else 2
    lines = sum(0.17 + 0.125 * name.count("\n") for name in names)
    figure = new_figure(
        2.6 * rows + 0.6 + lines / columns,
        f"Accuracy against cost, {dataset} test split",
        _best(found, measured)
        + "Filled and joined by a line: significantly more accurate than every cheaper filled model. "
        + ON_GPU * bool(found["on_gpu"].any())
        + "Vertical lines in the first panel: 95% intervals."
        + (f" Below the axis and not drawn: {'; '.join(below)}." if below else ""),
        width,
    )
    grid = figure.subplots(rows, panels_in_row, sharey=True, squeeze=False)
    panels: dict[str, Axes] = dict(zip(measured, grid.flat, strict=False))
    for unused in [*grid.flat][len(measured) :]:
        unused.remove()
    kinds = [Patch(color=KINDS.get(kind, INK), label=kind) for kind in dict.fromkeys(found["kind"])]
    panels[first].legend(handles=kinds, loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=len(kinds), borderpad=0)
    for cost, axes in panels.items():
        best = comparable.loc[costs.frontier(comparable, cost, leads), "configuration"]
        _draw_panel(axes, found.assign(best=found["configuration"].isin(best)), cost, intervals=cost == first)
    for axes in grid[:, 0]:
        axes.set(ylabel="accuracy")
    for axes, cost in zip(panels.values(), panels, strict=True):
        _write_numbers(axes, found, cost)
    figure.legend(
        handles=[Line2D([], [], linestyle="none", label=name) for name in names],
        loc="outside lower left", ncols=columns, handlelength=0, handletextpad=0, fontsize=size, columnspacing=1.0,
    )  # fmt: skip
    return figure


def _best(found: pd.DataFrame, measured: list[str]) -> str:
    """The most accurate configuration, which is the first row, and its panels if it lacks a cost."""
    best = found.iloc[0]
    own = [COSTS[cost] for cost in measured if pd.notna(best[cost])]
    only = "" if len(own) == len(measured) else f" (only in the panels of {listed(own)})"
    return f"Most accurate: {best['short_name']}, {best['accuracy']:.4f}{only}. "


def _drawn_and_below(comparable: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The configurations with a cost whose accuracy is in the axis, and name and accuracy of those below it."""
    priced = comparable[comparable[[*COSTS]].notna().any(axis=1)]
    high = priced["accuracy"].astype(float) >= priced["accuracy"].max() - ACCURACY_RANGE
    below = [f"{row['short_name']} ({row['accuracy']:.4f})" for _, row in priced[~high].iterrows()]
    more = [f"{len(below) - MOST_BELOW} more"] if len(below) > MOST_BELOW else []
    return priced[high].head(MOST).reset_index(drop=True), below[:MOST_BELOW] + more


def _draw_panel(axes: Axes, found: pd.DataFrame, cost: str, intervals: bool) -> None:
    """Draw every configuration by accuracy and one cost."""
    points = _points(found, cost)
    best = points[points["best"]].sort_values("x", kind="stable")
    on_gpu = best["on_gpu"].astype(bool) & (cost in costs.BY_DEVICE)
    for part, style in ((best[~on_gpu], "-"), (best[on_gpu], ":")):
        axes.step(part["x"], part["accuracy"], style, where="post", color=MUTED, linewidth=0.9)
    for _, row in points.sort_values("on_gpu", kind="stable").iterrows():  # a square would cover a circle less
        colour = KINDS.get(row["kind"], INK)
        if intervals:
            axes.vlines(row["x"], row["low"], row["high"], color=colour, alpha=0.35, linewidth=1.6)
        axes.plot(row["x"], row["accuracy"], marker="s" if row["on_gpu"] else "o", markersize=5 + row["best"],
                  color=colour, markerfacecolor=colour if row["best"] else "white",
                  markeredgecolor="white" if row["best"] else colour, zorder=3 if row["best"] else 2)  # fmt: skip
    axes.set_xscale("log")
    axes.margins(x=0.1, y=0.1)
    wide = points["x"].max() > 300 * points["x"].min()
    axes.xaxis.set_major_locator(LogLocator(subs=(1,), numticks=5) if wide else LogLocator(subs=(1, 2, 5), numticks=12))
    axes.xaxis.set_major_formatter(_with_prefix)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:.3f}")  # all of one width, so the panels align
    axes.set(xlabel=UNITS[cost][0])
    axes.grid()


def _points(found: pd.DataFrame, cost: str) -> pd.DataFrame:
    """The configurations with this cost, as `x` in its unit."""
    points = found.assign(x=found[cost].astype(float) * UNITS[cost][1])
    return points[points["x"].notna()]


def _write_numbers(axes: Axes, found: pd.DataFrame, cost: str) -> None:
    """Write each point's number beside it, where it covers no other point or number and is nearest to its own.

    Points that cover each other share one text.
    """
    axes.autoscale_view()
    points = _points(found, cost)
    places = points[["x", "accuracy"]].to_numpy(dtype=float)
    middles = axes.transAxes.inverted().transform(axes.transData.transform(places)) * SPREAD
    boxes = [(*middle, MARKER, MARKER) for middle in middles]
    line = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
    for group in _covering(middles):
        number = ", ".join(str(points.index[point] + 1) for point in group)
        place, middle = places[group].mean(axis=0), middles[group].mean(axis=0)
        offsets = [(distance * x, distance * y) for distance in DISTANCES for x, y in DIRECTIONS]
        width = DIGIT[0] + NEXT * (len(number) - 1)
        offsets = [(x + np.sign(x) * (width - DIGIT[0]) / 2, y) for x, y in offsets]
        tried = [(middle[0] + x, middle[1] + y, width, DIGIT[1]) for x, y in offsets]
        near, others = len(DIRECTIONS), np.delete(middles, group, axis=0)
        faults = [
            sum(_overlap(box, other) for other in boxes)
            + _misplaced(box, middle, others[: None if place < near else 0])
            for place, box in enumerate(tried)  # a line tells whose a farther number is
        ]
        chosen = int(np.argmin(np.round(faults, 3)))
        boxes.append(tried[chosen])
        axes.annotate(
            number, tuple(place), offsets[chosen], textcoords="offset points", size=7.5, ha="center", va="center",
            arrowprops=line if chosen >= near else None,
        )  # fmt: skip


def _covering(middles: Array) -> list[list[int]]:
    """The points in groups: one joins a group if its marker covers much of a marker there."""
    groups: list[list[int]] = []
    for point, middle in enumerate(middles):
        near = [group for group in groups if (np.hypot(*(middles[group] - middle).T) < COVERING).any()]
        joined = sorted([point, *(other for group in near for other in group)])
        groups = [*(group for group in groups if group not in near), joined]
    return sorted(groups)


def _overlap(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    width = (one[2] + other[2]) / 2 - abs(one[0] - other[0])
    height = (one[3] + other[3]) / 2 - abs(one[1] - other[1])
    return max(0.0, min(width, one[2], other[2])) * max(0.0, min(height, one[3], other[3]))


def _misplaced(box: Box, own: Array, points: Array) -> float:
    """An area for a number that is outside the panel or as near to another of the points as to its own."""
    outside = not (0 < box[0] < SPREAD[0] and 0 < box[1] < SPREAD[1])
    to_own = np.hypot(*(own - box[:2]))
    nearer = bool((np.hypot(*(points - box[:2]).T) < to_own + 1).any())
    return DIGIT[0] * DIGIT[1] * (outside + nearer)


def _names(found: pd.DataFrame, measured: list[str], leads: costs.Leads) -> list[str]:
    """Number, name and accuracy, the machine if most ran on another, missing costs, and what dominates it."""
    number = {configuration: place + 1 for place, configuration in enumerate(found["configuration"])}
    usual = found["machine"].value_counts().index[0]
    names = []
    for (_, row), dominating in zip(found.iterrows(), costs.dominated_by(found, leads), strict=True):
        elsewhere = "" if row["machine"] == usual else f" on {row['machine']}"
        missing = [COSTS[cost] for cost in measured if pd.isna(row[cost])]
        absent = f"; no {listed(missing, 'or')}" if missing else ""
        dominated = _dominated(row, found.iloc[number[dominating[0]] - 1], number[dominating[0]]) if dominating else ""
        name = textwrap.shorten(row["short_name"], 84, placeholder=" ...")
        names.append(f"{number[row['configuration']]}  {name}, {row['accuracy']:.4f}{elsewhere}{absent}{dominated}")
    return names


def _dominated(row: pd.Series, other: pd.Series, number: int) -> str:
    """That the other, with this number, is as good, and which of its costs are lower."""
    less = [name for cost, name in COSTS.items() if pd.notna(row[cost]) and other[cost] < row[cost]]
    lower = f"with less {listed(less)}" if less else "which is as cheap"
    return f"; no significant gain over {number}, {lower}"


def _with_prefix(value: float, _: Any = None) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


FIGURES = (
    Figure(
        "frontier",
        "Accuracy against each cost, with the frontier.",
        "accuracy",
        frontier,
        draw_narrow=partial(frontier, width=NARROW),
    ),
)
