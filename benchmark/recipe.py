"""How a model is fine-tuned."""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from benchmark.errors import check_option

ADDED_LATER = "added_later"
"""Key in the metadata of a dataclass field that records leave out while it has its default.

A field that is added with `metadata={ADDED_LATER: True}` changes no digest of earlier runs.
"""


class Optimizer(StrEnum):
    """The optimiser of training."""

    adamw = "adamw"
    adafactor = "adafactor"


class Schedule(StrEnum):
    """How the learning rate changes after the warm-up."""

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
        valid = self.patience is None or keeps_best
        check_option("recipe.patience", self.patience, valid, "Set recipe.keep=best too, or leave it out.")
