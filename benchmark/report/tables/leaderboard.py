"""Every configuration that was run on a data set."""

from dataclasses import replace
from functools import partial

import pandas as pd

from benchmark.analysis.analysed import AnalysedResults
from benchmark.report import table as t

COLUMNS = (
    t.CONFIGURATION,
    t.MODEL_NAME,
    t.MODEL,
    t.RECIPE,
    *t.SCORES,
    t.TRAINING,
    t.HARDWARE,
    t.STATUS,
    t.Column("command", "Command", code=True, leave_out=("tex",)),
    t.Column("run"),
)


def leaderboard(dataset: str) -> t.Table:
    """The declaration of a data set's leaderboard."""
    return t.Table(
        f"leaderboard_{dataset}",
        f"All configurations on {dataset}",
        partial(ranked, dataset, trial=False),
        COLUMNS,
        section="everything",
        dataset=dataset,
    )


def trials(dataset: str) -> t.Table:
    """The declaration of the table of a data set's trials."""
    return replace(
        leaderboard(dataset),
        name=f"trials_{dataset}",
        title=f"Trials on {dataset}",
        make=partial(ranked, dataset, trial=True),
        note="A trial has fewer rows or steps than the data set and recipe, or random weights. It is not compared with "
        "complete runs.",
    )


def ranked(dataset: str, analysis: AnalysedResults, trial: bool | None = None) -> pd.DataFrame:
    """The configurations of a data set: those with results before the others, and the most accurate first in each.

    `trial` selects trials (True), complete configurations (False), or both (None).
    """
    table = analysis.of(dataset).configurations
    if trial is not None:
        table = table[table["trial"].astype(bool) == trial]
    ordered = table.sort_values(["result", "accuracy"], ascending=False, kind="stable", na_position="last")
    return ordered.assign(name=ordered["model"], model=ordered["title"])
