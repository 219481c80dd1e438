from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve

from benchmark.analysis.metrics import (
    accuracy,
    accuracy_at_coverage,
    brier_score,
    calibration_bins,
    calibration_noise,
    confidence_of,
    confusion_matrix,
    coverage_at_error,
    expected_calibration_error,
    fit_temperature,
    least_cost,
    log_loss,
    macro_f1,
    mean_cost,
    per_class,
    with_temperature,
)
from benchmark.errors import BenchmarkError
from benchmark.interface import NO_LABEL, LabelIds, Probabilities


def ids(*values: int) -> LabelIds:
    return np.array(values, dtype=np.int64)


def right(*values: int) -> Any:
    return np.array(values, dtype=bool)


def shares(*values: float) -> Probabilities:
    return np.array(values, dtype=np.float32)


def test_an_answer_that_names_no_label_counts_as_wrong() -> None:
    gold, predicted = ids(0, 1, 1, 1), ids(0, 1, 1, NO_LABEL)
    assert accuracy(gold, predicted) == 0.75
    assert per_class(gold, predicted, n_labels=2).recall.tolist() == [1, 2 / 3]
    assert per_class(gold, predicted, n_labels=2).precision.tolist() == [1, 1]


def test_macro_f1_counts_a_label_that_never_occurs_as_zero() -> None:
    assert macro_f1(ids(0, 1), ids(0, 1), 4) == 0.5


def test_per_class_scores_of_a_worked_example() -> None:
    scores = per_class(ids(0, 0, 0, 1, 1), ids(0, 0, 1, 1, 2), n_labels=4)
    assert scores.precision == pytest.approx([1, 1 / 2, 0, 0])
    assert scores.recall == pytest.approx([2 / 3, 1 / 2, 0, 0])
    assert scores.f1 == pytest.approx([4 / 5, 1 / 2, 0, 0])
    assert scores.support.tolist() == [3, 2, 0, 0]
    assert macro_f1(ids(0, 0, 0, 1, 1), ids(0, 0, 1, 1, 2), n_labels=4) == pytest.approx(1.3 / 4)


def test_confusion_matrix_has_gold_rows_predicted_columns_and_unnamed_answers_last() -> None:
    matrix = confusion_matrix(ids(0, 0, 1, 1, 1), ids(0, 1, 1, NO_LABEL, NO_LABEL), n_labels=3)
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 1, 0, 2], [0, 0, 0, 0]]


def test_confidence_is_that_of_the_predicted_label_or_the_highest_without_one() -> None:
    probabilities = np.array([[0.3, 0.7], [0.3, 0.7], [0.8, 0.2]], dtype=np.float32)
    assert confidence_of(ids(0, 1, NO_LABEL), probabilities) == pytest.approx([0.3, 0.7, 0.8])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.01, -0.01])
def test_a_confidence_that_is_not_a_probability_is_refused_with_its_row(value: float) -> None:
    with pytest.raises(BenchmarkError, match="row 1"):
        confidence_of(ids(1, 1), np.array([[0.1, 0.9], [0.1, value]], dtype=np.float32))


def test_a_confidence_may_round_to_slightly_more_than_1() -> None:
    assert confidence_of(ids(0, 0), np.array([[1.0005], [0]], dtype=np.float32)).tolist() == shares(1.0005, 0).tolist()


def test_calibration_error_of_a_worked_example() -> None:
    # Two answers at 0.9, one of them right: a gap of 0.4. Two at 0.6, both right: 0.4 as well. One wrong at 0.7: 0.7.
    error = expected_calibration_error(right(1, 0, 1, 1, 0), shares(0.9, 0.9, 0.6, 0.6, 0.7))
    assert error == pytest.approx((2 * 0.4 + 2 * 0.4 + 0.7) / 5, abs=1e-6)


def test_calibration_error_is_over_15_bins() -> None:
    # 0.61 and 0.66 lie in one of 15 bins, where their gaps cancel out; 14 or 16 bins part them.
    assert expected_calibration_error(right(0, 1), shares(0.61, 0.66)) == pytest.approx(0.635 - 0.5, abs=1e-6)
    assert calibration_bins(right(1), shares(1)).counts.tolist() == [0] * 14 + [1]


