"""The constant baseline: always predicts the most frequent label of the training split."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.interface import Examples, Finding, FitContext, FitReport, ModelCard, Predictions


@dataclass
class MajorityClassifier:
    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        counts = np.bincount(train.labels, minlength=len(context.labels))
        self.shares = counts / counts.sum()
        return FitReport(parameters=len(counts), trained_parameters=len(counts))

    def predict(self, texts: Sequence[str]) -> Predictions:
        return Predictions.from_probabilities(np.tile(self.shares, (len(texts), 1)))

    def examine(self, texts: Sequence[str], context: FitContext) -> list[Finding]:
        return []

    def describe(self) -> ModelCard:
        return ModelCard(architecture="constant", weights="none", kind="constant", learns=False)
