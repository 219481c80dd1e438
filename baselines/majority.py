"""The constant baseline: always predicts the most frequent label of the training split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baselines.arrays import read_arrays, save_arrays
from benchmark.interface import CheckResult, Examples, FitContext, FitReport, ModelCard, Predictions


@dataclass
class MajorityClassifier:
    """Constant prediction of the most frequent label, with the shares of the training labels as probabilities."""

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        counts = np.bincount(train.labels, minlength=len(context.labels))
        self.shares = counts / counts.sum()
        saved = save_arrays(context.model_dir, shares=self.shares)
        return FitReport(parameters=len(counts), trained_parameters=len(counts), saved_sha256=saved)

    def restore(self, folder: Path, context: FitContext) -> FitReport:
        (self.shares,), saved = read_arrays(folder, "shares")
        return FitReport(saved_sha256=saved)

    def predict(self, texts: Sequence[str]) -> Predictions:
        return Predictions.from_probabilities(np.tile(self.shares, (len(texts), 1)))

    def examine(self, texts: Sequence[str], context: FitContext) -> list[CheckResult]:
        return []

    def describe(self) -> ModelCard:
        return ModelCard(architecture="constant", weights="none", kind="constant", learns=False)
