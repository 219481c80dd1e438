import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import f1_score, precision_recall_fscore_support

from benchmark.analysis.metrics import (
    CalibrationBins,
    accuracy,
    accuracy_at_coverage,
    calibration_bins,
    confidence_of,
    confusion_matrix,
    expected_calibration_error,
    macro_f1,
    per_class,
)
from benchmark.errors import BenchmarkError
from benchmark.interface import NO_LABEL, LabelIds, Probabilities

Sample = tuple[LabelIds, LabelIds, Probabilities]


def ids(*values: int) -> LabelIds:
    return np.array(values, dtype=np.int64)


def binary(*of_label_1: float) -> Probabilities:
    return np.stack([1 - np.array(of_label_1), of_label_1], axis=1).astype(np.float32)


def random_sample(seed: int, rows: int = 400, labels: int = 6, unnamed: float = 0.1) -> Sample:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(labels, 0.3), size=rows).astype(np.float32)
    predicted = np.where(generator.random(rows) < unnamed, NO_LABEL, probabilities.argmax(axis=1))
    right = generator.random(rows) < 0.6
    gold = np.where(right & (predicted >= 0), predicted, generator.integers(labels, size=rows))
    return gold, predicted, probabilities


def calibration_error(gold: LabelIds, predicted: LabelIds, probabilities: Probabilities) -> float:
    return expected_calibration_error(gold == predicted, confidence_of(predicted, probabilities))


def bins_of(gold: LabelIds, predicted: LabelIds, probabilities: Probabilities, bins: int = 15) -> CalibrationBins:
    return calibration_bins(gold == predicted, confidence_of(predicted, probabilities), bins)


def test_every_metric_of_a_perfect_and_certain_model_is_perfect() -> None:
    gold = ids(0, 1, 2, 1)
    assert accuracy(gold, gold) == macro_f1(gold, gold, labels=3) == 1.0
    assert calibration_error(gold, gold, np.eye(3, dtype=np.float32)[gold]) == 0.0


def test_metrics_are_plain_floats_that_json_can_write() -> None:
    gold, predicted, probabilities = random_sample(seed=0)
    scores = (
        accuracy(gold, predicted),
        macro_f1(gold, predicted, 6),
        calibration_error(gold, predicted, probabilities),
    )
    assert {type(score) for score in scores} == {float}


def test_an_answer_that_names_no_label_counts_as_wrong() -> None:
    gold, predicted = ids(0, 1, 1, 1), ids(0, 1, 1, NO_LABEL)
    assert accuracy(gold, predicted) == 0.75
    assert per_class(gold, predicted, labels=2).recall.tolist() == [1, 2 / 3]
    assert per_class(gold, predicted, labels=2).precision.tolist() == [1, 1]


def test_macro_f1_counts_a_label_nobody_mentions_as_zero() -> None:
    gold = ids(0, 1)
    assert macro_f1(gold, gold, labels=4) == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_macro_f1_is_sklearns_over_all_labels(seed: int) -> None:
    gold, predicted, _ = random_sample(seed, rows=12)
    expected = f1_score(gold, predicted, labels=range(6), average="macro", zero_division=0)
    assert macro_f1(gold, predicted, labels=6) == pytest.approx(expected, abs=1e-12)


def test_per_class_scores_of_a_worked_example() -> None:
    scores = per_class(ids(0, 0, 0, 1, 1), ids(0, 0, 1, 1, 2), labels=4)
    assert scores.precision == pytest.approx([1, 1 / 2, 0, 0])
    assert scores.recall == pytest.approx([2 / 3, 1 / 2, 0, 0])
    assert scores.f1 == pytest.approx([4 / 5, 1 / 2, 0, 0])
    assert scores.support.tolist() == [3, 2, 0, 0]


def test_confusion_matrix_has_gold_down_predicted_across_and_unnamed_answers_last() -> None:
    matrix = confusion_matrix(ids(0, 0, 1, 1, 1), ids(0, 1, 1, NO_LABEL, NO_LABEL), labels=3)
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 1, 0, 2], [0, 0, 0, 0]]


@pytest.mark.parametrize("seed", range(5))
def test_confusion_matrix_counts_every_row_once_and_its_diagonal_is_the_accuracy(seed: int) -> None:
    gold, predicted, _ = random_sample(seed)
    matrix = confusion_matrix(gold, predicted, labels=6)
    assert matrix.sum(axis=1).tolist() == np.bincount(gold, minlength=6).tolist()
    assert np.trace(matrix) / len(gold) == accuracy(gold, predicted)


def test_calibration_error_of_a_worked_example() -> None:
    # Two answers at 0.9, one of them right: a gap of 0.4. Two at 0.6, both right: 0.4 as well. One wrong at 0.7: 0.7.
    gold, predicted = ids(1, 0, 1, 1, 0), ids(1, 1, 1, 1, 1)
    error = calibration_error(gold, predicted, binary(0.9, 0.9, 0.6, 0.6, 0.7))
    assert error == pytest.approx((2 * 0.4 + 2 * 0.4 + 0.7) / 5, abs=1e-6)


def test_calibration_error_vanishes_where_confidence_is_the_accuracy() -> None:
    gold, predicted = ids(*[1] * 8, *[0] * 2), np.ones(10, dtype=np.int64)
    error = calibration_error(gold, predicted, binary(*[0.8] * 10))
    assert error == pytest.approx(0, abs=1e-6)


def test_confidence_is_that_of_the_predicted_label_even_if_another_is_more_probable() -> None:
    assert bins_of(ids(0), ids(0), binary(0.7)).mean_confidence[4] == pytest.approx(0.3)


