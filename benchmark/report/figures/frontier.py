"""Accuracy against every cost."""

import textwrap
from typing import Any

import numpy as np
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
from benchmark.report.style import ACCURACY_RANGE, BLUE, INK, MUTED, house_style, new_figure

MOST = 24  # as many names fit below the panels
MOST_BELOW = 3  # configurations below the axis that the subtitle names
LINE = 120  # characters of a line below the panels
WIDEST = 54  # characters of a name that fit in one of two columns
UNITS = {
    "training_seconds": ("training time, seconds", 1.0),
    "peak_memory": ("peak memory, GiB", 2.0**-30),
    "trained_parameters": ("trained parameters", 1.0),
    "seconds_per_text": ("prediction time, ms/text", 1000.0),
}
"""The axis label of each cost, and the factor to its unit."""
CORNERS: list[dict[str, Any]] = [
    {"xytext": (4, 3), "ha": "left"},
    {"xytext": (4, -3), "ha": "left", "va": "top"},
    {"xytext": (-4, 3), "ha": "right"},
    {"xytext": (-4, -3), "ha": "right", "va": "top"},
]
"""The positions that a point's number can have, in points from it."""
KINDS = {"encoder": BLUE, "decoder": "#d55e00", "linear": "#009e73"}
"""The colour of each kind of model, from the palette of Okabe and Ito; other kinds are dark grey."""
NEAR = (0.09, 0.14)  # width and height of a number, as shares of a small panel