def test_bins_are_closed_above_also_in_float32_and_the_first_contains_0() -> None:
    assert calibration_bins(right(*[1] * 15), shares(*np.arange(1, 16) / 15)).counts.tolist() == [1] * 15
    assert calibration_bins(right(1), shares(0)).counts.tolist() == [1] + [0] * 14


def test_an_empty_bin_has_no_accuracy_and_no_confidence() -> None:
    bins = calibration_bins(right(1), shares(0.9), bins=4)
    assert bins.edges.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert np.isnan(bins.accuracy).tolist() == np.isnan(bins.mean_confidence).tolist() == [True, True, True, False]


@pytest.mark.parametrize("seed", range(3))
def test_bins_agree_with_sklearns_calibration_curve(seed: int) -> None:
    generator = np.random.default_rng(seed)
    confidence = generator.random(400).astype(np.float32)
    correct = generator.random(400) < confidence
    bins = calibration_bins(correct, confidence)
    share, mean = calibration_curve(correct, confidence, n_bins=15)
    assert bins.counts.sum() == 400
    assert bins.accuracy[bins.counts > 0] == pytest.approx(share)
    assert bins.mean_confidence[bins.counts > 0] == pytest.approx(mean, abs=1e-6)


def test_the_noise_floor_of_one_bin_is_the_mean_deviation_of_a_binomial_share() -> None:
    # 100 answers at 0.5 lie in one bin: the mean of |right / 100 - 0.5| is C(100, 50) / 2^101.
    assert calibration_noise(np.full(100, 0.5), draws=20_000) == pytest.approx(0.03979, abs=5e-4)
    assert calibration_noise(shares(1, 1, 1)) == 0


def test_more_rows_lower_the_noise_floor() -> None:
    assert calibration_noise(np.full(10_000, 0.5)) < calibration_noise(np.full(100, 0.5)) / 5


def test_brier_score_and_log_loss_agree_with_sklearn() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), 300).astype(np.float32)
    gold = generator.integers(0, 4, 300)
    expected = sklearn_metrics.brier_score_loss(gold, probabilities, labels=range(4), scale_by_half=False)
    assert brier_score(gold, probabilities) == pytest.approx(expected, rel=1e-6)
    assert log_loss(gold, probabilities) == pytest.approx(sklearn_metrics.log_loss(gold, probabilities), rel=1e-5)


def test_a_gold_label_of_probability_0_has_a_finite_log_loss() -> None:
    certain = np.array([[1, 0]], dtype=np.float32)
    assert (log_loss(ids(0), certain), brier_score(ids(1), certain)) == (0, 2)
    assert log_loss(ids(1), certain) == pytest.approx(-np.log(np.finfo(np.float32).eps))


@pytest.mark.parametrize(
    ("error", "coverage"),
    [(0, 0.4), (0.25, 0.8), (0.4, 1), (0.1, 0.4)],
)
def test_coverage_at_error_is_the_largest_share_with_few_errors(error: float, coverage: float) -> None:
    correct, confidence = right(0, 1, 1, 1, 0), shares(0.7, 0.8, 0.9, 0.6, 0.5)
    assert coverage_at_error(correct, confidence, error) == coverage


def test_coverage_at_error_takes_rows_of_equal_confidence_together() -> None:
    assert coverage_at_error(right(1, 0), shares(0.9, 0.9), 0.1) == 0
    assert coverage_at_error(right(0, 1), shares(0.9, 0.8), 0.5) == 1


def test_accuracy_at_coverage_keeps_the_most_confident_rows() -> None:
    correct, confidence = right(1, 1, 0, 0), shares(0.9, 0.8, 0.6, 0.7)
    found = [accuracy_at_coverage(correct, confidence, coverage) for coverage in (1.0, 0.75, 0.5, 0.01)]
    assert found == pytest.approx([0.5, 2 / 3, 1, 1])


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_rows_of_equal_confidence_count_in_proportion_whatever_their_order(order: slice) -> None:
    correct, confidence = right(1, 0, 1, 1, 0)[order], shares(0.9, 0.8, 0.8, 0.8, 0.1)[order]
    assert accuracy_at_coverage(correct, confidence, 0.6) == pytest.approx((1 + 2 * 2 / 3) / 3)


@pytest.mark.parametrize("coverage", [0.0, 1.01, -0.5])
def test_a_coverage_outside_0_to_1_is_refused(coverage: float) -> None:
    with pytest.raises(BenchmarkError, match="coverage"):
        accuracy_at_coverage(right(1), shares(1), coverage)


