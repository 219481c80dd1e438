import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import f1_score, precision_recall_fscore_support

from benchmark.analysis.metrics import (
    LABEL_METRICS,
    METRICS,
    accuracy_at_coverage,
    calibration_bins,
    confusion_matrix,
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


def test_every_metric_of_a_perfect_and_certain_model_is_perfect() -> None:
    gold = ids(0, 1, 2, 1)
    scores = {name: metric(gold, gold, np.eye(3, dtype=np.float32)[gold]) for name, metric in METRICS.items()}
    assert scores == {"accuracy": 1.0, "macro_f1": 1.0, "expected_calibration_error": 0.0}


def test_label_metrics_never_look_at_a_probability() -> None:
    gold, predicted, probabilities = random_sample(seed=0)
    for metric in LABEL_METRICS.values():
        assert metric(gold, predicted, np.full_like(probabilities, np.nan)) == metric(gold, predicted, probabilities)


def test_metrics_are_plain_floats_that_json_can_write() -> None:
    assert {type(metric(*random_sample(seed=0))) for metric in METRICS.values()} == {float}


def test_an_answer_that_names_no_label_counts_as_wrong() -> None:
    gold, predicted = ids(0, 1, 1, 1), ids(0, 1, 1, NO_LABEL)
    probabilities = binary(0.1, 0.9, 0.9, 0.9)
    assert METRICS["accuracy"](gold, predicted, probabilities) == 0.75
    assert per_class(gold, predicted, labels=2).recall.tolist() == [1, 2 / 3]
    assert per_class(gold, predicted, labels=2).precision.tolist() == [1, 1]


def test_macro_f1_counts_a_label_nobody_mentions_as_zero() -> None:
    gold = ids(0, 1)
    assert METRICS["macro_f1"](gold, gold, np.eye(4, dtype=np.float32)[gold]) == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_macro_f1_is_sklearns_over_all_labels(seed: int) -> None:
    gold, predicted, probabilities = random_sample(seed, rows=12)
    expected = f1_score(gold, predicted, labels=range(6), average="macro", zero_division=0)
    assert METRICS["macro_f1"](gold, predicted, probabilities) == pytest.approx(expected, abs=1e-12)


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
    gold, predicted, probabilities = random_sample(seed)
    matrix = confusion_matrix(gold, predicted, labels=6)
    assert matrix.sum(axis=1).tolist() == np.bincount(gold, minlength=6).tolist()
    assert np.trace(matrix) / len(gold) == METRICS["accuracy"](gold, predicted, probabilities)


def test_calibration_error_of_a_worked_example() -> None:
    # Two answers at 0.9, one of them right: a gap of 0.4. Two at 0.6, both right: 0.4 as well. One wrong at 0.7: 0.7.
    gold, predicted = ids(1, 0, 1, 1, 0), ids(1, 1, 1, 1, 1)
    error = METRICS["expected_calibration_error"](gold, predicted, binary(0.9, 0.9, 0.6, 0.6, 0.7))
    assert error == pytest.approx((2 * 0.4 + 2 * 0.4 + 0.7) / 5, abs=1e-6)


def test_calibration_error_vanishes_where_confidence_is_the_accuracy() -> None:
    gold, predicted = ids(*[1] * 8, *[0] * 2), np.ones(10, dtype=np.int64)
    error = METRICS["expected_calibration_error"](gold, predicted, binary(*[0.8] * 10))
    assert error == pytest.approx(0, abs=1e-6)


def test_confidence_is_that_of_the_predicted_label_even_if_another_is_more_probable() -> None:
    assert calibration_bins(ids(0), ids(0), binary(0.7)).mean_confidence[4] == pytest.approx(0.3)


def test_confidence_of_an_unnamed_answer_is_the_highest_probability() -> None:
    bins = calibration_bins(ids(0), ids(NO_LABEL), binary(0.3))
    assert bins.mean_confidence[10] == pytest.approx(0.7)
    assert bins.accuracy[10] == 0


def test_bins_are_closed_above_also_in_float32() -> None:
    confidences = np.arange(1, 16) / 15
    gold = np.ones(15, dtype=np.int64)
    assert calibration_bins(gold, gold, binary(*confidences)).counts.tolist() == [1] * 15


def test_a_confidence_of_zero_falls_into_the_first_bin() -> None:
    assert calibration_bins(ids(1), ids(1), binary(0.0)).counts.tolist() == [1] + [0] * 14


def test_an_empty_bin_has_no_accuracy_and_no_confidence() -> None:
    bins = calibration_bins(ids(1), ids(1), binary(0.9), bins=4)
    assert bins.edges.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert np.isnan(bins.accuracy).tolist() == np.isnan(bins.mean_confidence).tolist() == [True, True, True, False]


@pytest.mark.parametrize("seed", range(5))
def test_reliability_diagram_agrees_with_sklearns_calibration_curve(seed: int) -> None:
    gold, predicted, probabilities = random_sample(seed, unnamed=0)
    bins = calibration_bins(gold, predicted, probabilities)
    accuracy, confidence = calibration_curve(gold == predicted, probabilities.max(axis=1), n_bins=15)
    filled = bins.counts > 0
    assert bins.counts.sum() == len(gold)
    assert bins.accuracy[filled] == pytest.approx(accuracy)
    assert bins.mean_confidence[filled] == pytest.approx(confidence, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_calibration_error_is_at_least_the_gap_between_mean_confidence_and_accuracy(seed: int) -> None:
    gold, predicted, probabilities = random_sample(seed, unnamed=0)
    gap = abs(probabilities.max(axis=1).mean() - (gold == predicted).mean())
    assert gap - 1e-6 <= METRICS["expected_calibration_error"](gold, predicted, probabilities) <= 1


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    ("gold", "predicted", "probabilities", "complaint"),
    [
        (ids(), ids(), np.zeros((0, 2), np.float32), "no row to score"),
        (ids(0, 1), ids(0), binary(0.1, 0.9), "2 gold labels and 1 predictions"),
        (ids(0, 1), ids(0, 1), binary(0.1), r"shape \(1, 2\)"),
        (ids(0, 1), ids(0, 1), np.zeros(2, np.float32), r"shape \(2,\)"),
        (ids(0, 2), ids(0, 1), binary(0.1, 0.9), "gold label of row 1 is 2"),
        (ids(0, NO_LABEL), ids(0, 1), binary(0.1, 0.9), "gold label of row 1 is -1"),
        (ids(0, 1), ids(-2, 1), binary(0.1, 0.9), "prediction of row 0 is -2"),
    ],
)
def test_no_metric_scores_rows_that_do_not_belong_together(
    name: str, gold: LabelIds, predicted: LabelIds, probabilities: Probabilities, complaint: str
) -> None:
    with pytest.raises(BenchmarkError, match=complaint):
        METRICS[name](gold, predicted, probabilities)


@pytest.mark.parametrize("confidence", [np.nan, np.inf, 3.5, -0.2])
def test_calibration_error_refuses_what_is_no_probability(confidence: float) -> None:
    with pytest.raises(BenchmarkError, match="confidence of row 1"):
        METRICS["expected_calibration_error"](ids(1, 1), ids(1, 1), binary(0.9, confidence))


@pytest.mark.parametrize("function", [per_class, confusion_matrix])
def test_class_counts_refuse_empty_input_and_foreign_ids(function: object) -> None:
    assert callable(function)
    with pytest.raises(BenchmarkError, match="no row"):
        function(ids(), ids(), labels=2)
    with pytest.raises(BenchmarkError, match="prediction of row 0 is 2"):
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
    assert accuracy_at_coverage(gold, predicted, probabilities, 1.0) == 0.5
    assert accuracy_at_coverage(gold, predicted, probabilities, 0.75) == pytest.approx(2 / 3)
    assert accuracy_at_coverage(gold, predicted, probabilities, 0.5) == 1.0


def test_the_order_of_equally_sure_rows_does_not_matter() -> None:
    gold, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])
    probabilities = np.tile(np.array([[0.8, 0.2]], dtype=np.float32), (4, 1))
    for order in (slice(None), slice(None, None, -1)):
        assert accuracy_at_coverage(gold[order], predicted[order], probabilities[order], 0.5) == pytest.approx(0.75)


@pytest.mark.parametrize("coverage", [0.0, 1.01, -0.5])
def test_a_coverage_outside_0_to_1_is_refused(coverage: float) -> None:
    with pytest.raises(BenchmarkError, match="coverage"):
        accuracy_at_coverage(np.array([0]), np.array([0]), np.ones((1, 1), dtype=np.float32), coverage)