@house_style()
def frontier(analysis: AnalysedResults, dataset: str) -> Drawing | None:
    """Accuracy against the first cost, large, and against the others, small; the names stand below."""
    comparable = compared(analysis)
    found, below = _drawn_and_below(comparable)
    measured = [cost for cost in COSTS if comparable[cost].notna().sum() > 1 and found[cost].notna().any()]
    if not measured:
        return None
    first, *others = measured
    found["on_gpu"] = [_used_gpu(analysis, run) for run in found["run"]]
    leads = costs.significant_leads(analysis.comparisons)
    names = _names(found, leads)
    columns = 1 if max(map(len, names)) > WIDEST else 2
    figure = new_figure(
        5.2 + 0.17 * -(-len(found) // columns),
        f"Accuracy against cost, {dataset} test split",
        _best(found, first)
        + "Filled: significantly more accurate than every cheaper model that is filled (the line joins them). "
        "Vertical lines: 95% intervals."
        + " Squares ran on a GPU." * bool(found["on_gpu"].any())
        + (f" Below the axis and not drawn: {'; '.join(below)}." if below else ""),
    )
    layout = [[first] * 6, [cost for cost in others for _ in range(6 // len(others))]] if others else [[first]]
    panels: dict[str, Axes] = figure.subplot_mosaic(layout, height_ratios=[2.4, 1.4][: len(layout)])
    kinds = [Patch(color=KINDS.get(kind, INK), label=kind) for kind in dict.fromkeys(found["kind"])]
    panels[first].legend(handles=kinds, loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=len(kinds), borderpad=0)
    for cost, axes in panels.items():
        best = comparable.loc[costs.frontier(comparable, cost, leads), "configuration"]
        _draw_panel(axes, found.assign(best=found["configuration"].isin(best)), cost, first)
        axes.set(ylabel="accuracy" if cost in (first, *others[:1]) else "")
    figure.legend(
        handles=[Line2D([], [], linestyle="none", label=name) for name in names],
        loc="outside lower left", ncols=columns, handlelength=0, handletextpad=0, fontsize=7.5, columnspacing=1.0,
    )  # fmt: skip
    return figure


def _best(found: pd.DataFrame, first: str) -> str:
    """The most accurate configuration, which is the first row, and whether it lacks the cost of the large panel."""
    best = found.iloc[0]
    absent = f" (no {COSTS[first]}: in the small panels only)" if pd.isna(best[first]) else ""
    return f"Most accurate: {best['short_name']}, {best['accuracy']:.4f}{absent}. "


def _drawn_and_below(comparable: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The configurations with a cost whose accuracy is in the axis, and name and accuracy of those below it."""
    priced = comparable[comparable[[*COSTS]].notna().any(axis=1)]
    high = priced["accuracy"].astype(float) >= priced["accuracy"].max() - ACCURACY_RANGE
    below = [f"{row['short_name']} ({row['accuracy']:.4f})" for _, row in priced[~high].iterrows()]
    more = [f"{len(below) - MOST_BELOW} more"] if len(below) > MOST_BELOW else []
    return priced[high].head(MOST).reset_index(drop=True), below[:MOST_BELOW] + more


def _used_gpu(analysis: AnalysedResults, run: str) -> bool:
    fit = analysis.results.by_name[run].record.fit
    return fit is not None and fit.device.startswith("cuda")


def _draw_panel(axes: Axes, found: pd.DataFrame, cost: str, first: str) -> None:
    """Draw every configuration by accuracy and one cost, with its number where there is room.

    The large panel numbers all. A small one numbers its best, and those without a place in the large panel.
    """
    (name, unit), large = UNITS[cost], cost == first
    points = found.assign(x=found[cost].astype(float) * unit)
    points = points[points["x"].notna()]
    best = points[points["best"]].sort_values("x", kind="stable")
    axes.step(best["x"], best["accuracy"], where="post", color=MUTED, linewidth=0.9)
    numbered = {}
    for place, row in points.iterrows():
        at, colour = (row["x"], row["accuracy"]), KINDS.get(row["kind"], INK)
        if large:
            axes.vlines(row["x"], row["low"], row["high"], color=colour, alpha=0.35, linewidth=1.6)
        axes.plot(*at, marker="s" if row["on_gpu"] else "o", color=colour,
                  markerfacecolor=colour if row["best"] else "white", markersize=6 if large else 4.5,
                  zorder=3 if row["best"] else 2)  # fmt: skip
        if large or row["best"] or pd.isna(row[first]):
            numbered[int(str(place)) + 1] = at
    axes.set_xscale("log")
    axes.margins(x=0.08, y=0.12)
    _write_numbers(axes, numbered, size=8 if large else 7)
    steps = (1,) if points["x"].max() > 30 * points["x"].min() else (1, 2, 5)
    axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=7 if large else 4))
    axes.xaxis.set_major_formatter(_with_prefix)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:.3f}")  # all of one width, so the panels align
    axes.set(xlabel=name)
    axes.grid()


def _write_numbers(axes: Axes, points: dict[int, tuple[float, float]], size: float) -> None:
    """Write each number at the first corner of its point, or at a later one if earlier points are close."""
    axes.autoscale_view()
    drawn = axes.transAxes.inverted().transform(axes.transData.transform(list(points.values())))
    for place, (number, at) in enumerate(points.items()):
        close = (np.abs(drawn[:place] - drawn[place]) < NEAR).all(axis=1).sum()
        axes.annotate(str(number), at, textcoords="offset points", size=size, **CORNERS[close % len(CORNERS)])


def _names(found: pd.DataFrame, leads: costs.Leads) -> list[str]:
    """Number, name and accuracy, the machine if most ran on another, and the most accurate that dominates it."""
    number = {configuration: place + 1 for place, configuration in enumerate(found["configuration"])}
    usual = found["machine"].value_counts().index[0]
    names = []
    for (_, row), dominating in zip(found.iterrows(), costs.dominated_by(found, leads), strict=True):
        elsewhere = "" if row["machine"] == usual else f" on {row['machine']}"
        dominated = f"; no significant gain over {number[dominating[0]]}, which is cheaper" if dominating else ""
        rest = f", {row['accuracy']:.4f}{elsewhere}{dominated}"
        name = textwrap.shorten(row["short_name"], min(84, LINE - len(rest)), placeholder=" ...")
        names.append(f"{number[row['configuration']]}  {name}{rest}")
    return names


def _with_prefix(value: float, _: Any = None) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


FIGURES = (Figure("frontier", "Accuracy against each cost, with the frontier.", "accuracy", frontier),)
