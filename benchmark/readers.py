"""Files of texts and labels in five formats, read into rows that know where they stand."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.classifier import BenchmarkError

csv.field_size_limit(2**31 - 1)  # texts longer than the default 128 KiB are legitimate


@dataclass(frozen=True)
class Row:
    """A text with its label as written; `place` is what a person would look up (file and row)."""

    text: Any
    label: Any
    place: str


def read_file(path: Path, text_column: str, label_column: str) -> list[Row]:
    """Rows of a `.txt`, `.csv`, `.json`, `.jsonl` or `.parquet` file, in its order."""
    if not path.is_file():
        raise BenchmarkError(f"{path} is not a file; point dataset.path at the folder that holds the splits.")
    reader = READERS.get(path.suffix)
    if reader is None:
        raise BenchmarkError(f"{path} has a format unknown here; use one of {', '.join(sorted(READERS))}.")
    rows = list(reader(path, text_column, label_column))
    if not rows:
        raise BenchmarkError(f"{path} holds no rows; remove it or fill it.")
    return rows


def _read_lines(path: Path, text_column: str, label_column: str) -> Iterator[Row]:
    """`text;label` a line; the text may itself contain semicolons."""
    for number, line in _lines(path):
        place = f"{path}, row {number}"
        if ";" not in line:
            raise BenchmarkError(f"{place} has no ';' between text and label; write `text;label`.")
        text, label = line.rsplit(";", 1)
        yield Row(text, label, place)


def _read_csv(path: Path, text_column: str, label_column: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO("\n".join(line for _, line in _lines(path)) + "\n"), strict=True)
    try:
        _require(set(reader.fieldnames or ()), text_column, label_column, f"{path}, header")
        for row in reader:
            place = f"{path}, row {reader.line_num}"
            if None in row or None in row.values():
                raise BenchmarkError(f"{place} has not as many fields as the header; quote fields that contain commas.")
            yield Row(row[text_column], row[label_column], place)
    except csv.Error as error:
        raise BenchmarkError(f"{path}, row {reader.line_num + 1} is no CSV ({error}); mend its quotes.") from error


def _read_jsonl(path: Path, text_column: str, label_column: str) -> Iterator[Row]:
    for number, line in _lines(path):
        place = f"{path}, row {number}"
        yield _json_row(_parse_json(line, place), text_column, label_column, place)


def _read_json(path: Path, text_column: str, label_column: str) -> Iterator[Row]:
    """A list of objects: plain ones, or the instruction format of the study's own files."""
    document = _parse_json("\n".join(line for _, line in _lines(path)), str(path))
    if not isinstance(document, list):
        raise BenchmarkError(f"{path} must be a list of objects; use .jsonl for one object a line.")
    for number, item in enumerate(document, start=1):
        place = f"{path}, row {number}"
        yield _json_row(item, text_column, label_column, place)


def _read_parquet(path: Path, text_column: str, label_column: str) -> Iterator[Row]:
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise BenchmarkError(f"{path} is no readable parquet file ({error}); fetch or export it again.") from error
    _require(set(table.column_names), text_column, label_column, str(path))
    pairs = zip(table[text_column].to_pylist(), table[label_column].to_pylist(), strict=True)
    for number, (text, label) in enumerate(pairs, start=1):
        yield Row(text, label, f"{path}, row {number}")


READERS: dict[str, Callable[[Path, str, str], Iterator[Row]]] = {
    ".txt": _read_lines,
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".parquet": _read_parquet,
}


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines without their ends; a byte-order mark and CRLF are accepted, bad bytes are not."""
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    lines = content.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if b"\x00" in line:
            raise BenchmarkError(f"{path}, row {number} contains a NUL byte; export the file again as UTF-8 text.")
        try:
            yield number, line.removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            raise BenchmarkError(f"{path}, row {number} is not UTF-8 ({error.reason}); convert the file.") from error


def _parse_json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BenchmarkError(f"{place} is no valid JSON ({error}); the file may be cut short.") from error


def _json_row(item: Any, text_column: str, label_column: str, place: str) -> Row:
    if not isinstance(item, dict):
        raise BenchmarkError(f"{place} must be an object with '{text_column}' and '{label_column}'.")
    if {"instruction", "input", "output"} <= item.keys():
        return Row(item["input"], item["output"], place)
    _require(set(item), text_column, label_column, place)
    return Row(item[text_column], item[label_column], place)


def _require(present: set[str], text_column: str, label_column: str, place: str) -> None:
    for option, column in (("text_column", text_column), ("label_column", label_column)):
        if column not in present:
            raise BenchmarkError(
                f"{place} has no column '{column}', only {sorted(present)}; rename it or set dataset.{option}."
            )
