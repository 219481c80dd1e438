"""Comparisons drawn: the matrix of all pairs, and accuracy against each cost."""

import textwrap
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmark.analysis import comparisons, study
from benchmark.analysis.configurations import COSTS
from benchmark.analysis.costs import dominated_by
from benchmark.analysis.costs import frontier as on_frontier
from benchmark.report.style import ACCURACY_RANGE, BLUE, INK, MUTED, house_style, new_figure
from benchmark.report.table import Analysis

MOST_PAIRED = 14  # with more configurations the cells are too small for their numbers
MOST_OFFERED = 24  # as many labels fit below the panels
UNITS = {
    "training_seconds": ("training time, seconds", 1.0),
    "peak_memory": ("peak memory, GiB", 2.0**-30),
    "trained_parameters": ("trained parameters", 1.0),
    "seconds_per_text": ("prediction time per text, ms", 1000.0),
}
"""Axis label of each cost, and the factor to its unit."""
CORNERS: list[dict[str, Any]] = [
    {"xytext": (4, 3), "ha": "left"},
    {"xytext": (4, -3), "ha": "left", "va": "top"},
    {"xytext": (-4, 3), "ha": "right"},
    {"xytext": (-4, -3), "ha": "right", "va": "top"},
]
"""Positions of a point's number."""
NEAR = (0.09, 0.14)  # width and height of a number, as shares of a small panel
TIED, DIFFERENT = "#f3f3f3", "#9ecae1"  # readable under dark text, and different in greyscale


@house_style()
def pairwise(analysis: Analysis) -> Figure | None:
    """The test set with most configurations: differences above the diagonal, p-values below, ties pale."""
    field = next((field for field in comparisons.fields(analysis.configurations) if len(field) > 1), None)
    if field is None:
        return None
    shown = field.head(MOST_PAIRED)
    left_out = f"; the best {len(shown)} of {len(field)}" if len(shown) < len(field) else ""
    figure = new_figure(
        1.5 + 0.36 * len(shown),
        f"Which models differ, {study.DATASET} test split{left_out}",
        "Above the diagonal: accuracy of the row minus that of the column, in points. Below it: McNemar's p of the "
        "same pair, corrected by Holm for all pairs. Shaded: they differ; pale: tied.",
    )
    axes = figure.subplots()
    _draw_matrix(axes, analysis, shown)
    labels = [textwrap.fill(label, 36, max_lines=2, placeholder=" ...") for label in shown["label"]]
    axes.set_yticks(range(len(shown)), labels, size=7.5)
    axes.tick_params(axis="y", pad=58)
    beside: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "va": "center"}
    for place, accuracy in enumerate(shown["accuracy"]):
        at = {"xy": (0, place), "xycoords": axes.get_yaxis_transform(), **beside}
        axes.annotate(f"{accuracy:.4f}", xytext=(-22, 0), size=7.5, **at)
        axes.annotate(str(place + 1), xytext=(-6, 0), size=8, **at)
    axes.set_xticks(range(len(shown)), [str(place + 1) for place in range(len(shown))], size=8)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    key = [Patch(facecolor=DIFFERENT, label="differ"), Patch(facecolor=TIED, edgecolor=MUTED, label="tied")]
    figure.legend(handles=key, loc="outside lower right", ncols=2)
    return figure


def _draw_matrix(axes: Axes, analysis: Analysis, shown: pd.DataFrame) -> None:
    pairs = {(row["better"], row["other"]): row for _, row in analysis.comparisons.iterrows()}
    few = len(shown) <= 8
    for (row, one), (column, other) in combinations(enumerate(shown["configuration"]), 2):
        pair = pairs[one, other]
        texts = ((column, row, f"{100 * pair['difference']:+.1f}"), (row, column, _short(pair["adjusted_p"])))
        for x, y, text in texts:
            face = DIFFERENT if pair["differs"] else TIED
            axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=face))
            weight = "bold" if pair["differs"] and few else "normal"
            axes.text(x, y, text, ha="center", va="center", size=8.5 if few else 6.5, weight=weight, color=INK)
    axes.set(xlim=(-0.5, len(shown) - 0.5), ylim=(len(shown) - 0.5, -0.5))


def _short(p: float) -> str:
    return "<.001" if p < 0.001 else "1" if p > 0.9995 else f"{p:.3f}".lstrip("0")


