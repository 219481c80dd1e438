"""Every two configurations that predicted the same test texts, compared item by item."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark.analysis import inference
from benchmark.analysis.configurations import mean_accuracy, with_results
from benchmark.analysis.frame import Results
from benchmark.analysis.inference import ALPHA
from benchmark.analysis.metrics import Correct

COLUMNS = ("test_sha256", "better", "other", "difference", "low", "high", "wins", "losses", "seed_pairs", "p",
           "adjusted_p", "detectable", "differs", "verdict")  # fmt: skip
DIFFER, NOT_SIGNIFICANT = "differ", "not significant"
"""The values of `verdict`."""


def comparisons(results: Results, configurations: pd.DataFrame) -> pd.DataFrame:
    """One row per pair of configurations with results on the same test texts, the largest group of them first.

    `better` and `other` are configuration ids, `better` the more accurate. `wins` and `losses` are the items that only
    one of the two predicts correctly, means over all pairs of seeds: (wins - losses) / items is `difference`. Each
    pair of seeds gives a McNemar p-value; `p` combines them (`inference.combine_p_values`), and `adjusted_p` is Holm's
    over all pairs on these texts. `detectable` is the difference found with 80% power at this discordance, at the
    strictest step of Holm's correction. `differs` needs both tests: McNemar's, which accounts for the items, and the
    interval of the difference, which accounts for the seeds too; `verdict` says the same in words.
    """
    rows = [row for comparable in by_test_texts(configurations) for row in _pairs(results, comparable)]
    return pd.DataFrame(rows, columns=[*COLUMNS], dtype=object)


def by_test_texts(configurations: pd.DataFrame) -> list[pd.DataFrame]:
    """The configurations with results, grouped by the test texts they predicted; in each group the most accurate first.

    The largest group comes first.
    """
    groups = [group for _, group in with_results(configurations).groupby("test_sha256", sort=False)]
    return sorted(groups, key=len, reverse=True)


def tied_groups(comparable: pd.DataFrame, pairs: pd.DataFrame) -> list[tuple[int, ...]]:
    """The maximal groups of positions in `comparable` in which no pair differs."""
    place = {configuration: number for number, configuration in enumerate(comparable["configuration"])}
    differing = pairs[pairs["differs"].astype(bool) & pairs["better"].isin(place)]
    positions = zip(differing["better"].map(place), differing["other"].map(place), strict=True)
    return inference.maximal_groups(len(comparable), set(positions))


def compare(correct: Mapping[str, Correct]) -> list[dict[str, Any]]:
    """The rows of `comparisons` for models that answered the same items, by name, the most accurate first."""
    drawn = _resample(correct)
    rows: list[dict[str, Any]] = []
    items = next(iter(correct.values())).shape[1]
    for better, other in combinations(correct, 2):
        counts = inference.discordant(correct[better], correct[other])
        wins, losses = np.mean(counts, axis=0).tolist()
        bootstrap = inference.interval_of_difference(drawn[better], drawn[other], items)
        interval = inference.hull(bootstrap, inference.difference_of_counts(wins, losses, items))
        difference = mean_accuracy(correct[better]) - mean_accuracy(correct[other])
        row = {"better": better, "other": other, "difference": difference, "low": interval.low, "high": interval.high}
        row |= {"wins": wins, "losses": losses, "seed_pairs": len(counts)}
        rows.append(row | {"p": inference.combine_p_values([inference.mcnemar(*pair) for pair in counts])})
    return _add_corrections(rows, items)


def _resample(correct: Mapping[str, Correct]) -> dict[str, npt.NDArray[np.float64]]:
    """The draws of `inference.resample_items` for each model; the items are drawn once for all."""
    drawn = inference.resample_items(np.concatenate([*correct.values()]))
    last_seeds = np.cumsum([len(answers) for answers in correct.values()])
    return dict(zip(correct, np.split(drawn, last_seeds[:-1], axis=1), strict=True))


def _pairs(results: Results, comparable: pd.DataFrame) -> list[dict[str, Any]]:
    correct = {row["configuration"]: results.correct(row["counted"]) for _, row in comparable.iterrows()}
    return [{"test_sha256": comparable["test_sha256"].iloc[0], **row} for row in compare(correct)]


def _add_corrections(rows: list[dict[str, Any]], items: int) -> list[dict[str, Any]]:
    """Add the columns that depend on the number of pairs, from `adjusted_p` on, to each of `rows`."""
    for row, adjusted in zip(rows, inference.holm([row["p"] for row in rows]), strict=True):
        discordance = (row["wins"] + row["losses"]) / items
        alpha = ALPHA / len(rows) / inference.combining_factor(row["seed_pairs"])
        row["adjusted_p"] = adjusted
        row["detectable"] = inference.detectable_difference(items, discordance, alpha=alpha)
        row["differs"] = adjusted < ALPHA and row["low"] > 0
        row["verdict"] = DIFFER if row["differs"] else NOT_SIGNIFICANT
    return rows
