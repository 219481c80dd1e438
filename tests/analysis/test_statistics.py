import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import chi2_contingency, norm

from benchmark.analysis.statistics import (
    Interval,
    accuracy_interval,
    bootstrap_interval,
    possible_counts,
    unpaired_z,
    wilson_interval,
)
from benchmark.errors import BenchmarkError

Correct = npt.NDArray[np.bool_]


def answers(seeds: int, items: int, accuracy: float = 0.9, seed: int = 0) -> Correct:
    """Seeds that mostly agree on which items are hard, as fine-tuned models do."""
    generator = np.random.default_rng(seed)
    easiness = generator.beta(accuracy * 2, (1 - accuracy) * 2, size=items)
    return generator.random((seeds, items)) < easiness


def width(interval: Interval) -> float:
    return interval.high - interval.low


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_gives_newcombes_published_examples(correct: int, total: int, low: float, high: float) -> None:
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    interval = wilson_interval(correct, total)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("correct", [0, 1, 1825, 1999, 2000])
def test_wilson_interval_ends_where_the_score_test_stops_rejecting(correct: int, confidence: float) -> None:
    interval = wilson_interval(correct, 2000, confidence)
    for bound in {interval.low, interval.high} - {0.0, 1.0}:
        score = (correct / 2000 - bound) / np.sqrt(bound * (1 - bound) / 2000)
        assert abs(score) == pytest.approx(norm.ppf((1 + confidence) / 2), rel=1e-6)


@pytest.mark.parametrize("correct", range(0, 31, 3))
def test_wilson_interval_stays_in_range_and_holds_the_accuracy(correct: int) -> None:
    interval = wilson_interval(correct, 30)
    assert 0 <= interval.low <= correct / 30 <= interval.high <= 1


@pytest.mark.parametrize(("correct", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_interval_refuses_impossible_counts(correct: int, total: int) -> None:
    with pytest.raises(BenchmarkError, match=f"{correct} correct out of {total}"):
        wilson_interval(correct, total)


def explicit_bootstrap(correct: Correct, resamples: int) -> Interval:
    """The definition, drawn index by index."""
    generator = np.random.default_rng(1)
    seeds, items = correct.shape
    means = [
        correct[generator.integers(seeds, size=seeds)][:, generator.integers(items, size=items)].mean()
        for _ in range(resamples)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(low), float(high))


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_bootstrap_interval_is_that_of_drawing_seeds_and_items_one_by_one(seeds: int) -> None:
    correct = answers(seeds, items=300)
    expected = explicit_bootstrap(correct, resamples=4000)
    interval = bootstrap_interval(correct, resamples=4000)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=0.1 * width(expected))


def test_bootstrap_interval_of_one_seed_is_close_to_wilsons() -> None:
    correct = answers(seeds=1, items=2000)
    wilson = wilson_interval(int(correct.sum()), 2000)
    interval = bootstrap_interval(correct)
    assert (interval.low, interval.high) == pytest.approx((wilson.low, wilson.high), abs=0.002)


def test_repeating_one_seed_does_not_narrow_the_interval() -> None:
    once = answers(seeds=1, items=500)
    repeated = np.repeat(once, 5, axis=0)
    assert width(bootstrap_interval(repeated)) == pytest.approx(width(bootstrap_interval(once)), rel=0.1)


def test_disagreement_between_seeds_widens_the_interval() -> None:
    items = np.arange(1000)
    steady = np.stack([items < 900] * 4)
    swinging = np.stack([items < right for right in (860, 880, 920, 940)])
    assert width(bootstrap_interval(swinging)) > 1.3 * width(bootstrap_interval(steady))


@pytest.mark.parametrize("seed", range(5))
def test_bootstrap_interval_stays_in_range_and_holds_the_accuracy(seed: int) -> None:
    correct = answers(seeds=3, items=200, accuracy=0.95, seed=seed)
    interval = bootstrap_interval(correct)
    assert 0 <= interval.low <= correct.mean() <= interval.high <= 1


def test_more_confidence_means_a_wider_interval() -> None:
    correct = answers(seeds=3, items=500)
    widths = [width(bootstrap_interval(correct, confidence)) for confidence in (0.5, 0.9, 0.99)]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]


