"""Predictions made elsewhere, evaluated like those of any other model, from a `.jsonl`, `.json` or `.csv` file.

The file has one entry per test row. The answer is under `predict` (as in LLaMA-Factory's
`generated_predictions.jsonl`), `prediction` or `predicted`. Probabilities are optional, one `p_<label>` per label. An
id, a prompt and the gold label beside the answer are compared with the test row.
"""

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from baselines.alignment import match_rows
from benchmark.errors import BenchmarkError
from benchmark.files import ROW_READERS, FileRow, read_rows
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
    one_form,
)

ANSWER_KEYS = ("predict", "prediction", "predicted")


@dataclass
class ExternalClassifier:
    """The answers in the file `path`. One that is not a label counts as wrong; a file without labels is refused."""

    path: str | None = field(default=None, metadata={READS_FILES: ("*.jsonl", "*.json", "*.csv")})

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        self.labels, self.words = context.labels, context.words
        self.rows = self._read()
        return FitReport(WeightSource("external", file=Path(str(self.path)).name), trained_parameters=0)

    def match(self, test: Examples, context: FitContext) -> dict[str, int]:
        for row in self.rows:
            _answer(row, self.labels)
        matched = match_rows(self.rows, test, (self.labels, self.words), str(self.path))
        self.rows = matched.rows
        return matched.by

    def predict(self, texts: Sequence[str]) -> Predictions:
        answers = tuple(_answer(row, self.labels) for row in self.rows)
        predictions = Predictions.from_answers(answers, self.labels, self.words)
        if (predictions.predicted < 0).all():
            raise BenchmarkError(
                f"{self.path}: none of the {len(answers):,} answers is a label (first: {reprlib.repr(answers[0])}).",
                f"Write only the names of labels, not ids: {', '.join(self.labels)}.",
            )
        if any(f"p_{label}" in self.rows[0].values for label in self.labels):
            stated = [_probabilities(row, self.labels) for row in self.rows]
            for row, predicted, probabilities in zip(self.rows, predictions.predicted, stated, strict=True):
                _check_answer(row, int(predicted), probabilities, self.labels)
            return replace(predictions, probabilities=np.stack(stated))
        return predictions

    def examine(self, texts: Sequence[str], context: FitContext) -> list[Finding]:
        try:
            rows = len(self._read())
        except BenchmarkError as error:
            return [Finding.from_error("answers", error)]
        return [Finding("answers", f"{rows:,} in {self.path}")]

    def describe(self) -> ModelCard:
        return ModelCard(architecture="made elsewhere", weights="unknown", kind="external", computed_here=False)

    def _read(self) -> list[FileRow]:
        if self.path is None:
            raise BenchmarkError("model=external needs a file of predictions.", "Set model.path=FILE.")
        path = Path(self.path)
        if path.suffix not in ROW_READERS:
            raise BenchmarkError(f"model.path={path} is not a supported file.", "Give a .jsonl, .json or .csv file.")
        rows = list(read_rows(path))
        if not rows:
            raise BenchmarkError(f"{path} has no rows.", "Write one object with an answer per test row.")
        for row in rows:
            if len(set(row.columns)) < len(row.columns):
                raise BenchmarkError(f"{row.columns_at}: a column occurs more than once.", "Keep one of them.")
        return rows


def _answer(row: FileRow, labels: Sequence[str]) -> str:
    """The answer as written. A number is an answer only if it is the name of a label."""
    values = [row.values.get(key) for key in ANSWER_KEYS]
    answers = [value for value in values if isinstance(value, str)]
    if len({one_form(answer) for answer in answers}) > 1:
        raise BenchmarkError(
            f"{row.location} has several answers: {', '.join(map(reprlib.repr, answers))}.",
            f"Write one, under '{ANSWER_KEYS[0]}'.",
        )
    if answers:
        return answers[0]
    numbers = [value for value in values if value is not None and not isinstance(value, list | dict)]
    if numbers and str(numbers[0]) in labels:
        return str(numbers[0])
    if numbers:
        raise BenchmarkError(
            f"{row.location}: the answer is {numbers[0]!r}.", f"Write the name of a label: {', '.join(labels)}."
        )
    gold = " ('output' holds the gold label, as in a file of instructions)" if "output" in row.values else ""
    raise BenchmarkError(f"{row.location} has no answer{gold}.", f"Write the answer under '{ANSWER_KEYS[0]}'.")


def _probabilities(row: FileRow, labels: Sequence[str]) -> Probabilities:
    """The row's probabilities; rounded ones are divided by their sum."""
    columns = [f"p_{label}" for label in labels]
    try:
        values = np.array([float(row.values[column]) for column in columns])
    except KeyError as error:
        raise BenchmarkError(f"{row.location} has no {error.args[0]}.", "Give every p_<label>, or none.") from error
    except (TypeError, ValueError) as error:
        raise BenchmarkError(f"{row.location}: p_<label> is not a number ({error}).", "Correct it.") from error
    total, rounding = values.sum(), 0.005 * len(labels)  # two decimals
    if not (np.isfinite(values).all() and (values >= 0).all() and abs(total - 1) <= rounding + 1e-9):
        raise BenchmarkError(
            f"{row.location}: the probabilities are {', '.join(f'{value:g}' for value in values)} with the sum "
            f"{total:g}.",
            "Write numbers from 0 to 1 whose sum is 1, for example divided by their sum.",
        )
    return np.asarray(values / total, np.float32)


def _check_answer(row: FileRow, predicted: int, probabilities: Probabilities, labels: Sequence[str]) -> None:
    """Raise if another label than the answer is the most probable one."""
    most = int(probabilities.argmax())
    if predicted >= 0 and probabilities[predicted] < probabilities[most]:
        raise BenchmarkError(
            f"{row.location}: the answer is {labels[predicted]!r}, but the most probable label is {labels[most]!r}.",
            "Check which label each p_<label> belongs to.",
        )
