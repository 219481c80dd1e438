"""What models read and return: texts with their labels, and predictions."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.errors import BenchmarkError

LabelIds = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float32]

NO_LABEL = -1
"""Predicted id of a generated answer that is none of the labels; it counts as wrong."""

LOWER_RATE = "Lower recipe.learning_rate or raise the precision."
"""What to do about a fine-tuning that diverged."""


def normalized_label(name: str) -> str:
    """A label name in the form in which names are compared: NFC, lower case, no surrounding space."""
    return unicodedata.normalize("NFC", name).strip().lower()


@dataclass(frozen=True)
class Examples:
    """The rows of one split: `ids`, `texts` and `labels` have one entry per row, in the official order."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: LabelIds  # (rows,)

    def __len__(self) -> int:
        return len(self.texts)


NO_EXAMPLES = Examples((), (), np.array([], dtype=np.int64))


@dataclass(frozen=True)
class Predictions:
    """Answers in the order of the texts.

    `generated` holds the raw answers of a model that writes freely. An answer that is none of the labels has the id
    `NO_LABEL`. `other_scores` maps the name of another way to score the labels to the label ids that it predicts.
    """

    probabilities: Probabilities  # (rows, labels); each row sums to 1
    predicted: LabelIds  # (rows,)
    generated: tuple[str, ...] | None = None
    truncated_texts: int = 0  # texts cut to recipe.max_length
    other_scores: Mapping[str, LabelIds] = field(default_factory=dict)

    @classmethod
    def from_probabilities(cls, probabilities: npt.NDArray[np.floating[Any]]) -> "Predictions":
        """Predict the most probable label of each row; ties go to the lower id."""
        stored = probabilities.astype(np.float32)
        return cls(stored, stored.argmax(axis=1).astype(np.int64))

    @classmethod
    def from_answers(cls, answers: Sequence[str], labels: Sequence[str], words: Sequence[str] = ()) -> "Predictions":
        """Match free answers with the names of labels, or their words, ignoring case and surrounding space.

        A matched label gets probability 1. Where no label matches, all labels get the same probability.
        """
        ids = {normalized_label(name): index for names in (labels, words) for index, name in enumerate(names)}
        predicted = np.array([ids.get(normalized_label(answer), NO_LABEL) for answer in answers], dtype=np.int64)
        probabilities = np.eye(len(labels), dtype=np.float32)[predicted]
        probabilities[predicted == NO_LABEL] = 1 / len(labels)
        return cls(probabilities, predicted, tuple(answers))

    @property
    def has_confidences(self) -> bool:
        """Whether the probabilities are confidences: free answers have probability 1 instead."""
        return self.generated is None or bool((self.probabilities[self.predicted != NO_LABEL].max(axis=1) < 1).any())

    def check(
        self, rows: int, n_labels: int, name_of: Callable[[int], str] = "row {}".format, fix: str | None = None
    ) -> None:
        """Raise `BenchmarkError` for a wrong shape, NaN, or rows that are not a distribution.

        `name_of` gives the name of a row by its index, and `fix` says what to do if the row has NaN.
        """
        if self.probabilities.shape != (rows, n_labels) or self.predicted.shape != (rows,):
            raise BenchmarkError(
                f"The model returned probabilities {self.probabilities.shape} and labels {self.predicted.shape} "
                f"for {rows} texts and {n_labels} labels.",
                f"Return ({rows}, {n_labels}) and ({rows},).",
            )
        check_distributions(self.probabilities, name_of, fix or "Return finite probabilities.")
        lowest = NO_LABEL if self.generated is not None else 0
        if rows and not (lowest <= self.predicted.min() and self.predicted.max() < n_labels):
            raise BenchmarkError(f"The model predicted a label id outside 0..{n_labels - 1}.", "Return ids of labels.")


def check_distributions(
    probabilities: Probabilities, name_of: Callable[[int], str] = "row {}".format, fix: str = "Pass finite numbers."
) -> None:
    """Raise `BenchmarkError` that names the first row with NaN or infinity, a negative value or a sum other than 1.

    `name_of` gives the name of a row by its index, and `fix` says what to do about NaN and infinity.
    """
    with np.errstate(invalid="ignore"):  # infinity - infinity
        sums = probabilities.sum(axis=1, dtype=np.float64)
    for valid, problem, remedy in (
        (np.isfinite(probabilities).all(axis=1), "are not finite", fix),
        ((probabilities >= 0).all(axis=1), "contain a negative value", "Apply softmax to logits."),
        (np.abs(sums - 1) <= 1e-3, "have the sum {:g}", "Apply softmax to logits, or divide the values by their sum."),
    ):
        if not valid.all():
            row = int(np.argmin(valid))
            raise BenchmarkError(f"The probabilities of {name_of(row)} {problem.format(sums[row])}.", remedy)
