"""Load a data set: read it, check it, complete it and report on it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmark.config import DatasetConfig
from benchmark.data.checks import check_hash, describe_split, find_overlap, find_repeats, to_examples
from benchmark.data.folder import read_folder
from benchmark.data.hub import read_hub
from benchmark.data.report import DataReport
from benchmark.data.rows import RawSplits
from benchmark.data.synthetic import best_possible_accuracy, generate_splits
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples

VALIDATION_SEED = 0  # fixed, so that all runs on a data set have the same validation rows
OVERLAPS = (("test", "train"), ("validation", "train"), ("validation", "test"))


@dataclass(frozen=True)
class Splits:
    """A checked data set."""

    train: Examples
    validation: Examples
    test: Examples
    report: DataReport


def load(config: DatasetConfig) -> Splits:
    """Load a data set. Raises `BenchmarkError` at the first problem.

    The content hashes are checked before rows are set aside for validation or left out.
    """
    raw = _read(config)
    splits = {name: to_examples(name, rows, config.labels) for name, rows in raw.rows.items()}
    for name, examples in splits.items():
        check_hash(name, examples, config, raw.source)
    notes = []
    if config.synthetic is not None:
        best = best_possible_accuracy(config.synthetic)
        share = config.synthetic.flipped_share
        notes.append(f"{share:.0%} of the labels are wrong on purpose: the best possible accuracy is {best:.4f}.")
    carved_rows = 0
    if "validation" not in splits:
        splits["train"], splits["validation"] = _set_aside(splits["train"], config.validation_share)
        carved_rows = len(splits["validation"])
        notes.append(
            f"No validation split: {carved_rows} training rows are set aside for it, "
            f"stratified by label (share {config.validation_share}, seed {VALIDATION_SEED})."
        )
    for name, rows in (("train", config.train_rows), ("test", config.test_rows)):
        if rows is not None and rows < len(splits[name]):
            notes.append(f"Only the first {rows} of {len(splits[name])} {name} rows are used.")
            splits[name] = first(splits[name], rows)
    repeated, conflicting = find_repeats(splits["train"])
    report = DataReport(
        route=raw.source,
        splits={name: describe_split(examples, config.labels) for name, examples in splits.items()},
        repeated_train_ids=repeated,
        conflicting_train_ids=conflicting,
        overlaps=[find_overlap(splits, of, within) for of, within in OVERLAPS],
        notes=notes,
        carved_rows=carved_rows,
    )
    return Splits(splits["train"], splits["validation"], splits["test"], report)


def first(examples: Examples, rows: int) -> Examples:
    """The first `rows` rows."""
    return _select(examples, np.arange(rows))


def _read(config: DatasetConfig) -> RawSplits:
    if config.synthetic is not None:
        return generate_splits(config.synthetic, config.labels)
    if config.path is not None:
        return read_folder(config, Path(config.path))
    if config.hub is not None:
        return read_hub(config, config.hub)
    raise BenchmarkError(f"Data set {config.name} has no source.", "Set dataset.path to a folder with its splits.")


def _set_aside(train: Examples, share: float) -> tuple[Examples, Examples]:
    """Split `train` into a training and a validation split; the latter gets `share` of each label, at least one row."""
    generator = np.random.default_rng(VALIDATION_SEED)
    chosen: list[int] = []
    for label in np.unique(train.labels):
        rows = np.flatnonzero(train.labels == label)
        chosen += generator.permutation(rows)[: max(1, round(share * len(rows)))].tolist()
    mask = np.zeros(len(train), dtype=bool)
    mask[chosen] = True
    if mask.all():
        raise BenchmarkError(
            "There is no validation split, and the training split is too small to set rows aside for it.",
            "Add a validation split or more training rows.",
        )
    return _select(train, np.flatnonzero(~mask)), _select(train, np.flatnonzero(mask))


def _select(examples: Examples, rows: npt.NDArray[np.int64]) -> Examples:
    return Examples(
        tuple(examples.ids[row] for row in rows), tuple(examples.texts[row] for row in rows), examples.labels[rows]
    )
