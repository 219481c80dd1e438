"""Checks on a data set: texts and labels, content hashes, repeated texts, overlap between splits."""

import json
import reprlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import combinations
from typing import Any
from unicodedata import normalize

import numpy as np

from benchmark.data.label_names import as_ids
from benchmark.data.report import Overlap, SplitReport
from benchmark.data.rows import Row
from benchmark.dataset_config import DatasetConfig
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, normalized_label


def unwrap_single_labels(rows: list[Row], skip_multilabel: bool) -> list[Row]:
    """Replace each list of one label by that label.

    Rows with several labels are left out if `skip_multilabel` is set, else refused.
    """
    kept = []
    for row in rows:
        labels = row.label if isinstance(row.label, list | tuple) else (row.label,)
        if not labels:
            raise BenchmarkError(f"{row.location}: there is no label.", "Add one or remove the row.")
        if len(labels) == 1:
            kept.append(replace(row, label=labels[0]))
        elif not skip_multilabel:
            raise BenchmarkError(
                f"{row.location}: there are {len(labels)} labels, {reprlib.repr(list(labels))}.",
                "Set dataset.skip_multilabel=true to leave out all rows with several labels.",
            )
    if not kept:
        raise BenchmarkError(f"{rows[0].location}: this and every other row has several labels.", "Add other rows.")
    return kept


def to_examples(split: str, rows: list[Row], labels: Sequence[str]) -> Examples:
    """Convert rows, all labelled by name or all by id. Raises `BenchmarkError` at the first wrong text or label.

    A whole number is the name of a label if there is a label of that name, else an id. Ids whose names the source
    states are read by these names.
    """
    ids = {name: index for index, name in enumerate(labels)}
    written = [_label_as_written(row, ids) for row in rows]
    by_id = _is_int(written[0])
    for row in rows:
        if row.text is None or (isinstance(row.text, str) and not row.text.strip()):
            raise BenchmarkError(f"{row.location}: the text is empty.", "Add a text or remove the row.")
        check_text(row.text, row.location)
    return Examples(
        ids=tuple(f"{split}-{index}" for index in range(len(rows))),
        texts=tuple(row.text for row in rows),
        labels=np.array(
            [_label_id(row, label, ids, by_id) for row, label in zip(rows, written, strict=True)], dtype=np.int64
        ),
    )


def check_text(text: Any, location: str) -> None:
    """Raise `BenchmarkError` unless the text is a string of Unicode characters. It may be empty."""
    if not isinstance(text, str):
        raise BenchmarkError(f"{location}: the text is of type {type(text).__name__}.", "Write it as a string.")
    check_characters(text, location, "the text")


def check_characters(text: str, location: str, what: str) -> None:
    """Raise `BenchmarkError` for half of a surrogate pair, which UTF-8 cannot hold; `what` names the text."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise BenchmarkError(
            f"{location}: {what} contains half of a UTF-16 surrogate pair.", "Export the file again as UTF-8."
        )


def check_labels(config: DatasetConfig) -> None:
    """Raise `BenchmarkError` for labels or words that a free answer could not tell apart, and for words of no label."""
    words = config.label_words or {}
    for option, names in (("labels", config.labels), ("label_words", config.words)):
        for one, other in combinations(names, 2):
            if normalized_label(one) == normalized_label(other):
                raise BenchmarkError(
                    f"dataset.{option} contains {one!r} and {other!r}, which differ only in case, space or form.",
                    "Give each label a name and a word of its own.",
                )
    if unknown := sorted(words.keys() - set(config.labels)):
        raise BenchmarkError(
            f"dataset.label_words has a word for {unknown[0]!r}, which is not one of {', '.join(config.labels)}.",
            "Its keys are the names in dataset.labels.",
        )
    by_name = {normalized_label(label): label for label in config.labels}
    for label, word in words.items():
        if by_name.get(normalized_label(word), label) != label:
            raise BenchmarkError(
                f"dataset.label_words gives {label!r} the word {word!r}, which is the name of another label.",
                "Choose another word.",
            )


def labels_without_rows(splits: dict[str, Examples], labels: Sequence[str]) -> list[str]:
    """A sentence for each split that lacks labels. Raises `BenchmarkError` if all training rows have one label."""
    present = {name: {labels[label] for label in np.unique(examples.labels)} for name, examples in splits.items()}
    if len(present["train"]) == 1:
        (only,) = present["train"]
        raise BenchmarkError(
            f"Every training row has the label {only}: there is nothing to learn.",
            "Add rows of other labels, or raise dataset.train_rows.",
        )
    missing = {name: [label for label in labels if label not in used] for name, used in present.items()}
    return [f"No {name} row has the label {' or '.join(names)}." for name, names in missing.items() if names]


def content_sha256(examples: Examples, labels: Sequence[str]) -> str:
    """The SHA-256 of a split's `text;label` lines. It does not depend on the format of the file."""
    digest = sha256()
    for text, label in zip(examples.texts, examples.labels, strict=True):
        digest.update(f"{text};{labels[label]}\n".encode())
    return digest.hexdigest()


