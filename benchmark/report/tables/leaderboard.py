"""Every configuration that was run on a data set."""

from functools import partial

import pandas as pd

from benchmark.report import table as t

COLUMNS = (
    t.CONFIGURATION,
    t.NAME,
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
    make = partial(standing, dataset)
    title = f"All configurations on {dataset}"
    return t.Table(f"leaderboard_{dataset}", title, make, COLUMNS, section="everything", dataset=dataset)


def standing(dataset: str, analysis: t.Analysis) -> pd.DataFrame:
    """The most accurate first, trials after results; their limits are part of the status."""
    found = analysis.configurations[analysis.configurations["dataset"] == dataset]
    ordered = found.sort_values(["result", "accuracy"], ascending=False, kind="stable", na_position="last")
    return ordered.assign(name=ordered["model"], model=ordered["title"])
