"""Measurements of speed, which `python -m benchmark.speed` writes to results/speed/<hardware>/*.json."""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmark.errors import BenchmarkError
from benchmark.files import replacing
from benchmark.results import environment
from benchmark.results.environment import Environment
from benchmark.results.typed_json import dataclass_from_json


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The model that was measured, and the machine."""

    model: str
    title: str
    recipe: str | None = None  # older files do not state it
    pretrained: bool
    device: str  # as `Environment.hardware` names it
    environment: Environment

    @property
    def device_is_exclusive(self) -> bool:
        """Whether no other job is known to have used the device; else only ratios of times have a meaning."""
        return self.environment.device_shared is not True


@dataclass(frozen=True)
class Rows:
    """The data set, and how many rows were there to train on, were predicted, and are in the whole training split."""

    dataset: str
    train: int
    answered: int
    dataset_train: int | None = None  # older files do not state it


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to train and predict. What was not measured is None. Throughputs are means over the rounds."""

    batching: str  # packed or padded; older files have "padded, one pass" too
    precision: str
    recomputes: bool = False  # whether the backward pass computes activations again
    attention: str | None = None
    pass_size: int | None = None
    samples_per_second: float  # of training, without the seconds that prepared CUDA graphs
    rounds: tuple[float, ...] = ()
    samples_seen: int | None = None  # of the last training, like all about graphs
    training_seconds: float | None = None
    graph_steps: int | None = None  # steps computed as CUDA graphs
    graph_seconds: float | None = None  # of training_seconds, the part that prepared the graphs
    kernel_seconds_per_step: float | None = None  # of a GPU
    gradient_difference: float | None = None  # from the gradients of padded batches
    tokens_per_second: float | None = None  # of training
    linear_flops_per_sample: float | None = None  # as executed
    utilisation: float | None = None  # the share of `Throughput.matrix_peak_flops` that the linear layers reach
    outside_steps: float | None = None  # share of the training time
    peak_memory: dict[str, int] = field(default_factory=dict)  # bytes: host, and device if there was one
    answered_per_second: float | None  # texts; of a training by the whole recipe the faster round
    answered_rounds: tuple[float, ...] = ()

    @property
    def title(self) -> str:
        """The name of the batching that tables show."""
        graphs = ", CUDA graphs" if self.graph_steps else ""
        return f"{self.batching}{graphs}{', activations recomputed' if self.recomputes else ''}"


@dataclass(frozen=True)
class Epoch:
    """One epoch of training; `tokens_per_sample` is None, or 0 in older files, if it is not known."""

    rows: int
    tokens_per_sample: float | None
    seconds: float


@dataclass(frozen=True)
class Growth:
    """Epochs over more and more rows, and over longer and longer texts."""

    rows: tuple[Epoch, ...] = ()
    text: tuple[Epoch, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """How fast a model trains and predicts, in each way that was measured in turn, or in a training by its recipe."""

    subject: Subject
    rows: Rows
    effective_batch: int
    plain_batch: int | None = None  # of padded batches
    steps: int | None  # of each training
    rounds: int = 1
    matrix_peak_flops: dict[str, float] = field(default_factory=dict)  # per second, by precision
    ways: tuple[Way, ...]
    growth: Growth = field(default_factory=Growth)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """A measurement of any age; raises `ValueError` that names the field at fault."""
        return dataclass_from_json(cls, _with_ways(values) | {"subject": _subject(values)})


@dataclass(frozen=True)
class TextTimes:
    """Seconds of texts one by one, as percentiles, and what changes if they are predicted together."""

    texts: int
    p50: float
    p95: float
    p99: float
    batched_per_second: float  # texts together
    different_answers: int  # texts whose label differs
    largest_difference: float | None = None  # of a probability


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long one text takes."""

    subject: Subject
    precision: str
    readout: str | None = None  # how a decoder's answer is read; older files do not state it
    dataset: str | None = None  # older files may not state it
    latency: TextTimes

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """A measurement of any age; raises `ValueError` that names the field at fault."""
        return dataclass_from_json(cls, values | {"subject": _subject(values)})


def read_speeds(results_dir: Path) -> list[Throughput | Latency]:
    """What `python -m benchmark.speed` wrote, by hardware and model.

    Raises `BenchmarkError` for a file that is no measurement.
    """
    return [_read_file(path) for path in sorted((results_dir / "speed").glob("*/*.json"))]


def write_speed(measured: Throughput | Latency, results_dir: Path, suffix: str = "") -> Path:
    """Write a measurement as JSON into the folder of its device; returns the file."""
    subject = measured.subject
    name = subject.model + ("" if subject.pretrained else "-random") + suffix
    path = device_folder(subject.device, results_dir) / f"{name}.json"
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(as_json(measured), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def as_json(measured: Throughput | Latency) -> dict[str, Any]:
    """The JSON object, in which the fields of the subject are beside the others."""
    values = asdict(measured)
    return {**values.pop("subject"), **values}


def device_folder(device: str, results_dir: Path) -> Path:
    """The folder for measurements on this device, as `Environment.hardware` names it."""
    return results_dir / "speed" / re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")


def _read_file(path: Path) -> Throughput | Latency:
    fix = "Restore it, delete it, or measure again."
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BenchmarkError(f"{path} is not JSON ({error}).", fix) from error
    try:
        if not isinstance(values, dict):
            raise ValueError("it is not an object")
        return Latency.from_json(values) if "latency" in values else Throughput.from_json(values)
    except ValueError as error:
        raise BenchmarkError(f"{path} is not a measurement of speed: {error}.", fix) from error


def _subject(values: dict[str, Any]) -> Subject:
    machine = values.get("environment")
    if isinstance(machine, dict):
        values = values | {"environment": environment.upgrade(machine)}
    return dataclass_from_json(Subject, values)


@dataclass(frozen=True, kw_only=True)
class _WholeTraining:
    """How older files state a training by the whole recipe."""

    effective_batch: int
    batching: str = "packed"
    precision: str
    attention: str | None = None
    steps: int
    samples_seen: int | None = None
    graph_steps: int | None = None
    training_seconds: float
    graph_seconds: float | None = None
    tokens_per_sample: float | None = None
    peak_memory: dict[str, int] = field(default_factory=dict)
    predicted_per_second: tuple[float, ...]

    def as_way(self) -> Way:
        samples = self.samples_seen if self.samples_seen is not None else self.steps * self.effective_batch
        trained = samples / (self.training_seconds - (self.graph_seconds or 0.0))
        return Way(
            batching=self.batching,
            precision=self.precision,
            attention=self.attention,
            samples_per_second=trained,
            rounds=(trained,),
            samples_seen=samples,
            training_seconds=self.training_seconds,
            graph_steps=self.graph_steps,
            graph_seconds=self.graph_seconds,
            tokens_per_second=None if self.tokens_per_sample is None else trained * self.tokens_per_sample,
            peak_memory=self.peak_memory,
            answered_per_second=max(self.predicted_per_second),
            answered_rounds=self.predicted_per_second,
        )


def _with_ways(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of a measurement. An older file of a training by the whole recipe gets its one way."""
    if "training_seconds" not in values:
        return values
    rows = values.get("rows")
    if isinstance(rows, dict):
        rows = rows | {"answered": rows.get("predicted")}
    return values | {"rows": rows, "ways": (dataclass_from_json(_WholeTraining, values).as_way(),)}
