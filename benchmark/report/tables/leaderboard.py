"""Every configuration that was run on a data set."""

from dataclasses import replace
from functools import partial

import pandas as pd

from benchmark.analysis.analysed import AnalysedResults
from benchmark.report.table import (
    CONFIGURATION,
    HARDWARE,
    MODEL,
    MODEL_NAME,
    RECIPE,
    SCORES,
    STATUS,
    TRAINING,
    Column,
    Table,
)

COLUMNS = (
    CONFIGURATION,
    MODEL_NAME,
    MODEL,
    RECIPE,
    *SCORES,
    TRAINING,
    HARDWARE,
    STATUS,
    Column("command", "Command", code=True, leave_out=("tex",)),
    Column("run"),
)


def leaderboard(dataset: str) -> Table:
    """The declaration of a data set's leaderboard."""
    return Table(
        f"leaderboard_{dataset}",
        f"All configurations on {dataset}",
        partial(ranked, dataset, reduced=False),
        COLUMNS,
        section="everything",
        dataset=dataset,
    )


def reduced_runs(dataset: str) -> Table:
    """The declaration of the table of a data set's reduced runs."""
    return replace(
        leaderboard(dataset),
        name=f"reduced_runs_{dataset}",
        title=f"Reduced runs on {dataset}",
        make=partial(ranked, dataset, reduced=True),
        note="A reduced run has fewer rows or steps than its data set and recipe, or random weights. It is left out of "
        "the leaderboard and of the comparisons of complete runs.",
    )


def ranked(dataset: str, analysis: AnalysedResults, reduced: bool | None = None) -> pd.DataFrame:
    """The configurations of a data set: those with results before the others, and the most accurate first in each.

    `reduced` selects reduced runs (True), complete ones (False), or both (None).
    """
    table = analysis.for_dataset(dataset).configurations
    if reduced is not None:
        table = table[table["reduced"].astype(bool) == reduced]
    ordered = table.sort_values(["result", "accuracy"], ascending=False, kind="stable", na_position="last")
    return ordered.assign(name=ordered["model"], model=ordered["title"])
