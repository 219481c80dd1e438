"""The record of one run: what was asked for, on which data, and what happened; no metric of the test split.

Metrics are computed from the predictions stored beside the record. The training curve is part of the record because
its validation accuracies cannot be computed again.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

from benchmark.config import RunSpec
from benchmark.data.report import DataReport, Overlap
from benchmark.errors import BenchmarkError
from benchmark.interface import ADDED_LATER, AdapterSource, CurvePoint, FitReport, ModelCard, WeightSource
from benchmark.results import schema1
from benchmark.results.environment import Environment

SCHEMA_VERSION = 2


class Status(StrEnum):
    """How a run ended."""

    completed = "completed"
    failed = "failed"
    interrupted = "interrupted"


@dataclass(frozen=True)
class Failure:
    """Why a run has no predictions. `fix` and `traceback` are None where there is nothing to add."""

    message: str
    traceback: str | None = None
    fix: str | None = None


@dataclass(frozen=True)
class RunRecord:
    """Everything known about one run. Times are UTC, durations wall-clock seconds, memory bytes."""

    status: Status
    config: RunSpec
    overrides: list[str]  # of the command line, --config-dir included; DIR/ stands for folders
    digest: str
    started: str
    finished: str
    data: DataReport | None = None
    card: ModelCard | None = None
    fit: FitReport | None = None
    environment: Environment = field(default_factory=Environment)
    seconds: dict[str, float] = field(default_factory=dict)  # data, fit, predict
    peak_memory: dict[str, int] = field(default_factory=dict)  # host, and device if there was one
    predictions_sha256: str | None = None  # of predictions.parquet
    predicted_rows: int | None = None
    truncated_test_texts: int = 0  # those of train are in `fit`
    matched: dict[str, int] = field(default_factory=dict)  # answers made elsewhere: id, prompt, ... -> test rows
    failure: Failure | None = None
    joules: dict[str, dict[str, float]] = field(default_factory=dict, metadata={ADDED_LATER: True})
    """fit and predict -> cpu and gpu -> energy, where the machine measures it; fit includes loading and validation."""
    validation_sha256: str | None = field(default=None, metadata={ADDED_LATER: True})  # of validation.parquet
    schema_version: int = SCHEMA_VERSION

    @property
    def model(self) -> str:
        """The name of the model, as `model=` has it."""
        return self.config.model.name

    @property
    def title(self) -> str:
        """The name of the model for people."""
        return self.config.model.title

    @property
    def dataset(self) -> str:
        """The name of the data set, or of both where it was tested on another one."""
        return self.config.dataset.title

    @property
    def recipe(self) -> str:
        """The name of the recipe."""
        return self.config.recipe.name

    @property
    def seed(self) -> int:
        """The random seed of the run."""
        return self.config.seed

    @property
    def labels(self) -> tuple[str, ...]:
        """The label names, by id."""
        return tuple(self.config.dataset.labels)

    @property
    def data_sha256(self) -> dict[str, str]:
        """The content hash of each split; empty if the run ended before its data were read."""
        return {} if self.data is None else self.data.hashes()

    @property
    def stand_in(self) -> str | None:
        """What replaced the model's pretrained weights, or None. Such runs measure speed, never accuracy."""
        if self.fit is not None:
            return self.fit.weights.stand_in
        return "random weights" if self.card is not None and self.card.random_weights else None

    @property
    def scorable(self) -> bool:
        """Whether its predictions have an accuracy: not with stand-in weights, nor on a single test text.

        `dataset.test_rows=1` marks a run scored on validation only; its one prediction is never scored.
        """
        return self.stand_in is None and self.config.dataset.test_rows != 1

    @property
    def is_result(self) -> bool:
        """Whether its accuracy may be compared: completed, with pretrained weights, on all rows and steps.

        Changed test texts are compared with the unchanged ones only.
        """
        return self.completes_all and self.config.dataset.perturb is None

    @property
    def completes_all(self) -> bool:
        """Whether it completed with pretrained weights, on all rows and steps."""
        return self.status is Status.completed and self.stand_in is None and not self.config.limits

    @property
    def truncated_texts(self) -> dict[str, int]:
        """How many training and test texts were cut to recipe.max_length, by split, of the splits that were read."""
        texts = {"train": self.fit.truncated_texts if self.fit else 0, "test": self.truncated_test_texts}
        return {split: count for split, count in texts.items() if self.data is not None and split in self.data.splits}

    def overlap(self, of: str, within: str) -> Overlap:
        """The rows of split `of` whose text also occurs in split `within`; none if the data were not checked."""
        overlaps = [] if self.data is None else self.data.overlaps
        return next((item for item in overlaps if (item.of, item.within) == (of, within)), Overlap(of, within, [], []))

    @property
    def trained(self) -> bool:
        """False if nothing was trained: the predictions or the adapter existed before. True for a run without `fit`."""
        return self.fit is None or self.fit.trained_parameters != 0

    @property
    def hardware(self) -> str:
        """What computed the run; for one without a result, the best device of its machine."""
        device = self.fit.device if self.fit is not None else "cuda" if self.environment.gpu else "cpu"
        return self.environment.hardware(device)

    @property
    def memory(self) -> int | None:
        """Peak bytes of the GPU if one was used, else of the process."""
        return self.peak_memory.get("device", self.peak_memory.get("host"))

    @property
    def training_seconds(self) -> float | None:
        """Seconds as timed by the model, else of all of `fit`; None if nothing was trained or `fit` did not finish."""
        if not self.trained or "fit" not in self.seconds:
            return None
        measured = self.fit.training_seconds if self.fit is not None else None
        return measured if measured is not None else self.seconds["fit"]

    @classmethod
    def from_json(cls, content: str | bytes, origin: str) -> Self:
        """Parse the content of a record.json; raises `BenchmarkError` that names `origin` if it is not valid."""
        try:
            values = json.loads(content)
            version = values["schema_version"]
            if type(version) is not int or version <= SCHEMA_VERSION:
                return cls(**_parse_fields(values))
        except _INVALID as error:
            reason = " ".join(str(error).split())
            raise BenchmarkError(
                f"{origin} is not a valid record ({type(error).__name__}: {reason}).",
                "Restore it, or delete its folder.",
            ) from error
        raise BenchmarkError(
            f"{origin} has schema version {version}, but this package reads versions up to {SCHEMA_VERSION}.",
            "Update the package.",
        )


