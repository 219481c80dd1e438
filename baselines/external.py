"""Predictions made elsewhere, evaluated like those of any other model, from a `.jsonl`, `.json` or `.csv` file.

The file has one entry per test row, in the official order. The answer is under `predict` (as in LLaMA-Factory's
`generated_predictions.jsonl`), `prediction`, `predicted` or `output`. Probabilities are optional, one `p_<label>` per
label. So is `id`, the id of the test row (the first is `test-0`), which protects against shuffled files.
"""

import csv
import io
import json
import re
import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import BenchmarkError
from benchmark.interface import (
    READS_FILES,
    Examples,
    Finding,
    FitContext,
    FitReport,
    ModelCard,
    Predictions,
    Probabilities,
    WeightSource,
)

ANSWER_KEYS = ("predict", "prediction", "predicted", "output")
PARSERS: dict[str, Callable[[str], Any]] = {
    ".jsonl": lambda text: [json.loads(line) for line in text.split("\n") if line.strip()],
    ".json": json.loads,
    ".csv": lambda text: list(csv.DictReader(io.StringIO(text, newline=""), strict=True)),
}


@dataclass
class ExternalClassifier:
    """The answers in the file `path`. One that is not a label counts as wrong; a file without labels is refused."""

    path: str | None = field(default=None, metadata={READS_FILES: ("*.jsonl", "*.json", "*.csv")})

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        self.labels = context.labels
        self.rows = _read(self._file())
        return FitReport(WeightSource("external", file=self._file().name), trained_parameters=0)

    def predict(self, texts: Sequence[str]) -> Predictions:
        if len(self.rows) != len(texts):
            raise BenchmarkError(
                f"{self.path} has {len(self.rows)} predictions for {len(texts)} test rows.",
                "Give one per test row, in the same order.",
            )
        _check_ids(self.rows, str(self.path))
        answers = tuple(_answer(row, f"{self.path}, row {number}") for number, row in enumerate(self.rows, start=1))
        predictions = Predictions.from_answers(answers, self.labels)
        if (predictions.predicted < 0).all():
            raise BenchmarkError(
                f"{self.path}: none of the {len(answers):,} answers is a label (first: {reprlib.repr(answers[0])}).",
                f"Write only the names of labels, not ids: {', '.join(self.labels)}.",
            )
        if all(f"p_{label}" in self.rows[0] for label in self.labels):
            return replace(predictions, probabilities=self._stated_probabilities())
        return predictions

    def examine(self, texts: Sequence[str], context: FitContext) -> list[Finding]:
        try:
            rows = len(_read(self._file()))
        except BenchmarkError as error:
            return [Finding.from_error("answers", error)]
        return [Finding("answers", f"{rows:,} in {self.path}; compared with the test rows when the run evaluates them")]

    def describe(self) -> ModelCard:
        return ModelCard(architecture="made elsewhere", weights="unknown", kind="external", computed_here=False)

    def _file(self) -> Path:
        if self.path is None:
            raise BenchmarkError("model=external needs a file of predictions.", "Set model.path=FILE.")
        return Path(self.path)

    def _stated_probabilities(self) -> Probabilities:
        try:
            return np.array([[float(row[f"p_{label}"]) for label in self.labels] for row in self.rows], np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise BenchmarkError(
                f"{self.path}: p_<label> is missing from a row or not a number ({error}).",
                "Give these numbers for every row, or for none.",
            ) from error


def _read(path: Path) -> list[dict[str, Any]]:
    if path.suffix not in PARSERS:
        raise BenchmarkError(f"model.path={path} is not a supported file.", "Give a .jsonl, .json or .csv file.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"model.path={path} cannot be read ({error}).", "Give a UTF-8 file.") from error
    try:
        rows = PARSERS[path.suffix](text)
    except (ValueError, RecursionError, csv.Error) as error:
        raise BenchmarkError(f"{path} is malformed ({error}).", "Export it again.") from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise BenchmarkError(f"{path} is not a list of objects.", "Write one object with an answer per test row.")
    return rows


def _check_ids(rows: list[dict[str, Any]], path: str) -> None:
    """Raise for an id that occurs twice, and for the id of another test row; other ids have no meaning here."""
    first_seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        identifier, expected = str(row.get("id")), f"test-{number - 1}"
        problem = f"{path}, row {number}: the id {reprlib.repr(identifier)}"
        if row.get("id") is not None and (earlier := first_seen.setdefault(identifier, number)) != number:
            raise BenchmarkError(f"{problem} is also that of row {earlier}.", "Give one answer per test row.")
        if re.fullmatch(r"test-\d+", identifier) and identifier != expected:
            fix = "Sort the rows in the order of the test split, counted from test-0."
            raise BenchmarkError(f"{problem} should be {expected!r}.", fix)


def _answer(row: dict[str, Any], place: str) -> str:
    values = [row.get(key) for key in ANSWER_KEYS]
    given = [value for value in values if type(value) in (str, int)]  # numbers are not labels, but named in the error
    if answers := [value for value in given if isinstance(value, str)] or given:
        return str(answers[0])
    raise BenchmarkError(f"{place} has no answer.", f"Write a label under '{ANSWER_KEYS[0]}'.")
