"""The result on one data set in a sentence or two."""

import pandas as pd

from benchmark.report.summary import digits, listed, named, seeds
from benchmark.report.table import Analysis

MOST_NAMED = 3


def answer_on(analysis: Analysis, dataset: str) -> str:
    """The best configuration with its interval, and whether others are as good."""
    found = analysis.compared(dataset)
    if found.empty:
        runs = int((analysis.results.runs["dataset"] == dataset).sum())
        return f"No result on {dataset} yet: its {runs:,} run{'s' * (runs != 1)} failed, or had limited rows or steps."
    best = found.iloc[0].to_dict()
    sentence = (
        f"The best model on {dataset} is {best['label']}: {digits(best['accuracy'])} on {best['test_rows']:,} test "
        f"texts (95% interval {digits(best['low'])} to {digits(best['high'])}, {seeds(best)})."
    )
    return f"{sentence} {_against_others(analysis, dataset, found)}".strip()


def _against_others(analysis: Analysis, dataset: str, found: pd.DataFrame) -> str:
    if len(found) == 1:
        return ""
    pairs = analysis.comparisons_on(dataset)
    differing = set(pairs.loc[(pairs["better"] == found["configuration"][0]) & pairs["differs"].astype(bool), "other"])
    tied = [row.to_dict() for _, row in found.iloc[1:].iterrows() if row["configuration"] not in differing]
    if not tied:
        return f"It is significantly better than the next, {named(found.iloc[1].to_dict())}."
    more = f" or {len(tied) - MOST_NAMED} more" if len(tied) > MOST_NAMED else ""
    return f"It is not significantly better than {listed([named(row) for row in tied[:MOST_NAMED]])}{more}."
