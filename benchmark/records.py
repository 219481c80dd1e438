"""The record of a run: one immutable folder, written whole or not at all.

    results/runs/<model>/<dataset>/<recipe>-seed<n>-<digest8>/record.json
                                                              predictions.parquet  (id, gold, predicted, p_<label>...)
                                                              *.png                (per-run plots)

A record holds counts and hashes, never a metric of the test split: those are recomputed from the predictions beside
it. The training curve with its validation accuracies stands in it, for nothing else could tell them.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from benchmark.classifier import BenchmarkError, CurvePoint, Examples, FitReport, LabelIds, ModelCard, Predictions
from benchmark.environment import hardware_name

SCHEMA_VERSION = 1
CATALOGUE = Path(__file__).with_name("contestants.json")


class Status(StrEnum):
    completed = "completed"
    failed = "failed"
    interrupted = "interrupted"


@dataclass(frozen=True)
class Failure:
    """Why a run has no predictions; `traceback` is None where the message says it all."""

    message: str
    traceback: str | None = None


@dataclass(frozen=True)
class RunRecord:
    """All that is known of one run. Times are UTC, durations wall-clock seconds, memory bytes."""

    status: Status
    config: dict[str, Any]  # RunConfig.identity() plus the model's title and facts
    overrides: list[str]  # as given on the command line, --config-dir among them; without paths
    digest: str
    started: str
    finished: str
    data: dict[str, Any] | None = None  # the data gate's report
    card: ModelCard | None = None
    fit: FitReport | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)  # data, fit, predict
    peak_memory: dict[str, int] = field(default_factory=dict)  # host, and device where there is one
    predictions_sha256: str | None = None  # of predictions.parquet
    predicted_rows: int | None = None
    truncated_test_texts: int = 0  # those of train are in `fit`
    failure: Failure | None = None
    schema_version: int = SCHEMA_VERSION

    @property
    def model(self) -> str:
        return str(self.config["model"]["name"])

    @property
    def title(self) -> str:
        return str(self.config["model"]["title"])

    @property
    def dataset(self) -> str:
        return str(self.config["dataset"]["name"])

    @property
    def recipe(self) -> str:
        return str(self.config["recipe"]["name"])

    @property
    def seed(self) -> int:
        return int(self.config["seed"])

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.config["dataset"]["labels"])

    @property
    def identity(self) -> dict[str, Any]:
        """The configuration as the digest covers it: without the title and facts that tables show beside it."""
        model = {key: value for key, value in self.config["model"].items() if key not in ("title", "facts")}
        return {**self.config, "model": model}

    @property
    def splits(self) -> dict[str, Any]:
        """What the data gate says of each split; empty if the run ended before its data were read."""
        return {} if self.data is None else dict(self.data["splits"])

    @property
    def carved_rows(self) -> int:
        """Training rows set aside because the data have no validation split."""
        rows: int = (self.data or {}).get("carved_rows", 0)
        return rows

    @property
    def stand_in(self) -> str | None:
        """What stood in for the model's own weights, if anything did: such runs give speed, never an accuracy."""
        weights = {} if self.fit is None else self.fit.weights
        if "endpoint" in weights:
            return f"weights from {weights['endpoint']}, not the hub"
        return "random weights" if weights.get("source") == "random" else None

    @property
    def pretrained(self) -> bool:
        return self.stand_in is None

    @property
    def scorable(self) -> bool:
        """Whether its answers make an accuracy, if only a trial's: not a stand-in's, and not a single answer.

        One test text is what a run answers that leaves the test split alone.
        """
        return self.pretrained and self.config["dataset"]["test_rows"] != 1

    @property
    def limits(self) -> dict[str, int]:
        """What was cut short, and to how many: a trial, to be compared with nothing."""
        data, recipe = self.config["dataset"], self.config["recipe"]
        asked = {"training rows": data["train_rows"], "test rows": data["test_rows"], "steps": recipe["max_steps"]}
        return {what: limit for what, limit in asked.items() if limit is not None}

    @property
    def is_result(self) -> bool:
        """Whether its accuracy may stand in a table: completed, pretrained, on all rows and steps."""
        return self.status is Status.completed and self.pretrained and not self.limits

    @property
    def truncated(self) -> dict[str, float]:
        """The share of train and test texts that were cut to the recipe's max_length."""
        cut = {"train": self.fit.truncated_texts if self.fit else 0, "test": self.truncated_test_texts}
        return {name: texts / self.splits[name]["rows"] for name, texts in cut.items() if name in self.splits}

    @property
    def trained(self) -> bool:
        """False where nothing was trained: predictions or an adapter made before."""
        return self.fit is None or self.fit.trained_parameters != 0

    @property
    def adapter(self) -> dict[str, str] | None:
        """Name and SHA-256 of the adapter that was only read; None if there was none, or it was trained here."""
        return None if self.fit is None else self.fit.weights.get("adapter")

    @property
    def hardware(self) -> str:
        """What it was computed on, as tables call it; of a run that did not finish, the best of the machine."""
        usual = "cuda" if self.environment.get("gpu") else "cpu"
        return hardware_name(self.environment, self.fit.device if self.fit is not None else usual)

    @property
    def memory(self) -> int | None:
        """Most bytes at a time: the accelerator's where there is one, else the process's."""
        return self.peak_memory.get("device", self.peak_memory.get("host"))

    @property
    def training_seconds(self) -> float | None:
        """As the contestant timed it, without loading and validation; else all of `fit`. None if it trained nothing."""
        if not self.trained:
            return None
        measured = self.fit.training_seconds if self.fit is not None else None
        return measured if measured is not None else self.seconds["fit"]

    @classmethod
    def from_json(cls, text: str | bytes, origin: str) -> "RunRecord":
        """Parse a record.json; raises `BenchmarkError` naming `origin` if it is none of ours."""
        try:
            values = json.loads(text)
            values.pop("seal", None)
            if values["schema_version"] != SCHEMA_VERSION:
                raise ValueError(f"its schema_version is {values['schema_version']}, not {SCHEMA_VERSION}")
            values["status"] = Status(values["status"])
            if (fit := values["fit"]) is not None:
                values["fit"] = FitReport(**{**fit, "curve": tuple(CurvePoint(**point) for point in fit["curve"])})
            if values["card"] is not None:
                values["card"] = ModelCard(**values["card"])
            if values["failure"] is not None:
                values["failure"] = Failure(**values["failure"])
            record = cls(**values)
            _ = (
                record.model,
                record.title,
                record.dataset,
                record.recipe,
                record.seed,
                record.labels,
                record.is_result,
            )
            return record
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise BenchmarkError(
                f"{origin} is no record of this suite ({reason}); delete its folder and rerun."
            ) from error


