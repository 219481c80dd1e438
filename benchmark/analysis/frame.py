"""Two tidy tables of everything that was run: one row per run, and one row per run and test item.

A *configuration* is what runs share that differ only in their seed. It has an id, a hash, and one short name for
people. Tables join on ids, never on names.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from benchmark.analysis import study
from benchmark.analysis.columns import FLAG_COLUMNS, RUN_COLUMNS
from benchmark.analysis.datasets import dataset_keys
from benchmark.analysis.identity import seed_independent_spec, short_hash, trained_by, training_id, with_data_in_ids
from benchmark.analysis.metrics import Correct, confidence_of
from benchmark.analysis.names import recipe_in_words, short_name, short_title
from benchmark.errors import BenchmarkError
from benchmark.interface import NO_LABEL
from benchmark.results import error_costs
from benchmark.results.catalogue import CatalogueEntry, read_catalogue
from benchmark.results.record import RunRecord, Status
from benchmark.results.shared_times import read_shared_times
from benchmark.results.speed import Latency, Throughput, read_speeds
from benchmark.results.store import Run, folder_of, name_of, read_all

NUMBER_OF_ROWS = ("dataset.train_rows", "dataset.row_choice")
"""The options in which the points of a learning curve differ."""


@dataclass(frozen=True, eq=False)
class Results:
    """Everything the report is computed from.

    `runs` has one row per run, with `RUN_COLUMNS`.

    `answers` has one row per completed run and test item: run, item (its id), gold and predicted (label ids, -1 for no
    label), correct, confidence, and p_<label> for each label.
    """

    runs: pd.DataFrame
    answers: pd.DataFrame
    runs_by_name: dict[str, Run]
    catalogue: dict[str, CatalogueEntry]
    speeds: list[Throughput | Latency] = field(default_factory=list)
    error_costs: pd.DataFrame | None = None  # of the user: gold labels in rows, predicted ones in columns
    duplicate_runs: tuple[str, ...] = ()  # folders left out: each holds a run that another folder holds too

    @property
    def throughputs(self) -> list[Throughput]:
        """The measurements of throughput, by hardware and model."""
        return [measured for measured in self.speeds if isinstance(measured, Throughput)]

    @property
    def latencies(self) -> list[Latency]:
        """The measurements of latency, by hardware and model."""
        return [measured for measured in self.speeds if isinstance(measured, Latency)]

    def answers_of(self, run: str) -> pd.DataFrame:
        """The answers of one run, in the order of the test split."""
        return self._by_run[run]

    def gold(self, runs: Iterable[str]) -> npt.NDArray[np.int64]:
        """The gold label ids of each run, (runs, items)."""
        return self._stack(runs, "gold")

    def predicted(self, runs: Iterable[str]) -> npt.NDArray[np.int64]:
        """The label ids that each run predicted, (runs, items)."""
        return self._stack(runs, "predicted")

    def correct(self, runs: Iterable[str]) -> Correct:
        """Which items each run answered correctly, (runs, items)."""
        return self._stack(runs, "correct")

    def labels(self, run: str) -> tuple[str, ...]:
        return self.runs_by_name[run].record.labels

    def _stack(self, runs: Iterable[str], column: str) -> npt.NDArray[Any]:
        return np.stack([self.answers_of(run)[column].to_numpy() for run in runs])

    @cached_property
    def _by_run(self) -> dict[str, pd.DataFrame]:
        return {str(run): answers for run, answers in self.answers.groupby("run", observed=True, sort=False)}


def read_results(results_dir: Path) -> Results:
    """Read every run and every measurement of speed below `results_dir`.

    Raises `BenchmarkError` if `error_costs.csv` names the labels of no run.
    """
    results = results_of(read_all(results_dir), read_speeds(results_dir), read_shared_times(results_dir))
    costs = error_costs.read_error_costs(results_dir)
    label_sets = [set(run.record.labels) for run in results.runs_by_name.values()]
    if costs is not None and label_sets and set(costs.index) not in label_sets:
        raise BenchmarkError(
            f"{results_dir / error_costs.FILE} names the labels {', '.join(costs.index)}, which are those of no data "
            "set here.",
            error_costs.FIX,
        )
    return replace(results, error_costs=costs)


def results_of(
    runs: list[Run], speeds: list[Throughput | Latency] | None = None, shared_times: frozenset[str] = frozenset()
) -> Results:
    """The tables of these runs. A run that lies in two folders counts once.

    `shared_times` are digests of runs whose times are not comparable.
    """
    catalogue = read_catalogue()
    runs, duplicates = without_copies(runs)
    table = _run_table(runs, catalogue, shared_times)
    return Results(
        table, _answers(runs), {run.name: run for run in runs}, catalogue, speeds or [], duplicate_runs=duplicates
    )


def without_copies(runs: list[Run]) -> tuple[list[Run], tuple[str, ...]]:
    """The runs with one folder for each digest, the run's own first, and the names of the other folders."""
    kept: dict[str, Run] = {}
    own_first = sorted(
        runs,
        key=lambda run: run.name != name_of(folder_of(Path(), run.record.config, run.record.digest)),
    )
    for run in own_first:
        kept.setdefault(run.record.digest, run)
    names = {run.name for run in kept.values()}
    return [run for run in runs if run.name in names], tuple(run.name for run in runs if run.name not in names)


