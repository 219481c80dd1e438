"""The README's table: the best configuration of every model, and the study's models that were not run."""

from typing import Any

import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.report.formats import parameters
from benchmark.report.table import (
    CONFIGURATION,
    FOUR_DECIMALS,
    HARDWARE,
    MACRO_F1,
    MODEL_NAME,
    STATUS,
    TRAINING,
    Column,
    Table,
    ValueSource,
    declared,
)
from benchmark.results.catalogue import CatalogueEntry


def overview(analysis: AnalysedResults) -> pd.DataFrame:
    """The models that were run by falling accuracy, then the study's that were not; one row per model.

    The row is the best configuration's, without the training options that the table `ablations` examines.
    """
    best = analysis.for_dataset(study.DATASET).comparable.drop_duplicates("model")
    measured = {row["model"]: dict(row) for _, row in best.iterrows()}
    catalogue = analysis.results.catalogue
    rows = [_row(name, row) for name, row in measured.items()]
    rows += [_not_run(name, catalogue[name]) for name in study.TABLE3 if name not in measured]
    return pd.DataFrame(rows, dtype=object)


def _not_run(name: str, entry: CatalogueEntry) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(column.name for column in COLUMNS)
    row |= {"name": name, "model": entry.config.model.title, "parameters": entry.card.parameters}
    return row | {"study": study.TABLE3[name], "status": "not run"}


def _row(name: str, measured: dict[str, Any]) -> dict[str, Any]:
    seeds = "1 seed" if measured["seeds"] == 1 else f"{measured['seeds']} seeds"
    repeated = measured["repeats_study"]
    interval = f"{measured['accuracy']:.4f} ({measured['low']:.4f} to {measured['high']:.4f})"
    return {
        **measured,
        "name": name,
        "model": measured["short_name"],
        "study": study.TABLE3.get(name) if repeated else None,
        "measured": interval,
        "hardware": measured["machine"],
        "status": f"measured, {seeds}",
    }


COLUMNS = (
    CONFIGURATION,
    MODEL_NAME,
    declared("model", "Model, recipe"),
    declared("parameters", "Parameters", parameters),
    Column("study", "Study", FOUR_DECIMALS, source=ValueSource.study),
    Column("accuracy"),
    Column("low"),
    Column("high"),
    Column("measured", "Measured here (95% interval)"),
    MACRO_F1,
    TRAINING,
    HARDWARE,
    STATUS,
)

TABLES = (
    Table(
        "overview",
        "The best configuration of every model",
        overview,
        COLUMNS,
        note="*Study* is the accuracy that the study printed. Everything else is computed from stored predictions. The "
        "interval is Wilson's for one seed; for several it is a bootstrap over seeds and test texts, at least as wide "
        "as Wilson's. *Training* is the median over the seeds of one machine, without loading and validation.",
    ),
)
