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
from benchmark.report.colours import INK, KINDS, MUTED
from benchmark.report.figure import Figure
from benchmark.report.placement import MARKER, Box, overlap
from benchmark.report.style import ACCURACY_RANGE, NARROW, WIDTH, FigureFooter, house_style, new_figure
from benchmark.report.wording import listed

MOST = 24  # as many names fit below the panels
MOST_BELOW = 3  # configurations below the axis that are named
FEWEST = 3  # configurations that are worth a figure
Array = npt.NDArray[np.float64]
UNITS = {
    "training_seconds": ("training time, seconds", 1.0),
    "peak_memory": ("peak memory, GB", 1e-9),
    "trained_parameters": ("trained parameters", 1.0),
    "seconds_per_text": ("prediction time, ms/text", 1000.0),
}
"""The axis label of each cost, and the factor to its unit."""
LESS = {
    "training_seconds": "trains faster",
    "peak_memory": "needs less memory",
    "trained_parameters": "trains fewer parameters",
    "seconds_per_text": "predicts faster",
}
"""What a model does whose cost is lower."""
SPREAD = (210.0, 140.0)  # about the width and height of a panel, in points
DIGIT = (6.5, 8.5)  # those of a digit, with a margin
NEXT = 4.5  # the width of every further character
NARROW_SPAN, WIDE_SPAN = 3, 300  # of costs: a smaller span has a linear axis, a larger one ticks at powers of ten only
COVERING = 4.5  # the distance below which markers cover each other
DISTANCES = (9.0, 14.0, 20.0, 28.0, 36.0)
"""From a point to the middle of its number, in points; a farther number than the first gets a line."""
DIRECTIONS = [(1, 0.7), (1, -0.7), (-1, 0.7), (-1, -0.7), (0, 1), (0, -1), (1, 0), (-1, 0)]


