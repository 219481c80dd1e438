"""Every configuration that was run on a data set."""

from functools import partial

import pandas as pd

from benchmark.report.formats import duration
from benchmark.report.table import (
    ACCURACY,
    CONFIGURATION,
    HARDWARE,
    INTERVAL,
    MACRO_F1,
    MODEL,
    RECIPE,
    SEEDS,
    SPREAD,
    Analysis,
    Column,
    Table,
)

COLUMNS = (
    CONFIGURATION,
    Column("name"),
    MODEL,
    RECIPE,
    ACCURACY,
    SPREAD,
    INTERVAL,
    SEEDS,
    MACRO_F1,
    Column("training_seconds", "Training", duration),
    HARDWARE,
    Column("status", "Status"),
    Column("command", "Command", code=True, leave_out=("tex",)),
    Column("run"),
)


def leaderboard(dataset: str) -> Table:
    """The declaration of a data set's leaderboard."""
    return Table(
        f"leaderboard_{dataset}",
        f"All configurations on {dataset}",
        partial(standing, dataset),
        COLUMNS,
        section="everything",
    )


def standing(dataset: str, analysis: Analysis) -> pd.DataFrame:
    """The most accurate first, trials last; their limits are part of the status."""
    found = analysis.configurations[analysis.configurations["dataset"] == dataset]
    by_result = found["result"].astype(bool)
    order = sorted(
        range(len(found)),
        key=lambda row: (
            by_result.iloc[row],
            -1 if pd.isna(found["accuracy"].iloc[row]) else found["accuracy"].iloc[row],
        ),
        reverse=True,
    )
    ordered = found.iloc[order]
    return ordered.assign(name=ordered["model"], model=ordered["title"])
