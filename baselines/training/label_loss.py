"""The loss over labels, with the weights and the smoothing of the recipe."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from baselines.packed.sample import Sample
from benchmark.interface import Examples, Recipe


@dataclass(frozen=True)
class LabelLoss:
    """The loss of a classification head: cross-entropy, weighted by label and smoothed if the recipe says so."""

    weights: tuple[float, ...] | None
    smoothing: float

    @classmethod
    def from_recipe(cls, recipe: Recipe, train: Examples, n_labels: int) -> "LabelLoss":
        """The loss of the recipe; its weights are scikit-learn's `balanced`, and 1 for labels without training rows.

        The mean weight of the training rows is 1 if each label has rows.
        """
        if recipe.class_weights is None:
            return cls(None, recipe.label_smoothing)
        rows = np.bincount(train.labels, minlength=n_labels)
        weights = np.divide(len(train), n_labels * rows, out=np.ones(n_labels), where=rows > 0)
        return cls(tuple(weights.tolist()), recipe.label_smoothing)

    def __call__(self, logits: torch.Tensor, samples: Sequence[Sample]) -> torch.Tensor:
        """The sum over the samples; `logits` are (samples, labels). The samples all have soft targets, or none has."""
        targets = [sample.targets[0] if sample.soft is None else sample.soft for sample in samples]
        labels = torch.tensor(targets, device=logits.device)  # label ids, or probabilities
        weights = None if self.weights is None else logits.new_tensor(self.weights)
        return functional.cross_entropy(logits, labels, weights, reduction="sum", label_smoothing=self.smoothing)
