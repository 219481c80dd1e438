"""Metrics as pure functions of stored predictions: a new one needs no rerun, only an entry in `METRICS`.

Arrays throughout: gold and predicted are (rows,) int64 label ids, probabilities (rows, labels) float32. A predicted
`NO_LABEL` is an answer that names no label; it counts as wrong. Every function raises `BenchmarkError` on empty
input, on lengths that differ and on ids that are no label.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmark.errors import BenchmarkError
from benchmark.interface import NO_LABEL, LabelIds, Probabilities

Metric = Callable[[LabelIds, LabelIds, Probabilities], float]


@dataclass(frozen=True)
class ClassScores:
    """One entry a label, (labels,) each; support is the number of gold rows. A score without a divisor is 0."""

    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    f1: npt.NDArray[np.float64]
    support: npt.NDArray[np.int64]


@dataclass(frozen=True)
class CalibrationBins:
    """A reliability diagram, from low to high confidence; both means are NaN where a bin is empty."""

    edges: npt.NDArray[np.float64]  # (bins + 1,)
    mean_confidence: npt.NDArray[np.float64]  # (bins,)
    accuracy: npt.NDArray[np.float64]  # (bins,)
    counts: npt.NDArray[np.int64]  # (bins,)


def accuracy(gold: LabelIds, predicted: LabelIds, probabilities: Probabilities) -> float:
    """The share of rows whose predicted label is the gold one."""
    _check_rows(gold, predicted, probabilities)
    return float(np.mean(gold == predicted))


def macro_f1(gold: LabelIds, predicted: LabelIds, probabilities: Probabilities) -> float:
    """The unweighted mean of the F1 of all labels; one that is neither gold nor predicted counts 0."""
    _check_rows(gold, predicted, probabilities)
    return float(per_class(gold, predicted, labels=probabilities.shape[1]).f1.mean())


def expected_calibration_error(gold: LabelIds, predicted: LabelIds, probabilities: Probabilities) -> float:
    """The gap between confidence and accuracy, averaged over the rows by way of 15 equal-width bins; 0 is best.

    Equation 3 and section 5 of Guo et al. 2017, "On Calibration of Modern Neural Networks"
    (https://proceedings.mlr.press/v70/guo17a.html).
    """
    bins = calibration_bins(gold, predicted, probabilities)
    filled = bins.counts > 0
    gaps = np.abs(bins.accuracy - bins.mean_confidence)[filled]
    return float(np.average(gaps, weights=bins.counts[filled]))


LABEL_METRICS: dict[str, Metric] = {"accuracy": accuracy, "macro_f1": macro_f1}
"""Those that judge the labels alone: of the probabilities they look at the shape, never at a value."""

METRICS: dict[str, Metric] = {**LABEL_METRICS, "expected_calibration_error": expected_calibration_error}


def per_class(gold: LabelIds, predicted: LabelIds, labels: int) -> ClassScores:
    """Precision, recall, F1 and support of each of the `labels` labels."""
    _check_labels(gold, predicted, labels)
    counts = _counts(gold, predicted, labels)
    right, support, answered = np.diag(counts), counts.sum(axis=1), counts[:, :labels].sum(axis=0)
    return ClassScores(
        precision=right / np.maximum(answered, 1),
        recall=right / np.maximum(support, 1),
        f1=2 * right / np.maximum(support + answered, 1),
        support=support,
    )


def confusion_matrix(gold: LabelIds, predicted: LabelIds, labels: int) -> npt.NDArray[np.int64]:
    """Row counts, (labels, labels + 1), gold down and predicted across; the last column names no label."""
    _check_labels(gold, predicted, labels)
    return _counts(gold, predicted, labels)


def calibration_bins(
    gold: LabelIds, predicted: LabelIds, probabilities: Probabilities, bins: int = 15
) -> CalibrationBins:
    """Accuracy against confidence in `bins` bins of equal width, each open below and closed above.

    The confidence of a row is the probability of its predicted label, which need not be the most
    probable one where a model writes freely; for `NO_LABEL` it is the highest probability. Raises
    `BenchmarkError` if a confidence lies outside 0..1. Section 2 of Guo et al. 2017.
    """
    _check_rows(gold, predicted, probabilities)
    confidence = confidence_of(predicted, probabilities)
    edges = np.linspace(0, 1, bins + 1)
    # Edges in the confidence's own precision: the float32 nearest to 0.2 is above the float64 nearest to it.
    bin_of = np.digitize(confidence, edges[1:-1].astype(confidence.dtype), right=True)
    counts = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN of an empty bin
        mean_confidence = np.bincount(bin_of, weights=confidence, minlength=bins) / counts
        accuracies = np.bincount(bin_of, weights=gold == predicted, minlength=bins) / counts
    return CalibrationBins(edges, mean_confidence, accuracies, counts)


def accuracy_at_coverage(gold: LabelIds, predicted: LabelIds, probabilities: Probabilities, coverage: float) -> float:
    """The accuracy on the `coverage` share of rows with the highest confidence, the rest being left to a person.

    Rows that are equally sure count as if drawn at random, so that their order does not matter. Raises
    `BenchmarkError` unless 0 < coverage <= 1. Geifman and El-Yaniv 2017, "Selective Classification for Deep
    Neural Networks" (https://arxiv.org/abs/1705.08500).
    """
    _check_rows(gold, predicted, probabilities)
    if not 0 < coverage <= 1:
        raise BenchmarkError(f"The coverage is {coverage}; it must lie above 0 and be at most 1.")
    right, confidence = gold == predicted, confidence_of(predicted, probabilities)
    kept = max(1, round(coverage * len(gold)))
    threshold = np.sort(confidence)[-kept]
    surer, equal = confidence > threshold, confidence == threshold
    drawn = kept - np.count_nonzero(surer)
    return float((np.count_nonzero(right[surer]) + drawn * right[equal].mean()) / kept)


def confidence_of(predicted: LabelIds, probabilities: Probabilities) -> Probabilities:
    """The probability of each predicted label, (rows,); see `calibration_bins`."""
    of_predicted = probabilities[np.arange(len(predicted)), predicted]
    confidence = np.where(predicted == NO_LABEL, probabilities.max(axis=1), of_predicted)
    sound = (confidence >= 0) & (confidence <= 1 + 1e-3)  # the tolerance of Predictions.check; false for NaN
    if not sound.all():
        row = int(np.argmin(sound))
        raise BenchmarkError(f"The confidence of row {row} is {confidence[row]}; give probabilities, not logits.")
    return confidence


def _counts(gold: LabelIds, predicted: LabelIds, labels: int) -> npt.NDArray[np.int64]:
    columns = np.where(predicted == NO_LABEL, labels, predicted)
    cells = np.bincount(gold * (labels + 1) + columns, minlength=labels * (labels + 1))
    return cells.reshape(labels, labels + 1)


def _check_rows(gold: LabelIds, predicted: LabelIds, probabilities: Probabilities) -> None:
    if probabilities.ndim != 2 or len(probabilities) != len(gold):
        raise BenchmarkError(
            f"The probabilities have shape {probabilities.shape}; {len(gold)} gold labels need ({len(gold)}, labels)."
        )
    _check_labels(gold, predicted, labels=probabilities.shape[1])


def _check_labels(gold: LabelIds, predicted: LabelIds, labels: int) -> None:
    if gold.shape != predicted.shape:
        raise BenchmarkError(f"There are {len(gold)} gold labels and {len(predicted)} predictions; give one for each.")
    if len(gold) == 0:
        raise BenchmarkError("There is no row to score; a metric needs at least one prediction.")
    for name, ids, lowest in (("gold label", gold, 0), ("prediction", predicted, NO_LABEL)):
        outside = (ids < lowest) | (ids >= labels)
        if outside.any():
            row = int(np.argmax(outside))
            raise BenchmarkError(f"The {name} of row {row} is {ids[row]}; ids must lie in {lowest}..{labels - 1}.")
