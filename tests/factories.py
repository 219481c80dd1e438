"""Records, runs and commands that several test modules build."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from benchmark.analysis.evidence import Evidence
from benchmark.data.report import DataReport, Overlap, SplitReport
from benchmark.interface import CurvePoint, Examples, FitReport, Predictions
from benchmark.results import store as records
from benchmark.results.catalogue import read_contestants
from benchmark.results.record import Failure, RunRecord, Status, sha256
from benchmark.results.store import Run

LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")


GOLD = (0, 1, 2, 3, 4, 5, 0, 1, 2, 3)


TRAIN_COUNTS = {"sadness": 40, "joy": 50, "love": 10, "anger": 20, "fear": 15, "surprise": 5}


FIT = FitReport(
    weights={"source": "wheel", "package": "some-weights==1.0"},
    parameters=1000,
    trained_parameters=10,
    steps=24,
    samples_seen=420,
    effective_batch=20,
    training_seconds=90.0,
    curve=(CurvePoint(12, 0.5, loss=1.5), CurvePoint(24, 1.0, loss=0.5, validation_accuracy=0.75)),
)


def a_record(
    model: str = "tfidf",
    *overrides: str,
    seed: int = 0,
    dataset: str = "emotion",
    status: Status = Status.completed,
    config: dict[str, Any] | None = None,
    failure: Failure | None = None,
    fit: FitReport | None = FIT,
    test_sha256: str = "c" * 64,
) -> RunRecord:
    """What the runner would leave of `python -m benchmark model=MODEL dataset=DATASET seed=SEED OVERRIDE ...`."""
    config = deepcopy(config or read_contestants()[model].config)
    config |= {"seed": seed}
    config["dataset"]["name"] = dataset
    for override in overrides:
        option, _, value = override.partition("=")
        *groups, last = option.replace("model.", "model.parameters.", 1).split(".")
        place = config
        for group in groups:
            place = place[group]
        place[last] = value if value.isidentifier() else json.loads(value)
    report = DataReport(
        "local files (.txt)",
        {
            "train": SplitReport(sum(TRAIN_COUNTS.values()), "a" * 64, TRAIN_COUNTS),
            "validation": SplitReport(2, "b" * 64, {"joy": 2}),
            "test": SplitReport(len(GOLD), test_sha256, {label: GOLD.count(i) for i, label in enumerate(LABELS)}),
        },
        ["train-3"],
        [],
        [Overlap("test", "train", ["test-1"], ["test-1"])],
        ["a note"],
    )
    return RunRecord(
        status=status,
        config=config,
        overrides=[f"model={model}", f"dataset={dataset}", f"seed={seed}", *overrides],
        digest=sha256(json.dumps([config, test_sha256], sort_keys=True).encode()),
        started="2026-01-01T10:00:00+00:00",
        finished="2026-01-01T10:01:40+00:00",
        data=report.as_json(),
        card=read_contestants()[model].card,
        fit=fit if status is Status.completed else None,
        environment={"processor": "A processor", "cores": 2, "gpu": None},
        seconds={"data": 1.0, "fit": 100.0, "predict": 2.0},
        peak_memory={"host": 2**30},
        failure=failure,
    )


def answers(predicted: Sequence[int], generated: Sequence[str] | None = None) -> Predictions:
    """Sure of each of its answers; those that name no label are evenly unsure."""
    probabilities = np.eye(len(LABELS), dtype=np.float32)[list(predicted)]
    probabilities[np.array(predicted) < 0] = 1 / len(LABELS)
    return Predictions(probabilities, np.array(predicted), None if generated is None else tuple(generated))


def the_test_split(gold: Sequence[int] = GOLD) -> Examples:
    ids = tuple(f"test-{row}" for row in range(len(gold)))
    return Examples(ids, ids, np.array(gold))


def publish(
    results_dir: Path, record: RunRecord, predicted: Sequence[int] = GOLD, generated: Sequence[str] | None = None
) -> Run:
    """Write the record, with these predictions for `GOLD` if the run ended well."""
    if record.status is not Status.completed:
        return records.write(results_dir, record)
    content = records.encode_predictions(the_test_split(), answers(predicted, generated), LABELS)
    whole = replace(record, predictions_sha256=sha256(content), predicted_rows=len(GOLD))
    return records.write(results_dir, whole, content)


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


MANY_GOLD = tuple(row % 6 for row in range(200))


def told(results_dir: Path, record: RunRecord, predicted: Sequence[int], gold: Sequence[int] = MANY_GOLD) -> Run:
    """Publish the record with these answers to `gold`."""
    content = records.encode_predictions(the_test_split(gold), answers(predicted), LABELS)
    whole = replace(record, predictions_sha256=sha256(content), predicted_rows=len(gold))
    return records.write(results_dir, whole, content)


def wrong_at(rows: Sequence[int], gold: Sequence[int] = MANY_GOLD) -> list[int]:
    """The gold labels, but for the label after the right one at `rows`."""
    return [(label + 1) % 6 if row in set(rows) else label for row, label in enumerate(gold)]


def evidence(*runs: Run) -> Evidence:
    return Evidence(list(runs), read_contestants())


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{key: None if pd.isna(value) else value for key, value in row.items()} for row in table.to_dict("records")]


def the(rows: list[dict[str, Any]], **cells: Any) -> dict[str, Any]:
    """The one row with these cells."""
    (row,) = [row for row in rows if cells.items() <= row.items()]
    return row


def offer(
    results_dir: Path,
    model: str,
    wrong: int,
    training: float,
    memory: int,
    trained: int | None,
    answering: float,
    seed: int = 0,
) -> Run:
    fit = replace(FIT, training_seconds=training, trained_parameters=trained)
    record = replace(
        a_record(model, seed=seed, fit=fit),
        peak_memory={"host": memory},
        seconds={"data": 1.0, "fit": training + 5, "predict": answering},
    )
    return told(results_dir, record, wrong_at(range(wrong)))


def on_a_gpu(run: Run) -> Run:
    assert run.record.fit is not None
    fit = replace(run.record.fit, device="cuda:0")
    return Run(replace(run.record, fit=fit, environment={"gpu": "A GPU"}), run.folder)


def on_rows(rows: int, model: str = "minilm", seed: int = 0, *overrides: str, asked: bool = True) -> RunRecord:
    """As it is left by dataset.train_rows=ROWS, or by all rows where that was not asked for."""
    record = a_record(model, *([f"dataset.train_rows={rows}"] if asked else []), *overrides, seed=seed)
    assert record.data is not None
    splits = record.data["splits"]
    train = {**splits["train"], "rows": rows, "sha256": f"{rows:064d}"}
    return replace(record, data={**record.data, "splits": {**splits, "train": train}})


SMALL = [
    "dataset=synthetic",
    "dataset.synthetic.train=60",
    "dataset.synthetic.validation=12",
    "dataset.synthetic.test=24",
]


COMMAND = [sys.executable, "-m", "command_line"]


def environment() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}


def command_line(folder: Path, *arguments: str, gpu: bool = False) -> "subprocess.CompletedProcess[str]":
    """Run the command line with results, checkpoints and Hydra's folders below `folder`."""
    places = [f"results_dir={folder}/results", f"checkpoints_dir={folder}/checkpoints"]
    places += [f"hydra.run.dir={folder}/run", f"hydra.sweep.dir={folder}/sweep"]
    variables = {**os.environ, "HF_HUB_OFFLINE": "1"} if gpu else environment()
    return subprocess.run([*COMMAND, *arguments, *places], env=variables, capture_output=True, text=True, check=False)


def words(figure: Figure) -> str:
    """Every text of the figure, with plain spaces."""
    texts = (str(text.get_text()) for text in figure.findobj(Text))
    return "\n".join(texts).replace("\N{NO-BREAK SPACE}", " ")


def row_names(axes: Axes) -> list[str]:
    return [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()]
