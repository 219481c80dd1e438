"""The figures of one run, drawn from its record and predictions and saved beside them.

Each function of `RUN_FIGURES` returns None if the run has nothing to show in that figure.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmark.analysis import metrics
from benchmark.analysis.frame import label_names
from benchmark.analysis.names import recipe_in_words
from benchmark.report.colours import BLUE, INK, MUTED, ORANGE
from benchmark.report.style import (
    THOUSANDS,
    Bars,
    draw_bars,
    house_style,
    legend_above,
    lower_end,
    new_figure,
    readable,
    save_png,
)
from benchmark.results.catalogue import read_catalogue
from benchmark.results.record import Status
from benchmark.results.store import Run

FEW_ROWS = 10  # a marker is hollow if its accuracy is computed from fewer rows, because it is uncertain
MANY_POINTS = 30  # above this number of points, markers would cover each other
MANY_LABELS = 15  # above this number of labels, cells are too small for counts
MOST_NAMES = 30  # labels in a matrix or as bars: of more, those with most errors are shown
MOST_PAIRS = 20


def draw_run(run: Run) -> None:
    """Save every figure that has something to show as `<name>.png` in the run's folder."""
    for name, draw in RUN_FIGURES.items():
        if (figure := draw(run)) is not None:
            save_png(figure, run.folder / f"{name}.png")


def _has_test(run: Run) -> bool:
    """Whether there are test texts to show: a run that must not look at the test split predicts one."""
    return run.record.status is Status.completed and len(run.gold) > 1


@house_style()
def label_distribution(run: Run) -> Figure | None:
    """Draw how often each label is gold and how often it is predicted, the most frequent gold label first.

    Of many labels, the ones with the largest differences of the two counts are drawn, the largest first.
    """
    if not _has_test(run):
        return None
    counts, columns = _confusion_counts(run)
    gold, predicted = counts.sum(axis=1), counts.sum(axis=0)
    labels, content, height = np.argsort(-gold, kind="stable"), "Label distribution", 0.42
    if len(gold) > MOST_NAMES:
        height = 0.32
        labels = np.argsort(-np.abs(predicted[: len(gold)] - gold), kind="stable")[:MOST_NAMES]
        content = f"Label distribution, the {MOST_NAMES} of {len(gold)} labels whose counts differ most"
    rows = [*labels, *range(len(gold), len(predicted))]  # the labels, then "no label" if it was predicted
    figure = _new_figure(run, content, 1.35 + height * len(rows))
    axes = figure.subplots()
    draw_bars(
        axes,
        [columns[row] for row in rows],
        Bars(f"gold ({len(run.gold):,} test texts)", gold[labels], ORANGE),
        Bars("predicted", predicted[rows], BLUE),
    )
    legend_above(axes)
    return figure


@house_style()
def confusion(run: Run) -> Figure | None:
    """Draw the confusion matrix: gold labels in rows, predicted labels in columns, shaded by share of the row.

    Of many labels, the most confused pairs are drawn instead.
    """
    if not _has_test(run):
        return None
    counts, columns = _confusion_counts(run)
    if len(counts) > MOST_NAMES:
        return _confused_pairs(run, counts, columns)
    labels, gold = columns[: len(counts)], counts.sum(axis=1)
    shares = counts / np.maximum(gold, 1)[:, None]
    readable = len(columns) <= MANY_LABELS
    figure = _new_figure(run, "Confusion matrix", 1.75 + (0.46 if readable else 0.2) * len(labels))
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=0 if len(" ".join(columns)) < 70 else 90)
    axes.set_yticks(range(len(labels)), [f"{name} ({rows:,})" for name, rows in zip(labels, gold, strict=True)])
    axes.set(xlabel="predicted label", ylabel="gold label (test texts)")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(True)
    if readable:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.55 else INK
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour)
    if len(columns) > len(labels):
        axes.axvline(len(labels) - 0.5, color=INK, linewidth=1)
    figure.colorbar(image, label="share of the gold label's texts", pad=0.02).outline.set_visible(False)
    return figure