@house_style()
def frontier(analysis: AnalysedResults, dataset: str, width: float = WIDTH) -> Drawing | None:
    """Draw accuracy against each cost, one panel each, and below the panels the names of the numbered points."""
    comparable = analysis.comparable
    plotted, below = _drawn_and_below(comparable)
    measured = [cost for cost in COSTS if len(_points(comparable, cost)) > 1 and len(_points(plotted, cost))]
    if len(plotted) + len(below) < FEWEST or not measured:
        return None
    first = measured[0]
    leads = costs.significant_leads(analysis.comparisons)
    narrow = width < WIDTH
    panels_in_row = 1 if narrow else min(2, len(measured))
    rows = -(-len(measured) // panels_in_row)
    notes = FigureFooter([*_names(plotted, measured, leads), *_notes(plotted, below)], width, 8.5 if narrow else 7.5)
    figure = new_figure(
        2.6 * rows + 0.7 + 0.35 * narrow + notes.height,
        f"Accuracy against cost, {dataset} test split",
        "Up is more accurate, left is cheaper.",
        width,
    )
    frontiers = {
        cost: set(comparable.loc[costs.frontier(comparable, cost, leads), "configuration"]) for cost in measured
    }
    figure.set_label(_caption(plotted, measured, frontiers))
    grid = figure.subplots(rows, panels_in_row, sharey=True, squeeze=False)
    panels: dict[str, Axes] = dict(zip(measured, grid.flat, strict=False))
    for unused in [*grid.flat][len(measured) :]:
        unused.remove()
    for cost, axes in panels.items():
        _draw_panel(axes, plotted.assign(best=plotted["configuration"].isin(frontiers[cost])), cost)
    for axes in grid[:, 0]:
        axes.set(ylabel="accuracy")
    for axes, cost in zip(panels.values(), panels, strict=True):
        _write_numbers(axes, plotted, cost)
    for axes in grid[0]:
        axes.set_title(2 * narrow * "\n" + " ", size=9)  # room for the key
    key = _key(plotted)
    panels[first].legend(
        handles=key, loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=3 if narrow else len(key), borderpad=0,
        handletextpad=0.3, handlelength=1.2, columnspacing=1.0,
    ).set_in_layout(False)  # fmt: skip
    notes.write(figure)
    return figure


def _caption(plotted: pd.DataFrame, measured: list[str], frontiers: dict[str, set[str]]) -> str:
    """The caption: the most accurate configuration that is drawn on the frontier of each cost."""
    costs_of: dict[str, list[str]] = {}
    for cost in measured:
        drawn = _points(plotted, cost)
        on_frontier = plotted.loc[drawn.index][plotted.loc[drawn.index, "configuration"].isin(frontiers[cost])]
        for name in on_frontier["short_name"].head(1):
            costs_of.setdefault(name, []).append(COSTS[cost])
    parts = [f"{name} for {listed(names)}" for name, names in costs_of.items()]
    return "" if not parts else f"Of the points drawn, the most accurate on the frontier is {'; '.join(parts)}."


def _key(plotted: pd.DataFrame) -> list[Patch | Line2D]:
    """The key: what colours and marks mean."""
    kinds: list[Patch | Line2D] = [Patch(color=KINDS.get(kind, INK), label=kind) for kind in plotted["kind"].unique()]
    marks = {"CPU": ("o", "white"), "GPU": ("s", "white")} if plotted["on_gpu"].any() else {}
    marks |= {"on the frontier": ("o", INK), "95% interval": ("|", INK)}
    return kinds + [
        Line2D([], [], linestyle="none", marker=marker, color=INK, markerfacecolor=face, label=label)
        for label, (marker, face) in marks.items()
    ]


def _notes(plotted: pd.DataFrame, below: list[str]) -> list[str]:
    """The notes on the frontier, on machines, and on configurations that are not drawn."""
    own = " CPUs and GPUs have frontiers of their own, except for trained parameters." * bool(plotted["on_gpu"].any())
    notes = [f"On the frontier: significantly more accurate than every cheaper model on it.{own}"]
    if plotted["machine"].nunique() > 1:
        machine = f"Machine: {_usual_machine(plotted)}, unless another is named."
        notes.append(f"{machine} Times on different machines are not comparable one to one.")
    if below:
        notes.append(f"Below the axis and not drawn: {'; '.join(below)}.")
    return notes


def _usual_machine(plotted: pd.DataFrame) -> str:
    return str(plotted["machine"].value_counts().index[0])


def _drawn_and_below(comparable: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The configurations with a cost in the range of the axis, and name and accuracy of the configurations below it."""
    priced = comparable[comparable[[*COSTS]].notna().any(axis=1)]
    high = priced["accuracy"].astype(float) >= priced["accuracy"].max() - ACCURACY_RANGE
    below = [f"{row['short_name']} ({row['accuracy']:.4f})" for _, row in priced[~high].iterrows()]
    more = [f"{len(below) - MOST_BELOW} more"] if len(below) > MOST_BELOW else []
    return priced[high].head(MOST).reset_index(drop=True), below[:MOST_BELOW] + more


def _draw_panel(axes: Axes, plotted: pd.DataFrame, cost: str) -> None:
    """Draw every configuration by accuracy and one cost."""
    points = _points(plotted, cost)
    best = points[points["best"]].sort_values("x", kind="stable")
    axes.step(best["x"], best["accuracy"], where="post", color=MUTED, linewidth=0.9)
    for _, row in points.sort_values("on_gpu", kind="stable").iterrows():  # a square would cover a circle less
        colour = KINDS.get(row["kind"], INK)
        axes.vlines(row["x"], row["low"], row["high"], color=colour, alpha=0.3, linewidth=1.4)
        axes.plot(row["x"], row["accuracy"], marker="s" if row["on_gpu"] else "o", markersize=5 + row["best"],
                  color=colour, markerfacecolor=colour if row["best"] else "white",
                  markeredgecolor="white" if row["best"] else colour, zorder=3 if row["best"] else 2)  # fmt: skip
    axes.margins(x=0.1, y=0.1)
    span = points["x"].max() / points["x"].min()
    if span > NARROW_SPAN:
        subs, most = ((1,), 5) if span > WIDE_SPAN else ((1, 2, 5), 12)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=most))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(_with_prefix)
    axes.yaxis.set_major_formatter("{x:.3f}")  # all of one width, so the panels align
    axes.set(xlabel=UNITS[cost][0])
    axes.grid()


def _points(plotted: pd.DataFrame, cost: str) -> pd.DataFrame:
    """The configurations with this cost, as `x` in its unit; if it depends on the device, only on the usual device."""
    points = plotted.assign(x=plotted[cost].astype(float) * UNITS[cost][1])
    return points[points["x"].notna() & ((cost not in costs.BY_DEVICE) | _on_usual_device(plotted))]


def _on_usual_device(plotted: pd.DataFrame) -> pd.Series:
    """Whether each configuration ran on a GPU, if most did, or on a CPU."""
    on_gpu = plotted["on_gpu"].astype(bool)
    return on_gpu == (on_gpu.mean() > 0.5)


def _write_numbers(axes: Axes, plotted: pd.DataFrame, cost: str) -> None:
    """Write each point's number beside it, where it covers no other point or number and is nearest to its own.

    Points that cover each other share one text.
    """
    axes.autoscale_view()
    points = _points(plotted, cost)
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
            sum(overlap(box, other) for other in boxes) + _misplaced(box, middle, others[: None if place < near else 0])
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


def _misplaced(box: Box, point: Array, points: Array) -> float:
    """An area for a number that is outside the panel or as near to another of the points as to its own."""
    outside = not (0 < box[0] < SPREAD[0] and 0 < box[1] < SPREAD[1])
    to_own = np.hypot(*(point - box[:2]))
    nearer = bool((np.hypot(*(points - box[:2]).T) < to_own + 1).any())
    return DIGIT[0] * DIGIT[1] * (outside + nearer)


def _names(plotted: pd.DataFrame, measured: list[str], leads: costs.Leads) -> list[str]:
    """The text of each number: name, accuracy, an unusual machine, missing costs, and a dominating configuration."""
    number = {configuration: place + 1 for place, configuration in enumerate(plotted["configuration"])}
    usual, dominators = _usual_machine(plotted), costs.dominated_by(plotted, leads)
    names = []
    for (_, row), drawn, dominating in zip(plotted.iterrows(), _on_usual_device(plotted), dominators, strict=True):
        elsewhere = "" if row["machine"] == usual else f" on {row['machine']}"
        missing = [COSTS[cost] for cost in measured if pd.isna(row[cost])]
        absent = f"; no {listed(missing, 'or')}" if missing else ""
        others = [] if drawn else [_cost_in_words(row, cost) for cost in costs.BY_DEVICE if pd.notna(row[cost])]
        not_drawn = f"; not drawn: {listed(others)}" if others else ""
        dominated = (
            _dominated(row, plotted.iloc[number[dominating[0]] - 1], number[dominating[0]]) if dominating else ""
        )
        name = textwrap.shorten(row["short_name"], 84, placeholder=" ...")
        name += f", {row['accuracy']:.4f}{elsewhere}{absent}{not_drawn}{dominated}"
        names.append(f"{number[row['configuration']]}  {name}")
    return names


def _cost_in_words(row: pd.Series, cost: str) -> str:
    """The name, value and unit of a cost."""
    (name, _, unit), factor = UNITS[cost][0].partition(", "), UNITS[cost][1]
    return f"{name} {row[cost] * factor:.3g} {unit}"


def _dominated(row: pd.Series, other: pd.Series, number: int) -> str:
    """A clause which says that `other`, with this number, is as good, and which of its costs are lower."""
    less = [verb for cost, verb in LESS.items() if pd.notna(row[cost]) and other[cost] < row[cost]]
    return f"; not significantly better than {number}, which {listed(less) if less else 'is as cheap'}"


def _with_prefix(value: float, _: Any = None) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


FIGURES = (
    Figure(
        "frontier",
        "Accuracy against each cost, with the frontier.",
        "cost",
        frontier,
        draw_narrow=partial(frontier, width=NARROW),
    ),
)
