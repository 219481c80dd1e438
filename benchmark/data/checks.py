"""Checks on a data set: texts and labels, content hashes, repeated texts, overlap between splits."""

import reprlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from benchmark.config import DatasetConfig
from benchmark.data.report import Overlap, SplitReport
from benchmark.data.rows import Row
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples


def to_examples(split: str, rows: list[Row], labels: Sequence[str]) -> Examples:
    """Convert rows, all labelled by name or all by id. Raises `BenchmarkError` at the first wrong text or label."""
    ids = {name: index for index, name in enumerate(labels)}
    by_id = _is_int(rows[0].label)
    for row in rows:
        _check_text(row)
    return Examples(
        ids=tuple(f"{split}-{index}" for index in range(len(rows))),
        texts=tuple(row.text for row in rows),
        labels=np.array([_label_id(row, ids, by_id) for row in rows], dtype=np.int64),
    )


def _check_text(row: Row) -> None:
    if row.text is not None and not isinstance(row.text, str):
        raise BenchmarkError(f"{row.location}: the text is of type {type(row.text).__name__}.", "Write it as a string.")
    if row.text is None or not row.text.strip():
        raise BenchmarkError(f"{row.location}: the text is empty.", "Add a text or remove the row.")
    if not row.text.isascii() and any("\ud800" <= character <= "\udfff" for character in row.text):
        raise BenchmarkError(
            f"{row.location}: the text contains half of a UTF-16 surrogate pair.", "Export the file again as UTF-8."
        )


def _label_id(row: Row, ids: dict[str, int], by_id: bool) -> int:
    label = row.label
    if by_id and _is_int(label) and 0 <= label < len(ids):
        return int(label)
    if not by_id and isinstance(label, str):
        if label in ids:
            return ids[label]
        similar = [name for name in ids if name.lower() == label.strip().lower()]
        fix = f"Write '{similar[0]}'." if similar else "Correct it or add it to dataset.labels."
    elif by_id and _is_int(label):
        fix = "Correct it."
    else:
        fix = "Use label names in every row, or whole numbers as ids in every row."
    expected = f"an id from 0 to {len(ids) - 1}" if by_id else f"one of {', '.join(ids)}"
    raise BenchmarkError(f"{row.location}: label {reprlib.repr(label)} is not {expected}.", fix)


def _is_int(label: Any) -> bool:
    return isinstance(label, int) and not isinstance(label, bool)


def content_sha256(examples: Examples, labels: Sequence[str]) -> str:
    """The SHA-256 of a split's `text;label` lines. It does not depend on the format of the file."""
    digest = sha256()
    for text, label in zip(examples.texts, examples.labels, strict=True):
        digest.update(f"{text};{labels[label]}\n".encode())
    return digest.hexdigest()


def check_hash(split: str, examples: Examples, config: DatasetConfig, source: str) -> None:
    """Raise `BenchmarkError` if the content of a split has another hash than `config.sha256` states."""
    expected = config.sha256.get(split)
    actual = content_sha256(examples, config.labels)
    if expected is not None and actual != expected:
        raise BenchmarkError(
            f"The {split} split of {config.name} from {source} is not the published one: its {len(examples)} rows "
            f"have the hash {actual[:12]}, not {expected[:12]}.",
            "Restore the file, or give the changed data another name (dataset.name=... '~dataset.sha256').",
        )


def describe_split(examples: Examples, labels: Sequence[str]) -> SplitReport:
    """Rows, hash and label counts of a split."""
    counts = np.bincount(examples.labels, minlength=len(labels)).tolist()
    return SplitReport(len(examples), content_sha256(examples, labels), dict(zip(labels, counts, strict=True)))


def find_repeats(train: Examples) -> tuple[list[str], list[str]]:
    """Ids of rows whose text occurred before, and those of them whose label differs from an earlier label."""
    labels_of: dict[str, set[int]] = defaultdict(set)
    repeated, conflicting = [], []
    for identifier, text, label in _rows(train):
        if text in labels_of:
            repeated.append(identifier)
            if labels_of[text] - {label}:
                conflicting.append(identifier)
        labels_of[text].add(label)
    return repeated, conflicting


def find_overlap(splits: dict[str, Examples], of: str, within: str) -> Overlap:
    """Rows of split `of` whose text also occurs in split `within`."""
    labels_of: dict[str, set[int]] = defaultdict(set)
    for _, text, label in _rows(splits[within]):
        labels_of[text].add(label)
    shared = [
        (identifier, bool(labels_of[text] - {label}))
        for identifier, text, label in _rows(splits[of])
        if text in labels_of
    ]
    return Overlap(of, within, [i for i, _ in shared], [i for i, conflicting in shared if conflicting])


def _rows(examples: Examples) -> Iterator[tuple[str, str, int]]:
    """(id, text, label id) of each row."""
    return zip(examples.ids, examples.texts, examples.labels.tolist(), strict=True)
