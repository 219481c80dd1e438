"""Choose rows of a split: a validation split from training rows, or a limited number of rows."""

from collections import Counter

import numpy as np
import numpy.typing as npt

from benchmark.dataset_config import RowChoice
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples

SEED = 0  # fixed, so that all runs on a data set use the same rows


def choose(examples: Examples, rows: int, choice: RowChoice) -> Examples:
    """Choose rows of a split and return them in its order; all of them if it has no more.

    `stratified` keeps the proportions of the labels. `balanced` takes the same number of rows of each label, until a
    label has no more. Every label has a row if there are at least as many `rows` as labels. A smaller draw is a subset
    of every larger one.
    """
    if rows >= len(examples):
        return examples
    if choice is RowChoice.first:
        return first_rows(examples, rows)
    return select(examples, np.sort(_by_label(examples, choice is RowChoice.balanced)[:rows]))


def first_rows(examples: Examples, rows: int) -> Examples:
    """The first rows of a split."""
    return select(examples, np.arange(min(rows, len(examples))))


def split_off_validation(train: Examples, share: float) -> tuple[Examples, Examples]:
    """Split `train` into a training and a validation split.

    The latter gets `share` of each label, at least one row, but never the last row of a label.
    """
    generator = np.random.default_rng(SEED)
    chosen: list[int] = []
    for label in np.unique(train.labels):
        rows = np.flatnonzero(train.labels == label)
        taken = min(max(1, round(share * len(rows))), len(rows) - 1)
        chosen += generator.permutation(rows)[:taken].tolist()
    if not chosen:
        raise BenchmarkError(
            "There is no validation split, and the training split is too small to set rows aside for it.",
            "Add a validation split or more training rows.",
        )
    mask = np.zeros(len(train), dtype=bool)
    mask[chosen] = True
    return select(train, np.flatnonzero(~mask)), select(train, np.flatnonzero(mask))


def select(examples: Examples, rows: npt.NDArray[np.int64]) -> Examples:
    """The rows of a split at these places."""
    return Examples(
        tuple(examples.ids[row] for row in rows), tuple(examples.texts[row] for row in rows), examples.labels[rows]
    )


def _by_label(examples: Examples, balanced: bool) -> npt.NDArray[np.int64]:
    """The places of all rows, in an order whose every beginning is stratified or balanced.

    Rows are sorted by their rank among the rows of their label. A stratified rank is a share of the rows of the label,
    so that labels alternate in their proportions. The most frequent labels come first.
    """
    shuffled = np.random.default_rng(SEED).permutation(len(examples))
    labels = examples.labels[shuffled]
    counts = np.bincount(labels)
    seen: Counter[int] = Counter()
    ranks = np.empty(len(labels))
    for place, label in enumerate(labels.tolist()):
        ranks[place] = seen[label] / (1 if balanced else counts[label])
        seen[label] += 1
    return shuffled[np.lexsort((labels, -counts[labels], ranks))]