def test_bootstrap_interval_repeats_itself_and_depends_on_its_seed() -> None:
    correct = answers(seeds=5, items=2000)
    assert bootstrap_interval(correct, seed=3) == bootstrap_interval(correct, seed=3)
    assert bootstrap_interval(correct, seed=3) != bootstrap_interval(correct, seed=4)


def test_bootstrap_interval_ignores_the_order_of_the_items() -> None:
    correct = answers(seeds=5, items=400)
    assert bootstrap_interval(correct) == bootstrap_interval(np.flip(correct, axis=1))


def test_accuracy_interval_is_wilsons_for_one_seed_and_the_bootstrap_for_several() -> None:
    correct = answers(seeds=3, items=300)
    assert accuracy_interval(correct[:1]) == wilson_interval(int(correct[0].sum()), 300)
    assert accuracy_interval(correct) == bootstrap_interval(correct)


@pytest.mark.parametrize("function", [accuracy_interval, bootstrap_interval])
@pytest.mark.parametrize("shape", [(5,), (0, 5), (5, 0), (1, 2, 3)])
def test_intervals_refuse_answers_without_seeds_or_items(function: object, shape: tuple[int, ...]) -> None:
    assert callable(function)
    with pytest.raises(BenchmarkError, match="seeds, items"):
        function(np.ones(shape, dtype=bool))


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_intervals_refuse_a_confidence_outside_0_to_1(confidence: float) -> None:
    for seeds in (1, 2):
        with pytest.raises(BenchmarkError, match="confidence"):
            accuracy_interval(answers(seeds, items=10), confidence)


@pytest.mark.parametrize(
    ("accuracy", "total", "counts"),
    [
        (0.9125, 2000, [1825]),
        (0.9063, 2000, []),
        (0.9262, 2000, []),
        (0.6667, 3, [2]),
        (0.9, 20_000, [17_999, 18_000, 18_001]),  # both ends are halves, rounded either way
        (0.0, 10, [0]),
        (1.0, 10, [10]),
        (1.0, 20_000, [19_999, 20_000]),
    ],
)
def test_possible_counts_of_known_figures(accuracy: float, total: int, counts: list[int]) -> None:
    assert possible_counts(accuracy, total) == counts


def test_possible_counts_takes_the_decimals_as_stated() -> None:
    assert possible_counts(0.93, 2000, decimals=2) == list(range(1850, 1871))


@pytest.mark.parametrize("total", [1, 7, 1999, 2000, 16_000])
@pytest.mark.parametrize("decimals", [2, 4])
def test_a_measured_accuracy_is_always_among_its_possible_counts(total: int, decimals: int) -> None:
    for correct in np.random.default_rng(total).integers(total + 1, size=50):
        assert correct in possible_counts(round(int(correct) / total, decimals), total, decimals)


@pytest.mark.parametrize(("accuracy", "total"), [(91.25, 2000), (-0.1, 2000), (float("nan"), 2000), (0.5, 0)])
def test_possible_counts_refuses_what_is_no_accuracy(accuracy: float, total: int) -> None:
    with pytest.raises(BenchmarkError, match="no accuracy"):
        possible_counts(accuracy, total)


def test_the_unpaired_z_of_the_studys_best_two_is_far_from_two() -> None:
    assert unpaired_z(0.9262, 0.9189, 2000) == pytest.approx(0.86, abs=0.005)


@pytest.mark.parametrize(("first", "second"), [(1850, 1790), (1400, 1450), (5, 5)])
def test_the_unpaired_z_squared_is_pearsons_chi_squared(first: int, second: int) -> None:
    table = [[first, 2000 - first], [second, 2000 - second]]
    expected = chi2_contingency(table, correction=False).statistic
    assert unpaired_z(first / 2000, second / 2000, 2000) ** 2 == pytest.approx(expected)


def test_the_unpaired_z_refuses_what_is_no_accuracy_and_is_0_where_nothing_varies() -> None:
    assert unpaired_z(1.0, 1.0, 10) == 0
    for arguments in ((1.1, 0.5, 10), (0.5, 0.5, 0)):
        with pytest.raises(BenchmarkError, match="no accuracies"):
            unpaired_z(*arguments)
