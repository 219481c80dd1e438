"""Statistical inference from right and wrong answers: intervals, paired tests, and what an accuracy can mean.

All functions are pure. `Correct` arrays are (seeds, items): which test items each seed answered correctly.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from benchmark.analysis.metrics import Correct
from benchmark.errors import BenchmarkError

ALPHA = 0.05
POWER = 0.8
"""The probability with which a detectable difference is found."""
RESAMPLES = 2000
MOST_CELLS = 2**24  # of a drawn array, 128 MiB; all resamples of 400,000 items would take 6 GB
SEED = 0  # of the drawn items, and of the seeds of models that `bootstrap_interval` draws with them
COMPARED_SEED = 1  # of the seeds of models drawn in a comparison, together with the side
QUANTILES = (0.025, 0.975)
Z = float(stats.norm.ppf(QUANTILES[1]))


@dataclass(frozen=True)
class Interval:
    """A 95% confidence interval; both ends belong to it."""

    low: float
    high: float


def accuracy_interval(correct: Correct) -> Interval:
    """The interval of the mean accuracy: Wilson's for one seed, else the bootstrap over seeds and items.

    The bootstrap is widened to contain Wilson's interval of the mean accuracy on these items: if nearly all answers
    are correct, it would be too narrow. Seeds that are right on the same items count as one.
    """
    seeds, items = _check_shape(correct)
    wilson = wilson_interval(int(np.count_nonzero(correct)) / seeds, items)
    return wilson if (correct == correct[0]).all() else hull(wilson, bootstrap_interval(correct))


def wilson_interval(correct: float, total: int) -> Interval:
    """The score interval of `correct` out of `total`; unlike the normal interval it stays within 0..1.

    `correct` may be a mean over seeds. Wilson 1927, "Probable inference, the law of succession, and statistical
    inference" (doi:10.1080/01621459.1927.10502953).
    """
    share, weight = correct / total, Z**2 / total
    centre = (share + weight / 2) / (1 + weight)
    half = Z * math.sqrt(share * (1 - share) / total + weight / (4 * total)) / (1 + weight)
    low, high = (0.0 if correct == 0 else centre - half), (1.0 if correct == total else centre + half)
    return Interval(low, high)


def bootstrap_interval(correct: Correct) -> Interval:
    """The percentile interval of the mean accuracy over resampled seeds and items.

    Each resample draws seeds with replacement, and items with replacement, the same items for all its seeds, because
    all seeds answer the same test set. With few seeds the variance between them is understated by the factor
    (seeds - 1) / seeds; if every answer is correct the width is 0, so `accuracy_interval` widens it. Owen 2007, "The
    pigeonhole bootstrap" (doi:10.1214/07-AOAS122).
    """
    seeds, items = _check_shape(correct)
    generator = np.random.default_rng(SEED)
    # Items that all seeds answer alike are interchangeable: drawing how often each pattern of answers occurs is
    # drawing the items, without a resamples x items array.
    packed, occurrences = np.unique(np.packbits(correct, axis=0), axis=1, return_counts=True)
    patterns = np.unpackbits(packed, axis=0, count=seeds)  # (seeds, patterns)
    drawn_patterns = generator.multinomial(items, occurrences / items, size=RESAMPLES)  # (resamples, patterns)
    drawn_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES)  # (resamples, seeds)
    right = drawn_patterns @ patterns.T.astype(np.int64)  # (resamples, seeds)
    accuracies = (right * drawn_seeds).sum(axis=1) / (seeds * items)
    return _percentiles(accuracies)


def hull(first: Interval, second: Interval) -> Interval:
    """The smallest interval that contains both."""
    return Interval(min(first.low, second.low), max(first.high, second.high))


def mcnemar(wins: int, losses: int) -> float:
    """The exact two-sided p-value of `wins` and `losses`, the items that only one of two models gets right.

    Under the null hypothesis both are equally likely. The result is 1 if there are no such items. McNemar 1947
    (doi:10.1007/BF02295996), with the binomial distribution in place of chi-squared (`bdtr` is its distribution
    function).
    """
    return min(1.0, 2 * float(special.bdtr(min(wins, losses), wins + losses, 0.5)))


def discordant(first: Correct, second: Correct) -> list[tuple[int, int]]:
    """The wins and losses of `first` against `second` for every pair of their seeds."""
    if _check_shape(first)[1] != _check_shape(second)[1]:
        raise BenchmarkError(
            f"Answers of shapes {first.shape} and {second.shape} cannot be paired.", "Give answers to the same items."
        )
    return [(int((one & ~other).sum()), int((other & ~one).sum())) for one, other in product(first, second)]


def combine_p_values(p_values: Sequence[float]) -> float:
    """One p-value from several tests of the same hypothesis, valid under any dependence between them.

    Of k p-values it is k/m times the m-th smallest, with m = k // 2 + 1, the upper median, so that most pairs of
    seeds must agree; a single p-value is unchanged. Rüger's rule of 1978, as in Vovk and Wang 2020, "Combining
    p-values via averaging" (doi:10.1093/biomet/asaa027).
    """
    median = sorted(p_values)[len(p_values) // 2]
    return min(1.0, combining_factor(len(p_values)) * median)


def combining_factor(count: int) -> float:
    """The factor by which `combine_p_values` multiplies the upper median of `count` p-values."""
    return count / (count // 2 + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given, that keep the family-wise error rate.

    Holm 1979, "A simple sequentially rejective multiple test procedure" (https://www.jstor.org/stable/4615733).
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return [float(p) for p in adjusted]


def resample_items(correct: Correct) -> npt.NDArray[np.float64]:
    """The number of correct answers of each seed in each resample of the items, (resamples, seeds).

    The draws depend only on the number of items, so that two models stay paired. The values are whole numbers, held
    in floats for speed: their sums are exact, and the same on every machine.
    """
    right = correct.T.astype(np.float64)
    return np.concatenate([drawn @ right for drawn in _item_draws(len(right))])


def interval_of_difference(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], items: int) -> Interval:
    """The percentile interval of first minus second mean accuracy, from the draws of `resample_items`.

    Each resample draws the items jointly and the seeds of each model separately. The caller widens the interval by
    `difference_of_counts`.
    """
    means = [
        (right * _seed_draws(right.shape[1], len(right), side)).sum(axis=1) / (right.shape[1] * items)
        for side, right in enumerate((first, second))
    ]
    return _percentiles(means[0] - means[1])


def interval_of_change(after: Correct, before: Correct) -> Interval:
    """The interval of the change in mean accuracy of the same trained models: row s of both is the same model.

    Seeds and items are drawn jointly, with the limits of `bootstrap_interval`: widened by `difference_of_counts`.
    """
    seeds, items = _check_shape(after)
    right_after, right_before = np.split(resample_items(np.concatenate([after, before])), 2, axis=1)
    change = right_after - right_before
    means = (change * _seed_draws(seeds, len(change), 0)).sum(axis=1) / (seeds * items)
    gained, lost = ((one & ~other).sum() / seeds for one, other in ((after, before), (before, after)))
    return hull(_percentiles(means), difference_of_counts(float(gained), float(lost), items))


def difference_of_counts(wins: float, losses: float, items: int) -> Interval:
    """The adjusted Wald interval of (wins - losses) / items; it has a width even without wins and losses.

    Bonett and Price 2012, "Adjusted Wald confidence interval for a difference of binomial proportions based on paired
    data" (doi:10.3102/1076998611411915).
    """
    won, lost = (wins + 1) / (items + 2), (losses + 1) / (items + 2)
    half = Z * math.sqrt((won + lost - (won - lost) ** 2) / (items + 2))
    return Interval(max(won - lost - half, -1.0), min(won - lost + half, 1.0))


def detectable_difference(items: int, discordance: float, alpha: float = ALPHA) -> float | None:
    """The smallest difference in accuracy that McNemar's test on `items` detects with the probability `POWER`.

    `discordance` is the share of items that only one of the two models gets right. None if even winning all of them
    would not be enough. Solves Connor's sample-size formula (1987, doi:10.2307/2531961) for the difference d:
    d sqrt(n) = z_alpha sqrt(discordance) + z_power sqrt(discordance - d^2).
    """
    z_alpha, z_power = (float(stats.norm.ppf(quantile)) for quantile in (1 - alpha / 2, POWER))
    under_root = items + z_power**2 - z_alpha**2
    if under_root < 0:
        return None
    ratio = (z_alpha * math.sqrt(items) + z_power * math.sqrt(under_root)) / (items + z_power**2)
    difference = math.sqrt(discordance) * ratio  # the larger root of the quadratic in d
    return difference if 0 < difference <= discordance else None


def maximal_groups(count: int, differing: set[tuple[int, int]]) -> list[tuple[int, ...]]:
    """All maximal groups of 0..count-1 in which no pair differs, ordered by their first members.

    A group is maximal if no other member can join it. Ties are not transitive, so one member can be in several groups.
    This is the compact letter display, by insertion and absorption. Piepho 2004 (doi:10.1198/1061860043515).
    """
    groups = [frozenset(range(count))] if count else []
    for one, other in sorted(differing):
        split = [group for group in groups if one in group and other in group]
        whole = [group for group in groups if not (one in group and other in group)]
        for part in (group - {gone} for group in split for gone in (one, other)):
            if not any(part <= group for group in whole):
                whole = [group for group in whole if not group <= part] + [part]
        groups = whole
    return sorted(tuple(sorted(group)) for group in groups)


def possible_counts(accuracy: float, total: int, decimals: int = 4) -> list[int]:
    """Every number of correct answers out of `total` that rounds to the stated accuracy, ascending.

    If the list is empty, the accuracy cannot have been measured on `total` rows. Halves may have been rounded either
    way.
    """
    if not 0 <= accuracy <= 1 or total <= 0:
        raise BenchmarkError(f"{accuracy} of {total} rows is not an accuracy.", "Give a share of at least one row.")
    stated = Fraction(str(accuracy))  # the decimal as printed, not the binary float nearest to it
    half = Fraction(1, 2 * 10**decimals)
    lowest, highest = math.ceil((stated - half) * total), math.floor((stated + half) * total)
    return list(range(max(lowest, 0), min(highest, total) + 1))


def unpaired_z(first: float, second: float, total: int) -> float:
    """The pooled two-proportion z of two accuracies on `total` rows each, above 0 if the first is higher.

    It treats the two test sets as different ones. No other test is possible if only accuracies were published. Fleiss,
    Levin and Paik 2003, "Statistical Methods for Rates and Proportions", chapter 3.
    """
    pooled = (first + second) / 2
    error = math.sqrt(2 * pooled * (1 - pooled) / total)
    return (first - second) / error if error else 0.0


def _item_draws(items: int) -> Iterable[npt.NDArray[np.float64]]:
    """How often each item is drawn, (resamples, items), in parts of at most `MOST_CELLS` cells."""
    return _kept_item_draws(items) if RESAMPLES * items <= MOST_CELLS else _draw_items(items)


@lru_cache(maxsize=2)
def _kept_item_draws(items: int) -> list[npt.NDArray[np.float64]]:
    return list(_draw_items(items))


def _draw_items(items: int) -> Iterator[npt.NDArray[np.float64]]:
    generator, at_once = np.random.default_rng(SEED), max(1, MOST_CELLS // items)
    for first in range(0, RESAMPLES, at_once):
        resamples = min(at_once, RESAMPLES - first)
        yield generator.multinomial(items, np.full(items, 1 / items), size=resamples).astype(np.float64)


@lru_cache(maxsize=64)
def _seed_draws(seeds: int, resamples: int, side: int) -> npt.NDArray[np.int64]:
    """How often each seed is drawn, (resamples, seeds); the two sides of a comparison are drawn independently."""
    return np.random.default_rng((COMPARED_SEED, side)).multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)


def _percentiles(values: npt.NDArray[np.float64]) -> Interval:
    """The interval that contains the middle 95% of the resampled values."""
    low, high = np.quantile(values, QUANTILES)
    return Interval(float(low), float(high))


def _check_shape(correct: Correct) -> tuple[int, int]:
    """The numbers of seeds and items; raises unless there is at least one of each."""
    if correct.ndim != 2 or correct.size == 0:
        raise BenchmarkError(f"The answers have shape {correct.shape}.", "Give (seeds, items), at least one of each.")
    return correct.shape[0], correct.shape[1]
