"""Every two configurations that predicted the same test texts, compared item by item."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis.configurations import with_results
from benchmark.analysis.frame import Results
from benchmark.analysis.inference import (
    ALPHA,
    combined,
    combining_factor,
    detectable_difference,
    discordant,
    holm,
    interval_of_difference,
    mcnemar,
    resampled,
    tied_groups,
)

COLUMNS = ("test_sha256", "better", "other", "difference", "low", "high", "wins", "losses", "seed_pairs", "p",
           "adjusted_p", "detectable", "differs")  # fmt: skip


def comparisons(results: Results, configurations: pd.DataFrame) -> pd.DataFrame:
    """A row per pair of configurations with results on the same test texts, the largest test set first.

    `better` and `other` are configuration ids, `better` the more accurate. `wins` and `losses` are the items that only
    one of the two predicts correctly, means over the pairs of seeds. Each pair of seeds gives a McNemar p-value; `p`
    combines them (`inference.combined`) and `adjusted_p` is Holm's over all pairs on these texts. `detectable` is the
    difference found with 80% power at this discordance, at the strictest step of Holm's correction. `differs` needs
    both tests: McNemar's, which knows the items, and the bootstrap, which knows the seeds too.
    """
    rows = [row for field in fields(configurations) for row in _pairs(results, field)]
    return pd.DataFrame(rows, columns=[*COLUMNS], dtype=object)


def fields(configurations: pd.DataFrame) -> list[pd.DataFrame]:
    """The configurations with results by the test texts they predicted, each the most accurate first.

    The test set with the most configurations comes first.
    """
    groups = [group for _, group in with_results(configurations).groupby("test_sha256", sort=False)]
    return sorted(groups, key=len, reverse=True)


def groups(field: pd.DataFrame, pairs: pd.DataFrame) -> list[tuple[int, ...]]:
    """The largest groups of positions in `field` without a differing pair."""
    place = {configuration: number for number, configuration in enumerate(field["configuration"])}
    differing = pairs[pairs["differs"].astype(bool) & pairs["better"].isin(place)]
    return tied_groups(
        len(field),
        {(place[one], place[other]) for one, other in zip(differing["better"], differing["other"], strict=True)},
    )


def _pairs(results: Results, field: pd.DataFrame) -> list[dict[str, Any]]:
    correct = [results.correct(runs) for runs in field["counted"]]
    drawn = [resampled(answers) for answers in correct]
    accuracies, ids = field["accuracy"].tolist(), field["configuration"].tolist()
    items = correct[0].shape[1] if correct else 0
    rows = []
    for one, other in combinations(range(len(field)), 2):
        counts = discordant(correct[one], correct[other])
        wins, losses = np.mean(counts, axis=0).tolist()
        interval = interval_of_difference(drawn[one], drawn[other], items)
        rows.append(
            {
                "test_sha256": field["test_sha256"].iloc[0],
                "better": ids[one],
                "other": ids[other],
                "difference": accuracies[one] - accuracies[other],
                "low": interval.low,
                "high": interval.high,
                "wins": wins,
                "losses": losses,
                "seed_pairs": len(counts),
                "p": combined([mcnemar(*pair) for pair in counts]),
            }
        )
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        discordance = (row["wins"] + row["losses"]) / items
        alpha = ALPHA / len(rows) / combining_factor(row["seed_pairs"])
        row |= {
            "adjusted_p": adjusted,
            "detectable": detectable_difference(items, discordance, alpha=alpha),
            "differs": adjusted < ALPHA and row["low"] > 0,
        }
    return rows