@house_style()
def training_curve(run: Run) -> Figure | None:
    """Draw the loss and, below it, the validation accuracy by optimiser step."""
    curve = run.record.fit.curve if run.record.fit is not None else ()
    series = {
        value: [(point.step, getattr(point, value)) for point in curve if getattr(point, value) is not None]
        for value in ("loss", "validation_loss", "validation_accuracy")
    }
    has_loss, has_accuracy = bool(series["loss"] or series["validation_loss"]), bool(series["validation_accuracy"])
    heights = [2.0] * has_loss + [1.5] * has_accuracy
    if not heights:
        return None
    figure = _new_figure(run, "Training", 1.2 + sum(heights))
    panels = figure.subplots(len(heights), squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    if has_loss:
        _draw_series(panels[0], series["loss"], BLUE, "o", "training, mean since the point before")
        _draw_series(panels[0], series["validation_loss"], ORANGE, "D", "validation")
        panels[0].set_ylim(bottom=0)
        legend_above(panels[0])
    if has_accuracy:
        _draw_series(panels[-1], series["validation_accuracy"], ORANGE, "D", "validation")
    for panel, name in zip(panels, ["loss"] * has_loss + ["validation accuracy"] * has_accuracy, strict=True):
        panel.grid(axis="y")
        panel.set(ylabel=name)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    panels[-1].xaxis.set_major_formatter(THOUSANDS)
    panels[-1].set_xlim(left=0)
    panels[-1].set(xlabel=f"optimiser step (the last, {curve[-1].step:,}, is epoch {curve[-1].epoch:g})")
    return figure


@house_style()
def reliability(run: Run) -> Figure | None:
    """Draw accuracy by confidence and, below it, the number of test texts by confidence.

    The diagonal is perfect calibration. Returns None for predictions without confidences.
    """
    if not _has_test(run) or not run.predictions.has_confidences:
        return None
    predicted = run.predictions.predicted
    correct, confidence = run.gold == predicted, metrics.confidence_of(predicted, run.predictions.probabilities)
    bins = metrics.calibration_bins(correct, confidence)
    figure = _new_figure(run, f"Reliability, ECE {metrics.expected_calibration_error(correct, confidence):.4f}", 4.9)
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    _draw_accuracies(above, bins)
    centres, widths = (bins.edges[1:] + bins.edges[:-1]) / 2, np.diff(bins.edges)
    below.bar(centres, bins.counts, width=0.94 * widths, color=BLUE)
    below.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    below.yaxis.set_major_formatter(THOUSANDS)
    below.set(xlabel="confidence: probability of the predicted label", ylabel="test texts")
    return figure


RUN_FIGURES: dict[str, Callable[[Run], Figure | None]] = {
    "label_distribution": label_distribution,
    "confusion": confusion,
    "training_curve": training_curve,
    "reliability": reliability,
}


def _new_figure(run: Run, content: str, height: float) -> Figure:
    """Create a figure whose title names the model and whose subtitle names the content and the run."""
    record = run.record
    title = record.title if record.stand_in is None else f"{record.title}, {record.stand_in}"
    facts = [content, record.dataset, f"recipe {recipe_in_words(record, read_catalogue())}", f"seed {record.seed}"]
    if record.status is Status.completed and record.scorable:
        right, rows = int((run.gold == run.predictions.predicted).sum()), len(run.gold)
        facts.append(f"test accuracy {right:,}/{rows:,} = {right / rows:.4f}")
    if readable(record.labels) != list(record.labels):
        facts.append("no installed font has some labels, so they are numbered from 0")
    unbroken = [fact.replace(" ", "\N{NO-BREAK SPACE}") for fact in facts]
    return new_figure(height, title, " · ".join(unbroken))


def _confusion_counts(run: Run) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return the confusion matrix and the names of its columns, with "no label" only if it was predicted."""
    counts = metrics.confusion_matrix(run.gold, run.predictions.predicted, len(run.record.labels))
    if counts[:, -1].any():
        return counts, [*readable(run.record.labels), label_names(run.record.labels)[-1]]
    return counts[:, :-1], readable(run.record.labels)


def _confused_pairs(run: Run, counts: npt.NDArray[np.int64], names: list[str]) -> Figure | None:
    """Draw how many texts of one label got another, for the most frequent pairs; None without errors."""
    errors = counts.copy()
    np.fill_diagonal(errors, 0)
    largest = np.argsort(-errors, axis=None, kind="stable")[: min(MOST_PAIRS, np.count_nonzero(errors))]
    gold, predicted = np.unravel_index(largest, errors.shape)
    shown = errors[gold, predicted]
    if not len(shown):
        return None
    content = f"The {len(shown)} most confused pairs of {len(counts)} labels"
    figure = _new_figure(run, f"{content}, {shown.sum():,} of {errors.sum():,} errors", 1.35 + 0.36 * len(shown))
    axes = figure.subplots()
    pairs = [f"{names[one]}\n→ {names[other]}" for one, other in zip(gold, predicted, strict=True)]
    texts = [f"{count:,} of {counts[label].sum():,}" for count, label in zip(shown, gold, strict=True)]
    draw_bars(axes, pairs, Bars("errors", shown, BLUE, texts))
    axes.tick_params(axis="y", labelsize=8)
    axes.set(xlabel="texts with the first label that got the second")
    return figure


def _draw_series(axes: Axes, points: list[tuple[int, float]], colour: str, marker: str, label: str) -> None:
    """Draw the points if there are any, without markers if there are many."""
    if points:
        shape = marker if len(points) <= MANY_POINTS else ""
        axes.plot(*zip(*points, strict=True), color=colour, marker=shape, markersize=4.5, linewidth=1.4, label=label)


def _draw_accuracies(axes: Axes, bins: metrics.CalibrationBins) -> None:
    """Draw the accuracy of each confidence bin at its mean confidence, hollow for bins with few rows."""
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="perfect calibration")
    for rows, face, label in (
        (bins.counts >= FEW_ROWS, BLUE, "accuracy at mean confidence"),
        ((bins.counts > 0) & (bins.counts < FEW_ROWS), "white", f"the same, fewer than {FEW_ROWS} texts"),
    ):
        if rows.any():
            at = bins.mean_confidence[rows], bins.accuracy[rows]
            axes.plot(*at, "o", color=BLUE, markerfacecolor=face, clip_on=False, zorder=3, label=label)
    axes.set(xlim=(lower_end(bins.edges[:-1][bins.counts > 0]), 1), ylim=(0, 1), ylabel="accuracy")
    legend_above(axes)
    axes.grid()
