"""Accuracy against the number of training rows, the confidence, and the share of texts answered."""

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.analysis import study
from benchmark.analysis.configurations import with_results
from benchmark.analysis.metrics import calibration_bins
from benchmark.report.style import INK, MUTED, SERIES_STYLES, house_style, new_figure
from benchmark.report.table import Analysis
from benchmark.report.tables import TABLES
from benchmark.report.tables.errors import coverage_accuracy

FEW_ROWS = 10  # bins with fewer answers are left out: their accuracy says little
SHARES = tuple(round(0.05 * step, 2) for step in range(2, 21))


@house_style()
def learning_curve(analysis: Analysis) -> Figure | None:
    """Accuracy by training rows for as many models as there are line styles; below it the F1 of each label."""
    table = TABLES["learning_curve"].data(analysis)
    if table.empty:
        return None
    every = [curve for _, curve in table.groupby("curve", sort=False)]
    found = every[: len(SERIES_STYLES)]
    which = f"; {len(found)} of {len(every)}" if len(found) < len(every) else ""
    rows = -(-len(found) // 3)
    figure = new_figure(
        4.0 + 2.0 * rows,
        f"Learning curves, {study.DATASET} test split{which}",
        "Above: accuracy, the mean over seeds and its 95% interval. Below: F1 of each label, one panel per model.",
    )
    layout = [["accuracy"] * 3] + [[f"{row} {column}" for column in range(3)] for row in range(rows)]
    panels: dict[str, Axes] = figure.subplot_mosaic(layout, height_ratios=[2.6, *[1.8] * rows])
    _draw_accuracies(panels["accuracy"], found)
    small = [panels[name] for row in layout[1:] for name in row]
    for place, axes in enumerate(small):
        if place < len(found):
            _draw_f1(axes, found[place], leftmost=place % 3 == 0)
        else:
            axes.set_axis_off()
    handles, labels = small[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=6, columnspacing=1.2)
    return figure


def _draw_accuracies(axes: Axes, curves: list[pd.DataFrame]) -> None:
    for curve, (colour, dash, marker) in zip(curves, SERIES_STYLES, strict=False):
        means = curve["accuracy"].to_numpy(float)
        ends = curve[["low", "high"]].to_numpy(float).T
        style: dict[str, Any] = {
            "color": colour,
            "linestyle": dash,
            "marker": marker,
            "markersize": 4.5,
            "linewidth": 1.4,
        }
        bars = np.abs(ends - means)
        style |= {"markersize": 4.5, "linewidth": 1.4, "capsize": 2, "elinewidth": 0.9, "label": _name(curve)}
        axes.errorbar(curve["train_rows"], means, bars, **style)
    _finish_axes(axes, curves, "accuracy")
    axes.set(xlabel="training rows")
    axes.legend(loc="lower right")


def _draw_f1(axes: Axes, curve: pd.DataFrame, leftmost: bool) -> None:
    for label, (colour, dash, marker) in zip(study.LABELS, SERIES_STYLES, strict=False):
        style: dict[str, Any] = {
            "color": colour,
            "linestyle": dash,
            "marker": marker,
            "markersize": 3.5,
            "linewidth": 1.1,
        }
        axes.plot(curve["train_rows"], curve[f"f1_{label}"], label=label, **style)
    _finish_axes(axes, [curve], "F1" if leftmost else "")
    axes.set_ylim(0, 1)
    axes.set_title(textwrap.fill(_name(curve), 34), size=8, color=INK)


def _name(curve: pd.DataFrame) -> str:
    return f"{curve['model'].iloc[0]}, {curve['recipe'].iloc[0]}"


def _finish_axes(axes: Axes, curves: list[pd.DataFrame], name: str) -> None:
    axes.set_xscale("log")
    rows = sorted({row for curve in curves for row in curve["train_rows"]})
    axes.set_xticks(rows, [f"{row:,}" if row < 10_000 else f"{row / 1000:g}k" for row in rows], size=8)
    axes.minorticks_off()
    axes.set(ylabel=name)
    axes.grid()


@house_style()
def calibration(analysis: Analysis) -> Figure | None:
    """Accuracy by confidence, and by the share of texts answered, the most confident first; over all seeds."""
    found = with_results(analysis.configurations)
    found = found[found["graded"].astype(bool) & (found["collapsed"] < found["seeds"])]
    if found.empty:
        return None
    shown = found.head(len(SERIES_STYLES))
    which = f"; the best {len(shown)} of {len(found)}" if len(shown) < len(found) else ""
    figure = new_figure(
        4.2 + 0.18 * len(shown),
        f"Do models know when they are right? {study.DATASET} test split{which}",
        "Left: accuracy of answers by their confidence; the diagonal is perfect. Right: accuracy if only the most "
        "confident share of the texts is answered.",
    )
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color=MUTED, linestyle="-", linewidth=0.8)
    for (_, row), (colour, dash, marker) in zip(shown.iterrows(), SERIES_STYLES, strict=False):
        style: dict[str, Any] = {
            "color": colour,
            "linestyle": dash,
            "linewidth": 1.4,
            "marker": marker,
            "markersize": 4,
        }
        answers = pd.concat([analysis.results.of(run) for run in row["counted"]])
        bins = calibration_bins(answers["correct"].to_numpy(), answers["confidence"].to_numpy(), bins=10)
        enough = bins.counts >= FEW_ROWS
        left.plot(bins.mean_confidence[enough], bins.accuracy[enough], clip_on=False, zorder=3, **style)
        accuracies = [coverage_accuracy(analysis.results, row, share) for share in SHARES]
        right.plot([100 * share for share in SHARES], accuracies, markevery=(2, 4), label=row["label"], **style)
    left.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy")
    right.set(xlabel="texts answered, %", ylabel="accuracy", xlim=(102, 8))
    for panel in (left, right):
        panel.grid()
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, [textwrap.shorten(label, 90) for label in labels], loc="outside lower left", ncols=1)
    return figure