@pytest.mark.parametrize(
    "score", [accuracy, *(lambda *given, of=of: of(*given, 2) for of in (macro_f1, per_class, confusion_matrix))]
)
@pytest.mark.parametrize("pair", [(ids(), ids()), (ids(0, 1), ids(0))])
def test_no_rows_and_different_lengths_are_refused(score: Callable[..., object], pair: tuple[LabelIds, ...]) -> None:
    with pytest.raises(BenchmarkError, match=f"There are (no|{len(pair[0])}) rows"):
        score(*pair)


@pytest.mark.parametrize("score", [calibration_bins, lambda *given: accuracy_at_coverage(*given, 0.5)])
def test_one_confidence_per_answer_is_required(score: Callable[..., object]) -> None:
    for confidence in (shares(), shares(0.5, 0.5)):
        with pytest.raises(BenchmarkError, match="rows"):
            score(right(*[1] * (1 if len(confidence) else 0)), confidence)


@pytest.mark.parametrize(
    ("gold", "predicted", "problem"),
    [
        (ids(0, 2), ids(0, 1), "gold label of row 1 is 2"),
        (ids(0, NO_LABEL), ids(0, 1), "gold label of row 1 is -1"),
        (ids(0, 1), ids(-2, 1), "prediction of row 0 is -2"),
        (ids(0, 1), ids(0, 2), "prediction of row 1 is 2"),
    ],
)
@pytest.mark.parametrize("score", [per_class, confusion_matrix])
def test_ids_outside_the_labels_are_refused_with_their_row(
    score: Callable[..., object], gold: LabelIds, predicted: LabelIds, problem: str
) -> None:
    with pytest.raises(BenchmarkError, match=problem) as refused:
        score(gold, predicted, 2)
    assert refused.value.fix is not None
    assert "and 1." in refused.value.fix


def test_a_temperature_undoes_overconfidence_and_keeps_every_answer() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 4)) * 2
    true = special.softmax(logits, axis=1)
    gold = np.array([generator.choice(4, p=row) for row in true])
    confident = special.softmax(3 * logits, axis=1).astype(np.float32)
    assert fit_temperature(gold, confident) == pytest.approx(3, abs=0.1)
    cooled = with_temperature(confident, 3)
    np.testing.assert_allclose(cooled, true, atol=1e-5)
    np.testing.assert_array_equal(cooled.argmax(axis=1), confident.argmax(axis=1))


def test_a_temperature_stays_in_its_range_where_every_answer_is_right_or_every_one_is_wrong() -> None:
    gold = np.array([0, 1, 0, 1])
    right = np.array([[0.6, 0.4], [0.4, 0.6]] * 2, dtype=np.float32)
    assert fit_temperature(gold, right) == pytest.approx(0.05, abs=0.001)
    assert fit_temperature(1 - gold, right) == pytest.approx(20, abs=0.01)
    np.testing.assert_allclose(with_temperature(np.array([[1, 0]], dtype=np.float32), 2), [[1, 0]], atol=1e-9)


def test_a_costly_error_changes_the_decision_and_equal_costs_do_not() -> None:
    probabilities = np.array([[0.7, 0.3], [0.95, 0.05], [0.2, 0.8], [0.5, 0.5]], dtype=np.float32)
    costs = np.array([[0.0, 1.0], [5.0, 0.0]])  # answering 0 where 1 is right costs 5
    assert least_cost(probabilities, costs).tolist() == [1, 0, 1, 1]
    assert least_cost(probabilities, 1 - np.eye(2)).tolist() == [0, 0, 1, 0]
    gold = np.array([0, 1, 1, 0])
    assert mean_cost(gold, np.array([1, 0, 1, 0]), costs) == (1 + 5) / 4


def test_an_answer_that_is_no_label_has_the_highest_cost_of_its_gold_label() -> None:
    costs = np.array([[0.0, 9.0, 2.0], [5.0, 0.0, 3.0], [1.0, 1.0, 0.0]])
    assert mean_cost(np.array([0, 1, 2]), np.array([NO_LABEL] * 3), costs) == (9 + 5 + 1) / 3
    with pytest.raises(BenchmarkError, match="prediction of row 0 is 3"):
        mean_cost(np.array([0]), np.array([3]), costs)
