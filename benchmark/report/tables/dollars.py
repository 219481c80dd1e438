"""What training a model and predicting 1,000 texts a day for a year cost, in dollars and in energy."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.configurations import with_results
from benchmark.analysis.frame import Results
from benchmark.analysis.prices import Prices, read_prices
from benchmark.report.formats import duration, fixed, gigabytes, milliseconds
from benchmark.report.table import (
    ACCURACY,
    HARDWARE,
    IDENTITY,
    MODEL,
    MODEL_NAME,
    TRAINING,
    Column,
    Table,
    declared,
    derived,
)
from benchmark.report.tables.cost import measured_title
from benchmark.results.speed import Rows

YEAR = 365_000  # texts: 1,000 a day
KWH = 3_600_000  # joules


def dollars(analysis: AnalysedResults) -> pd.DataFrame:
    """One row per configuration with results whose times were measured on a machine with a price, the cheapest first.

    A loaded adapter costs what its training did. The year's cost is missing where training was not timed.
    """
    configurations, prices = with_results(analysis.configurations), read_prices()
    by_run = {run: row for _, row in configurations.iterrows() for run in row["runs"]}
    rows = []
    for row in configurations[configurations["seconds_per_text"].notna()].to_dict("records"):
        if (per_hour := _dollars_per_hour(row, analysis.results, prices)) is None:
            continue
        answering = YEAR * row["seconds_per_text"] * per_hour / 3600
        trained = _training_dollars(by_run[row["run"]], by_run, analysis.results, prices)
        paid = {"training_dollars": trained, "answering_dollars": answering, "per_hour": per_hour}
        paid["year_dollars"] = None if trained is None else trained + answering
        rows.append(row | paid | {"model": row["title"], "hardware": row["machine"]})
    table = pd.DataFrame(rows, dtype=object)
    return table.sort_values(["year_dollars", "short_name"], kind="stable") if rows else table


def projected_dollars(analysis: AnalysedResults) -> pd.DataFrame:
    """One row with the dollars that a model would cost per measurement of speed with random weights.

    The epochs are the shipped recipe's, and the training rows all rows of the data set that gave the texts.
    Measurements without this number, or on a machine without a price, are left out.
    """
    prices, catalogue = read_prices(), analysis.results.catalogue
    rows = []
    for measured in analysis.results.throughputs:
        subject = measured.subject
        per_hour, entry = prices.dollars_per_hour(subject.device), catalogue.get(subject.model)
        ways = [way for way in measured.ways if way.answered_per_second]
        if not subject.device_is_exclusive or subject.pretrained or per_hour is None or entry is None or not ways:
            continue
        if (train_rows := _whole_train_rows(measured.rows)) is None:
            continue
        way = max(ways, key=lambda way: way.samples_per_second)
        assert way.answered_per_second is not None
        training = entry.config.recipe.epochs * train_rows / way.samples_per_second
        training += way.graph_seconds or 0.0  # once a training
        paid = training * per_hour / 3600, YEAR / way.answered_per_second * per_hour / 3600
        rows.append(
            {
                "name": subject.model,
                "model": measured_title(subject),
                "hardware": subject.device,
                "batch_size": measured.effective_batch,
                "batching": way.title,
                "precision": way.precision,
                "per_hour": per_hour,
                "training": training,
                "training_dollars": paid[0],
                "answering_dollars": paid[1],
                "year_dollars": sum(paid),
            }
        )
    rows.sort(key=lambda row: (row["model"], row["hardware"], row["batch_size"], row["year_dollars"]))
    return pd.DataFrame(rows, dtype=object)


def _whole_train_rows(rows: Rows) -> int | None:
    """The number of rows of the whole training split; None if not known. Older files state the measured rows only."""
    if rows.dataset_train is not None:
        return rows.dataset_train
    all_of_study = rows.dataset == study.DATASET and rows.train == study.TRAIN_ROWS
    return study.TRAIN_ROWS if all_of_study else None


def _trainer(row: pd.Series, by_run: dict[str, pd.Series], results: Results) -> pd.Series | None:
    """The configuration that trained the model: the row's own, unless it loads an adapter.

    None if not known, as for a checkpoint with a trained head.
    """
    fit = results.runs_by_name[row["run"]].record.fit
    if row["trained"] or fit is None:
        return row
    if fit.weights.adapter is not None:
        return by_run.get(row["trained_by"])
    return None if fit.weights.trained_head else row


def _dollars_per_hour(row: Mapping[Any, Any] | pd.Series, results: Results, prices: Prices) -> float | None:
    """The price per hour of the machine that ran a configuration, with all its GPUs; None without a price."""
    price = prices.dollars_per_hour(row["machine"])
    records = [results.runs_by_name[run].record for run in row["counted"]]
    processes = next(record.environment.processes for record in records if record.hardware == row["machine"])
    return price * processes if price is not None and row["on_gpu"] else price


def _training_dollars(row: pd.Series, by_run: dict[str, pd.Series], results: Results, prices: Prices) -> float | None:
    """The cost of the training, which may be another run's; 0 if nothing was trained, None if that is not known."""
    trained = _trainer(row, by_run, results)
    if trained is row and not row["trained"]:
        return 0.0
    if trained is None or pd.isna(trained["training_seconds"]):
        return None
    per_hour = _dollars_per_hour(trained, results, prices)
    return None if per_hour is None else float(trained["training_seconds"]) * per_hour / 3600


