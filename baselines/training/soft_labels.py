"""Soft labels: the probabilities that another model, the teacher, gives to the training texts (knowledge distillation).

See Hinton et al. (2015), https://arxiv.org/abs/1503.02531.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from baselines.label_probabilities import read_label_probabilities
from benchmark.errors import BenchmarkError
from benchmark.files import read_all_rows
from benchmark.interface import Examples, normalized_label

FILES = ("*.csv", "*.tsv", "*.json", "*.jsonl")
TEACHER_SHARE = 0.5
"""The teacher's share of the target; the rest is the label's."""


def soft_targets(path: Path, train: Examples, labels: Sequence[str]) -> list[list[float]]:
    """The targets of each training row: the mean of its label and of the teacher's probabilities in the file."""
    hard = np.eye(len(labels))[train.labels]
    targets: list[list[float]] = (
        TEACHER_SHARE * teacher_probabilities(path, train.texts, labels) + (1 - TEACHER_SHARE) * hard
    ).tolist()
    return targets


def teacher_probabilities(path: Path, texts: Sequence[str], labels: Sequence[str]) -> npt.NDArray[np.float64]:
    """The teacher's probabilities, (texts, labels). Raises `BenchmarkError` if the file lacks a text.

    The file has the columns `text` and `p_<label>`, compared as `normalized_label` writes them. A text that occurs
    more than once has the mean of its rows.
    """
    given = defaultdict(list)
    for row in read_all_rows(path):
        text = {normalized_label(column): value for column, value in row.values.items()}.get("text")
        if text is None:
            raise BenchmarkError(
                f"{row.location} has no text; its columns are {', '.join(row.columns)}.",
                "Write the training text in the column text.",
            )
        if not isinstance(text, str):
            raise BenchmarkError(f"{row.location}: the text is of type {type(text).__name__}.", "Write it as a string.")
        given[text].append(read_label_probabilities(row, labels))
    missing = [number for number, text in enumerate(texts, start=1) if text not in given]
    if missing:
        raise BenchmarkError(
            f"{path} has no probabilities for {len(missing):,} of {len(texts):,} training texts, the first of which is "
            f"number {missing[0]:,}.",
            "Write a row with the columns text and p_<label> for each of them.",
        )
    return np.array([np.mean(given[text], axis=0) for text in texts])
