"""One row per configuration: its accuracy over seeds, its cost, and how its runs ended."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.frame import Results
from benchmark.analysis.inference import accuracy_interval
from benchmark.analysis.labels import command
from benchmark.analysis.metrics import Correct, macro_f1
from benchmark.results.record import RunRecord, Status

COSTS = {
    "training_seconds": "training time",
    "peak_memory": "peak memory",
    "trained_parameters": "trained parameters",
    "seconds_per_text": "prediction time",
}
"""What a configuration costs, by column."""
SHARED = ("configuration", "model", "title", "kind", "readout", "recipe", "label", "dataset", "test_sha256", "trial",
          "trained", "trained_by", "learns", "train_rows", "test_rows", "steps", "precision", "parameters")  # fmt: skip
"""Columns of a run that its configuration takes over, from the first counted run."""


def configurations(results: Results) -> pd.DataFrame:
    """A row per configuration, in the order of the runs.

    Besides the columns of `SHARED`: run (the first counted one), runs (all names), counted (names), result, seeds,
    accuracy (mean), spread (standard deviation over seeds), low and high (95% interval), macro_f1, graded, collapsed
    (seeds that predict one label), the columns of `COSTS` (medians over the seeds of the machine that ran most),
    machine (that machine), hardware (all machines), status, command, repeats_study.
    """
    rows = [_row(results, group) for _, group in results.runs.groupby("configuration", sort=False)]
    return pd.DataFrame(rows, columns=None if rows else [*SHARED, *_row_columns()], dtype=object)


def with_results(table: pd.DataFrame, dataset: str = study.DATASET) -> pd.DataFrame:
    """The configurations with results on a data set, the most accurate first."""
    found = table[(table["dataset"] == dataset) & table["result"].astype(bool)]
    return found.sort_values(["accuracy", "label"], ascending=[False, True], kind="stable")


def mean_accuracy(correct: Correct) -> float:
    """Correct answers by answers in one division: a mean of means could round differently on another machine."""
    return int(correct.sum()) / correct.size


def scores(results: Results, runs: list[str]) -> dict[str, float | None]:
    """Accuracy with its spread and 95% interval, and macro-F1, over runs that differ in their seed."""
    correct = results.correct(runs)
    interval, by_seed = accuracy_interval(correct), correct.mean(axis=1)
    labels = len(results.labels(runs[0]))
    f1 = [macro_f1(of["gold"].to_numpy(), of["predicted"].to_numpy(), labels) for of in map(results.of, runs)]
    return {
        "accuracy": mean_accuracy(correct),
        "spread": float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None,
        "low": interval.low,
        "high": interval.high,
        "macro_f1": float(np.mean(f1)),
    }


def repeats_study(results: Results, record: RunRecord) -> bool:
    """Whether a run stands for the study's own: the model as shipped, recipe=paper, the study's data.

    On all rows, with none set aside for validation: the study trained on all of them.
    """
    shipped = results.catalogue.get(record.model)
    return (
        shipped is not None
        and not record.config.limits
        and not (record.data and record.data.carved_rows)
        and record.config.recipe == shipped.config.recipe
        and record.config.model.parameters == shipped.config.model.parameters
        and record.config.dataset.sha256 == shipped.config.dataset.sha256
    )


def _row(results: Results, group: pd.DataFrame) -> dict[str, Any]:
    counted = group[group["counted"].astype(bool)]
    leading = (counted if len(counted) else group).iloc[0]
    machines = [name for name, _ in Counter(counted["hardware"]).most_common()]
    records = [results.by_name[run].record for run in group["run"]]
    row: dict[str, Any] = dict.fromkeys(_row_columns()) | {name: leading[name] for name in SHARED}
    row |= {
        "run": leading["run"],
        "runs": group["run"].tolist(),
        "counted": counted["run"].tolist(),
        "result": bool(group["result"].any()),
        "graded": bool(len(counted)) and bool(counted["graded"].all()),
        "collapsed": int(counted["collapsed"].sum()),
        "status": _status(results, group, counted),
        "command": command(records),
        "repeats_study": repeats_study(results, records[0]),
    }
    if counted.empty:
        return row
    row |= {"seeds": len(counted), "machine": machines[0], "hardware": " / ".join(machines)}
    timed = counted[counted["hardware"] == machines[0]]
    row |= {cost: float(np.median(timed[cost])) for cost in COSTS if timed[cost].notna().all()}
    return row | (scores(results, row["counted"]) if leading["scorable"] else {})


def _row_columns() -> list[str]:
    return ["run", "runs", "counted", "result", "seeds", "accuracy", "spread", "low", "high", "macro_f1", "graded",
            "collapsed", *COSTS, "machine", "hardware", "status", "command", "repeats_study"]  # fmt: skip


def _status(results: Results, group: pd.DataFrame, counted: pd.DataFrame) -> str:
    """`measured`, and what limits the meaning of the figure; or `not run` with the reason."""
    if counted.empty:
        return f"not run: {failure(results.by_name[group['run'].iloc[0]].record)}"
    first = results.by_name[counted["run"].iloc[0]].record
    stand_ins = [
        results.by_name[run].record.stand_in
        for run, status, pretrained in zip(group["run"], group["status"], group["pretrained"], strict=True)
        if status == Status.completed and not pretrained
    ]
    carved = first.data.carved_rows if first.data else 0
    steps = first.fit is not None and first.fit.steps > 0
    remarks = [] if first.stand_in is None else [f"{first.stand_in}, no accuracy"]
    if first.stand_in is None and stand_ins:
        remarks.append(f"{len(stand_ins)} of {len(group)} runs not counted: {stand_ins[0]}")
    remarks += [f"{carved:,} training rows set aside for validation"] if carved else []
    remarks += [] if first.trained else ["not trained by this run"]
    remarks += [f"{limit} {what} only" for what, limit in first.config.limits.items() if steps or what != "steps"]
    if results.by_name[first_name(counted)].predictions.generated is not None:
        unnamed = float((results.predicted(counted["run"]) < 0).mean(axis=1).mean())
        remarks.append(f"{unnamed:.1%} of answers name no label")
    ended = Counter(status for status in group["status"] if status != Status.completed)
    remarks += [f"{runs} of {len(group)} runs {status}" for status, runs in ended.items()]
    return "; ".join(["measured", *remarks])


def first_name(runs: pd.DataFrame) -> str:
    return str(runs["run"].iloc[0])


def failure(record: RunRecord) -> str:
    """How a run without a result ended, without the fix, which stays in the record."""
    if record.status is Status.completed:
        return str(record.stand_in)
    return f"{record.status}, {record.failure.message.removesuffix('.')}" if record.failure else str(record.status)
