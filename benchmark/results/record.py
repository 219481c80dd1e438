"""The record of one run: what was asked for, on which data, with what result; no metric of the test split."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from benchmark.errors import BenchmarkError
from benchmark.interface import CurvePoint, FitReport, ModelCard
from benchmark.results.environment import hardware_name

SCHEMA_VERSION = 1


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


def sealed(record: RunRecord) -> bytes:
    """The content of record.json: every field, and a `seal` by which one that was edited later can be named."""
    document = asdict(record)
    document["seal"] = seal(document)
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def seal(document: dict[str, Any]) -> dict[str, str]:
    """A short hash of each field of a record but the seal itself; against accidents and edits, not against forgers."""
    fields = {name: json.dumps(value, sort_keys=True) for name, value in document.items() if name != "seal"}
    return {name: sha256(text.encode())[:16] for name, text in fields.items()}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