def energy(analysis: AnalysedResults) -> pd.DataFrame:
    """One row per configuration with results whose energy was measured, medians over the seeds of one machine.

    A loaded adapter needs what its training did. The energy of training and the year's cost are missing where they
    are not known.
    """
    configurations = [row for _, row in with_results(analysis.configurations).iterrows()]
    by_run = {run: row for row in configurations for run in row["runs"]}
    per_kwh, rows = read_prices().per_kwh, []
    for row in configurations:
        if (measured := _energy(analysis.results, row)) is None:
            continue
        trainer = _trainer(row, by_run, analysis.results)
        trained = None if trainer is None else _energy(analysis.results, trainer)
        training = None if trained is None else trained["training_joules"]
        year = None if training is None else (training + YEAR * measured["joules_per_text"]) / KWH * per_kwh
        rows.append(measured | {"training_joules": training, "year_dollars": year})
    return pd.DataFrame(rows, dtype=object)


def _energy(results: Results, row: pd.Series) -> dict[str, Any] | None:
    """The row of a configuration; None if no seed had its device to itself and its energy measured."""
    runs = results.runs[results.runs["run"].isin(row["counted"]) & ~results.runs["shared_time"]]
    records = [results.runs_by_name[run].record for run in runs.loc[runs["hardware"] == row["machine"], "run"]]
    measured = [record for record in records if record.joules.get("fit") and record.joules.get("predict")]
    if not measured:
        return None
    training = [sum(record.joules["fit"].values()) for record in measured]
    per_text = [sum(record.joules["predict"].values()) / (record.predicted_rows or 1) for record in measured]
    return {
        **{name: row[name] for name in ("configuration", "recipe")},
        "model": row["title"],
        "hardware": row["machine"],
        "measured": " and ".join(
            sorted({device.upper() for record in measured for device in record.joules["predict"]})
        ),
        "training_joules": float(np.median(training)),
        "joules_per_text": float(np.median(per_text)),
    }


def _dollars(value: float) -> str:
    return f"{value:,.2f}" if value >= 0.005 or value == 0 else "under 0.01"


PROJECTED = Table(
    "projected_dollars",
    "Cost of models whose speed was measured with random weights, in dollars",
    projected_dollars,
    (
        MODEL_NAME,
        MODEL,
        HARDWARE,
        declared("batch_size", "Batch"),
        declared("batching", "Batching"),
        declared("precision", "Precision"),
        declared("per_hour", "USD an hour", _dollars),
        derived("training", "Training", duration),
        derived("training_dollars", "Training, USD", _dollars),
        derived("answering_dollars", "365,000 texts, USD", _dollars),
        derived("year_dollars", "1,000 texts a day for a year, USD", _dollars),
    ),
    note="Computed, not measured: the speed of `python -m benchmark.speed` with random weights, the epochs of "
    "`recipe=paper`, all training rows and 365,000 texts. The preparation of CUDA graphs is counted; loading and "
    "validation are not. Measurements on a device that other jobs used are left out.",
    section="cost",
)

TABLES = (
    Table(
        "dollars",
        "Training and 1,000 texts a day for a year, in dollars",
        dollars,
        (
            *IDENTITY,
            ACCURACY,
            TRAINING,
            Column("seconds_per_text", "Time per text", milliseconds),
            Column("peak_memory", "Peak memory", gigabytes),
            HARDWARE,
            declared("per_hour", "USD an hour", _dollars),
            Column("training_dollars", "Training, USD", _dollars),
            Column("answering_dollars", "365,000 texts, USD", _dollars),
            Column("year_dollars", "1,000 texts a day for a year, USD", _dollars, "training once and 365,000 texts"),
        ),
        note="Times on the hardware by its price an hour; `conf/prices.yaml` has the prices with date and sources. The "
        "texts are predicted in batches as large as the test split, and the machine is paid while it computes: one "
        "that waits for texts costs its price all day. A loaded adapter costs the training of the run that made it; "
        "trials of settings are not counted. Runs that shared their device and hardware without a price are left out. "
        "Hardware with AVX2 has no AVX-512 BF16 instructions, so compare its times only with each other.",
        section="cost",
    ),
    Table(
        "energy",
        "Energy",
        energy,
        (
            *IDENTITY,
            Column("training_joules", "Training, J", fixed(",.0f"), "with loading and validation"),
            Column("joules_per_text", "Per text, J", fixed(".3g")),
            Column("year_dollars", "Electricity of 1,000 texts a day for a year, USD", _dollars),
            Column("measured", "Measured"),
            HARDWARE,
        ),
        note="Measured by the counters of the processors (RAPL) and of the GPU (NVML); medians over the seeds of one "
        "machine. Runs on machines without such counters, and runs that shared their device, are left out. Training "
        "includes loading and validation; a loaded adapter needs the training of the run that made it. "
        "`conf/prices.yaml` has the price of electricity.",
        section="cost",
    ),
)
