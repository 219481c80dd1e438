"""Soft labels: the probabilities that another model, the teacher, gives to the training texts (knowledge distillation).

See Hinton et al. (2015), https://arxiv.org/abs/1503.02531.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmark.errors import BenchmarkError
from benchmark.files import ROW_READERS, FileRow, read_all_rows
from benchmark.interface import Examples

FILES = ("*.csv", "*.tsv", "*.json", "*.jsonl")
TEACHER_SHARE = 0.5
"""The teacher's share of the target; the rest is the label's."""
TOLERANCE = 1e-3
"""How far the sum of a row's probabilities may be from 1."""


def soft_targets(path: Path, train: Examples, labels: Sequence[str]) -> list[list[float]]:
    """The targets of each training row: the mean of its label and of the teacher's probabilities in the file."""
    hard = np.eye(len(labels))[train.labels]
    targets: list[list[float]] = (
        TEACHER_SHARE * teacher_probabilities(path, train.texts, labels) + (1 - TEACHER_SHARE) * hard
    ).tolist()
    return targets


def teacher_probabilities(path: Path, texts: Sequence[str], labels: Sequence[str]) -> npt.NDArray[np.float64]:
    """The teacher's probabilities, (texts, labels). Raises `BenchmarkError` if the file lacks a text.

    The file has the columns `text` and `p_<label>`. A text that occurs more than once has the mean of its rows.
    """
    given = defaultdict(list)
    for row in _rows(path):
        given[str(row.values.get("text"))].append(_probabilities(row, labels))
    missing = [number for number, text in enumerate(texts, start=1) if text not in given]
    if missing:
        raise BenchmarkError(
            f"{path} has no probabilities for {len(missing):,} of {len(texts):,} training texts, the first of which is "
            f"number {missing[0]:,}.",
            "Write a row with the columns text and p_<label> for each of them.",
        )
    return np.array([np.mean(given[text], axis=0) for text in texts])


def _rows(path: Path) -> list[FileRow]:
    if path.suffix not in ROW_READERS:
        raise BenchmarkError(
            f"model.soft_labels={path} is not a supported file.", f"Give a file that ends in {', '.join(ROW_READERS)}."
        )
    return read_all_rows(path)


def _probabilities(row: FileRow, labels: Sequence[str]) -> list[float]:
    """The probability of each label in a row; raises unless they are from 0 to 1 with the sum 1."""
    try:
        values = [float(row.values[f"p_{label}"]) for label in labels]
    except (KeyError, TypeError, ValueError) as error:
        raise BenchmarkError(
            f"{row.location}: there is no number in each of the columns {', '.join(f'p_{label}' for label in labels)}.",
            "Write the probability of every label there.",
        ) from error
    if not all(0 <= value <= 1 for value in values) or not math.isclose(sum(values), 1, abs_tol=TOLERANCE):
        raise BenchmarkError(
            f"{row.location}: the probabilities of the labels are not from 0 to 1 with the sum 1.",
            "Write probabilities, not scores.",
        )
    return values