def test_confidence_of_an_unnamed_answer_is_the_highest_probability() -> None:
    bins = bins_of(ids(0), ids(NO_LABEL), binary(0.3))
    assert bins.mean_confidence[10] == pytest.approx(0.7)
    assert bins.accuracy[10] == 0


def test_bins_are_closed_above_also_in_float32() -> None:
    confidences = np.arange(1, 16) / 15
    gold = np.ones(15, dtype=np.int64)
    assert bins_of(gold, gold, binary(*confidences)).counts.tolist() == [1] * 15


def test_a_confidence_of_zero_falls_into_the_first_bin() -> None:
    assert bins_of(ids(1), ids(1), binary(0.0)).counts.tolist() == [1] + [0] * 14


def test_an_empty_bin_has_no_accuracy_and_no_confidence() -> None:
    bins = bins_of(ids(1), ids(1), binary(0.9), bins=4)
    assert bins.edges.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert np.isnan(bins.accuracy).tolist() == np.isnan(bins.mean_confidence).tolist() == [True, True, True, False]


@pytest.mark.parametrize("seed", range(5))
def test_reliability_diagram_agrees_with_sklearns_calibration_curve(seed: int) -> None:
    gold, predicted, probabilities = random_sample(seed, unnamed=0)
    bins = bins_of(gold, predicted, probabilities)
    accuracy, confidence = calibration_curve(gold == predicted, probabilities.max(axis=1), n_bins=15)
    filled = bins.counts > 0
    assert bins.counts.sum() == len(gold)
    assert bins.accuracy[filled] == pytest.approx(accuracy)
    assert bins.mean_confidence[filled] == pytest.approx(confidence, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_calibration_error_is_at_least_the_gap_between_mean_confidence_and_accuracy(seed: int) -> None:
    gold, predicted, probabilities = random_sample(seed, unnamed=0)
    gap = abs(probabilities.max(axis=1).mean() - (gold == predicted).mean())
    assert gap - 1e-6 <= calibration_error(gold, predicted, probabilities) <= 1


@pytest.mark.parametrize(
    ("gold", "predicted", "problem"),
    [
        (ids(), ids(), "no rows to score"),
        (ids(0, 1), ids(0), "2 rows and 1 answers"),
        (ids(0, 2), ids(0, 1), "of row 1 is 2"),
        (ids(0, NO_LABEL), ids(0, 1), "of row 1 is -1"),
        (ids(0, 1), ids(-2, 1), "of row 0 is -2"),
    ],
)
def test_rows_that_do_not_belong_together_are_not_scored(gold: LabelIds, predicted: LabelIds, problem: str) -> None:
    with pytest.raises(BenchmarkError, match=problem):
        macro_f1(gold, predicted, labels=2)


def test_accuracy_refuses_a_different_number_of_answers_and_no_rows() -> None:
    with pytest.raises(BenchmarkError, match="2 rows and 1 answers"):
        accuracy(ids(0, 1), ids(0))
    with pytest.raises(BenchmarkError, match="no rows"):
        accuracy(ids(), ids())


@pytest.mark.parametrize("rows", [1, 3])
def test_confidence_and_answers_have_the_same_length(rows: int) -> None:
    with pytest.raises(BenchmarkError, match="rows and"):
        expected_calibration_error(np.ones(2, dtype=bool), np.ones(rows, dtype=np.float32))


@pytest.mark.parametrize("confidence", [np.nan, np.inf, 3.5, -0.2])
def test_calibration_error_refuses_what_is_no_probability(confidence: float) -> None:
    with pytest.raises(BenchmarkError, match="confidence of row 1"):
        calibration_error(ids(1, 1), ids(1, 1), binary(0.9, confidence))


@pytest.mark.parametrize("function", [per_class, confusion_matrix])
def test_class_counts_refuse_empty_input_and_foreign_ids(function: object) -> None:
    assert callable(function)
    with pytest.raises(BenchmarkError, match="no rows"):
        function(ids(), ids(), labels=2)
    with pytest.raises(BenchmarkError, match="of row 0 is 2"):
        function(ids(0), ids(2), labels=2)


@pytest.mark.parametrize("seed", range(3))
def test_scores_by_label_are_sklearns(seed: int) -> None:
    gold, predicted, _ = random_sample(seed, rows=40)
    expected = precision_recall_fscore_support(gold, predicted, labels=range(6), average=None, zero_division=0)
    found = per_class(gold, predicted, 6)
    for ours, theirs in zip((found.precision, found.recall, found.f1, found.support), expected, strict=True):
        assert ours.tolist() == theirs.tolist()


def test_full_coverage_is_the_accuracy_and_less_keeps_the_surest() -> None:
    gold, predicted = np.array([0, 1, 0, 1]), np.array([0, 1, 1, 0])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]], dtype=np.float32)
    correct, confidence = gold == predicted, confidence_of(predicted, probabilities)
    assert accuracy_at_coverage(correct, confidence, 1.0) == 0.5
    assert accuracy_at_coverage(correct, confidence, 0.75) == pytest.approx(2 / 3)
    assert accuracy_at_coverage(correct, confidence, 0.5) == 1.0


def test_the_order_of_equally_sure_rows_does_not_matter() -> None:
    gold, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])
    correct, confidence = gold == predicted, np.full(4, 0.8, dtype=np.float32)
    for order in (slice(None), slice(None, None, -1)):
        assert accuracy_at_coverage(correct[order], confidence[order], 0.5) == pytest.approx(0.75)


@pytest.mark.parametrize("coverage", [0.0, 1.01, -0.5])
def test_a_coverage_outside_0_to_1_is_refused(coverage: float) -> None:
    with pytest.raises(BenchmarkError, match="coverage"):
        accuracy_at_coverage(np.ones(1, dtype=bool), np.ones(1, dtype=np.float32), coverage)
