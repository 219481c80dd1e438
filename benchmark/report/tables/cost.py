"""What accuracy costs, and how fast models train and predict."""

from dataclasses import asdict
from typing import Any

import pandas as pd

from benchmark.analysis import comparisons, costs
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.configurations import COSTS
from benchmark.analysis.names import short_title
from benchmark.report.formats import count, fixed, gigabytes, milliseconds
from benchmark.report.table import ACCURACY, HARDWARE, IDENTITY, MODEL, RECIPE, TRAINING, Column, Table, declared
from benchmark.results.speed import Subject, Throughput


def frontier(analysis: AnalysedResults) -> pd.DataFrame:
    """The accuracy and costs of the configurations on the test texts that most configurations predicted."""
    all_comparable = comparisons.by_test_texts(analysis.configurations)
    if not all_comparable:
        return pd.DataFrame()
    table = all_comparable[0]
    leads = costs.significant_leads(analysis.comparisons)
    on_frontier = pd.DataFrame({name: costs.frontier(table, cost, leads) for cost, name in COSTS.items()})
    dominating = costs.dominated_by(table, leads)
    columns: dict[str, list[Any]] = {
        "frontier": [", ".join(row.index[row]) or None for _, row in on_frontier.iterrows()],
        "dominated_by": ["; ".join(analysis.short_names[other] for other in ids) or None for ids in dominating],
        "dominated_by_id": [ids[0] if ids else None for ids in dominating],
    }
    return table.assign(model=table["title"], hardware=table["machine"], **columns)


def speed(analysis: AnalysedResults) -> pd.DataFrame:
    """Each way to train and predict on each machine; ratios are to padded batches in the same precision."""
    measured = sorted(
        analysis.results.throughputs,
        key=lambda measured: (measured.subject.device, measured.subject.title, measured.effective_batch),
    )
    return pd.DataFrame([row for measurement in measured for row in _speed_rows(measurement)], dtype=object)


def _speed_rows(measured: Throughput) -> list[dict[str, Any]]:
    padded = {way.precision: way for way in measured.ways if way.batching == "padded" and not way.recomputes}
    rows = []
    for way in measured.ways:
        plain = padded.get(way.precision)
        rows.append(
            {
                "model": measured_title(measured.subject),
                "hardware": measured.subject.device,
                "batch_size": measured.effective_batch,
                "batching": way.title,
                "precision": way.precision,
                "samples_per_second": way.samples_per_second,
                "answered_per_second": way.answered_per_second,
                "utilisation": way.utilisation,
                "training_ratio": _ratio(way.samples_per_second, plain.samples_per_second if plain else None),
                "answering_ratio": _ratio(way.answered_per_second, plain.answered_per_second if plain else None),
            }
        )
    return rows


def measured_title(subject: Subject) -> str:
    """The name that tables give a model whose speed was measured."""
    return short_title(subject.title) + ("" if subject.pretrained else ", random weights")


def _ratio(speed: float | None, plain: float | None) -> float | None:
    return speed / plain if plain and speed is not None else None


def latency(analysis: AnalysedResults) -> pd.DataFrame:
    """Each model whose latency was measured on a device that no other job used, the fastest first."""
    alone = [measured for measured in analysis.results.latencies if measured.subject.device_is_exclusive]
    alone.sort(key=lambda measured: (measured.subject.device, measured.latency.p50))
    rows = [
        {
            "model": ", ".join(filter(None, [measured_title(measured.subject), measured.readout])),
            "recipe": measured.subject.recipe,
            "dataset": measured.dataset,
            "hardware": measured.subject.device,
            "precision": measured.precision,
            **asdict(measured.latency),
        }
        for measured in alone
    ]
    return pd.DataFrame(rows, dtype=object)


TABLES = (
    Table(
        "frontier",
        "Accuracy and cost",
        frontier,
        (
            *IDENTITY,
            ACCURACY,
            TRAINING,
            Column("peak_memory", "Peak memory", gigabytes),
            Column("trained_parameters", "Trained parameters", count),
            Column("seconds_per_text", "Time per text", milliseconds),
            Column("precision", "Precision"),
            HARDWARE,
            Column("frontier", "On the frontier of"),
            Column("dominated_by", "Cheaper, not significantly worse"),
            Column("dominated_by_id"),
        ),
        note="A lead in accuracy counts only if it is significant. A model is *on the frontier of* a cost if it is "
        "significantly more accurate than every cheaper model on the frontier; of models whose costs differ by less "
        "than a tenth, the most accurate counts. CPUs and GPUs have frontiers of their own, except for trained "
        "parameters. *Cheaper, not significantly worse* names the models on the same hardware that dominate it: it is "
        "not significantly more accurate than they are, they cost no more in any respect, and they are significantly "
        "more accurate or a tenth cheaper in one. Times of runs that shared their device with other jobs are left out. "
        "Costs are medians over the seeds of the machine that ran most; times on different hardware or in different "
        "precisions are not comparable one to one. Peak memory is the GPU's if one was used, else the process's with "
        "its loaded libraries.",
        section="cost",
    ),
)

SPEED = Table(
    "speed",
    "Training and inference throughput",
    speed,
    (
        MODEL,
        HARDWARE,
        declared("batch_size", "Batch"),
        declared("batching", "Batching"),
        declared("precision", "Precision"),
        Column("samples_per_second", "Training, samples/s", fixed(".3g")),
        Column("training_ratio", "Training × padded", fixed(".1f")),
        Column("utilisation", "Utilisation", fixed(".0%")),
        Column("answered_per_second", "Inference, texts/s", fixed(".3g")),
        Column("answering_ratio", "Inference × padded", fixed(".1f")),
    ),
    note="*× padded* is the ratio to padded batches in the same precision, where a decoder answers by free "
    "generation (batch 8, as many new tokens as the longest label has); both take turns in one process on the same "
    "rows (`python -m benchmark.speed`). *CUDA graphs* replay a whole training step; the seconds that prepare them are "
    "not counted. *Utilisation* is the arithmetic of the linear layers, as executed, as a share of the fastest matrix "
    "product of the same run. Packed streams execute less: no padding, and the common "
    "beginning of the prompts once. *Batch* is the effective one; *one pass* computes it at once, the other padded "
    "batches in passes of the recipe's size. Random weights take the same time as pretrained ones and have no "
    "accuracy. A dash was not measured.",
    section="cost",
)

LATENCY = Table(
    "latency",
    "Latency of one text, and throughput of many",
    latency,
    (
        MODEL,
        RECIPE,
        declared("dataset", "Data set"),
        HARDWARE,
        declared("precision", "Precision"),
        declared("texts", "Texts"),
        Column("p50", "Median", milliseconds, "of one text"),
        Column("p95", "95th percentile", milliseconds),
        Column("p99", "99th percentile", milliseconds),
        Column("batched_per_second", "Together, texts/s", fixed(",.1f")),
        Column("different_answers", "Different predictions", help="between one by one and together"),
    ),
    note="The time from a text to its prediction with texts one by one, after a warm-up, and the throughput when the "
    "same texts are predicted together (`python -m benchmark.speed --latency`). *Different predictions* are texts "
    "whose label differs between the two. Measurements on a device that other jobs used are left out.",
    section="cost",
)
