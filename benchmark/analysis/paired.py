"""Whether two models that answered the same items differ: paired tests and their corrections. Pure functions."""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from benchmark.analysis.statistics import Interval
from benchmark.errors import BenchmarkError

Correct = npt.NDArray[np.bool_]
"""Which items were answered rightly, (seeds, items)."""

RESAMPLES = 2000


def mcnemar(wins: int, losses: int) -> float:
    """The exact two-sided p of `wins` and `losses`, the items that only one of two models gets right.

    Under the null hypothesis either is as likely as the other; 1 where there are none. Raises `BenchmarkError`
    on a negative count. McNemar 1947 (doi:10.1007/BF02295996), with the binomial in place of chi-squared
    (`bdtr` is its distribution function).
    """
    if wins < 0 or losses < 0:
        raise BenchmarkError(f"{wins} wins and {losses} losses are no counts; neither can be below 0.")
    return min(1.0, 2 * float(special.bdtr(min(wins, losses), wins + losses, 0.5)))


def discordant(first: Correct, second: Correct) -> list[tuple[int, int]]:
    """Wins and losses of `first` against `second` for every pair of their seeds.

    Raises `BenchmarkError` unless both are (seeds, items) over the same items.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1:] != second.shape[1:] or not first.size * second.size:
        raise BenchmarkError(
            f"Answers of shapes {first.shape} and {second.shape} cannot be paired; "
            "give (seeds, items) of the same items."
        )
    return [(int((one & ~other).sum()), int((other & ~one).sum())) for one, other in product(first, second)]


def combined(p_values: Sequence[float]) -> float:
    """One p from several of the same question, however they depend on each other.

    Of k p-values it is k/m times the m-th smallest. m = k // 2 + 1 is the upper median, so that most pairs of
    seeds must agree; a single p stays as it is. Raises `BenchmarkError` if there is none. Rüger's rule of 1978,
    as in Vovk and Wang 2020, "Combining p-values via averaging" (doi:10.1093/biomet/asaa027).
    """
    if not p_values:
        raise BenchmarkError("There is no p-value to combine; give at least one.")
    middle = len(p_values) // 2 + 1
    return min(1.0, combining_factor(len(p_values)) * sorted(p_values)[middle - 1])


def combining_factor(count: int) -> float:
    """What `combined` multiplies the upper median of so many p-values by."""
    return count / (count // 2 + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for having asked them all, in the order given.

    Comparing an adjusted p to 0.05 keeps the chance of any false alarm at 5%. Holm 1979, "A simple
    sequentially rejective multiple test procedure" (https://www.jstor.org/stable/4615733).
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return [float(p) for p in adjusted]


def resampled(correct: Correct, resamples: int = RESAMPLES, seed: int = 0) -> npt.NDArray[np.float64]:
    """How many answers of each seed are right under draws of the items with replacement, (resamples, seeds).

    The draws are the same for the same number of items: what two models answered stays paired. Whole numbers,
    in floats for speed: sums of them are exact, and the same on every machine.
    """
    return _item_draws(correct.shape[1], resamples, seed) @ correct.T.astype(np.float64)


def interval_of_difference(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], items: int) -> Interval:
    """The 95% percentile interval of first minus second mean accuracy, from what is `resampled` of each.

    Each resample draws the items in common and the seeds of each model on their own, as `bootstrap_interval`
    does for one model, with the same limits. Owen 2007 (doi:10.1214/07-AOAS122).
    """
    means = [
        (right * _seed_draws(right.shape[1], len(right), side)).sum(axis=1) / (right.shape[1] * items)
        for side, right in enumerate((first, second))
    ]
    low, high = np.quantile(means[0] - means[1], [0.025, 0.975])
    return Interval(float(low), float(high))


def detectable_difference(items: int, discordance: float, power: float = 0.8, alpha: float = 0.05) -> float | None:
    """The smallest difference in accuracy that McNemar's test on `items` finds with `power`.

    `discordance` is the share of items that only one of the two gets right. None where even winning all of them
    would not do. Solves the sample-size formula of Connor 1987 (doi:10.2307/2531961) for the difference d:
    d sqrt(n) = z_alpha sqrt(discordance) + z_power sqrt(discordance - d^2).
    """
    if items <= 0 or not 0 <= discordance <= 1 or not 0 < power < 1 or not 0 < alpha < 1:
        raise BenchmarkError(
            f"{items} items, discordance {discordance}, power {power} and alpha {alpha} make no test; "
            "count at least one item and state the others as shares."
        )
    z_alpha, z_power = (float(stats.norm.ppf(quantile)) for quantile in (1 - alpha / 2, power))
    under_root = items + z_power**2 - z_alpha**2
    if under_root < 0:
        return None
    ratio = (z_alpha * math.sqrt(items) + z_power * math.sqrt(under_root)) / (items + z_power**2)
    difference = math.sqrt(discordance) * ratio  # the larger root of the quadratic in d
    return difference if 0 < difference <= discordance else None


def tied_groups(count: int, differing: set[tuple[int, int]]) -> list[tuple[int, ...]]:
    """The largest groups of 0..count-1 in which no two are known to differ, by their first members.

    Ties do not carry over, so one may stand in several groups: the letters of a compact letter display, by
    insertion and absorption. Piepho 2004 (doi:10.1198/1061860043515).
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


@lru_cache(maxsize=2)
def _item_draws(items: int, resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """How often each item is drawn, (resamples, items)."""
    drawn = np.random.default_rng(seed).multinomial(items, np.full(items, 1 / items), size=resamples)
    return drawn.astype(np.float64)


@lru_cache(maxsize=64)
def _seed_draws(seeds: int, resamples: int, side: int) -> npt.NDArray[np.int64]:
    """How often each seed is drawn, (resamples, seeds); the two sides of a comparison draw apart."""
    return np.random.default_rng((1, side)).multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
