from collections.abc import Callable
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom, binomtest, chi2_contingency, false_discovery_control, norm

from benchmark.analysis.inference import (
    Interval,
    accuracy_interval,
    bootstrap_interval,
    combined,
    detectable_difference,
    discordant,
    holm,
    interval_of_difference,
    mcnemar,
    possible_counts,
    resampled,
    tied_groups,
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


@pytest.mark.parametrize("correct", [0, 1, 1825, 1999, 2000])
def test_wilson_interval_ends_where_the_score_test_stops_rejecting(correct: int) -> None:
    interval = wilson_interval(correct, 2000)
    for bound in {interval.low, interval.high} - {0.0, 1.0}:
        score = (correct / 2000 - bound) / np.sqrt(bound * (1 - bound) / 2000)
        assert abs(score) == pytest.approx(norm.ppf(0.975), rel=1e-6)


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
    with pytest.raises(BenchmarkError, match="answers have shape"):
        function(np.ones(shape, dtype=bool))


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
    with pytest.raises(BenchmarkError, match="is not an accuracy"):
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
        with pytest.raises(BenchmarkError, match="not accuracies"):
            unpaired_z(*arguments)


def difference_interval(first: Correct, second: Correct) -> Interval:
    return interval_of_difference(resampled(first), resampled(second), first.shape[1])


def two_models(seeds: tuple[int, int], items: int = 400, gap: float = 0.05) -> tuple[Correct, Correct]:
    """Two that mostly find the same items hard, the second a little worse."""
    generator = np.random.default_rng(7)
    easiness = generator.beta(1.8, 0.2, size=items)
    return (
        generator.random((seeds[0], items)) < easiness,
        generator.random((seeds[1], items)) < easiness - gap,
    )


@pytest.mark.parametrize("wins", [0, 1, 6, 15, 40])
@pytest.mark.parametrize("losses", [0, 1, 6, 16, 41])
def test_mcnemars_p_is_that_of_a_fair_coin(wins: int, losses: int) -> None:
    expected = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert mcnemar(wins, losses) == pytest.approx(expected, rel=1e-12)
    assert mcnemar(wins, losses) == mcnemar(losses, wins)


@pytest.mark.parametrize(("wins", "losses", "p"), [(5, 0, 2 / 32), (6, 0, 2 / 64), (0, 0, 1.0), (3, 1, 10 / 16)])
def test_mcnemars_p_of_few_items_can_be_counted_by_hand(wins: int, losses: int, p: float) -> None:
    assert mcnemar(wins, losses) == pytest.approx(p)


def test_mcnemar_refuses_negative_counts() -> None:
    with pytest.raises(BenchmarkError, match="-1 wins"):
        mcnemar(-1, 3)


def test_wins_and_losses_are_counted_for_every_pair_of_seeds() -> None:
    first = np.array([[1, 1, 1, 0], [1, 0, 1, 0]], dtype=bool)
    second = np.array([[1, 0, 0, 1]], dtype=bool)
    assert discordant(first, second) == [(2, 1), (1, 1)]
    assert discordant(second, first) == [(1, 2), (1, 1)]


@pytest.mark.parametrize("shapes", [((1, 3), (1, 4)), ((3,), (3,)), ((0, 3), (1, 3)), ((1, 0), (1, 0))])
def test_answers_to_other_items_cannot_be_paired(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(BenchmarkError, match="cannot be paired"):
        discordant(*(np.ones(shape, dtype=bool) for shape in shapes))


@pytest.mark.parametrize(
    ("p_values", "p"),
    [([0.03], 0.03), ([0.01, 0.04], 0.04), ([0.3, 0.01, 0.02], 0.03), ([0.01] * 5, 0.05 / 3), ([0.9] * 3, 1.0)],
)
def test_several_p_values_become_one_by_their_upper_median(p_values: list[float], p: float) -> None:
    assert combined(p_values) == pytest.approx(p)


@pytest.mark.parametrize("dependence", [0.0, 0.9, 1.0])
def test_a_combined_p_raises_no_more_false_alarms_than_it_says(dependence: float) -> None:
    generator = np.random.default_rng(0)
    common, own = generator.random((20_000, 1)), generator.random((20_000, 5))
    p_values = np.where(generator.random((20_000, 5)) < dependence, common, own)  # uniform, as under the null
    alarms = np.mean([combined(row) < 0.05 for row in p_values.tolist()])
    assert alarms < 0.055


def test_nothing_cannot_be_combined() -> None:
    with pytest.raises(BenchmarkError, match="no p-value"):
        combined([])


def test_holm_gives_pingouins_published_example() -> None:
    # https://pingouin-stats.org, pingouin.multicomp(method="holm")
    assert holm([0.50, 0.003, 0.32, 0.054, 0.0003]) == pytest.approx([0.64, 0.012, 0.64, 0.162, 0.0015])


def test_holm_lies_between_the_bare_p_values_and_bonferronis() -> None:
    p = np.random.default_rng(3).random(30) ** 4
    adjusted = np.array(holm(p.tolist()))
    assert np.all(adjusted >= p)
    assert np.all(adjusted <= np.minimum(30 * p, 1))
    assert np.all(adjusted >= false_discovery_control(p))  # which controls less
    assert np.array_equal(np.argsort(adjusted[p.argsort()], kind="stable"), np.arange(30))
    assert holm([]) == []


def explicit_difference(first: Correct, second: Correct, resamples: int) -> Interval:
    """The definition, drawn index by index."""
    generator = np.random.default_rng(1)
    items = first.shape[1]
    differences = []
    for _ in range(resamples):
        drawn = generator.integers(items, size=items)
        one, other = (c[generator.integers(len(c), size=len(c))][:, drawn].mean() for c in (first, second))
        differences.append(one - other)
    low, high = np.quantile(differences, [0.025, 0.975])
    return Interval(float(low), float(high))


@pytest.mark.parametrize("seeds", [(1, 1), (3, 3), (1, 5)])
def test_the_difference_interval_is_that_of_drawing_seeds_and_items_one_by_one(seeds: tuple[int, int]) -> None:
    first, second = two_models(seeds)
    expected = explicit_difference(first, second, resamples=4000)
    interval = difference_interval(first, second)
    assert (interval.low, interval.high) == pytest.approx(
        (expected.low, expected.high), abs=0.12 * (expected.high - expected.low)
    )


def test_one_model_against_nothing_has_the_interval_of_its_accuracy() -> None:
    first, _ = two_models((3, 3))
    alone, nothing = bootstrap_interval(first), np.zeros((1, 400), dtype=bool)
    interval = difference_interval(first, nothing)
    assert (interval.low, interval.high) == pytest.approx((alone.low, alone.high), abs=0.005)


def test_pairing_narrows_the_interval_of_models_that_agree() -> None:
    first, _ = two_models((1, 1), items=1000)
    second = first.copy()
    second[0, np.flatnonzero(first[0])[:20]] = False
    interval = difference_interval(first, second)
    assert 0.01 < interval.low < 0.02 < interval.high < 0.03
    shuffled = second[:, np.random.default_rng(0).permutation(1000)]
    apart = difference_interval(first, shuffled)
    assert apart.high - apart.low > 2 * (interval.high - interval.low)


def test_a_seed_that_fell_out_widens_the_difference() -> None:
    first, second = two_models((4, 4))
    fallen = first.copy()
    fallen[0] = False
    assert np.ptp([*vars(difference_interval(fallen, second)).values()]) > 3 * np.ptp(
        [*vars(difference_interval(first, second)).values()]
    )


def test_a_model_equals_itself_and_the_sides_mirror_each_other() -> None:
    first, second = two_models((1, 1))
    assert difference_interval(first, first) == Interval(0.0, 0.0)
    there, back = difference_interval(first, second), difference_interval(second, first)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_what_is_resampled_is_the_same_for_every_model_of_the_same_items() -> None:
    first, second = two_models((2, 1))
    both = np.concatenate([first, second])
    assert np.array_equal(resampled(both), np.concatenate([resampled(first), resampled(second)], axis=1))
    assert np.array_equal(resampled(first), resampled(first).round())
    assert not np.array_equal(resampled(first), resampled(first, seed=1))


@pytest.mark.parametrize(
    ("items", "wins", "losses"), [(23, 0.45, 0.05), (155, 0.30, 0.15)]
)  # sample sizes that published calculators give for Connor's formula at 80% power
def test_the_detectable_difference_inverts_connors_sample_size(items: int, wins: float, losses: float) -> None:
    discordance, difference = wins + losses, wins - losses
    found = [detectable_difference(n, discordance) for n in (items - 1, items)]
    assert all(found)
    assert found[1] <= difference < found[0]  # type: ignore[operator]


def power_of(items: int, discordance: float, difference: float) -> float:
    """Of the exact test, by summing over every count of discordant items and of wins among them."""
    total = 0.0
    for n in range(items + 1):
        if (weight := binom.pmf(n, items, discordance)) > 1e-9:
            wins = np.arange(n + 1)
            found = np.minimum(1, 2 * binom.cdf(np.minimum(wins, n - wins), n, 0.5)) < 0.05
            total += weight * binom.pmf(wins, n, (discordance + difference) / (2 * discordance))[found].sum()
    return float(total)


@pytest.mark.parametrize("discordance", [0.03, 0.1, 0.3])
def test_the_detectable_difference_is_found_four_times_in_five(discordance: float) -> None:
    difference = detectable_difference(2000, discordance)
    assert difference is not None
    assert 0.75 < power_of(2000, discordance, difference) < 0.82  # the exact test is a little stricter than its z


def test_too_little_discordance_shows_nothing() -> None:
    assert detectable_difference(2000, 0.0) is None
    assert detectable_difference(2000, 0.002) is None
    assert detectable_difference(1, 0.5) is None


@pytest.mark.parametrize("arguments", [(0, 0.1), (10, -0.1), (10, 1.1), (10, 0.1, 1.0), (10, 0.1, 0.8, 0.0)])
def test_what_is_no_test_has_no_power(arguments: tuple[float, ...]) -> None:
    refuses: Callable[..., object] = detectable_difference
    with pytest.raises(BenchmarkError, match="do not describe a test"):
        refuses(*arguments)


def test_ties_need_not_carry_over() -> None:
    assert tied_groups(3, {(0, 2)}) == [(0, 1), (1, 2)]
    assert tied_groups(4, set()) == [(0, 1, 2, 3)]
    assert tied_groups(2, {(0, 1)}) == [(0,), (1,)]
    assert tied_groups(0, set()) == []


@pytest.mark.parametrize("seed", range(10))
def test_tied_groups_are_the_largest_without_a_difference(seed: int) -> None:
    generator = np.random.default_rng(seed)
    pairs = {(one, other) for one, other in product(range(7), repeat=2) if one < other}
    differing = {pair for pair in sorted(pairs) if generator.random() < 0.4}
    free = [
        {member for member in range(7) if code >> member & 1}
        for code in range(1, 2**7)
        if not any(code >> one & 1 and code >> other & 1 for one, other in differing)
    ]
    largest = sorted(tuple(sorted(group)) for group in free if not any(group < other for other in free))
    assert tied_groups(7, differing) == largest
