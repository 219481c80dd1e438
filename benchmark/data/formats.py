"""Files of texts and labels in five formats, read into rows that know where they stand."""

import csv
import io
import json
import reprlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.errors import BenchmarkError

csv.field_size_limit(2**31 - 1)  # texts longer than the default 128 KiB are legitimate


@dataclass(frozen=True)
class Row:
    """A text with its label as written; `place` is what a person would look up (file and row)."""

    text: Any
    label: Any
    place: str


def read_file(path: Path, text_column: str, label_column: str) -> list[Row]:
    """Rows of a `.txt`, `.csv`, `.json`, `.jsonl` or `.parquet` file, in its order."""
    rows = list(READERS[path.suffix](path, text_column, label_column))
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
    """As the csv module writes it; line ends within quotes belong to the text."""
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        require(reader.fieldnames or (), text_column, label_column, f"{path}, header")
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
    document = _parse_json(_text(path), str(path))
    if not isinstance(document, list):
        raise BenchmarkError(f"{path} is no list; write one of objects, or use .jsonl for one object a line.")
    for number, item in enumerate(document, start=1):
        place = f"{path}, row {number}"
        yield _json_row(item, text_column, label_column, place)


def _read_parquet(path: Path, text_column: str, label_column: str) -> Iterator[Row]:
    try:
        table = pq.ParquetFile(pa.BufferReader(_content(path))).read()
        names = table.column_names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise BenchmarkError(f"{path} is no readable parquet file ({reason}); fetch or export it again.") from error
    require(names, text_column, label_column, str(path))
    for number, (text, label) in enumerate(zip(table[text_column], table[label_column], strict=True), start=1):
        place = f"{path}, row {number}"
        try:
            yield Row(text.as_py(), label.as_py(), place)
        except (ValueError, OverflowError) as error:
            raise BenchmarkError(f"{place} cannot be decoded ({error}); fetch or export the file again.") from error


READERS: dict[str, Callable[[Path, str, str], Iterator[Row]]] = {
    ".txt": _read_lines,
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".parquet": _read_parquet,
}


def _content(path: Path) -> bytes:
    """All bytes but a byte-order mark."""
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:  # a folder, a broken link, a file of somebody else
        raise BenchmarkError(f"{path} cannot be read ({error.strerror}); put a readable file in its place.") from error
    if not content:
        raise BenchmarkError(f"{path} is empty; fill it or remove it.")
    return content


def _text(path: Path) -> str:
    content = _content(path)
    if b"\x00" in content:
        row = content.count(b"\n", 0, content.index(b"\x00")) + 1
        raise BenchmarkError(f"{path}, row {row} contains a NUL byte, as UTF-16 does; export the file again as UTF-8.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise BenchmarkError(
            f"{path}, row {row} is not UTF-8 ({error.reason}); export the file again as UTF-8."
        ) from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines without their ends, which are LF or CRLF."""
    for number, line in enumerate(_text(path).removesuffix("\n").split("\n"), start=1):
        line = line.removesuffix("\r")
        if "\r" in line:  # many rows would be read as one
            raise BenchmarkError(f"{path}, row {number} contains a lone carriage return; end lines with LF or CRLF.")
        yield number, line


class _Object(dict[str, Any]):
    """A JSON object that remembers its keys as written: one that is there twice says two things at once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.written = [key for key, _ in pairs]


def _parse_json(text: str, place: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_Object)
    except (ValueError, RecursionError) as error:
        raise BenchmarkError(f"{place} is no valid JSON ({error}); mend it or export the file again.") from error


def _json_row(item: Any, text_column: str, label_column: str, place: str) -> Row:
    if not isinstance(item, _Object):
        raise BenchmarkError(f"{place} is no object; write one with '{text_column}' and '{label_column}'.")
    if {"instruction", "input", "output"} <= item.keys():
        text_column, label_column = "input", "output"
    require(item.written, text_column, label_column, place)
    return Row(item[text_column], item[label_column], place)


def require(present: Sequence[str], text_column: str, label_column: str, place: str) -> None:
    for option, column in (("text_column", text_column), ("label_column", label_column)):
        if column not in present:
            raise BenchmarkError(
                f"{place} has no column '{column}', only {reprlib.repr(present)}; rename it or set dataset.{option}."
            )
        if present.count(column) > 1:
            raise BenchmarkError(f"{place} has the column '{column}' more than once; keep the one that is meant.")
