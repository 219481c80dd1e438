"""Rows as they were read, before any check of their values."""

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.errors import BenchmarkError


@dataclass(frozen=True)
class Row:
    """A text and its label, both as written in the source."""

    text: Any
    label: Any
    location: str  # for error messages, for example "reviews.csv, row 7"


@dataclass(frozen=True)
class RawSplits:
    """The rows of each split that a source has, and a description of that source."""

    source: str
    rows: dict[str, list[Row]]


def check_columns(present: Sequence[str], text_column: str, label_column: str, location: str) -> None:
    """Raise `BenchmarkError` unless `present` names both columns exactly once."""
    for option, column in (("text_column", text_column), ("label_column", label_column)):
        if column not in present:
            raise BenchmarkError(
                f"{location}: there is no column '{column}', only {reprlib.repr(present)}.",
                f"Rename a column or set dataset.{option}.",
            )
        if present.count(column) > 1:
            raise BenchmarkError(f"{location}: the column '{column}' occurs more than once.", "Keep one of them.")
