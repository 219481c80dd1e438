"""Accuracy as something grows: training rows, confidence, the share of texts answered."""

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.analysis import study
from benchmark.analysis.evidence import Evidence
from benchmark.analysis.learning import Curve, curves
from benchmark.analysis.metrics import CalibrationBins, calibration_bins
from benchmark.analysis.significance import collapsed
from benchmark.analysis.variants import Variant, with_results
from benchmark.analysis.views import coverage_accuracy, is_graded
from benchmark.report.style import INK, LINES, MUTED, house_style, sheet

FEW_ROWS = 10  # the accuracy of fewer answers says little and is not joined to the line
SHARES = tuple(round(0.05 * step, 2) for step in range(2, 21))


@house_style()
def learning_curve(evidence: Evidence) -> Figure | None:
    """Accuracy by training rows for as many models as there are line styles; below it the F1 of each label by model."""
    every = curves(evidence)
    found = every[: len(LINES)]
    if not found:
        return None
    which = f"; {len(found)} of {len(every)}" if len(found) < len(every) else ""
    rows = -(-len(found) // 3)
    figure = sheet(
        4.0 + 2.0 * rows,
        f"Learning curves, {study.DATASET} test split{which}",
        "Above: accuracy, the mean over seeds and its 95% interval. Below: F1 of each label, a panel a model.",
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


def _draw_accuracies(axes: Axes, found: list[Curve]) -> None:
    for curve, (colour, dash, marker) in zip(found, LINES, strict=False):
        rows = [point.rows for point in curve.points]
        means = np.array([point.accuracy for point in curve.points])
        ends = np.array([[point.interval.low, point.interval.high] for point in curve.points]).T
        style: dict[str, Any] = {
            "color": colour,
            "linestyle": dash,
            "marker": marker,
            "markersize": 4.5,
            "linewidth": 1.4,
        }
        axes.errorbar(rows, means, np.abs(ends - means), capsize=2, elinewidth=0.9, label=curve.name, **style)
    _finish_rows(axes, found, "accuracy")
    axes.set(xlabel="training rows")
    axes.legend(loc="lower right")


def _draw_f1(axes: Axes, curve: Curve, leftmost: bool) -> None:
    for label, (colour, dash, marker) in zip(curve.points[0].f1, LINES, strict=False):
        rows, scores = [point.rows for point in curve.points], [point.f1[label] for point in curve.points]
        axes.plot(rows, scores, color=colour, linestyle=dash, marker=marker, markersize=3.5, linewidth=1.1, label=label)
    _finish_rows(axes, [curve], "F1" if leftmost else "")
    axes.set_ylim(0, 1)
    axes.set_title(textwrap.fill(curve.name, 34), size=8, color=INK)


def _finish_rows(axes: Axes, found: list[Curve], name: str) -> None:
    axes.set_xscale("log")
    rows = sorted({point.rows for curve in found for point in curve.points})
    axes.set_xticks(rows, [f"{row:,}" if row < 10_000 else f"{row / 1000:g}k" for row in rows], size=8)
    axes.minorticks_off()
    axes.set(ylabel=name)
    axes.grid()


@house_style()
def calibration(evidence: Evidence) -> Figure | None:
    """Accuracy by confidence, and accuracy by the share of texts answered, the surest first; over all seeds."""
    found = [
        variant
        for variant in with_results(evidence)
        if is_graded(variant) and not all(collapsed(run) for run in variant.results)
    ]
    if not found:
        return None
    shown = found[: len(LINES)]
    which = f"; the best {len(shown)} of {len(found)}" if len(shown) < len(found) else ""
    figure = sheet(
        4.2 + 0.18 * len(shown),
        f"Do they know when they are right? {study.DATASET} test split{which}",
        "Left: accuracy of answers by their confidence, the diagonal being perfect. Right: accuracy if only the "
        "surest share of the texts is answered.",
    )
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color=MUTED, linestyle="-", linewidth=0.8)
    for variant, (colour, dash, marker) in zip(shown, LINES, strict=False):
        style: dict[str, Any] = {"color": colour, "linestyle": dash, "linewidth": 1.4}
        _draw_reliability(left, variant, marker, style)
        shares = [100 * share for share in SHARES]
        accuracies = [coverage_accuracy(variant, share) for share in SHARES]
        right.plot(shares, accuracies, marker=marker, markersize=4, markevery=(2, 4), label=variant.name, **style)
    left.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy")
    right.set(xlabel="texts answered, %", ylabel="accuracy", xlim=(102, 8))
    for panel in (left, right):
        panel.grid()
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, [textwrap.shorten(label, 90) for label in labels], loc="outside lower left", ncols=1)
    return figure


def _draw_reliability(axes: Axes, variant: Variant, marker: str, style: dict[str, Any]) -> None:
    bins = _bins(variant)
    enough = bins.counts >= FEW_ROWS
    at = bins.mean_confidence[enough], bins.accuracy[enough]
    axes.plot(*at, marker=marker, markersize=4, clip_on=False, zorder=3, **style)


def _bins(variant: Variant) -> CalibrationBins:
    """Of the answers of all seeds together."""
    runs = variant.results
    return calibration_bins(
        np.concatenate([run.gold for run in runs]),
        np.concatenate([run.predictions.predicted for run in runs]),
        np.concatenate([run.predictions.probabilities for run in runs]),
        bins=10,
    )
