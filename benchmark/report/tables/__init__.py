"""The tables of the report, each declared once: in the module of its subject."""

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.report.table import Table
from benchmark.report.tables import (
    audit,
    comparison,
    cost,
    data_sets,
    decisions,
    dollars,
    label_noise,
    mistakes,
    overview,
    paired,
    prompts,
    scale,
    study_tables,
    training,
    transfer,
)
from benchmark.report.tables.leaderboard import leaderboard, reduced_runs

ABOUT_THE_STUDY = (*study_tables.TABLES, *overview.TABLES, *audit.TABLES)
OF_A_DATASET = (
    *mistakes.TABLES,
    *label_noise.TABLES,
    *decisions.TABLES,
    *comparison.TABLES,
    *cost.TABLES,
    *training.TABLES,
)
IF_MEASURED = (*decisions.IF_MEASURED, *dollars.TABLES, paired.ABLATIONS)
"""Tables of a data set that are shown only where they have rows."""
OF_ALL_DATASETS = (
    cost.LATENCY,
    data_sets.DATA_SETS,
    transfer.TRANSFER,
    prompts.PROMPTS,
    paired.ROBUSTNESS,
    scale.SCALE,
    dollars.PROJECTED,
)
"""Tables of all data sets that are shown only if they have rows."""
_ALWAYS_SHOWN = (*ABOUT_THE_STUDY, *OF_A_DATASET, cost.SPEED)
ALWAYS_SHOWN = frozenset(table.name for table in _ALWAYS_SHOWN)
"""The names of the tables of the study and of its data set that are shown with no rows too."""
TABLES: dict[str, Table] = {table.name: table for table in (*_ALWAYS_SHOWN, *IF_MEASURED, *OF_ALL_DATASETS)}
"""Every table by name, except those that are declared for each data set, `leaderboard` and `reduced_runs`."""
TABLE_NAMES = (*TABLES, "leaderboard", "reduced_runs")
"""The beginnings of the names of all tables; the name of a data set may follow."""


def all_tables(analysis: AnalysedResults) -> dict[Table, pd.DataFrame]:
    """Every table with its data: the tables of each data set, and the study's tables if its data set was run."""
    tables: dict[Table, pd.DataFrame] = {}
    if study.DATASET in analysis.datasets or not analysis.datasets:
        tables |= {table: table.data(analysis) for table in ABOUT_THE_STUDY}
    for dataset in analysis.datasets or [study.DATASET]:
        part = analysis.for_dataset(dataset)
        of_dataset = {table: table.data(part) for table in _declared(dataset, part)}
        tables |= {table: data for table, data in of_dataset.items() if len(data) or table.name in ALWAYS_SHOWN}
    tables[cost.SPEED] = cost.SPEED.data(analysis)
    optional = {table: table.data(analysis) for table in OF_ALL_DATASETS}
    return tables | {table: data for table, data in optional.items() if len(data)}


def _declared(dataset: str, part: AnalysedResults) -> Iterator[Table]:
    """The tables of one data set; tables of the study's data set have the plain names."""
    for table in (*OF_A_DATASET, *IF_MEASURED):
        if table is training.LEARNING_CURVE and len(part.results.runs):
            table = training.learning_curve_table(part.results.labels(part.results.runs["run"].iloc[0]))
        if dataset == study.DATASET:
            yield replace(table, dataset=dataset)
        else:
            yield replace(table, name=f"{table.name}_{dataset}", dataset=dataset)
    for table in (leaderboard(dataset), reduced_runs(dataset)):
        yield replace(table, note=" ".join(filter(None, [table.note, _other_content(dataset, part)])))


def _other_content(dataset: str, part: AnalysedResults) -> str:
    """Return a note if runs used the name of the study's data set for other texts."""
    names = {part.results.runs_by_name[run].record.dataset for run in part.results.runs["run"]}
    if dataset == study.DATASET or study.DATASET not in names:
        return ""
    return "Some of these runs call their data emotion, but the test split is not the published one."