def label_names(labels: tuple[str, ...]) -> list[str]:
    """The names of the labels by id. The last, at -1, is `no label`, or another text if a label has that name."""
    assert NO_LABEL == -1
    return [*labels, "no label of the data set" if "no label" in labels else "no label"]


def _run_table(runs: list[Run], catalogue: dict[str, CatalogueEntry], shared_times: frozenset[str]) -> pd.DataFrame:
    """One row per run, with `RUN_COLUMNS`."""
    rows = [_row(run, catalogue, shared_times) for run in runs]
    frame = with_data_in_ids(pd.DataFrame(rows, columns=[*RUN_COLUMNS, "_content", "_qualifiers"], dtype=object))
    frame = frame.astype(dict.fromkeys(FLAG_COLUMNS, bool))
    records = {run.name: run.record for run in runs}
    keys = dataset_keys(records)
    frame["dataset"] = pd.Series([keys[run] for run in frame["run"]], frame.index, dtype=object)
    frame = _with_distinct_names(frame, records, catalogue)
    frame = _with_trainings(frame, records)
    frame["counted"] = _is_counted(frame)
    return frame


def _with_distinct_names(
    frame: pd.DataFrame, records: dict[str, RunRecord], catalogue: dict[str, CatalogueEntry]
) -> pd.DataFrame:
    """The runs, where recipe and short name say what distinguishes a configuration, without `_qualifiers`."""
    elsewhere = [
        dataset == study.DATASET and not _trains_on_study_texts(records[run], catalogue)
        for run, dataset in zip(frame["run"], frame["dataset"], strict=True)
    ]
    frame = frame.copy()
    frame.loc[elsewhere, ["recipe", "short_name"]] += ", other training texts"
    return frame.assign(short_name=_distinct(frame)).drop(columns="_qualifiers")


def _with_trainings(frame: pd.DataFrame, records: dict[str, RunRecord]) -> pd.DataFrame:
    """The runs with `trained_by` and `training`: which run trained the model, and the id of that training."""
    origins = trained_by(records)
    frame = frame.assign(trained_by=pd.Series([origins[run] for run in frame["run"]], frame.index, dtype=object))
    frame["training"] = [
        training_id(records[run], records.get(origin))
        for run, origin in zip(frame["run"], frame["trained_by"], strict=True)
    ]
    return frame


def _trains_on_study_texts(record: RunRecord, catalogue: dict[str, CatalogueEntry]) -> bool:
    """Whether the training split is the study's, as declared or as read; True if nothing was trained."""
    specs = (entry.config.dataset for entry in catalogue.values())
    published = next(spec.sha256["train"] for spec in specs if spec.name == study.DATASET)
    known = (record.config.dataset.sha256.get("train"), record.data_sha256.get("train"))
    return not record.trained or published in known


def _distinct(frame: pd.DataFrame) -> pd.Series:
    """The short names; those that several configurations of one data set share get more words, at last a number."""
    names = frame["short_name"].copy()
    for place in range(frame["_qualifiers"].map(len).max() if len(frame) else 0):
        sharing = frame["configuration"].groupby([frame["dataset"], names]).transform("nunique") > 1
        names += [
            f", {more[place]}" if shared and place < len(more) else ""
            for shared, more in zip(sharing, frame["_qualifiers"], strict=True)
        ]
    for _, group in frame.groupby([frame["dataset"], names], sort=False):
        for number, configuration in enumerate(group["configuration"].unique()):
            if number:
                names[group.index[group["configuration"] == configuration]] += f" ({number + 1})"
    return names


