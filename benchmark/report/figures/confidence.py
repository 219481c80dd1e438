"""Accuracy by confidence, and by the share of texts answered."""

import textwrap
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.configurations import with_results
from benchmark.analysis.metrics import calibration_bins, calibration_noise, expected_calibration_error
from benchmark.report.colours import MUTED
from benchmark.report.figure import Figure, series_styles
from benchmark.report.style import NARROW, SERIES_STYLES, WIDTH, house_style, in_two_lines, lower_end, new_figure
from benchmark.report.tables.mistakes import confidences, coverage_accuracy
from benchmark.report.wording import four_decimals

FEW_ROWS = 10  # bins with fewer answers are left out, because their accuracy is uncertain
SURE = 0.9  # the confidence from which most predictions are right
SHARES = tuple(round(0.05 * step, 2) for step in range(14, 21))  # accuracies below 70% hardly differ
SMALLEST, LARGEST = 2.5, 7.0  # of the markers of bins, in points


@house_style()
def calibration(analysis: AnalysedResults, dataset: str, width: float = WIDTH) -> Drawing | None:
    """Draw the configurations with confidences over all seeds, except those that predict one label for every text.

    In a narrow figure the panels are below each other.
    """
    candidates = with_results(analysis.without_ablations)
    candidates = candidates[
        candidates["has_confidences"].astype(bool) & (candidates["collapsed"] < candidates["seeds"])
    ]
    if candidates.empty:
        return None
    shown = candidates.head(len(SERIES_STYLES))
    left_out = f"; the best {len(shown)} of {len(candidates)}" if len(shown) < len(candidates) else ""
    narrow = width < WIDTH
    names = [in_two_lines(name, 42) if narrow else textwrap.shorten(name, 90) for name in shown["short_name"]]
    first, second = ("Above", "Below") if narrow else ("Left", "Right")
    figure = new_figure(
        (6.2 if narrow else 4.2) + sum(0.18 + 0.14 * name.count("\n") for name in names),
        f"Calibration, {dataset} test split{left_out}",
        f"{first}: accuracy of predictions by their confidence; the diagonal is perfect, and large markers stand for "
        f"many predictions. {second}: accuracy if only the most confident share of the texts is labelled. Models "
        "without probabilities are left out.",
        width,
    )
    figure.set_label(_caption(analysis, shown))
    left, right = figure.subplots(*((2, 1) if narrow else (1, 2)))
    left.plot([0, 1], [0, 1], color=MUTED, linestyle="-", linewidth=0.8)
    styles = series_styles(analysis, shown["title"].tolist())
    for (_, row), series in zip(shown.iterrows(), styles, strict=True):
        style: dict[str, Any] = {**series, "linewidth": 1.4, "markersize": 4}
        _draw_bins(left, _answers(analysis, row), style)
        accuracies = [coverage_accuracy(analysis.results, row, share) for share in SHARES]
        right.plot([100 * share for share in SHARES], accuracies, markevery=2, label=row["short_name"], **style)
    lowest = lower_end([value for line in left.get_lines()[1:] for value in np.ravel(line.get_xydata())])
    left.set(xlim=(lowest, 1), ylim=(lowest, 1), xlabel="confidence", ylabel="accuracy")
    right.set(xlabel="texts labelled, %", ylabel="accuracy", xlim=(101, 100 * SHARES[0] - 1))
    for panel in (left, right):
        panel.grid()
    figure.legend(right.get_lines(), names, loc="outside lower left", ncols=1)
    return figure


def _caption(analysis: AnalysedResults, shown: pd.DataFrame) -> str:
    """The caption: confidence minus accuracy, noise of the ECE, and accuracy on the smallest share of the texts."""
    answers = [_answers(analysis, row) for _, row in shown.iterrows()]
    gaps = [float((answer["confidence"] - answer["correct"]).mean()) for answer in answers]
    surest = [coverage_accuracy(analysis.results, row, SHARES[0]) for _, row in shown.iterrows()]
    errors = [_calibration_error(analysis, row) for _, row in shown.iterrows()]
    noise = [_noise(analysis, row) for _, row in shown.iterrows()]
    sign = "over" if min(gaps) > 0 else "under" if max(gaps) < 0 else "over- and under"
    ends = [f"{gap:+.3f}" for gap in sorted({min(gaps), max(gaps)})]
    ranges = [dict.fromkeys(f"{value:.3f}" for value in (min(values), max(values))) for values in (errors, noise)]
    ece, floor = (" to ".join(ends) for ends in ranges)
    accuracies = [four_decimals(accuracy) for accuracy in sorted({min(surest), max(surest)})]
    these, their = ("These models are", "Their") if len(shown) > 1 else ("This model is", "Its")
    return (
        f"{these} {sign}confident: mean confidence minus accuracy is {' to '.join(ends)}. {their} ECE is "
        f"{ece}; that of a perfectly calibrated model on as many texts is {floor}.{_unsure(answers)} "
        f"On the most confident {SHARES[0]:.0%} of the texts, accuracy is {' to '.join(accuracies)}."
    )


def _unsure(answers: Sequence[pd.DataFrame]) -> str:
    """How many predictions are below the confidence `SURE`, and how often they are right; empty if there are few."""
    unsure = [answer.loc[answer["confidence"] < SURE, "correct"].astype(float) for answer in answers]
    if min(map(len, unsure)) < FEW_ROWS:
        return ""
    shares = [len(one) / len(answer) for one, answer in zip(unsure, answers, strict=True)]
    right = [one.mean() for one in unsure]
    ranges = [dict.fromkeys(f"{value:.0%}" for value in (min(values), max(values))) for values in (shares, right)]
    of_all, correct = (" to ".join(ends) for ends in ranges)
    return f" Below a confidence of {SURE} lie {of_all} of the predictions, of which {correct} are right."


def _calibration_error(analysis: AnalysedResults, row: pd.Series) -> float:
    """The expected calibration error in 15 bins, the mean over the seeds."""
    return float(np.mean([expected_calibration_error(*seed) for seed in confidences(analysis.results, row)]))


def _noise(analysis: AnalysedResults, row: pd.Series) -> float:
    """The ECE of a perfectly calibrated model with these confidences, the mean over the seeds."""
    return float(np.mean([calibration_noise(seed) for _, seed in confidences(analysis.results, row)]))


def _answers(analysis: AnalysedResults, row: pd.Series) -> pd.DataFrame:
    """The answers of all seeds."""
    return pd.concat([analysis.results.answers_of(run) for run in row["counted"]])


def _draw_bins(axes: Axes, answers: pd.DataFrame, style: dict[str, Any]) -> None:
    bins = calibration_bins(answers["correct"].to_numpy(), answers["confidence"].to_numpy(), bins=10)
    enough = bins.counts >= FEW_ROWS
    if enough.any():  # a line without points outside the clipping breaks the layout
        places = bins.mean_confidence[enough], bins.accuracy[enough]
        axes.plot(*places, **style | {"marker": ""})
        sizes = SMALLEST + (LARGEST - SMALLEST) * np.sqrt(bins.counts[enough] / bins.counts.max())
        for x, y, size in zip(*places, sizes, strict=True):
            axes.plot([x], [y], clip_on=False, zorder=3, **style | {"markersize": size})


FIGURES = (
    Figure(
        "calibration",
        "Accuracy against confidence, and by share of texts labelled. The table below has the numbers.",
        "confidence",
        calibration,
        draw_narrow=partial(calibration, width=NARROW),
    ),
)
