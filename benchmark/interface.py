"""The seam between referee and contestants: the `Classifier` protocol and every type that crosses it.

Besides `benchmark.errors` this is the only module of `benchmark` that `baselines` may import.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from benchmark.errors import BenchmarkError

LabelIds = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float32]

NO_LABEL = -1
"""Predicted id of a generated answer that names none of the labels; it counts as wrong."""


@dataclass(frozen=True)
class Examples:
    """One split. All three have one entry a row, in the official order."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: LabelIds  # (rows,)

    def __len__(self) -> int:
        return len(self.texts)


class Optimizer(StrEnum):
    adamw = "adamw"
    adafactor = "adafactor"


class Schedule(StrEnum):
    cosine = "cosine"
    linear = "linear"
    constant = "constant"


@dataclass(frozen=True)
class Recipe:
    """How a contestant is fine-tuned. Contestants without gradient descent ignore it.

    The effective batch is `batch_size * gradient_accumulation_steps` samples. `warmup_ratio` is a
    share of all optimiser steps; `max_length` counts tokens, the prompt's included.
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

    @property
    def effective_batch(self) -> int:
        """Samples an optimiser step."""
        return self.batch_size * self.gradient_accumulation_steps

    def __post_init__(self) -> None:
        for option in ("learning_rate", "max_gradient_norm", "epochs"):
            if not 0 < getattr(self, option) < math.inf:
                raise BenchmarkError(f"recipe.{option} is {getattr(self, option)}; it must be a number above 0.")
        for option in ("batch_size", "gradient_accumulation_steps", "max_length", "max_steps"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise BenchmarkError(f"recipe.{option} is {value}; it must be at least 1.")
        if not 0 <= self.warmup_ratio < 1:
            raise BenchmarkError(f"recipe.warmup_ratio is {self.warmup_ratio}; it must lie in [0, 1).")
        if not 0 <= self.weight_decay < math.inf:
            raise BenchmarkError(f"recipe.weight_decay is {self.weight_decay}; it must be 0 or more.")


@dataclass(frozen=True)
class FitContext:
    """What the referee tells a contestant besides the data."""

    labels: tuple[str, ...]
    recipe: Recipe
    seed: int
    work_dir: Path  # for checkpoints; the same folder when an interrupted run is repeated
    report_to: tuple[str, ...] = ()  # experiment trackers, as transformers names them
    model_dir: Path | None = None  # where to keep the fine-tuned model, in the format of transformers or peft
    checkpoints: bool = True  # off where training itself is timed


@dataclass(frozen=True)
class CurvePoint:
    """One logged moment of training; `loss` is the mean since the point before."""

    step: int
    epoch: float
    loss: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None


@dataclass(frozen=True)
class FitReport:
    """What training did. Seconds are wall clock; training excludes validation and loading."""

    weights: dict[str, Any] = field(default_factory=dict)  # provenance: source, id, revision, hashes
    device: str = "cpu"
    precision: str = "fp32"
    attention: str | None = None
    parameters: int | None = None
    trained_parameters: int | None = None  # 0: what answers was trained before, or elsewhere
    steps: int = 0
    samples_seen: int = 0
    effective_batch: int | None = None
    pass_size: int | None = None  # samples in one forward pass; below the effective batch, gradients are added up
    training_seconds: float | None = None
    step_seconds: float | None = None  # of them, within optimiser steps; the rest is the training loop's own
    tokens_per_sample: float | None = None  # prompt and answer, or text and label, on average
    truncated_texts: int = 0  # of train, cut to the recipe's max_length
    curve: tuple[CurvePoint, ...] = ()


@dataclass(frozen=True)
class Predictions:
    """Answers in the order of the texts asked.

    `generated` is the raw answer of a model that writes freely; an answer that names no label has
    `NO_LABEL` as its id.
    """

    probabilities: Probabilities  # (rows, labels), each row sums to 1
    predicted: LabelIds  # (rows,)
    generated: tuple[str, ...] | None = None
    truncated_texts: int = 0  # cut to the recipe's max_length before they were answered

    @classmethod
    def from_probabilities(cls, probabilities: npt.NDArray[np.floating[Any]]) -> "Predictions":
        """The most probable label of each row; ties go to the lower id."""
        stored = probabilities.astype(np.float32)
        return cls(stored, stored.argmax(axis=1).astype(np.int64))

    @classmethod
    def from_answers(cls, answers: Sequence[str], labels: Sequence[str]) -> "Predictions":
        """Free answers: stripped and in lower case, one either is a label or counts as wrong.

        A named label gets probability 1; where none is named, all labels are equally probable.
        """
        ids = {label.lower(): index for index, label in enumerate(labels)}
        predicted = np.array([ids.get(answer.strip().lower(), NO_LABEL) for answer in answers], dtype=np.int64)
        probabilities = np.eye(len(labels), dtype=np.float32)[predicted]
        probabilities[predicted == NO_LABEL] = 1 / len(labels)
        return cls(probabilities, predicted, tuple(answers))

    @property
    def graded(self) -> bool:
        """Whether they say how sure they are: free answers do not, and stand with probability 1."""
        return self.generated is None or bool((self.probabilities[self.predicted != NO_LABEL].max(axis=1) < 1).any())

    def check(self, rows: int, labels: int) -> None:
        """Refuse what no evaluator should score: wrong shape, NaN, rows that are no distribution."""
        if self.probabilities.shape != (rows, labels) or self.predicted.shape != (rows,):
            raise BenchmarkError(
                f"The model answered with probabilities {self.probabilities.shape} and labels "
                f"{self.predicted.shape} for {rows} texts and {labels} labels."
            )
        finite = np.isfinite(self.probabilities).all(axis=1)
        if not finite.all():
            raise BenchmarkError(
                f"The probabilities of test row {int(np.argmin(finite))} are not finite; the model has diverged."
            )
        sums = self.probabilities.sum(axis=1, dtype=np.float64)
        if (self.probabilities < 0).any() or np.abs(sums - 1).max(initial=0.0) > 1e-3:
            raise BenchmarkError("The model's answers are no probabilities: a row is negative or does not sum to 1.")
        lowest = NO_LABEL if self.generated is not None else 0
        if rows and not (lowest <= self.predicted.min() and self.predicted.max() < labels):
            raise BenchmarkError(f"The model predicted a label id outside 0..{labels - 1}.")


@dataclass(frozen=True)
class ModelCard:
    """What a contestant is, computed from its declared architecture without loading weights."""

    architecture: str
    weights: str
    parameters: int | None = None
    trained_parameters: int | None = None
    context_length: int | None = None
    grouped_query_attention: bool | None = None
    dimensions: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One thing a run depends on, as it was found; what would stop the run has a `remedy`."""

    what: str
    found: str
    remedy: str | None = None

    @classmethod
    def stopping(cls, what: str, sentence: str) -> "Finding":
        """From an error's sentence, whose remedy stands behind a semicolon by custom."""
        wrong, _, remedy = sentence.partition("; ")
        return cls(what, wrong, remedy.removesuffix(".") or "change that")


class Classifier(Protocol):
    """A contestant. Its constructor only stores parameters; weights load in `fit`."""

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        """Learn from `train`. Raises `BenchmarkError` before any download if something is missing."""
        ...

    def predict(self, texts: Sequence[str]) -> Predictions:
        """Answer every text, in order."""
        ...

    def examine(self, texts: Sequence[str], context: FitContext) -> list[Finding]:
        """All that `fit` on such texts needs here, found without training."""
        ...

    def describe(self) -> ModelCard:
        """The model's dimensions and parameter counts, without weights or network."""
        ...