def _row(run: Run, catalogue: dict[str, CatalogueEntry], shared_times: frozenset[str]) -> dict[str, Any]:
    """The columns of one run that need no other run; `_content` and `_qualifiers` are used to tell runs apart."""
    record, card = run.record, run.record.card
    shared_time = record.environment.device_shared is True or record.digest in shared_times
    test = record.data and record.data.splits.get("test")
    test_sha256, name = test.sha256 if test else None, short_name(record, catalogue)
    return {
        "run": run.name,
        "configuration": short_hash(seed_independent_spec(record.config)),
        "curve": short_hash(seed_independent_spec(record.config, NUMBER_OF_ROWS), test_sha256),
        "model": record.model,
        "title": short_title(record.title),
        "kind": card.kind if card else record.config.model.family,
        "readout": card and card.readout,
        "recipe": recipe_in_words(record, catalogue),
        "short_name": name.text,
        "seed": record.seed,
        "test_sha256": test_sha256,
        "learns": card is None or card.learns,
        "hardware": record.hardware,
        "on_gpu": record.fit is not None and record.fit.on_gpu,
        "parameters": card and card.parameters,
        "_content": " ".join(record.data_sha256.values()),
        "_qualifiers": name.qualifiers,
        **_outcome(run),
        "shared_time": shared_time,
        **_measurements(record, shared_time),
    }


def _outcome(run: Run) -> dict[str, Any]:
    """How the run ended, and what its predictions may be used for."""
    record, completed = run.record, run.record.status is Status.completed
    return {
        "status": str(record.status),
        "result": record.is_result,
        "pretrained": record.stand_in is None,
        "scorable": completed and record.scorable,
        "reduced": bool(record.config.limits) or record.stand_in is not None,
        "trained": record.trained,
        "has_confidences": completed and run.predictions.has_confidences,
        "collapsed": completed and _is_constant(run),
    }


def _is_constant(run: Run) -> bool:
    """Whether all of several texts got one label, or none of them any."""
    predicted = run.predictions.predicted
    return len(predicted) > 1 and len(set(predicted)) == 1


def _measurements(record: RunRecord, shared_time: bool) -> dict[str, Any]:
    """The sizes, costs and validation accuracy of a run."""
    fit, here = record.fit, record.card is None or record.card.computed_here
    train = record.data and record.data.splits.get("train")
    answered = record.predicted_rows if record.status is Status.completed else None
    values = {
        "precision": fit and fit.precision,
        "test_rows": answered,
        "train_rows": train.rows if train else None,
        "steps": (fit and fit.steps) or None,
        "validation_accuracy": fit.validation_accuracy(record.config.recipe.keep) if fit else None,
    }
    costs = {
        "training_seconds": record.training_seconds,
        "peak_memory": record.memory,
        "trained_parameters": (fit and fit.trained_parameters) or None,
        "seconds_per_text": record.seconds["predict"] / answered if answered else None,
    }
    if shared_time:
        costs |= {"training_seconds": None, "seconds_per_text": None}
    return values | (costs if here else dict.fromkeys(costs))


def _is_counted(frame: pd.DataFrame) -> pd.Series:
    """Whether each run enters the scores of its configuration: results, else pretrained runs, else all completed."""
    completed = frame["status"] == Status.completed
    counted = pd.Series(False, index=frame.index)
    for _, group in frame.groupby("configuration", sort=False):
        choices = [flag[group.index] for flag in (frame["result"], completed & frame["pretrained"], completed)]
        counted[group.index] = next((choice for choice in choices if choice.any()), choices[-1])
    return counted


def _answers(runs: list[Run]) -> pd.DataFrame:
    """The predictions of all completed runs, one row per run and test text."""
    tables = [_answer_table(run) for run in runs if run.record.status is Status.completed]
    if not tables:
        columns = ("run", "item", "gold", "predicted", "correct", "confidence")
        return pd.DataFrame({name: pd.Series(dtype=object) for name in columns})
    answers: pd.DataFrame = pa.concat_tables(tables, promote_options="default").to_pandas()
    return answers


def _answer_table(run: Run) -> pa.Table:
    """The predictions of one run, with the probability of each label under p_<label>."""
    predictions = run.predictions
    columns: dict[str, Any] = {
        "run": pa.array([run.name] * len(run.gold)).dictionary_encode(),
        "item": run.table["id"],
        "gold": run.gold,
        "predicted": predictions.predicted,
        "correct": run.gold == predictions.predicted,
        "confidence": confidence_of(predictions.predicted, predictions.probabilities),
    }
    return pa.table(columns | {name: run.table[name] for name in run.table.column_names if name.startswith("p_")})
