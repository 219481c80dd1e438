import tracemalloc
from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, binomtest, chi2_contingency

from benchmark.analysis import inference
from benchmark.analysis.inference import (
    Interval,
    accuracy_interval,
    bootstrap_interval,
    combine_p_values,
    combining_factor,
    detectable_difference,
    difference_of_counts,
    discordant,
    holm,
    interval_of_change,
    interval_of_difference,
    maximal_groups,
    mcnemar,
    possible_counts,
    resample_items,
    unpaired_z,
    wilson_interval,
)
from benchmark.analysis.metrics import Correct
from benchmark.errors import BenchmarkError


def ends(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def width(interval: Interval) -> float:
    return interval.high - interval.low


def two_models(seeds: tuple[int, int], items: int = 400, gap: float = 0.05) -> tuple[Correct, Correct]:
    """Two that mostly find the same items hard, the second a little worse."""
    generator = np.random.default_rng(7)
    easiness = generator.beta(1.8, 0.2, size=items)
    return generator.random((seeds[0], items)) < easiness, generator.random((seeds[1], items)) < easiness - gap


def difference_interval(first: Correct, second: Correct) -> Interval:
    return interval_of_difference(resample_items(first), resample_items(second), first.shape[1])


def drawn_one_by_one(first: Correct, second: Correct, resamples: int = 4000) -> Interval:
    """The definition of the bootstrap of a difference, drawn index by index."""
    generator = np.random.default_rng(1)
    items, differences = first.shape[1], []
    for _ in range(resamples):
        drawn = generator.integers(items, size=items)
        one, other = (c[generator.integers(len(c), size=len(c))][:, drawn].mean() for c in (first, second))
        differences.append(one - other)
    low, high = np.quantile(differences, [0.025, 0.975])
    return Interval(float(low), float(high))


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_gives_newcombes_published_examples(correct: int, total: int, low: float, high: float) -> None:
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    assert ends(wilson_interval(correct, total)) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("seeds", [1, 3, 9])
def test_bootstrap_interval_is_that_of_drawing_seeds_and_items_one_by_one(seeds: int) -> None:
    correct, _ = two_models((seeds, 1))
    expected = drawn_one_by_one(correct, np.zeros((1, 400), dtype=bool))
    assert ends(bootstrap_interval(correct)) == pytest.approx(ends(expected), abs=0.1 * width(expected))


def test_repeating_one_seed_does_not_narrow_the_interval_but_disagreement_widens_it() -> None:
    items = np.arange(1000)
    once = bootstrap_interval(np.stack([items < 900]))
    steady = bootstrap_interval(np.stack([items < 900] * 4))
    swinging = bootstrap_interval(np.stack([items < right for right in (860, 880, 920, 940)]))
    assert width(steady) == pytest.approx(width(once), rel=0.1)
    assert width(swinging) > 1.3 * width(steady)


def test_the_bootstrap_gives_the_same_interval_each_time() -> None:
    correct, _ = two_models((5, 1))
    assert bootstrap_interval(correct) == bootstrap_interval(np.flip(correct, axis=1))
    # The intervals of the shipped tables, so that a change of draws or resamples is noticed.
    assert ends(bootstrap_interval(correct)) == (0.8775, 0.9215)


def test_accuracy_interval_is_wilsons_for_one_seed_and_the_bootstrap_for_several() -> None:
    correct, _ = two_models((3, 1))
    assert accuracy_interval(correct[:1]) == wilson_interval(int(correct[0].sum()), 400)
    many = np.concatenate([correct, np.zeros_like(correct[:1])])
    assert accuracy_interval(many) == bootstrap_interval(many)


@pytest.mark.parametrize("seeds", [2, 5])
@pytest.mark.parametrize("right", [0, 3, 19, 20])
def test_seeds_that_answer_alike_leave_open_what_one_seed_does(seeds: int, right: int) -> None:
    correct = np.stack([np.arange(20) < right] * seeds)
    assert accuracy_interval(correct) == wilson_interval(right, 20)
    assert 0 <= accuracy_interval(correct).low < accuracy_interval(correct).high <= 1


def test_the_interval_of_several_seeds_contains_wilsons_of_their_mean() -> None:
    correct = np.stack([np.arange(20) < right for right in (19, 20)])
    interval, wilson = accuracy_interval(correct), wilson_interval(19.5, 20)
    assert interval.low <= wilson.low
    assert interval.high >= wilson.high


@pytest.mark.parametrize(
    ("wins", "losses", "items", "low", "high"),
    [(0, 0, 20, -0.1260, 0.1260), (20, 0, 20, 0.7350, 1.0), (43, 22, 200, 0.0258, 0.1821)],
)
def test_the_interval_of_a_difference_has_a_width_without_wins_and_losses(
    wins: int, losses: int, items: int, low: float, high: float
) -> None:
    assert ends(difference_of_counts(wins, losses, items)) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("shape", [(5,), (0, 5), (5, 0), (1, 2, 3)])
def test_answers_without_seeds_or_items_are_refused(shape: tuple[int, ...]) -> None:
    for function in (accuracy_interval, bootstrap_interval, lambda answers: discordant(answers, answers)):
        with pytest.raises(BenchmarkError) as refused:
            function(np.ones(shape, dtype=bool))
        assert str(shape) in refused.value.problem


@pytest.mark.parametrize(("wins", "losses"), list(product([0, 1, 6, 40], [0, 1, 6, 16, 41])))
def test_mcnemars_p_is_that_of_a_fair_coin(wins: int, losses: int) -> None:
    expected = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert mcnemar(wins, losses) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("wins", "losses", "p"), [(5, 0, 2 / 32), (0, 6, 2 / 64), (0, 0, 1.0), (3, 1, 10 / 16)])