@house_style()
def frontier(analysis: Analysis) -> Figure | None:
    """Accuracy against training time, large, and against the other costs, small; dominated models are named below."""
    found = next(iter(comparisons.fields(analysis.configurations)), pd.DataFrame(columns=[*COSTS]))
    found = found.head(MOST_OFFERED).reset_index(drop=True)
    costs = [cost for cost in COSTS if found[cost].notna().sum() > 1]
    if not costs:
        return None
    keys = _keys(found)
    columns = 1 if max(map(len, keys)) > 54 else 2  # characters that fit beside each other
    on_gpu = _on_gpu(analysis, found)
    figure = new_figure(
        5.2 + 0.17 * -(-len(found) // columns),
        f"What accuracy costs, {study.DATASET} test split",
        "Filled: no model is as accurate for less of that cost (the line joins them). Hollow: another is."
        + " Squares ran on a GPU." * any(on_gpu),
    )
    first, *others = costs
    layout = [[first] * 6, [cost for cost in others for _ in range(6 // len(others))]] if others else [[first]]
    panels: dict[str, Axes] = figure.subplot_mosaic(layout, height_ratios=[2.4, 1.4][: len(layout)])
    for cost, axes in panels.items():
        _draw_costs(axes, found.assign(on_gpu=on_gpu), cost, large=cost == first)
        axes.set(ylabel="accuracy" if cost in (first, *others[:1]) else "")
    figure.legend(
        handles=[Line2D([], [], linestyle="none", label=key) for key in keys],
        loc="outside lower left", ncols=columns, handlelength=0, handletextpad=0, fontsize=7.5, columnspacing=1.0,
    )  # fmt: skip
    return figure


def _on_gpu(analysis: Analysis, found: pd.DataFrame) -> list[bool]:
    fits = [analysis.results.by_name[run].record.fit for run in found["run"]]
    return [fit is not None and fit.device.startswith("cuda") for fit in fits]


def _draw_costs(axes: Axes, found: pd.DataFrame, cost: str, large: bool) -> None:
    """Each configuration by accuracy and one cost; numbered in the key's order where there is room."""
    label, unit = UNITS[cost]
    floor = found["accuracy"].max() - ACCURACY_RANGE
    found = found.assign(best=on_frontier(found, cost), x=found[cost].astype(float) * unit)
    best = found[found["best"]].sort_values("x", kind="stable")
    axes.step(best["x"], np.maximum(best["accuracy"].astype(float), floor), where="post", color=BLUE, linewidth=1)
    numbered = {}
    for number, (_, row) in enumerate(found.iterrows(), start=1):
        if pd.isna(row[cost]):
            continue
        at = (row["x"], max(row["accuracy"], floor))
        marker = "v" if row["accuracy"] < floor else "s" if row["on_gpu"] else "o"
        axes.plot(*at, marker=marker, color=BLUE, markerfacecolor=BLUE if row["best"] else "white",
                  markersize=6 if large else 4.5, zorder=3 if row["best"] else 2)  # fmt: skip
        if large or row["best"]:
            numbered[number] = at
    axes.set_xscale("log")
    axes.margins(x=0.08, y=0.12)
    _write_numbers(axes, numbered, size=8 if large else 7)
    steps = (1,) if found[cost].max() > 30 * found[cost].min() else (1, 2, 5)
    axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=7 if large else 4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _with_prefix(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:.3f}")  # of one width, whatever room the layout leaves
    below = found["accuracy"].iloc[-1] < floor
    axes.set(xlabel=label + ("; arrows: below the axis" if large and below else ""))
    axes.grid()


def _write_numbers(axes: Axes, points: dict[int, tuple[float, float]], size: float) -> None:
    """Each number at the upper right of its point, or at the next corner for each earlier point close by."""
    axes.autoscale_view()
    drawn = axes.transAxes.inverted().transform(axes.transData.transform(list(points.values())))
    for place, (number, at) in enumerate(points.items()):
        close = (np.abs(drawn[:place] - drawn[place]) < NEAR).all(axis=1).sum()
        axes.annotate(str(number), at, textcoords="offset points", size=size, **CORNERS[close % len(CORNERS)])


def _keys(found: pd.DataFrame) -> list[str]:
    """Number, label and accuracy of each configuration; its machine if it is not the usual one; what dominates it."""
    number = {configuration: place + 1 for place, configuration in enumerate(found["configuration"])}
    usual = found["machine"].value_counts().index[0]
    keys = []
    for (_, row), dominating in zip(found.iterrows(), dominated_by(found), strict=True):
        label = textwrap.shorten(row["label"], 84, placeholder=" ...")
        elsewhere = "" if row["machine"] == usual else f" on {row['machine']}"
        by = f"; dominated by {number[dominating[0]]}" if dominating else ""
        keys.append(f"{number[row['configuration']]}  {label}, {row['accuracy']:.4f}{elsewhere}{by}")
    return keys


def _with_prefix(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
