"""Predictions made elsewhere, scored by the same evaluator: a `.jsonl`, `.json` or `.csv` file.

One entry a test row, in the official order. The answer stands under `predict` (as LLaMA-Factory's
`generated_predictions.jsonl` has it), `prediction`, `predicted` or `output`; probabilities, where
there are any, under one `p_<label>` each.
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.classifier import BenchmarkError, Examples, FitContext, FitReport, ModelCard, Predictions, Probabilities

ANSWER_KEYS = ("predict", "prediction", "predicted", "output")


@dataclass
class ExternalClassifier:
    """Answers from `path`; an answer that is no label, stripped and in lower case, counts as wrong."""

    path: str | None = None

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        if self.path is None:
            raise BenchmarkError("model=external needs a file of predictions; set model.path=FILE.")
        self.labels = context.labels
        self.rows = _read(Path(self.path))
        return FitReport(weights={"source": "external", "file": Path(self.path).name})

    def predict(self, texts: Sequence[str]) -> Predictions:
        if len(self.rows) != len(texts):
            raise BenchmarkError(
                f"{self.path} has {len(self.rows)} predictions for {len(texts)} test rows; give one each, in order."
            )
        answers = tuple(_answer(row, f"{self.path}, row {number}") for number, row in enumerate(self.rows, start=1))
        predictions = Predictions.from_answers(answers, self.labels)
        if all(f"p_{label}" in self.rows[0] for label in self.labels):
            return replace(predictions, probabilities=self._stated_probabilities())
        return predictions

    def describe(self) -> ModelCard:
        return ModelCard(architecture="made elsewhere", weights="unknown")

    def _stated_probabilities(self) -> Probabilities:
        try:
            return np.array([[float(row[f"p_{label}"]) for label in self.labels] for row in self.rows], np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise BenchmarkError(f"{self.path}: every row needs p_<label> numbers, or none ({error}).") from error


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(
            f"model.path={path} cannot be read ({error}); give a UTF-8 file of predictions."
        ) from error
    rows: Any
    try:
        if path.suffix == ".csv":
            rows = list(csv.DictReader(text.splitlines(), strict=True))
        elif path.suffix == ".jsonl":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        elif path.suffix == ".json":
            rows = json.loads(text)
        else:
            raise BenchmarkError(f"model.path={path} must end in .jsonl, .json or .csv.")
    except (ValueError, csv.Error) as error:
        raise BenchmarkError(f"{path} is malformed ({error}); export it again.") from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise BenchmarkError(f"{path} must hold one object with an answer for each test row.")
    return rows


def _answer(row: dict[str, Any], place: str) -> str:
    for key in ANSWER_KEYS:
        if isinstance(answer := row.get(key), str):
            return answer
    raise BenchmarkError(f"{place} has no answer; write a label under '{ANSWER_KEYS[0]}'.")
