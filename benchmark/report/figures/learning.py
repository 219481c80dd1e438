"""Accuracy and F1 by the number of training texts."""

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.report.figure import Figure
from benchmark.report.style import INK, SERIES_STYLES, house_style, new_figure
from benchmark.report.tables.training import learning_curve as table

WIDEST = 3  # panels in one line


@house_style()
def learning_curve(analysis: AnalysedResults, dataset: str) -> Drawing | None:
    """Draw the accuracy of as many models as there are line styles, and below it the F1 of each label per model."""
    points = table(analysis)
    if points.empty:
        return None
    curves = [curve for _, curve in points.groupby("curve", sort=False)]
    shown = curves[: len(SERIES_STYLES)]
    left_out = f"; {len(shown)} of {len(curves)}" if len(shown) < len(curves) else ""
    below = [shown[first : first + WIDEST] for first in range(0, len(shown), WIDEST)]
    if len(below) > 1 and len(below[-1]) == 1:  # two and two, not three and one
        below = [shown[:2], shown[2:]]
    figure = new_figure(
        4.0 + 2.0 * len(below),
        f"Learning curves, {dataset} test split{left_out}",
        "Above: accuracy, the mean over seeds and its 95% interval. Below: F1 of each label, one panel per model.",
    )
    layout = [["accuracy"] * 6]
    layout += [
        [f"{row} {place}" for place in range(len(curves)) for _ in range(6 // len(curves))]
        for row, curves in enumerate(below)
    ]
    panels: dict[str, Axes] = figure.subplot_mosaic(layout, height_ratios=[2.6, *[1.8] * len(below)])
    _draw_accuracies(panels.pop("accuracy"), shown)
    for (place, axes), curve in zip(panels.items(), shown, strict=True):
        _draw_f1(axes, curve, ylabel="F1" if place.endswith(" 0") else "")
    handles, labels = panels["0 0"].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=6, columnspacing=1.2)
    return figure


def _draw_accuracies(axes: Axes, curves: list[pd.DataFrame]) -> None:
    line: dict[str, Any] = {"markersize": 4.5, "linewidth": 1.4, "capsize": 2, "elinewidth": 0.9}
    for curve, style in zip(curves, SERIES_STYLES, strict=False):
        means, ends = curve["accuracy"].to_numpy(float), curve[["low", "high"]].to_numpy(float).T
        axes.errorbar(curve["train_rows"], means, np.abs(ends - means), label=_name(curve), **line, **style)
    _finish_axes(axes, curves, "accuracy")
    axes.set(xlabel="training rows")
    axes.legend(loc="lower right")


def _draw_f1(axes: Axes, curve: pd.DataFrame, ylabel: str) -> None:
    for label, style in zip(study.LABELS, SERIES_STYLES, strict=False):
        axes.plot(curve["train_rows"], curve[f"f1_{label}"], markersize=3.5, linewidth=1.1, label=label, **style)
    _finish_axes(axes, [curve], ylabel)
    axes.set_ylim(0, 1)
    axes.set_title(textwrap.fill(_name(curve), 34), size=8, color=INK)


def _name(curve: pd.DataFrame) -> str:
    return f"{curve['model'].iloc[0]}, {curve['recipe'].iloc[0]}"


def _finish_axes(axes: Axes, curves: list[pd.DataFrame], ylabel: str) -> None:
    axes.set_xscale("log")
    rows = sorted({row for curve in curves for row in curve["train_rows"]})
    axes.set_xticks(rows, [f"{row:,}" if row < 10_000 else f"{row / 1000:g}k" for row in rows], size=8)
    axes.minorticks_off()
    axes.set(ylabel=ylabel)
    axes.grid()


FIGURES = (
    Figure(
        "learning_curve",
        "Accuracy and the F1 of each label against the number of training texts. The table below has the accuracies.",
        "learning",
        learning_curve,
        of_study=True,
    ),
)
