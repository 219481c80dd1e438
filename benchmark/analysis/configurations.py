"""One row per configuration: its accuracy over seeds, its cost, and how its runs ended."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.configuration_status import ConfigurationStatus, Outcome
from benchmark.analysis.frame import Results
from benchmark.analysis.inference import accuracy_interval
from benchmark.analysis.metrics import Correct, per_class
from benchmark.analysis.names import command
from benchmark.interface import NO_LABEL
from benchmark.results.record import RunRecord, Status
from benchmark.results.store import Run

COSTS = {
    "training_seconds": "training time",
    "peak_memory": "peak memory",
    "trained_parameters": "trained parameters",
    "seconds_per_text": "prediction time",
}
"""What a configuration costs, by column."""
NETWORKS = ("encoder", "decoder")
"""The kinds of models that are fine-tuned networks."""
COPIED_COLUMNS = (
    "configuration", "model", "title", "kind", "readout", "recipe", "short_name", "dataset", "test_sha256", "reduced",
    "trained", "trained_by", "learns", "train_rows", "test_rows", "steps", "precision", "parameters"
)  # fmt: skip
"""The columns of `columns.RUN_COLUMNS` that a configuration copies from its first counted run, else its first run."""
COMPUTED_COLUMNS = {
    "run": "the first counted run, else the first run",
    "runs": "the names of all runs",
    "counted": "the names of the counted runs",
    "result": "whether a run is a result",
    "seeds": "how many runs are counted",
    "accuracy": "the mean over seeds",
    "spread": "the standard deviation over seeds; None for one seed",
    "low": "the lower end of the 95% interval",
    "high": "its upper end",
    "macro_f1": "the mean over seeds",
    "has_confidences": "whether all counted predictions carry confidences",
    "collapsed": "how many seeds predict one label for every text",
    **dict.fromkeys(COSTS, "the median over the seeds on `machine` whose device no other job used"),
    "machine": "the hardware that ran most seeds",
    "on_gpu": "whether that is a GPU",
    "hardware": "all hardware, that of most seeds first",
    "status": "a `ConfigurationStatus`: how the runs ended, and what limits the meaning of the figures",
    "command": "the command that repeats the runs",
    "repeats_study": "whether the configuration is the study's",
}
"""The columns that are computed from all runs of a configuration, and what they mean."""


def configurations(results: Results) -> pd.DataFrame:
    """One row per configuration, in the order of the runs, with `COPIED_COLUMNS` and `COMPUTED_COLUMNS`."""
    rows = [_row(results, group) for _, group in results.runs.groupby("configuration", sort=False)]
    table = pd.DataFrame(rows, columns=[*COPIED_COLUMNS, *COMPUTED_COLUMNS], dtype=object)
    return table.where(table.notna(), None)


def with_results(table: pd.DataFrame) -> pd.DataFrame:
    """The configurations with results, the most accurate first."""
    results = table[table["result"].astype(bool)]
    return results.sort_values(["accuracy", "short_name"], ascending=[False, True], kind="stable")


def is_sized_network(row: Mapping[str, Any]) -> bool:
    """Whether a configuration is a network that was trained here and states its number of parameters."""
    return row["kind"] in NETWORKS and row["trained"] and row["parameters"] is not None


def smallest_network(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The first configuration of `rows` with the smallest network that was trained here on all rows and steps.

    A network that does not state its number of parameters is left out.
    """
    networks = [row for row in rows if is_sized_network(row) and not row["reduced"]]
    return min(networks, key=lambda row: row["parameters"], default=None)


def mean_accuracy(correct: Correct) -> float:
    """The share of correct answers over all seeds and texts, as one division of whole numbers.

    A mean of means could round differently on another machine.
    """
    return int(correct.sum()) / correct.size


def accuracy_scores(results: Results, runs: Sequence[str]) -> dict[str, float | None]:
    """The accuracy with its spread and 95% interval, and the macro-F1, over runs that differ in their seed."""
    correct = results.correct(runs)
    interval, by_seed = accuracy_interval(correct), correct.mean(axis=1)
    return {
        "accuracy": mean_accuracy(correct),
        "spread": float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None,
        "low": interval.low,
        "high": interval.high,
        "macro_f1": float(np.mean([frame["f1"].mean() for frame in _class_scores_by_seed(results, runs)])),
    }


def mean_class_scores(results: Results, runs: Sequence[str]) -> pd.DataFrame:
    """The precision, recall, f1 and support of each label (the index), means over runs that differ in their seed."""
    frames = _class_scores_by_seed(results, runs)
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
        and _without_precision(record.config.model.parameters) == _without_precision(shipped.config.model.parameters)
        and record.config.dataset.sha256 == shipped.config.dataset.sha256
    )


def failure(record: RunRecord) -> str:
    """How a run without a result ended. The fix stays in the record."""
    if record.status is Status.completed:
        return str(record.stand_in)
    return f"{record.status}, {record.failure.message.removesuffix('.')}" if record.failure else str(record.status)


def _without_precision(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name != "precision"}


def _class_scores_by_seed(results: Results, runs: Sequence[str]) -> list[pd.DataFrame]:
    labels = len(results.labels(runs[0]))
    answers = zip(results.gold(runs), results.predicted(runs), strict=True)
    return [pd.DataFrame(vars(per_class(gold, predicted, labels))) for gold, predicted in answers]


