"""Texts without labels from a file or standard input, row by row: the first is there before the last is read."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.data.checks import check_text
from benchmark.data.rows import has_column, separator_fix, value_at
from benchmark.errors import BenchmarkError
from benchmark.files import FileRow, decode, delimited_rows, json_row, plain_lines

TEXT = "text"
"""The column of the text, unless another is named."""
Table = tuple[list[str] | None, Iterator[FileRow]]
"""The columns, where the rows do not name their own, and the rows."""


@dataclass(frozen=True)
class TextRow:
    """A row of the input, and its text, which is one of its values."""

    row: FileRow
    text: str


def text_rows(
    lines: Iterable[bytes], file_format: str, place: str, column: str = TEXT
) -> tuple[list[str] | None, Iterator[TextRow]]:
    """The columns of `lines`, in one of the `FORMATS`, and their rows; None for JSON, whose rows name their columns.

    `place` is for messages, such as "reviews.csv". Raises `BenchmarkError` for a header without the column of the
    text, and at the first wrong row.
    """
    columns, rows = FORMATS[file_format](decode(lines, place), place)
    if columns is not None:
        _check_column(columns, column, f"{place}, header", {})
    return columns, (TextRow(row, _text(row, column)) for row in rows)


def open_lines(file: str) -> Iterable[bytes]:
    """The lines of a file, or of standard input for "-"."""
    if file == "-":
        return sys.stdin.buffer
    try:
        return Path(file).open("rb")  # read until the process ends
    except OSError as error:
        raise BenchmarkError(f"{file} cannot be read ({error.strerror}).", "Give a readable file, or - .") from error


def format_of(file: str) -> str:
    """The format that the name of a file ends with; lines of text for standard input."""
    form = "txt" if file == "-" else Path(file).suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise BenchmarkError(
            f"The format of {file} is not known by its name.", f"Set --format to one of {', '.join(FORMATS)}."
        )
    return form


def _plain_rows(lines: Iterable[str], place: str) -> Table:
    """Read every line as a text."""
    rows = (FileRow({TEXT: text}, location, [TEXT], location) for location, text in plain_lines(lines, place))
    return [TEXT], rows


def _json_rows(lines: Iterable[str], place: str) -> Table:
    """Read one JSON object per line; blank lines are left out."""
    numbered = enumerate(lines, start=1)
    return None, (json_row(line, f"{place}, row {number}") for number, line in numbered if line.strip())


FORMATS: dict[str, Callable[[Iterable[str], str], Table]] = {
    "txt": _plain_rows,
    "csv": delimited_rows,
    "tsv": partial(delimited_rows, tabs=True),
    "jsonl": _json_rows,
}


def _text(row: FileRow, column: str) -> str:
    """The text in this column; raises `BenchmarkError` unless the row has one such column with a valid text."""
    _check_column(row.columns, column, row.columns_at, row.values)
    text: str = value_at(row.values, column)
    check_text(text, row.location)
    return text


def _check_column(columns: Sequence[str], column: str, place: str, values: Mapping[str, Any]) -> None:
    """Raise unless the column of the text is there, alone or inside another one, and each column once."""
    repeated = [name for name, times in Counter(columns).items() if times > 1]
    if repeated:
        raise BenchmarkError(f"{place}: there is more than one column {repeated[0]!r}.", "Give each its own name.")
    if not has_column(column, columns, values):
        raise BenchmarkError(
            f"{place}: there is no column {column!r}; the columns are {', '.join(columns) or 'none'}.",
            separator_fix(columns) or "Name it with --text-column.",
        )
