"""The figures of one run: labels, confusion, training and calibration, from its record and predictions."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmark.analysis.metrics import calibration_bins, confusion_matrix, expected_calibration_error
from benchmark.interface import CurvePoint
from benchmark.report.style import BLUE, INK, MUTED, ORANGE, THOUSANDS, bars_across, house_style, legend_above, sheet
from benchmark.results.record import Status
from benchmark.results.store import Run

FEW_ROWS = 10  # the accuracy of fewer rows is drawn hollow: it says little
MANY_LABELS = 15  # beyond, a cell is too small for its count


@house_style()
def label_distribution(run: Run) -> Figure | None:
    """How often each label is right and how often it was answered, the most frequent first."""
    if run.record.status is not Status.completed:
        return None
    counts, columns = _confusion_counts(run)
    gold, predicted = counts.sum(axis=1), counts.sum(axis=0)
    order = np.argsort(-gold, kind="stable")
    order_with_no_label = [*order, *range(len(gold), len(predicted))]
    names = [columns[column] for column in order_with_no_label]
    figure = _sheet(1.35 + 0.42 * len(names), run, "Label distribution")
    axes = figure.subplots()
    bars_across(axes, names, gold[order], f"gold ({len(run.gold):,} test texts)", ORANGE, offset=-0.19, height=0.36)
    bars_across(axes, names, predicted[order_with_no_label], "predicted", BLUE, offset=0.19, height=0.36)
    legend_above(axes)
    return figure


@house_style()
def confusion(run: Run) -> Figure | None:
    """Counts of gold labels (rows) by predicted labels (columns), shaded by their share of the row."""
    if run.record.status is not Status.completed:
        return None
    counts, columns = _confusion_counts(run)
    labels, gold = run.record.labels, counts.sum(axis=1)
    shares = counts / np.maximum(gold, 1)[:, None]
    readable = len(columns) <= MANY_LABELS
    figure = _sheet(1.75 + (0.46 if readable else 0.2) * len(labels), run, "Confusion matrix")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    slant = 0 if len(" ".join(columns)) < 70 else 90
    axes.set_xticks(range(len(columns)), columns, rotation=slant)
    axes.set_yticks(range(len(labels)), [f"{name} ({rows:,})" for name, rows in zip(labels, gold, strict=True)])
    axes.set(xlabel="predicted label", ylabel="gold label (test texts)")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(True)
    if readable:
        _write_counts(axes, counts, shares)
    if len(columns) > len(labels):
        axes.axvline(len(labels) - 0.5, color=INK, linewidth=1)
    figure.colorbar(image, label="share of the gold label's texts", pad=0.02).outline.set_visible(False)
    return figure


@house_style()
def training_curve(run: Run) -> Figure | None:
    """Loss and, below it, validation accuracy over the optimiser steps."""
    curve = run.record.fit.curve if run.record.fit is not None else ()
    loss, validation_loss, accuracy = (
        _series(curve, value) for value in ("loss", "validation_loss", "validation_accuracy")
    )
    heights = [2.0] * bool(len(loss) or len(validation_loss)) + [1.5] * bool(len(accuracy))
    if not heights:
        return None
    figure = _sheet(1.2 + sum(heights), run, "Training")
    panels = figure.subplots(len(heights), squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    if len(loss) or len(validation_loss):
        _draw_series(panels[0], loss, BLUE, "o", "training, mean since the point before")
        _draw_series(panels[0], validation_loss, ORANGE, "D", "validation")
        panels[0].set(ylabel="loss")
        panels[0].set_ylim(bottom=0)
        legend_above(panels[0])
    if len(accuracy):
        _draw_series(panels[-1], accuracy, ORANGE, "D", "validation")
        panels[-1].set(ylabel="validation accuracy")
    for panel in panels:
        panel.grid(axis="y")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    panels[-1].xaxis.set_major_formatter(THOUSANDS)
    panels[-1].set_xlim(left=0)
    panels[-1].set(xlabel=f"optimiser step (the last, {curve[-1].step:,}, is epoch {curve[-1].epoch:g})")
    return figure


@house_style()
def reliability(run: Run) -> Figure | None:
    """Accuracy at each confidence, against the diagonal of perfect calibration, over the confidences' histogram.

    None for answers that say nothing of how sure they are.
    """
    if run.record.status is not Status.completed or not run.predictions.graded:
        return None
    predicted, probabilities = run.predictions.predicted, run.predictions.probabilities
    bins = calibration_bins(run.gold, predicted, probabilities)
    error = expected_calibration_error(run.gold, predicted, probabilities)
    figure = _sheet(4.9, run, f"Reliability, ECE {error:.4f}")
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="perfect calibration")
    for rows, face, label in (
        (bins.counts >= FEW_ROWS, BLUE, "accuracy at mean confidence"),
        ((bins.counts > 0) & (bins.counts < FEW_ROWS), "white", f"the same, fewer than {FEW_ROWS} texts"),
    ):
        if rows.any():
            style = {"color": BLUE, "markerfacecolor": face, "label": label, "linestyle": "none"}
            above.plot(bins.mean_confidence[rows], bins.accuracy[rows], marker="o", clip_on=False, zorder=3, **style)
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    legend_above(above)
    above.grid()
    centres, widths = (bins.edges[1:] + bins.edges[:-1]) / 2, np.diff(bins.edges)
    below.bar(centres, bins.counts, width=0.94 * widths, color=BLUE)
    below.yaxis.set_major_formatter(THOUSANDS)
    below.set(xlabel="confidence: probability of the predicted label", ylabel="test texts")
    return figure


def _sheet(height: float, run: Run, what: str) -> Figure:
    """A sheet headed by the model, and by what is shown of which run."""
    record = run.record
    title = record.title if record.pretrained else f"{record.title}, {record.stand_in}"
    facts = [what, record.dataset, f"recipe {record.recipe}", f"seed {record.seed}"]
    if record.status is Status.completed and record.scorable:
        right, rows = int((run.gold == run.predictions.predicted).sum()), len(run.gold)
        facts.append(f"test accuracy {right:,}/{rows:,} = {right / rows:.4f}")
    unbroken = [fact.replace(" ", "\N{NO-BREAK SPACE}") for fact in facts]
    return sheet(height, title, " · ".join(unbroken))


def _confusion_counts(run: Run) -> tuple[npt.NDArray[np.int64], list[str]]:
    """The confusion matrix and its columns' names: the labels, and one more if any answer named none."""
    counts = confusion_matrix(run.gold, run.predictions.predicted, len(run.record.labels))
    if counts[:, -1].any():
        return counts, [*run.record.labels, "no label"]
    return counts[:, :-1], list(run.record.labels)


def _write_counts(axes: Axes, counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]) -> None:
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.55 else INK
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour)


def _series(curve: tuple[CurvePoint, ...], value: str) -> npt.NDArray[np.float64]:
    """Steps and values, (points, 2), of the points that have the value."""
    points = [(point.step, getattr(point, value)) for point in curve if getattr(point, value) is not None]
    return np.array(points, dtype=np.float64).reshape(-1, 2)


def _draw_series(axes: Axes, series: npt.NDArray[np.float64], colour: str, marker: str, label: str) -> None:
    if len(series):
        shape = marker if len(series) <= 30 else ""
        axes.plot(*series.T, color=colour, marker=shape, markersize=4.5, linewidth=1.4, label=label)
