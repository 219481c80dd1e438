"""How far an accuracy can be trusted: intervals, and what a published figure can mean. Pure functions.

Whether two models differ is the matter of `benchmark.paired`.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from scipy import stats

from benchmark.errors import BenchmarkError


@dataclass(frozen=True)
class Interval:
    """A confidence interval of an accuracy; both ends lie in 0..1 and belong to it."""

    low: float
    high: float


def accuracy_interval(correct: npt.NDArray[np.bool_], confidence: float = 0.95) -> Interval:
    """The interval of the mean accuracy of `correct`, (seeds, items): Wilson for one seed, else the bootstrap.

    Raises `BenchmarkError` if there is no seed or no item.
    """
    seeds, items = _shape(correct)
    if seeds == 1:
        return wilson_interval(int(np.count_nonzero(correct)), items, confidence)
    return bootstrap_interval(correct, confidence)


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> Interval:
    """The score interval of `correct` out of `total`; unlike the normal one it stays within 0..1.

    Raises `BenchmarkError` unless 0 <= correct <= total and total > 0. Wilson 1927, "Probable
    inference, the law of succession, and statistical inference" (doi:10.1080/01621459.1927.10502953).
    """
    _check_confidence(confidence)
    if not 0 <= correct <= total or total == 0:
        raise BenchmarkError(f"{correct} correct out of {total} is no accuracy; count at least one row.")
    bounds = stats.binomtest(correct, total).proportion_ci(confidence, method="wilson")
    return Interval(float(bounds.low), float(bounds.high))


def bootstrap_interval(
    correct: npt.NDArray[np.bool_], confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """The percentile interval of the mean accuracy of `correct`, (seeds, items), over both kinds of chance.

    Each resample draws seeds with replacement, and items with replacement, the same for all its
    seeds, because all seeds answer the same test set. With few seeds the variance between them is
    understated, by the factor (seeds - 1) / seeds; where every answer is right the width is 0.
    Raises `BenchmarkError` if there is no seed or no item. Owen 2007, "The pigeonhole bootstrap"
    (doi:10.1214/07-AOAS122).
    """
    _check_confidence(confidence)
    seeds, items = _shape(correct)
    generator = np.random.default_rng(seed)
    # Items answered alike by every seed are interchangeable: to draw how often each pattern of answers occurs
    # is to draw the items, without a resamples x items array.
    packed, occurrences = np.unique(np.packbits(correct, axis=0), axis=1, return_counts=True)
    patterns = np.unpackbits(packed, axis=0, count=seeds)  # (seeds, patterns)
    drawn_patterns = generator.multinomial(items, occurrences / items, size=resamples)  # (resamples, patterns)
    drawn_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)  # (resamples, seeds)
    right = drawn_patterns @ patterns.T.astype(np.int64)  # (resamples, seeds)
    accuracies = (right * drawn_seeds).sum(axis=1) / (seeds * items)
    low, high = np.quantile(accuracies, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def possible_counts(accuracy: float, total: int, decimals: int = 4) -> list[int]:
    """Every number of right answers out of `total` that rounds to the stated accuracy, ascending.

    An empty list means that nobody can have measured that figure on `total` rows. Halves are allowed
    to have been rounded either way. Raises `BenchmarkError` unless accuracy lies in 0..1 and total > 0.
    """
    if not 0 <= accuracy <= 1 or total <= 0:
        raise BenchmarkError(f"{accuracy} of {total} rows is no accuracy; state it as a fraction of at least one row.")
    stated = Fraction(str(accuracy))  # the decimal as printed, exactly, not the binary float nearest to it
    half = Fraction(1, 2 * 10**decimals)
    lowest, highest = math.ceil((stated - half) * total), math.floor((stated + half) * total)
    return list(range(max(lowest, 0), min(highest, total) + 1))


def unpaired_z(first: float, second: float, total: int) -> float:
    """The pooled two-proportion z of two accuracies on `total` rows each, above 0 if the first leads.

    It takes the rows for different ones: all that can be tested where only accuracies were published. Raises
    `BenchmarkError` unless both lie in 0..1 and total > 0. Fleiss, Levin and Paik 2003, "Statistical Methods
    for Rates and Proportions", chapter 3.
    """
    if not (0 <= first <= 1 and 0 <= second <= 1) or total <= 0:
        raise BenchmarkError(f"{first} and {second} of {total} rows are no accuracies; state fractions of some rows.")
    pooled = (first + second) / 2
    error = math.sqrt(2 * pooled * (1 - pooled) / total)
    return (first - second) / error if error else 0.0


def _shape(correct: npt.NDArray[np.bool_]) -> tuple[int, int]:
    if correct.ndim != 2 or correct.size == 0:
        raise BenchmarkError(f"The answers have shape {correct.shape}; they must be (seeds, items), neither of them 0.")
    return correct.shape[0], correct.shape[1]


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise BenchmarkError(f"The confidence is {confidence}; it must lie between 0 and 1, as 0.95 does.")