def check_hash(split: str, examples: Examples, config: DatasetConfig, source: str) -> None:
    """Raise `BenchmarkError` if the content of a split has another hash than `config.sha256` states."""
    expected = config.sha256.get(split)  # None: not pinned
    actual = content_sha256(examples, config.labels)
    if expected is not None and actual != expected:
        raise BenchmarkError(
            f"The {split} split of {config.name} from {source} is not the published one: its {len(examples)} rows "
            f"have the hash {actual}, not {expected[:12]}.",
            "Restore the file, or give the changed data another name (dataset.name=... '~dataset.sha256').",
        )


def describe_split(examples: Examples, labels: Sequence[str]) -> SplitReport:
    """Rows, hash and label counts of a split."""
    counts = np.bincount(examples.labels, minlength=len(labels)).tolist()
    words = sum(len(text.split()) for text in examples.texts) / max(len(examples), 1)
    return SplitReport(
        len(examples), content_sha256(examples, labels), dict(zip(labels, counts, strict=True)), round(words, 2)
    )


def find_repeats(train: Examples) -> tuple[list[str], list[str]]:
    """The ids of rows whose text occurred before, and the ids of such rows whose label differs from an earlier one."""
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


def _label_as_written(row: Row, ids: dict[str, int]) -> Any:
    """The label of a row as a name or an id, or as it was read if it is neither."""
    label = row.label
    if row.label_names is not None and _is_int(label):
        if not 0 <= label < len(row.label_names):
            raise BenchmarkError(
                f"{row.location}: label {reprlib.repr(label)} is not an id from 0 to {len(row.label_names) - 1}, the "
                "ids with a name.",
                "Correct it, or remove rows without a label. If the test split of a Hub data set has no labels, use "
                "another: 'dataset.hub.splits={train: train, test: validation}'.",
            )
        name = row.label_names[label]
        if name not in ids:
            names = json.dumps(row.label_names, separators=(",", ":"))
            raise BenchmarkError(
                f"{row.location}: label {label} has the name {reprlib.repr(name)}, which is not one of "
                f"{', '.join(ids)}.",
                f"Set 'dataset.labels={names}'; dataset.label_words can give a decoder other words.",
            )
        return name
    if _is_int(label) and str(label) in ids:
        return str(label)
    return as_ids(label) if isinstance(label, str) and label not in ids else label


def _label_id(row: Row, label: Any, ids: dict[str, int], by_id: bool) -> int:
    """The id of a label from `_label_as_written`; raises `BenchmarkError` for an unknown label."""
    if by_id and _is_int(label) and 0 <= label < len(ids):
        return int(label)
    if not by_id and isinstance(label, str):
        if label in ids:
            return ids[label]
        similar = [name for name in ids if normalized_label(name) == normalized_label(label)]
        fix = f"Write '{similar[0]}'." if similar else "Correct it or add it to dataset.labels."
        if similar and normalize("NFC", label) == normalize("NFC", similar[0]):  # they look the same
            fix = f"Write '{similar[0]}' in the Unicode form of dataset.labels."
    elif by_id and _is_int(label):
        fix = "Correct it."
    else:
        fix = "Use label names in every row, or whole numbers as ids in every row."
    expected = f"an id from 0 to {len(ids) - 1}" if by_id else f"one of {', '.join(ids)}"
    raise BenchmarkError(f"{row.location}: label {reprlib.repr(label)} is not {expected}.", fix)


def _is_int(label: Any) -> bool:
    return isinstance(label, int) and not isinstance(label, bool)


def _rows(examples: Examples) -> Iterator[tuple[str, str, int]]:
    """The id, the text and the label id of each row."""
    return zip(examples.ids, examples.texts, examples.labels.tolist(), strict=True)
