"""Checks on a data set: texts and labels, content hashes, repeated texts, overlap between splits."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import combinations
from typing import Any

import numpy as np

from benchmark.data.report import Overlap, SplitReport
from benchmark.dataset_config import DatasetConfig
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, normalized_label


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


def _rows(examples: Examples) -> Iterator[tuple[str, str, int]]:
    """The id, the text and the label id of each row."""
    return zip(examples.ids, examples.texts, examples.labels.tolist(), strict=True)
