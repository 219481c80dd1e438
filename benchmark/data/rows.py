"""Rows as they were read, before any check of their values."""

import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.errors import BenchmarkError


@dataclass(frozen=True)
class Row:
    """A text and its label, both as written in the source. A list or tuple holds the labels of a row."""

    text: Any
    label: Any
    location: str  # for error messages, for example "reviews.csv, row 7"
    label_names: tuple[str, ...] | None = None  # of label ids, where the source states them


@dataclass(frozen=True)
class RawSplits:
    """The rows of each split that a source has, and a description of that source."""

    source: str
    rows: dict[str, list[Row]]


def check_columns(
    present: Sequence[str],
    text_column: str,
    label_column: str,
    location: str,
    values: Mapping[str, Any],
    label_option: str = "dataset.label_column",
) -> None:
    """Raise `BenchmarkError` unless `present` names both columns exactly once.

    `a.b` is the column `b` inside `a`, unless there is a column of that name. `values` are the row's, or the nested
    columns' names. `label_option` is the option that named the column of labels.
    """
    for option, column in (("dataset.text_column", text_column), (label_option, label_column)):
        if present.count(column) > 1:
            raise BenchmarkError(f"{location}: the column '{column}' occurs more than once.", "Keep one of them.")
        if has_column(column, present, values):
            continue
        inside = sorted(path for path in _nested(values) if path.endswith(f".{column}"))
        fix = f"Set {option}={inside[0]}." if inside else f"Rename a column or set {option}."
        raise BenchmarkError(
            f"{location}: there is no column '{column}', only {reprlib.repr(list(present))}.",
            separator_fix(present) or fix,
        )


def has_column(column: str, present: Sequence[str], values: Mapping[str, Any]) -> bool:
    """Whether a row with these columns and values has such a column, also as `a.b` inside another one."""
    return column in present or column in set(_nested(values))


def separator_fix(present: Sequence[str]) -> str | None:
    """The fix for a header that is a single column because of its separator; None for any other header."""
    joined = len(present) == 1 and re.search(r"[;\t|]", present[0])
    return "Separate the columns by commas, or by tabs in a .tsv file." if joined else None


def value_at(values: Mapping[str, Any], column: str) -> Any:
    """The value of a column, or of `b` inside `a` for the column `a.b`; None where `a` is empty."""
    if column in values:
        return values[column]
    outer, _, inner = column.partition(".")
    nested = values.get(outer)
    return value_at(nested, inner) if isinstance(nested, Mapping) and inner else None


def top_of(column: str, present: Sequence[str]) -> str:
    """The column that holds the value of a column: itself if it is present, or `a` for the column `a.b`."""
    return column if column in present else column.partition(".")[0]


def _nested(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The columns inside other columns, as `a.b`, at most four levels deep."""
    for name, value in values.items():
        if prefix:
            yield f"{prefix}{name}"
        if isinstance(value, Mapping) and prefix.count(".") < 3:
            yield from _nested(value, f"{prefix}{name}.")
