"""What more rows cost: measured times per 1,000 rows and how they grow, and projections to a million."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmark.analysis.analysed import AnalysedResults
from benchmark.report.formats import duration, fixed
from benchmark.report.table import HARDWARE, MODEL, Column, Table, declared, derived
from benchmark.report.tables.cost import measured_title
from benchmark.results.speed import Throughput

ROWS, EPOCHS, DEVICES = 1_000_000, 3, 8
"""Of the projections."""


def scale(analysis: AnalysedResults) -> pd.DataFrame:
    """The fastest packed way of each model whose speed was measured, by machine and batch."""
    alone = (measured for measured in analysis.results.throughputs if measured.subject.device_is_exclusive)
    rows = [row for measured in alone if (row := _row(measured)) is not None]
    rows.sort(key=lambda row: (row["hardware"], row["model"], row["batch_size"], row["training"]))
    return pd.DataFrame(rows, dtype=object)


def _row(measured: Throughput) -> dict[str, Any] | None:
    ways = [way for way in measured.ways if way.batching == "packed"]
    if not ways:
        return None
    way = max(ways, key=lambda way: way.samples_per_second)
    answered, epochs = way.answered_per_second, EPOCHS * ROWS / way.samples_per_second
    return {
        "model": measured_title(measured.subject),
        "hardware": measured.subject.device,
        "batch_size": measured.effective_batch,
        "batching": way.title,
        "precision": way.precision,
        "training": 1000 / way.samples_per_second,
        "prediction": 1000 / answered if answered else None,
        "growth_rows": _exponent([(epoch.rows, epoch.seconds) for epoch in measured.growth.rows]),
        "growth_length": _exponent([(epoch.tokens_per_sample, epoch.seconds) for epoch in measured.growth.text]),
        "million": epochs,
        "million_shared": epochs / DEVICES,
        "million_predicted": ROWS / answered if answered else None,
    }


def _exponent(points: Sequence[tuple[float | None, float]]) -> float | None:
    """The exponent b in seconds = a * size^b, by the first and last of (size, seconds); None unless the last is larger.

    A size that is not known is None, or 0 in older files. Texts that fill `max_length` are of one size.
    """
    if len(points) < 2:
        return None
    (first, first_seconds), (last, last_seconds) = points[0], points[-1]
    if not first or not last or not 0 < first < last:
        return None
    return math.log(last_seconds / first_seconds) / math.log(last / first)


SCALE = Table(
    "scale",
    "What more rows cost",
    scale,
    (
        MODEL,
        HARDWARE,
        declared("batch_size", "Batch"),
        declared("batching", "Batching"),
        declared("precision", "Precision"),
        Column("training", "Training, s per 1,000 rows", fixed(".3g")),
        Column("prediction", "Prediction, s per 1,000 rows", fixed(".3g")),
        Column("growth_rows", "Growth with rows", fixed(".2f")),
        Column("growth_length", "Growth with length", fixed(".2f")),
        derived("million", "Projected training, 1 device", duration),
        derived("million_shared", "Projected training, 8 devices", duration),
        derived("million_predicted", "Projected prediction, 1 device", duration),
    ),
    note="Times are those of `python -m benchmark.speed` (packed batches, the fastest precision). *Growth* is the "
    "measured exponent b in `time = a * size^b`: 1 is proportional, 2 is four times the time for twice the size. "
    "The last three columns are *projections*, not measurements: a million rows of the same length, three epochs of "
    "training or one prediction, as the measured time per row times the rows. Eight devices are taken to be eight "
    "times as fast as one, which is a lower bound of the time: the sum of the gradients is not counted. Measurements "
    "on a device that other jobs used are left out.",
    section="cost",
)
