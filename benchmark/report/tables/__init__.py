"""The tables of the report, each declared once: in the module of its subject."""

import pandas as pd

from benchmark.report.table import Analysis, Table
from benchmark.report.tables import audit, comparison, cost, errors, overview, study, training
from benchmark.report.tables.leaderboard import leaderboard

TABLES: dict[str, Table] = {
    table.name: table
    for module in (study, overview, errors, comparison, audit, cost, training)
    for table in module.TABLES
}


def all_tables(analysis: Analysis) -> dict[Table, pd.DataFrame]:
    """Every table with its data, and a leaderboard for each data set."""
    datasets = sorted(set(analysis.results.runs["dataset"]))
    return {table: table.data(analysis) for table in [*TABLES.values(), *map(leaderboard, datasets)]}
