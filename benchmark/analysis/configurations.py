"""One row per configuration: its accuracy over seeds, its cost, and how its runs ended."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.frame import Results
from benchmark.analysis.inference import accuracy_interval
from benchmark.analysis.metrics import Correct, per_class
from benchmark.analysis.names import command
from benchmark.results.record import RunRecord, Status

COSTS = {
    "training_seconds": "training time",
    "peak_memory": "peak memory",
    "trained_parameters": "trained parameters",
    "seconds_per_text": "prediction time",
}
"""What a configuration costs, by column."""
SHARED = ("configuration", "model", "title", "kind", "readout", "recipe", "short_name", "dataset", "test_sha256",
          "trial", "trained", "trained_by", "learns", "train_rows", "test_rows", "steps", "precision",
          "parameters")  # fmt: skip
"""Columns of a run that its configuration takes over, from the first counted run."""
OWN = ("run", "runs", "counted", "result", "seeds", "accuracy", "spread", "low", "high", "macro_f1", "has_confidences",
       "collapsed", *COSTS, "machine", "on_gpu", "hardware", "status", "command", "repeats_study")  # fmt: skip


def configurations(results: Results) -> pd.DataFrame:
    """One row per configuration, in the order of the runs.

    Besides the columns of `SHARED`: run (the first counted one), runs (all names), counted (names), result, seeds,
    accuracy (mean), spread (standard deviation over seeds), low and high (95% interval), macro_f1, has_confidences,
    collapsed (seeds that predict one label), the columns of `COSTS` (medians over the seeds of the machine that ran
    most, without those whose device other jobs used), machine (that machine), on_gpu (whether it used a GPU there),
    hardware (all machines), status, command, repeats_study.
    """
    rows = [_row(results, group) for _, group in results.runs.groupby("configuration", sort=False)]
    table = pd.DataFrame(rows, columns=[*SHARED, *OWN], dtype=object)
    return table.where(table.notna(), None)


def with_results(table: pd.DataFrame) -> pd.DataFrame:
    """The configurations with results, the most accurate first."""
    found = table[table["result"].astype(bool)]
    return found.sort_values(["accuracy", "short_name"], ascending=[False, True], kind="stable")


def mean_accuracy(correct: Correct) -> float:
    """Correct answers by answers in one division: a mean of means could round differently on another machine."""
    return int(correct.sum()) / correct.size


def scores(results: Results, runs: Sequence[str]) -> dict[str, float | None]:
    """Accuracy with its spread and 95% interval, and macro-F1, over runs that differ in their seed."""
    correct = results.correct(runs)
    interval, by_seed = accuracy_interval(correct), correct.mean(axis=1)
    return {
        "accuracy": mean_accuracy(correct),
        "spread": float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None,
        "low": interval.low,
        "high": interval.high,
        "macro_f1": float(np.mean([frame["f1"].mean() for frame in _label_scores(results, runs)])),
    }


def label_scores(results: Results, runs: Sequence[str]) -> pd.DataFrame:
    """Precision, recall, f1 and support of each label (the index), means over runs that differ in their seed."""
    frames = _label_scores(results, runs)
    means = np.mean([frame.to_numpy() for frame in frames], axis=0)
    return pd.DataFrame(means, index=list(results.labels(runs[0])), columns=frames[0].columns)


def repeats_study(results: Results, record: RunRecord, dataset: str) -> bool:
    """Whether a run repeats the study: the model as shipped, in any precision, recipe=paper, and the study's data.

    It must train on all rows, with none set aside for validation, as the study did. `dataset` is the key of its data.
    """
    shipped = results.catalogue.get(record.model)
    return (
        shipped is not None
        and dataset == study.DATASET
        and not record.config.limits
        and not (record.data and record.data.carved_rows)
        and record.config.recipe == shipped.config.recipe
        and _but_precision(record.config.model.parameters) == _but_precision(shipped.config.model.parameters)
        and record.config.dataset.sha256 == shipped.config.dataset.sha256
    )


def _but_precision(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name != "precision"}


def failure(record: RunRecord) -> str:
    """How a run without a result ended. The fix stays in the record."""
    if record.status is Status.completed:
        return str(record.stand_in)
    return f"{record.status}, {record.failure.message.removesuffix('.')}" if record.failure else str(record.status)


def _label_scores(results: Results, runs: Sequence[str]) -> list[pd.DataFrame]:
    labels = len(results.labels(runs[0]))
    answers = zip(results.gold(runs), results.predicted(runs), strict=True)
    return [pd.DataFrame(vars(per_class(gold, predicted, labels))) for gold, predicted in answers]


def _row(results: Results, group: pd.DataFrame) -> dict[str, Any]:
    counted = group[group["counted"]]
    leading = (group if counted.empty else counted).iloc[0]
    records = [results.by_name[run].record for run in group["run"]]
    row: dict[str, Any] = {name: leading[name] for name in ("run", *SHARED)}
    row |= {
        "runs": group["run"].tolist(),
        "counted": counted["run"].tolist(),
        "result": bool(group["result"].any()),
        "has_confidences": not counted.empty and bool(counted["has_confidences"].all()),
        "collapsed": int(counted["collapsed"].sum()),
        "command": command(records),
        "repeats_study": repeats_study(results, records[0], leading["dataset"]),
    }
    if counted.empty:
        return row | {"status": f"no result: {failure(records[0])}"}
    machines = [name for name, _ in Counter(counted["hardware"]).most_common()]
    there = counted[counted["hardware"] == machines[0]]
    timed = there if there["shared_time"].all() else there[~there["shared_time"]]
    row |= {cost: float(np.median(timed[cost])) for cost in COSTS if timed[cost].notna().all()}
    row |= {"seeds": len(counted), "machine": machines[0], "hardware": " / ".join(machines)}
    row["on_gpu"] = bool(there["on_gpu"].iloc[0])
    row["status"] = "; ".join(["measured", *_remarks(results, group, counted)])
    return row | (scores(results, row["counted"]) if leading["scorable"] else {})


def _remarks(results: Results, group: pd.DataFrame, counted: pd.DataFrame) -> list[str]:
    """What limits the meaning of a configuration's figures."""
    first_row = counted.iloc[0]
    first = results.by_name[first_row["run"]]
    record, remarks = first.record, []
    replaced = group.loc[(group["status"] == Status.completed) & ~group["pretrained"], "run"]
    if record.stand_in is not None:
        remarks.append(f"{record.stand_in}, no accuracy")
    elif len(replaced):
        stand_in = results.by_name[replaced.iloc[0]].record.stand_in
        remarks.append(f"{len(replaced)} of {len(group)} runs not counted: {stand_in}")
    if record.data and record.data.carved_rows:
        remarks.append(f"{record.data.carved_rows:,} training rows set aside for validation")
    remarks += _cut_texts(record)
    if first_row["learns"] and counted["collapsed"].all():
        remarks.append("one label for every text, a constant prediction")
    if not record.trained:
        remarks.append("not trained by this run")
    elif record.fit is not None and record.fit.weights.trained_head:
        remarks.append("training began with a trained head")
    if record.matched:
        remarks.append("rows matched by " + ", ".join(f"{name}: {rows:,}" for name, rows in record.matched.items()))
    if shared := int(counted["shared_time"].sum()):
        of = "" if shared == len(counted) else f" of {shared} of {len(counted)} seeds"
        remarks.append(f"times{of} not comparable")
    if first.predictions.generated is not None:
        unnamed = float((results.predicted(counted["run"]) < 0).mean(axis=1).mean())
        if unnamed:
            remarks.append(f"{unnamed:.1%} of predictions name no label")
    ended = Counter(status for status in group["status"] if status != Status.completed)
    return remarks + [f"{runs} of {len(group)} runs {status}" for status, runs in ended.items()]


def _cut_texts(record: RunRecord) -> list[str]:
    """How many texts of each split were cut to the recipe's length."""
    splits = {} if record.data is None else record.data.splits
    cut = {"train": record.fit.truncated_texts if record.fit else 0, "test": record.truncated_test_texts}
    names = {"train": "training", "test": "test"}
    return [
        f"{texts:,} of {splits[split].rows:,} {names[split]} texts cut to {record.config.recipe.max_length} tokens"
        for split, texts in cut.items()
        if texts and split in splits
    ]
