"""Metrics as pure functions of stored predictions: a new metric needs no new run.

Arrays: gold and predicted are (rows,) int64 label ids, probabilities (rows, labels) float32. A predicted `NO_LABEL`
is an answer that matches no label; it counts as wrong. Functions raise `BenchmarkError` on empty input, on
different lengths and on ids outside the labels.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special
from sklearn import metrics as sklearn_metrics

from benchmark.errors import BenchmarkError
from benchmark.interface import NO_LABEL, LabelIds, Probabilities

Correct = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ClassScores:
    """One entry per label, (labels,) each; support is the number of gold rows. A score with divisor 0 is 0."""

    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    f1: npt.NDArray[np.float64]
    support: npt.NDArray[np.int64]


@dataclass(frozen=True)
class CalibrationBins:
    """A reliability diagram, from low to high confidence. Both means are NaN where a bin is empty."""

    edges: npt.NDArray[np.float64]  # (bins + 1,)
    mean_confidence: npt.NDArray[np.float64]  # (bins,)
    accuracy: npt.NDArray[np.float64]  # (bins,)
    counts: npt.NDArray[np.int64]  # (bins,)


def accuracy(gold: LabelIds, predicted: LabelIds) -> float:
    """The share of rows whose predicted label is the gold label."""
    _check_same_length(len(gold), len(predicted))
    return float(np.mean(gold == predicted))


def macro_f1(gold: LabelIds, predicted: LabelIds, n_labels: int) -> float:
    """The unweighted mean of the F1 of all labels; a label that is neither gold nor predicted counts 0."""
    return float(per_class(gold, predicted, n_labels).f1.mean())


def per_class(gold: LabelIds, predicted: LabelIds, n_labels: int) -> ClassScores:
    """The precision, recall, F1 and support of each label."""
    _check_ids(gold, predicted, n_labels)
    scores = sklearn_metrics.precision_recall_fscore_support(
        gold, predicted, labels=range(n_labels), average=None, zero_division=0
    )
    return ClassScores(*scores)


def confusion_matrix(gold: LabelIds, predicted: LabelIds, n_labels: int) -> npt.NDArray[np.int64]:
    """The row counts, (labels, labels + 1), by gold and predicted label; the last column is `NO_LABEL`."""
    _check_ids(gold, predicted, n_labels)
    matrix = sklearn_metrics.confusion_matrix(gold, predicted, labels=[*range(n_labels), NO_LABEL])
    return np.asarray(matrix[:n_labels], dtype=np.int64)


def confidence_of(predicted: LabelIds, probabilities: Probabilities) -> Probabilities:
    """The probability of each predicted label, (rows,); for `NO_LABEL` the highest probability of the row.

    The predicted label need not be the most probable one where a model writes freely. Raises `BenchmarkError` for
    values outside 0..1.
    """
    of_predicted = probabilities[np.arange(len(predicted)), predicted]
    confidence = np.where(predicted == NO_LABEL, probabilities.max(axis=1), of_predicted)
    valid = (confidence >= 0) & (confidence <= 1 + 1e-3)  # the tolerance of Predictions.check; False for NaN
    if not valid.all():
        row = int(np.argmin(valid))
        raise BenchmarkError(f"The confidence of row {row} is {confidence[row]}.", "Give probabilities, not logits.")
    return confidence


def brier_score(gold: LabelIds, probabilities: Probabilities) -> float:
    """The mean squared distance between the probabilities and the gold label's one-hot vector, 0 (best) to 2.

    Brier 1950, "Verification of forecasts expressed in terms of probability"
    (doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2).
    """
    _check_gold(gold, probabilities)
    one_hot = np.eye(probabilities.shape[1])[gold]
    return float(np.mean(((probabilities - one_hot) ** 2).sum(axis=1)))


def log_loss(gold: LabelIds, probabilities: Probabilities) -> float:
    """The mean negative natural logarithm of the gold label's probability; 0 is best.

    Probabilities are clipped to the resolution of their type (1.2e-7), as in scikit-learn.
    """
    _check_gold(gold, probabilities)
    of_gold = probabilities[np.arange(len(gold)), gold]
    return float(-np.log(np.clip(of_gold, np.finfo(of_gold.dtype).eps, 1).astype(np.float64)).mean())


def expected_calibration_error(correct: Correct, confidence: Probabilities, bins: int = 15) -> float:
    """The mean gap between confidence and accuracy over `bins` bins of equal width, weighted by rows; 0 is best.

    Equation 3 and section 5 of Guo et al. 2017, "On Calibration of Modern Neural Networks"
    (https://proceedings.mlr.press/v70/guo17a.html).
    """
    by_bin = calibration_bins(correct, confidence, bins)
    filled = by_bin.counts > 0
    gaps = np.abs(by_bin.accuracy - by_bin.mean_confidence)[filled]
    return float(np.average(gaps, weights=by_bin.counts[filled]))


def calibration_noise(confidence: Probabilities, draws: int = 200) -> float:
    """The mean calibration error that a perfectly calibrated model with these confidences shows on as many rows.

    Each draw makes every prediction correct with the probability of its confidence. Even such a model has an error
    above 0, because the accuracy in a bin varies with the rows: Roelofs et al. 2022, "Mitigating Bias in Calibration
    Error Estimation" (https://proceedings.mlr.press/v151/roelofs22a.html).
    """
    generator = np.random.default_rng(0)
    drawn = (generator.random(len(confidence)) < confidence for _ in range(draws))
    return float(np.mean([expected_calibration_error(correct, confidence) for correct in drawn]))


def calibration_bins(correct: Correct, confidence: Probabilities, bins: int = 15) -> CalibrationBins:
    """The accuracy by confidence in `bins` bins of equal width, each open below and closed above.

    Section 2 of Guo et al. 2017.
    """
    _check_same_length(len(correct), len(confidence))
    edges = np.linspace(0, 1, bins + 1)
    # Edges in the confidence's own precision: the float32 nearest to 0.2 is above the float64 nearest to it.
    bin_of = np.digitize(confidence, edges[1:-1].astype(confidence.dtype), right=True)
    counts = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN of an empty bin
        mean_confidence = np.bincount(bin_of, weights=confidence, minlength=bins) / counts
        accuracies = np.bincount(bin_of, weights=correct, minlength=bins) / counts
    return CalibrationBins(edges, mean_confidence, accuracies, counts)


def accuracy_at_coverage(correct: Correct, confidence: Probabilities, coverage: float) -> float:
    """The accuracy on the `coverage` share of rows with the highest confidence.

    Rows of equal confidence count as if drawn at random, so their order does not matter. Raises `BenchmarkError`
    unless 0 < coverage <= 1. Geifman and El-Yaniv 2017, "Selective Classification for Deep Neural Networks"
    (https://arxiv.org/abs/1705.08500).
    """
    _check_same_length(len(correct), len(confidence))
    if not 0 < coverage <= 1:
        raise BenchmarkError(f"The coverage is {coverage}.", "Give a number above 0 and at most 1.")
    kept = max(1, round(coverage * len(correct)))
    threshold = np.sort(confidence)[-kept]
    surer, equal = confidence > threshold, confidence == threshold
    drawn = kept - np.count_nonzero(surer)
    return float((np.count_nonzero(correct[surer]) + drawn * correct[equal].mean()) / kept)


def coverage_at_error(correct: Correct, confidence: Probabilities, error: float) -> float:
    """The largest share of rows, the most confident first, of which at most the share `error` is wrong.

    Rows of equal confidence are taken together. The threshold is chosen on these rows, so the share is optimistic.
    """
    _check_same_length(len(correct), len(confidence))
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~correct[order])
    rows = np.arange(1, len(order) + 1)
    last = np.append(np.diff(confidence[order]) != 0, True)  # of the rows of equal confidence
    allowed = rows[last & (wrong <= error * rows)]
    return float(allowed.max() / len(order)) if len(allowed) else 0.0


def fit_temperature(gold: LabelIds, probabilities: Probabilities) -> float:
    """The temperature with the least log loss on these rows, between 0.05 and 20, to three decimals.

    Fit it on validation rows: section 4.2 of Guo et al. 2017.
    """
    _check_gold(gold, probabilities)
    logits, rows = _logits(probabilities), np.arange(len(gold))
    minimum = optimize.minimize_scalar(
        lambda exponent: -special.log_softmax(logits / math.exp(exponent), axis=1)[rows, gold].mean(),
        bounds=(-math.log(20), math.log(20)),
        method="bounded",
    )
    return round(math.exp(minimum.x), 3)


def with_temperature(probabilities: Probabilities, temperature: float) -> Probabilities:
    """The probabilities with their logits divided by `temperature`; the most probable label stays."""
    return np.asarray(special.softmax(_logits(probabilities) / temperature, axis=1), dtype=np.float32)


def least_cost(probabilities: Probabilities, costs: npt.NDArray[np.float64]) -> LabelIds:
    """The label with the lowest expected cost for each row; `costs` are (gold, predicted). Ties go to the lower id."""
    return np.asarray((probabilities.astype(np.float64) @ costs).argmin(axis=1), dtype=np.int64)


def mean_cost(gold: LabelIds, predicted: LabelIds, costs: npt.NDArray[np.float64]) -> float:
    """The mean cost of the predictions; `costs` are (gold, predicted). `NO_LABEL` has the highest of its row."""
    _check_ids(gold, predicted, len(costs))
    with_no_label = np.column_stack([costs, costs.max(axis=1)])  # its id, -1, is the last column
    return float(with_no_label[gold, predicted].mean())


def _logits(probabilities: Probabilities) -> npt.NDArray[np.float64]:
    """The natural logarithms of the probabilities, each clipped to the smallest normal number of float32."""
    return np.asarray(np.log(np.clip(probabilities.astype(np.float64), np.finfo(np.float32).tiny, 1)))


def _check_same_length(gold: int, predicted: int) -> None:
    if gold != predicted:
        raise BenchmarkError(f"There are {gold} rows and {predicted} predictions.", "Give one prediction per row.")
    if gold == 0:
        raise BenchmarkError("There are no rows to score.", "Give at least one row.")


def _check_ids(gold: LabelIds, predicted: LabelIds, n_labels: int) -> None:
    _check_same_length(len(gold), len(predicted))
    _check_range("gold label", gold, 0, n_labels)
    _check_range("prediction", predicted, NO_LABEL, n_labels)


def _check_gold(gold: LabelIds, probabilities: Probabilities) -> None:
    _check_same_length(len(gold), len(probabilities))
    _check_range("gold label", gold, 0, probabilities.shape[1])


def _check_range(name: str, ids: LabelIds, lowest: int, n_labels: int) -> None:
    outside = (ids < lowest) | (ids >= n_labels)
    if outside.any():
        row = int(np.argmax(outside))
        raise BenchmarkError(
            f"The {name} of row {row} is {ids[row]}.", f"Give label ids between {lowest} and {n_labels - 1}."
        )
