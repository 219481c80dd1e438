"""The data with which the page compares any two configurations that predicted the same test texts."""

import string
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.comparisons import comparisons
from benchmark.analysis.configurations import smallest_network
from benchmark.analysis.frame import label_names
from benchmark.report.run_details import anchor

DIGITS = string.digits + string.ascii_letters  # of label ids, in base 62
MOST = 60  # configurations of a data set; the page would be large and slow to make with more
MOST_PREDICTIONS = 1_000_000  # of all configurations of a data set, for the same reason

Texts = Mapping[str, Mapping[str, str]]
"""The test texts by the SHA-256 of the test split and the id of the item."""


def comparison_data(analysis: AnalysedResults, texts: Texts) -> list[dict[str, Any]]:
    """One entry for each set of test texts that two or more configurations predicted, the study's first.

    `predicted` holds the label ids of the first counted seed, in base 62. `pairs` has one entry for every two
    configurations in the order of `combinations`, with what `analysis.comparisons` computes over all seeds; what it
    says of the whole data set, Holm's p and the verdict, is None with a reduced run. `chosen` are the best
    configuration, without training options that were only tried, and the smallest network. Texts with more label
    names than two digits tell apart (3,844 with `no label`) are left out.
    """
    scored = analysis.configurations
    scored = scored[scored["accuracy"].notna()]
    groups = scored.sort_values(["accuracy", "short_name"], ascending=[False, True], kind="stable").groupby(
        ["dataset", "test_sha256"]
    )
    all_comparable = [
        comparable.head(_most(comparable)).reset_index(drop=True)
        for _, comparable in groups
        if len(comparable) > 1 and len(analysis.results.labels(comparable["run"].iloc[0])) < len(DIGITS) ** 2
    ]
    all_comparable.sort(
        key=lambda comparable: (comparable["dataset"][0] != study.DATASET, comparable["dataset"][0], -len(comparable))
    )
    return [
        _entry(analysis.for_dataset(comparable["dataset"][0]), comparable, texts.get(comparable["test_sha256"][0], {}))
        for comparable in all_comparable
    ]


def _most(comparable: pd.DataFrame) -> int:
    return max(2, min(MOST, MOST_PREDICTIONS // int(comparable["test_rows"].iloc[0])))


def _entry(analysis: AnalysedResults, comparable: pd.DataFrame, texts: Mapping[str, str]) -> dict[str, Any]:
    results = analysis.results
    verdicts = {
        frozenset((row["better"], row["other"])): (float(f"{row['adjusted_p']:.6g}"), bool(row["differs"]))
        for row in analysis.comparisons.to_dict("records")
    }
    first = [runs[0] for runs in comparable["counted"]]
    items = results.answers_of(first[0])["item"].tolist()
    names = label_names(results.labels(first[0]))
    compared = comparisons(results, comparable.assign(result=True)).to_dict("records")  # reduced runs too
    return {
        "dataset": comparable["dataset"][0],
        "chosen": _chosen(comparable, analysis.without_ablations["configuration"].tolist()),
        "labels": names,
        "width": 1 if len(names) <= len(DIGITS) else 2,
        "items": items,
        "texts": [texts[item] for item in items] if texts else [],
        "gold": _pack(results.gold(first[:1])[0], names),
        "configurations": [
            {
                "name": row["short_name"],
                "accuracy": row["accuracy"],
                "seeds": row["seeds"],
                "reduced": bool(row["reduced"]),
                "seed": results.runs_by_name[run].record.seed,
                "anchor": anchor(row["configuration"]),
                "predicted": _pack(results.predicted([run])[0], names),
            }
            for run, (_, row) in zip(first, comparable.iterrows(), strict=True)
        ],
        "pairs": [
            [*_pair(row), *verdicts.get(frozenset((row["better"], row["other"])), (None, None))] for row in compared
        ],
    }


def _chosen(comparable: pd.DataFrame, candidates: list[str]) -> list[int]:
    """The places of the most accurate candidate and of the smallest other network, else of the next candidate."""
    ids = comparable["configuration"].tolist()
    best = next((place for place, one in enumerate(ids) if one in candidates), 0)
    others = comparable.drop(index=best)
    rows = others[others["configuration"].isin(candidates)].iterrows()
    network = smallest_network([dict(row) for _, row in rows])
    return [best, int(others.index[0]) if network is None else ids.index(network["configuration"])]


def _pair(row: dict[Any, Any]) -> list[Any]:
    """The difference, its interval, McNemar's p, wins and losses of a pair, over all pairs of seeds."""
    values = [float(f"{row[name]:.6g}") for name in ("difference", "low", "high", "p", "wins", "losses")]
    return [*values, row["seed_pairs"]]


def _pack(labels: npt.NDArray[np.int64], names: list[str]) -> str:
    """The label ids as text, each with one or two digits; `no label` is the last id."""
    ids, base = labels % len(names), len(DIGITS)
    digits = np.array([*DIGITS])
    places = ids[:, None] if len(names) <= base else np.stack([ids // base, ids % base], axis=1)
    return "".join(digits[places.ravel()])