@dataclass(frozen=True)
class Run:
    """A record read back, with its predictions loaded when first asked for."""

    record: RunRecord
    folder: Path

    @property
    def name(self) -> str:
        """Its folder below results/runs: model, data set, and recipe, seed and digest."""
        return "/".join(self.folder.parts[-3:])

    @cached_property
    def table(self) -> pa.Table:
        try:
            return pq.read_table(self.folder / "predictions.parquet")
        except (OSError, pa.ArrowInvalid) as error:
            raise BenchmarkError(
                f"{self.folder}/predictions.parquet cannot be read ({error}); rerun with force=true."
            ) from error

    @cached_property
    def gold(self) -> LabelIds:
        return np.asarray(self.table["gold"].to_numpy(), dtype=np.int64)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        return tuple(self.table["id"].to_pylist())

    @cached_property
    def predictions(self) -> Predictions:
        columns = [self.table[f"p_{label}"].to_numpy() for label in self.record.labels]
        generated = self.table["generated"].to_pylist() if "generated" in self.table.column_names else None
        return Predictions(
            probabilities=np.stack(columns, axis=1).astype(np.float32),
            predicted=self.table["predicted"].to_numpy().astype(np.int64),
            generated=None if generated is None else tuple(generated),
        )


@dataclass(frozen=True)
class Contestant:
    """A model that can be asked for: its resolved configuration under recipe=paper, and its card."""

    config: dict[str, Any]
    card: ModelCard


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that tables and figures may draw on: the runs made, the contestants there are, the speeds measured.

    Compared by identity, so that what several tables derive from it can be cached.
    """

    runs: list[Run]
    contestants: dict[str, Contestant]
    speeds: list[dict[str, Any]] = field(default_factory=list)


def read_evidence(results_dir: Path) -> Evidence:
    return Evidence(read_all(results_dir), read_contestants(), read_speeds(results_dir))


def read_speeds(results_dir: Path) -> list[dict[str, Any]]:
    """What `python -m benchmark.speed` wrote, by hardware and model."""
    speeds = []
    for path in sorted((results_dir / "speed").glob("*/*.json")):
        try:
            speeds.append(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise BenchmarkError(f"{path} is not JSON ({error}); restore it or measure again.") from error
    return speeds


@cache
def read_contestants() -> dict[str, Contestant]:
    """The catalogue that `python -m benchmark.catalogue` keeps, by model name."""
    entries = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {name: Contestant(entry["config"], ModelCard(**entry["card"])) for name, entry in entries.items()}


def folder_of(results_dir: Path, config: dict[str, Any], digest: str) -> Path:
    """Where the run of this configuration lives; the digest keeps variants apart."""
    run = f"{config['recipe']['name']}-seed{config['seed']}-{digest[:8]}"
    return results_dir / "runs" / str(config["model"]["name"]) / str(config["dataset"]["name"]) / run


def read(folder: Path) -> Run:
    path = folder / "record.json"
    return Run(RunRecord.from_json(path.read_bytes(), str(path)), folder)


def read_all(results_dir: Path) -> list[Run]:
    """Every run below `results_dir`, ordered by model, data set, recipe, seed and digest."""
    folders = sorted(path.parent for path in (results_dir / "runs").glob("*/*/*/record.json"))
    runs = []
    for folder in folders:
        with suppress(FileNotFoundError):  # another process replaces or withdraws it just now
            runs += [] if folder.name.startswith(".") else [read(folder)]
    return sorted(runs, key=lambda run: (run.record.model, run.record.dataset, run.record.recipe, run.record.seed))


def write(
    results_dir: Path,
    record: RunRecord,
    predictions: bytes | None = None,
    draw: Callable[[Run], None] | None = None,
) -> Run:
    """Publish a run: everything goes to a temporary folder beside its place, then one rename.

    `draw` adds the plots to the still-hidden folder. A run that was there before is replaced. One process at
    a time may be at one run; what an earlier one that was killed here has left is removed.
    """
    final = folder_of(results_dir, record.config, record.digest)
    final.parent.mkdir(parents=True, exist_ok=True)
    for left in final.parent.glob(f".partial-{final.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    hidden = Path(tempfile.mkdtemp(prefix=f".partial-{final.name}-", dir=final.parent))
    try:
        hidden.chmod(0o755)
        if predictions is not None:
            _write_durably(hidden / "predictions.parquet", predictions)
        _write_durably(hidden / "record.json", sealed(record))
        if draw is not None:
            draw(Run(record, hidden))
        with locked(results_dir):
            _replace_folder(hidden, final)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return Run(record, final)


def sealed(record: RunRecord) -> bytes:
    """The content of record.json: every field, and a `seal` by which one that was edited later can be named."""
    document = asdict(record)
    document["seal"] = seal(document)
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def seal(document: dict[str, Any]) -> dict[str, str]:
    """A short hash of each field of a record but the seal itself; against accidents and edits, not against forgers."""
    fields = {name: json.dumps(value, sort_keys=True) for name, value in document.items() if name != "seal"}
    return {name: sha256(text.encode())[:16] for name, text in fields.items()}


def withdraw(results_dir: Path, config: dict[str, Any], digest: str) -> None:
    """Remove the record of an attempt that failed, its cause being gone; a completed run stays."""
    folder = folder_of(results_dir, config, digest)
    with locked(results_dir):
        if (folder / "record.json").is_file() and read(folder).record.status is not Status.completed:
            shutil.rmtree(folder)


def locked(results_dir: Path) -> FileLock:
    """Held while a run takes its place and while tables are rebuilt from all of them, so that none is missed."""
    results_dir.mkdir(parents=True, exist_ok=True)
    return FileLock(results_dir / "results.lock")


def encode_predictions(test: Examples, predictions: Predictions, labels: tuple[str, ...]) -> bytes:
    """The predictions file, the same bytes for the same predictions."""
    columns: dict[str, pa.Array] = {
        "id": pa.array(test.ids, pa.string()),
        "gold": pa.array(test.labels, pa.int16()),
        "predicted": pa.array(predictions.predicted, pa.int16()),
    }
    for index, label in enumerate(labels):
        columns[f"p_{label}"] = pa.array(predictions.probabilities[:, index], pa.float32())
    if predictions.generated is not None:
        columns["generated"] = pa.array(predictions.generated, pa.string())
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place atomically if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".partial-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _replace_folder(new: Path, final: Path) -> None:
    """Rename over an earlier run, which is moved aside first: a folder cannot be swapped in one step."""
    retired = Path(tempfile.mkdtemp(prefix=".retired-", dir=final.parent))
    if final.exists():
        final.replace(retired)
    new.rename(final)
    shutil.rmtree(retired, ignore_errors=True)
