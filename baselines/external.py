"""Predictions made elsewhere, scored by the same evaluator: a `.jsonl`, `.json` or `.csv` file.

One entry a test row, in the official order. The answer stands under `predict` (as LLaMA-Factory's
`generated_predictions.jsonl` has it), `prediction`, `predicted` or `output`; probabilities, where
there are any, under one `p_<label>` each. An `id`, where there is one, is that of the test row
(`test-0` the first), so that a shuffled file is not scored against the wrong rows.
"""

import csv
import io
import json
import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, Finding, FitContext, FitReport, ModelCard, Predictions, Probabilities

ANSWER_KEYS = ("predict", "prediction", "predicted", "output")


@dataclass
class ExternalClassifier:
    """Answers from `path`; one that is no label, stripped and in lower case, counts as wrong, but not all of them."""

    path: str | None = None

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        self.labels = context.labels
        self.rows = _read(self._file())
        return FitReport(weights={"source": "external", "file": self._file().name}, trained_parameters=0)

    def predict(self, texts: Sequence[str]) -> Predictions:
        if len(self.rows) != len(texts):
            raise BenchmarkError(
                f"{self.path} has {len(self.rows)} predictions for {len(texts)} test rows; give one each, in order."
            )
        _check_ids(self.rows, str(self.path))
        answers = tuple(_answer(row, f"{self.path}, row {number}") for number, row in enumerate(self.rows, start=1))
        predictions = Predictions.from_answers(answers, self.labels)
        if (predictions.predicted < 0).all():
            raise BenchmarkError(
                f"{self.path}: none of the {len(answers):,} answers is a label (first: {reprlib.repr(answers[0])}); "
                f"write the labels' names alone, not ids: {', '.join(self.labels)}."
            )
        if all(f"p_{label}" in self.rows[0] for label in self.labels):
            return replace(predictions, probabilities=self._stated_probabilities())
        return predictions

    def examine(self, texts: Sequence[str], context: FitContext) -> list[Finding]:
        try:
            found = f"{len(_read(self._file())):,} in {self.path}; whether they fit the test rows is seen when scored"
            return [Finding("answers", found)]
        except BenchmarkError as error:
            return [Finding.stopping("answers", str(error))]

    def describe(self) -> ModelCard:
        return ModelCard(architecture="made elsewhere", weights="unknown")

    def _file(self) -> Path:
        if self.path is None:
            raise BenchmarkError("model=external needs a file of predictions; set model.path=FILE.")
        return Path(self.path)

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
            rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        elif path.suffix == ".jsonl":
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        elif path.suffix == ".json":
            rows = json.loads(text)
        else:
            raise BenchmarkError(f"model.path={path} must end in .jsonl, .json or .csv.")
    except (ValueError, RecursionError, csv.Error) as error:
        raise BenchmarkError(f"{path} is malformed ({error}); export it again.") from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise BenchmarkError(f"{path} must hold one object with an answer for each test row.")
    return rows


def _check_ids(rows: list[dict[str, Any]], path: str) -> None:
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        if row.get("id") is None:
            continue
        identifier = str(row["id"])
        if (earlier := seen.setdefault(identifier, number)) != number:
            raise BenchmarkError(
                f"{path}, row {number} has the id {reprlib.repr(identifier)} of row {earlier}; "
                "give each test row one answer."
            )
        if re.fullmatch(r"test-\d+", identifier) and identifier != f"test-{number - 1}":
            raise BenchmarkError(
                f"{path}, row {number} has the id {reprlib.repr(identifier)} where 'test-{number - 1}' belongs; "
                "sort the rows into the order of the test split, counted from test-0."
            )


def _answer(row: dict[str, Any], place: str) -> str:
    given = [row[key] for key in ANSWER_KEYS if type(row.get(key)) in (str, int)]  # a number is no label and is told so
    if answers := [answer for answer in given if isinstance(answer, str)] or given:
        return str(answers[0])
    raise BenchmarkError(f"{place} has no answer; write a label under '{ANSWER_KEYS[0]}'.")