_INVALID = (BenchmarkError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading an arbitrary JSON document can raise."""


def to_json(record: RunRecord) -> bytes:
    """The content of record.json: every field, and a checksum that shows later changes."""
    document = asdict(record) | {"config": record.config.as_json()}
    for option in fields(record):
        if ADDED_LATER in option.metadata and document[option.name] in (None, {}):
            del document[option.name]
    if document["fit"] is not None:
        weights = document["fit"]["weights"]
        document["fit"]["weights"] = {key: value for key, value in weights.items() if value is not None}
    document["checksum"] = checksum(document)
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def checksum(document: dict[str, Any]) -> str:
    """SHA-256 of a record in JSON form without its `checksum`. It reveals accidents and edits, not forgeries."""
    content = {name: value for name, value in document.items() if name != "checksum"}
    return sha256(json.dumps(content, sort_keys=True).encode())


def is_unchanged(document: dict[str, Any]) -> bool:
    """Whether a record in JSON form has the checksum with which it was written."""
    return document.get("checksum") == checksum(document)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _parse_fields(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record with their types, from its JSON document of any schema version."""
    if values["schema_version"] not in (1, SCHEMA_VERSION):
        raise ValueError(f"schema_version is {values['schema_version']!r}")
    if values["schema_version"] == 1:
        values = schema1.upgrade(values)
    values = {name: value for name, value in values.items() if name not in ("seal", "checksum")}
    values["status"] = Status(values["status"])
    values["config"] = RunSpec.from_json(values["config"])
    values["environment"] = Environment.from_json(values["environment"])
    values["data"] = values["data"] and DataReport.from_json(values["data"])
    values["card"] = values["card"] and ModelCard.from_json(values["card"])
    values["fit"] = values["fit"] and _fit(values["fit"])
    values["failure"] = values["failure"] and Failure(**values["failure"])
    return values


def _fit(values: dict[str, Any]) -> FitReport:
    weights = dict(values["weights"])
    adapter = weights.get("adapter")
    weights["adapter"] = adapter and AdapterSource(**adapter)
    curve = tuple(CurvePoint(**point) for point in values["curve"])
    examples = tuple(values.get("examples", ()))
    return FitReport(**{**values, "weights": WeightSource(**weights), "curve": curve, "examples": examples})
