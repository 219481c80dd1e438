"""Predictions made elsewhere, evaluated like other models, from a `.jsonl`, `.json`, `.csv` or `.tsv` file.

The file has one entry per test row. The answer is under `predict` (as in LLaMA-Factory's
`generated_predictions.jsonl`), `prediction` or `predicted`. Probabilities are optional, one `p_<label>` per label. An
id, a prompt and the gold label beside the answer are compared with the test row. Column names are compared as
`normalized_label` writes them.
"""

import re
import reprlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from baselines.label_probabilities import probability_column, read_label_probabilities
from baselines.matching import ID_KEYS, columns_of, match_rows
from benchmark.errors import BenchmarkError
from benchmark.files import ANSWER_KEYS, FileRow, read_all_rows
from benchmark.interface import (
    READS_FILES,
    CheckResult,
    Examples,
    FitContext,
    FitReport,
    ModelCard,
    Predictions,
    Probabilities,
    WeightSource,
    normalized_label,
)

PROBABILITY_COLUMN = r"p_.+|p\d+|.*(prob|logit|softmax|score|confidence).*"
"""Names of columns that hold a probability or score of each label, where they hold several numbers or end in one."""


@dataclass
class ExternalClassifier:
    """Predictions of another program, read from the file `path`.

    An answer that is not a label counts as wrong; a file without any label is refused.
    """

    path: str | None = field(default=None, metadata={READS_FILES: ("*.jsonl", "*.json", "*.csv", "*.tsv")})

    def fit(self, train: Examples, validation: Examples, context: FitContext) -> FitReport:
        self.labels, self.words = context.labels, context.words
        self.rows = self._read()
        return FitReport(WeightSource("external", file=Path(str(self.path)).name), trained_parameters=0)

    def match(self, test: Examples, context: FitContext) -> dict[str, int]:
        for row in self.rows:
            _answer(row, self.labels)
        matched = match_rows(self.rows, test, (self.labels, self.words), str(self.path))
        self.predictions = self._predictions(matched.rows)
        return matched.by

    def predict(self, texts: Sequence[str]) -> Predictions:
        return self.predictions

    def examine(self, texts: Sequence[str], context: FitContext) -> list[CheckResult]:
        try:
            rows = len(self._read())
        except BenchmarkError as error:
            return [CheckResult.from_error("answers", error)]
        return [CheckResult("answers", f"{rows:,} in {self.path}")]

    def describe(self) -> ModelCard:
        return ModelCard(architecture="made elsewhere", weights="unknown", kind="external", computed_here=False)

    def _read(self) -> list[FileRow]:
        if self.path is None:
            raise BenchmarkError("model=external needs a file of predictions.", "Set model.path=FILE.")
        return [replace(row, values=_flattened(row)) for row in read_all_rows(Path(self.path))]

    def _predictions(self, rows: list[FileRow]) -> Predictions:
        answers = tuple(_answer(row, self.labels) for row in rows)
        predictions = Predictions.from_answers(answers, self.labels, self.words)
        if (predictions.predicted < 0).all():
            raise BenchmarkError(
                f"{self.path}: none of the {len(answers):,} answers is a label (first: {reprlib.repr(answers[0])}).",
                f"Write only the names of labels, not ids: {', '.join(self.labels)}.",
            )
        if not _have_probabilities(rows, self.labels):
            return predictions
        stated = [np.asarray(read_label_probabilities(row, self.labels), np.float32) for row in rows]
        for row, predicted, probabilities in zip(rows, predictions.predicted, stated, strict=True):
            _check_answer(row, int(predicted), probabilities, self.labels)
        return replace(predictions, probabilities=np.stack(stated))


def _flattened(row: FileRow) -> dict[str, Any]:
    """The values of a row, named by `_flat`; raises if two different values have one name."""
    values: dict[str, Any] = {}
    for name, value in _flat(row.values):
        if name in values and values[name] != value:
            raise BenchmarkError(
                f"{row.location}: {name!r} has two values, {reprlib.repr(values[name])} and {reprlib.repr(value)}.",
                "Keep one of them.",
            )
        values[name] = value
    return values


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values with normalised names; nested values are named like `doc.text` and `messages.0.content`."""
    for name, value in values.items():
        if isinstance(value, list | dict) and value:
            inner = dict(enumerate(value)) if isinstance(value, list) else value
            yield from _flat({str(key): item for key, item in inner.items()}, f"{prefix}{normalized_label(name)}.")
        else:
            yield f"{prefix}{normalized_label(name)}", value


def _answer(row: FileRow, labels: Sequence[str]) -> str:
    """The answer as written. A number is an answer only if it is the name of a label."""
    values = [row.values.get(key) for key in ANSWER_KEYS]
    answers = [value for value in values if isinstance(value, str)]
    if len({normalized_label(answer) for answer in answers}) > 1:
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
    fix = f"Write the answer under '{ANSWER_KEYS[0]}'."
    if any(key in row.values for key in ANSWER_KEYS):  # its value is null
        fix = "Write the answer, or '' if the model gave none, which counts as wrong."
    raise BenchmarkError(f"{row.location} has no answer{gold}.", fix)


def _have_probabilities(rows: Sequence[FileRow], labels: Sequence[str]) -> bool:
    """Whether there are columns p_<label>; raises for another column that may hold probabilities."""
    known = set(map(probability_column, labels))
    columns = columns_of(rows)
    names_a_label = re.compile(
        rf"(.*[\W_])?({'|'.join(re.escape(normalized_label(label)) for label in labels)})([\W_].*)?"
    )
    for key in (column for column in columns if column not in (*known, *ID_KEYS)):  # a label may be in "unnamed: 0"
        named = names_a_label.fullmatch(key) is not None
        row = next((row for row in rows if _may_be_probability(key, row.values.get(key), named)), None)
        if row is not None:
            raise BenchmarkError(
                f"{row.location}: the column {key!r} holds {reprlib.repr(row.values[key])} and is not read.",
                "If it holds probabilities, write those of all labels under p_<label>; otherwise rename or remove it.",
            )
    return bool(known & set(columns))


def _may_be_probability(key: str, value: Any, names_a_label: bool) -> bool:
    """Whether the value of a column that is not p_<label> may be a probability, or a list of probabilities."""
    if isinstance(value, str) and value.strip().startswith(("[", "{")):
        return re.fullmatch(PROBABILITY_COLUMN, key) is not None
    with suppress(TypeError, ValueError):
        float(value)
        return names_a_label or re.fullmatch(rf"({PROBABILITY_COLUMN})\d+|p_.+", key) is not None
    return False


def _check_answer(row: FileRow, predicted: int, probabilities: Probabilities, labels: Sequence[str]) -> None:
    """Raise if another label than the answer is the most probable one."""
    most = int(probabilities.argmax())
    if predicted >= 0 and probabilities[predicted] < probabilities[most]:
        raise BenchmarkError(
            f"{row.location}: the answer is {labels[predicted]!r}, but the most probable label is {labels[most]!r}.",
            "Check which label each p_<label> belongs to.",
        )