def test_mcnemars_p_of_few_items_can_be_counted_by_hand(wins: int, losses: int, p: float) -> None:
    assert mcnemar(wins, losses) == pytest.approx(p)


def test_wins_and_losses_are_counted_for_every_pair_of_seeds() -> None:
    first = np.array([[1, 1, 1, 0], [1, 0, 1, 0]], dtype=bool)
    second = np.array([[1, 0, 0, 1]], dtype=bool)
    assert discordant(first, second) == [(2, 1), (1, 1)]
    assert discordant(second, first) == [(1, 2), (1, 1)]


def test_answers_to_different_items_cannot_be_paired() -> None:
    with pytest.raises(BenchmarkError, match="paired"):
        discordant(np.ones((1, 3), dtype=bool), np.ones((1, 1), dtype=bool))


@pytest.mark.parametrize(
    ("p_values", "p"),
    [([0.03], 0.03), ([0.01, 0.04], 0.04), ([0.3, 0.01, 0.02], 0.03), ([0.01] * 5, 0.05 / 3), ([0.9] * 3, 1.0)],
)
def test_several_p_values_are_combined_by_their_upper_median(p_values: list[float], p: float) -> None:
    assert combine_p_values(p_values) == pytest.approx(p)
    assert combine_p_values(p_values) in (
        1.0,
        pytest.approx(combining_factor(len(p_values)) * sorted(p_values)[len(p_values) // 2]),
    )


@pytest.mark.parametrize(("count", "factor"), [(1, 1), (2, 1), (3, 1.5), (9, 1.8), (25, 25 / 13)])
def test_the_combining_factor_is_the_count_by_the_place_of_the_upper_median(count: int, factor: float) -> None:
    assert combining_factor(count) == factor


def test_holm_gives_pingouins_published_example() -> None:
    # https://pingouin-stats.org, pingouin.multicomp(method="holm")
    assert holm([0.50, 0.003, 0.32, 0.054, 0.0003]) == pytest.approx([0.64, 0.012, 0.64, 0.162, 0.0015])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


@pytest.mark.parametrize("seeds", [(1, 1), (3, 3), (1, 9)])
def test_the_interval_of_a_difference_is_that_of_drawing_seeds_and_items_one_by_one(seeds: tuple[int, int]) -> None:
    first, second = two_models(seeds)
    expected = drawn_one_by_one(first, second)
    assert ends(difference_interval(first, second)) == pytest.approx(ends(expected), abs=0.12 * width(expected))


def test_the_two_sides_draw_their_seeds_independently() -> None:
    swinging = np.stack([np.arange(1000) < right for right in (860, 880, 920, 940)])
    assert ends(difference_interval(swinging, swinging)) == pytest.approx((-0.0455, 0.0455), abs=0.006)
    assert ends(difference_interval(swinging[:1], swinging[:1])) == (0, 0)


def test_the_interval_of_a_difference_is_the_same_each_time() -> None:
    assert ends(difference_interval(*two_models((3, 2)))) == pytest.approx((0.0075, 0.0908333), abs=1e-7)


def test_resampled_items_are_the_same_for_every_model() -> None:
    first, second = two_models((2, 1))
    both = np.concatenate([first, second])
    assert np.array_equal(resample_items(both), np.concatenate([resample_items(first), resample_items(second)], axis=1))
    assert np.array_equal(resample_items(first), resample_items(first).round())
    assert resample_items(first).shape == (2000, 2)


def test_many_items_are_drawn_in_parts_with_the_same_result_and_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    correct = np.arange(2000) % np.array([[2], [3]]) == 0
    at_once = resample_items(correct)
    monkeypatch.setattr(inference, "MOST_CELLS", 7 * 2000)
    tracemalloc.start()
    try:
        assert np.array_equal(resample_items(correct), at_once)
        assert tracemalloc.get_traced_memory()[1] < 2**20 < 8 * 2000 * len(at_once)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("items", "wins", "losses"), [(23, 0.45, 0.05), (155, 0.30, 0.15)]
)  # sample sizes that published calculators give for Connor's formula at 80% power
def test_the_detectable_difference_inverts_connors_sample_size(items: int, wins: float, losses: float) -> None:
    of_less, of_all = (detectable_difference(n, wins + losses) for n in (items - 1, items))
    assert of_less is not None
    assert of_all is not None
    assert of_all <= wins - losses < of_less


def power_of(items: int, discordance: float, difference: float) -> float:
    """Of the exact test, by summing over every count of discordant items and of wins among them."""
    total = 0.0
    for n in range(items + 1):
        if (weight := binom.pmf(n, items, discordance)) > 1e-9:
            wins = np.arange(n + 1)
            found = np.minimum(1, 2 * binom.cdf(np.minimum(wins, n - wins), n, 0.5)) < 0.05
            total += weight * binom.pmf(wins, n, (discordance + difference) / (2 * discordance))[found].sum()
    return float(total)


@pytest.mark.parametrize("discordance", [0.03, 0.1])
def test_the_detectable_difference_is_found_four_times_in_five(discordance: float) -> None:
    difference = detectable_difference(2000, discordance)
    assert difference is not None
    assert 0.75 < power_of(2000, discordance, difference) < 0.82  # the exact test is a little stricter than its z


def test_a_stricter_level_needs_a_larger_difference() -> None:
    plain, corrected = detectable_difference(2000, 0.1), detectable_difference(2000, 0.1, alpha=0.05 / 3)
    assert (plain, corrected) == pytest.approx((0.0197985, 0.0228636), abs=1e-6)


@pytest.mark.parametrize(("items", "discordance"), [(2000, 0.0), (2000, 0.002), (1, 0.5), (3, 1.0)])
def test_with_too_few_discordant_items_nothing_is_detectable(items: int, discordance: float) -> None:
    assert detectable_difference(items, discordance) is None


def test_ties_are_not_transitive() -> None:
    assert maximal_groups(3, {(0, 2)}) == [(0, 1), (1, 2)]
    assert maximal_groups(4, set()) == [(0, 1, 2, 3)]
    assert maximal_groups(2, {(0, 1)}) == [(0,), (1,)]
    assert maximal_groups(0, set()) == []


@pytest.mark.parametrize("seed", range(5))
def test_tied_groups_are_the_largest_without_a_difference(seed: int) -> None:
    generator = np.random.default_rng(seed)
    pairs = [(one, other) for one, other in product(range(7), repeat=2) if one < other]
    differing = {pair for pair in pairs if generator.random() < 0.4}
    free = [
        {member for member in range(7) if code >> member & 1}
        for code in range(1, 2**7)
        if not any(code >> one & 1 and code >> other & 1 for one, other in differing)
    ]
    largest = sorted(tuple(sorted(group)) for group in free if not any(group < other for other in free))
    assert maximal_groups(7, differing) == largest


@pytest.mark.parametrize(
    ("accuracy", "total", "counts"),
    [
        (0.9125, 2000, [1825]),
        (0.9063, 2000, []),
        (0.6667, 3, [2]),
        (0.9, 20_000, [17_999, 18_000, 18_001]),  # both ends are halves, rounded either way
        (0.0, 20_000, [0, 1]),
        (0.0, 10, [0]),
        (1.0, 20_000, [19_999, 20_000]),
        (1.0, 1, [1]),
    ],
)
def test_possible_counts_of_known_figures(accuracy: float, total: int, counts: list[int]) -> None:
    assert possible_counts(accuracy, total) == counts


def test_possible_counts_takes_the_decimals_as_stated() -> None:
    assert possible_counts(0.93, 2000, decimals=2) == list(range(1850, 1871))


@pytest.mark.parametrize(("accuracy", "total"), [(91.25, 2000), (-0.1, 2000), (float("nan"), 2000), (0.5, 0)])
def test_possible_counts_refuses_what_is_not_an_accuracy(accuracy: float, total: int) -> None:
    with pytest.raises(BenchmarkError, match=f"{accuracy} of {total} rows"):
        possible_counts(accuracy, total)


@pytest.mark.parametrize(("first", "second"), [(1850, 1790), (1400, 1450), (5, 5)])
def test_the_unpaired_z_is_the_signed_root_of_pearsons_chi_squared(first: int, second: int) -> None:
    table = [[first, 2000 - first], [second, 2000 - second]]
    expected = np.sign(first - second) * chi2_contingency(table, correction=False).statistic ** 0.5
    assert unpaired_z(first / 2000, second / 2000, 2000) == pytest.approx(expected)


def test_the_unpaired_z_is_0_where_nothing_varies() -> None:
    assert unpaired_z(1.0, 1.0, 10) == 0


def test_the_change_of_the_same_models_is_narrower_than_the_difference_of_independent_seeds() -> None:
    before = np.random.default_rng(0).random((3, 400)) < np.array([[0.6], [0.8], [0.95]])
    after = before.copy()
    after[:, :20] = False  # every seed loses those of the first 20 items that it knew
    lost = before[:, :20].sum() / before.size
    change = interval_of_change(after, before)
    assert change.low < -lost < change.high < 0
    drawn = [resample_items(answers) for answers in (after, before)]
    apart = interval_of_difference(*drawn, items=400)
    assert change.high - change.low < (apart.high - apart.low) / 3


def test_no_change_has_an_interval_around_zero() -> None:
    correct = np.ones((2, 100), dtype=bool)
    change = interval_of_change(correct, correct)
    assert change.low == -change.high < 0
