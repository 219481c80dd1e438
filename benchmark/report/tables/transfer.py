"""Models that were trained on one data set and tested on another."""

from typing import Any

import pandas as pd

from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.identity import seed_independent_spec, short_hash
from benchmark.report.table import (
    ACCURACY,
    CONFIGURATION,
    FOUR_DECIMALS,
    INTERVAL,
    MODEL,
    MODEL_NAME,
    RECIPE,
    SEEDS,
    Column,
    Table,
    declared,
)
from benchmark.results.record import RunRecord


def transfer(analysis: AnalysedResults) -> pd.DataFrame:
    """One row per configuration that was tested on another data set, by data sets and falling accuracy.

    `own` is the accuracy of the same configuration on the test split of the data that it was trained on.
    """
    results = analysis.results
    configurations = analysis.configurations
    configurations = configurations[configurations["result"].astype(bool)]
    records = {row["configuration"]: results.runs_by_name[row["run"]].record for _, row in configurations.iterrows()}
    own_accuracies = {
        _training(record): configurations.loc[configurations["configuration"] == configuration, "accuracy"].iloc[0]
        for configuration, record in records.items()
        if record.config.dataset.test is None
    }
    rows = [
        {
            **row,
            **_data(records[row["configuration"]]),
            "own": own_accuracies.get(_training(records[row["configuration"]])),
        }
        for row in configurations.rename(columns={"model": "name", "title": "model"}).to_dict("records")
        if records[row["configuration"]].config.dataset.test is not None
    ]
    table = pd.DataFrame(rows, dtype=object)
    return table.sort_values(["dataset", "accuracy"], ascending=[True, False], kind="stable") if rows else table


def _data(record: RunRecord) -> dict[str, Any]:
    """The names of both data sets, and the labels that test rows have."""
    tested = record.config.dataset.test
    assert tested is not None
    assert record.data is not None
    counts = record.data.splits["test"].counts
    return {
        "trained_on": record.config.dataset.name,
        "tested_on": tested.name,
        "labels": ", ".join(label for label, rows in counts.items() if rows),
    }


def _training(record: RunRecord) -> str:
    """A hash of model, recipe and training data, the same whatever was tested and with whatever seed."""
    trained = [record.data_sha256.get(name) for name in ("train", "validation")]
    return short_hash(seed_independent_spec(record.config, ("dataset",)), trained)


TRANSFER = Table(
    "transfer",
    "Tested on another data set",
    transfer,
    (
        CONFIGURATION,
        MODEL_NAME,
        MODEL,
        RECIPE,
        declared("kind", "Kind of model"),
        declared("trained_on", "Trained on"),
        declared("tested_on", "Tested on"),
        Column("test_rows", "Test texts", "{:,}".format),
        Column("labels", "Labels of the test texts", leave_out=("tex",)),
        ACCURACY,
        INTERVAL,
        SEEDS,
        Column("own", "Accuracy on own test split", FOUR_DECIMALS, "of the same configuration"),
    ),
    note="Test texts have only labels that the training data have too. A model may still predict any label that it was "
    "trained on. The other tables of these results are in `results/tables`, as `per_class_TRAINED-to-TESTED.csv`.",
    section="several-data-sets",
)