def _row(results: Results, group: pd.DataFrame) -> dict[str, Any]:
    """The row of one configuration; `group` are the rows of its runs. What is not known is left out."""
    counted = group[group["counted"]]
    leading = (group if counted.empty else counted).iloc[0]
    records = [results.runs_by_name[run].record for run in group["run"]]
    row: dict[str, Any] = {name: leading[name] for name in ("run", *COPIED_COLUMNS)}
    row |= {
        "runs": group["run"].tolist(),
        "counted": counted["run"].tolist(),
        "result": bool(group["result"].any()),
        "has_confidences": not counted.empty and bool(counted["has_confidences"].all()),
        "collapsed": int(counted["collapsed"].sum()),
        "command": command(records, results.catalogue),
        "repeats_study": repeats_study(results, records[0], leading["dataset"]),
    }
    if counted.empty:
        return row | {"status": ConfigurationStatus(Outcome.no_result, (failure(records[0]),))}
    machines = [name for name, _ in Counter(counted["hardware"]).most_common()]
    there = counted[counted["hardware"] == machines[0]]
    priced = there if there["shared_time"].all() else there[~there["shared_time"]]
    row |= {cost: float(np.median(priced[cost])) for cost in COSTS if priced[cost].notna().all()}
    row |= {"seeds": len(counted), "machine": machines[0], "hardware": " / ".join(machines)}
    row["on_gpu"] = bool(there["on_gpu"].iloc[0])
    row["status"] = ConfigurationStatus(Outcome.measured, tuple(_remarks(results, group, counted)))
    return row | (accuracy_scores(results, row["counted"]) if leading["scorable"] else {})


def _remarks(results: Results, group: pd.DataFrame, counted: pd.DataFrame) -> list[str]:
    """What limits the meaning of a configuration's figures."""
    first_run = results.runs_by_name[counted["run"].iloc[0]]
    return [
        *_weight_remarks(results, group, first_run.record),
        *_data_remarks(first_run.record),
        *_training_remarks(first_run.record),
        *_prediction_remarks(results, first_run, counted),
        *_time_remarks(counted),
        *_ended_remarks(group),
    ]


def _weight_remarks(results: Results, group: pd.DataFrame, record: RunRecord) -> list[str]:
    """What replaced the pretrained weights, in the counted runs or in others."""
    if record.stand_in is not None:
        return [f"{record.stand_in}, no accuracy"]
    replaced = group.loc[(group["status"] == Status.completed) & ~group["pretrained"], "run"]
    if replaced.empty:
        return []
    stand_in = results.runs_by_name[replaced.iloc[0]].record.stand_in
    return [f"{len(replaced)} of {len(group)} runs not counted: {stand_in}"]


def _data_remarks(record: RunRecord) -> list[str]:
    """Rows that were set aside for validation, and texts of each split that were cut to the recipe's length."""
    if record.data is None:
        return []
    carved, splits = record.data.carved_rows, record.data.splits
    names = {"train": "training", "test": "test"}
    return [f"{carved:,} training rows set aside for validation"] * bool(carved) + [
        f"{texts:,} of {splits[split].rows:,} {names[split]} texts cut to {record.config.recipe.max_length} tokens"
        for split, texts in record.truncated_texts.items()
        if texts
    ]


def _training_remarks(record: RunRecord) -> list[str]:
    """Where the weights of the predictions came from, if not from a whole training by this run."""
    remarks = []
    if not record.trained:
        loaded = record.fit is not None and record.fit.weights.adapter is not None
        remarks.append("adapter loaded, not trained" if loaded else "not trained")
    elif record.fit is not None and record.fit.weights.trained_head:
        remarks.append("training began with a trained head")
    if record.matched:
        remarks.append("rows matched by " + ", ".join(f"{name}: {rows:,}" for name, rows in record.matched.items()))
    return remarks


def _prediction_remarks(results: Results, first_run: Run, counted: pd.DataFrame) -> list[str]:
    """Constant predictions of a model that learns, and generated text that names no label."""
    remarks, predicted = [], results.predicted(counted["run"])
    if counted["learns"].iloc[0] and counted["collapsed"].all() and NO_LABEL not in predicted:
        remarks.append("one label for every text, a constant prediction")
    if first_run.predictions.generated is not None:
        unnamed = float((predicted == NO_LABEL).mean(axis=1).mean())
        if unnamed:
            remarks.append(f"{unnamed:.1%} of predictions name no label")
    return remarks


def _time_remarks(counted: pd.DataFrame) -> list[str]:
    """How many seeds shared their device with other jobs."""
    shared = int(counted["shared_time"].sum())
    if not shared:
        return []
    seeds = "" if shared == len(counted) else f" of {shared} of {len(counted)} seeds"
    return [f"no times{seeds}: shared device"]


def _ended_remarks(group: pd.DataFrame) -> list[str]:
    """How many runs failed or were interrupted."""
    ended = Counter(status for status in group["status"] if status != Status.completed)
    return [f"{runs} of {len(group)} runs {status}" for status, runs in ended.items()]
