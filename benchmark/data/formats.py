"""Read files of texts and labels in five formats."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.data.rows import Row, check_columns
from benchmark.errors import BenchmarkError

csv.field_size_limit(2**31 - 1)  # the default of 128 KiB is too low for long texts


def read_file(path: Path, text_column: str, label_column: str) -> list[Row]:
    """Read a `.txt`, `.csv`, `.json`, `.jsonl` or `.parquet` file. Rows keep the order of the file."""
    rows = list(READERS[path.suffix](path, text_column, label_column))
    if not rows:
        raise BenchmarkError(f"{path} has no rows.", "Add rows or remove the file.")
    return rows


def _read_txt(path: Path, text_column: str, label_column: str) -> Iterator[Row]:
    """One row per line, `text;label`. The text may contain semicolons."""
    for location, line in _lines(path):
        if ";" not in line:
            raise BenchmarkError(
                f"{location}: there is no ';' between text and label.", "Write the line as `text;label`."
            )
        text, label = line.rsplit(";", 1)
        yield Row(text, label, location)


def _read_csv(path: Path, text_column: str, label_column: str) -> Iterator[Row]:
    """CSV with a header and commas. A quoted text may contain line ends."""
    for location, row in _csv_objects(path, (text_column, label_column)):
        yield Row(row[text_column], row[label_column], location)


def _read_jsonl(path: Path, text_column: str, label_column: str) -> Iterator[Row]:
    """One JSON object per line."""
    for location, line in _lines(path):
        yield _row_of_object(_parse_json(line, location), text_column, label_column, location)


def _read_json(path: Path, text_column: str, label_column: str) -> Iterator[Row]:
    """A list of JSON objects."""
    document = _parse_json(_text(path), str(path))
    if not isinstance(document, list):
        raise BenchmarkError(
            f"{path}: the document is not a list.",
            "Write a list of objects, or a .jsonl file with one object per line.",
        )
    for number, item in enumerate(document, start=1):
        location = f"{path}, row {number}"
        yield _row_of_object(item, text_column, label_column, location)


def _read_parquet(path: Path, text_column: str, label_column: str) -> Iterator[Row]:
    try:
        table = pq.ParquetFile(pa.BufferReader(_content(path))).read()
        names = table.column_names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise BenchmarkError(
            f"{path}: the parquet file is not readable ({reason}).", "Download or export it again."
        ) from error
    check_columns(names, text_column, label_column, str(path))
    for number, (text, label) in enumerate(zip(table[text_column], table[label_column], strict=True), start=1):
        location = f"{path}, row {number}"
        try:
            yield Row(text.as_py(), label.as_py(), location)
        except (ValueError, OverflowError) as error:
            raise BenchmarkError(
                f"{location}: a value cannot be decoded ({error}).", "Download or export the file again."
            ) from error


def read_objects(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Every row of a `.csv`, `.json`, `.jsonl` or `.parquet` file with all its columns, and its location.

    Values of a CSV file are strings.
    """
    objects = list(OBJECT_READERS[path.suffix](path))
    for location, row in objects:
        if not isinstance(row, dict):
            raise BenchmarkError(f"{location}: this is not a JSON object.", "Write one object per row.")
        if isinstance(row, _Object) and len(row) < len(row.written_keys):
            raise BenchmarkError(f"{location}: a key occurs more than once.", "Keep one of them.")
    if not objects:
        raise BenchmarkError(f"{path} has no rows.", "Export it again.")
    return objects


def _csv_objects(path: Path, needed: tuple[str, str] | None = None) -> Iterator[tuple[str, Any]]:
    """Each row with its location; raises `BenchmarkError` unless the header has the needed columns once."""
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        names = list(reader.fieldnames or ())
        for text_column, label_column in [needed] if needed else zip(names, names, strict=True):
            check_columns(names, text_column, label_column, f"{path}, header")
        for row in reader:
            location = f"{path}, row {reader.line_num}"
            if None in row or None in row.values():
                raise BenchmarkError(
                    f"{location}: the number of fields differs from that of the header.",
                    "Quote fields that contain commas.",
                )
            yield location, row
    except csv.Error as error:
        raise BenchmarkError(
            f"{path}, row {reader.line_num + 1}: the CSV is invalid ({error}).", "Correct the quotes."
        ) from error


def _json_objects(path: Path) -> Iterator[tuple[str, Any]]:
    document = _parse_json(_text(path), str(path))
    if not isinstance(document, list):
        raise BenchmarkError(f"{path}: the document is not a list.", "Write a list of objects.")
    return ((f"{path}, row {number}", item) for number, item in enumerate(document, start=1))


def _parquet_objects(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        rows = pq.ParquetFile(pa.BufferReader(_content(path))).read().to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise BenchmarkError(f"{path}: the parquet file is not readable ({reason}).", "Export it again.") from error
    return ((f"{path}, row {number}", row) for number, row in enumerate(rows, start=1))


OBJECT_READERS: dict[str, Callable[[Path], Iterator[tuple[str, Any]]]] = {
    ".csv": _csv_objects,
    ".jsonl": lambda path: ((location, _parse_json(line, location)) for location, line in _lines(path)),
    ".json": _json_objects,
    ".parquet": _parquet_objects,
}


READERS: dict[str, Callable[[Path, str, str], Iterator[Row]]] = {
    ".txt": _read_txt,
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".parquet": _read_parquet,
}


def _content(path: Path) -> bytes:
    """The bytes of a file without a byte-order mark."""
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:  # for example a folder, a broken link or a missing permission
        raise BenchmarkError(
            f"{path}: the file cannot be read ({error.strerror}).", "Replace it with a readable file."
        ) from error
    if not content:
        raise BenchmarkError(f"{path} is empty.", "Add rows or remove the file.")
    return content


def _text(path: Path) -> str:
    content, export_again = _content(path), "Export the file again as UTF-8."
    if b"\x00" in content:
        row = content.count(b"\n", 0, content.index(b"\x00")) + 1
        raise BenchmarkError(f"{path}, row {row}: there is a NUL byte, as in UTF-16.", export_again)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise BenchmarkError(f"{path}, row {row}: the text is not UTF-8 ({error.reason}).", export_again) from error


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line with its location and without its end, which is LF or CRLF."""
    for number, line in enumerate(_text(path).removesuffix("\n").split("\n"), start=1):
        line, location = line.removesuffix("\r"), f"{path}, row {number}"
        if "\r" in line:  # old Mac line ends: many rows would be read as one
            raise BenchmarkError(f"{location}: there is a lone carriage return.", "End every line with LF or CRLF.")
        yield location, line


class _Object(dict[str, Any]):
    """A JSON object that keeps the keys as written: `dict` alone would hide that a key occurs twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.written_keys = [key for key, _ in pairs]


def _parse_json(text: str, location: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_Object)
    except (ValueError, RecursionError) as error:
        raise BenchmarkError(
            f"{location}: the JSON is invalid ({error}).", "Correct it or export the file again."
        ) from error


def _row_of_object(item: Any, text_column: str, label_column: str, location: str) -> Row:
    """The row of a JSON object. Objects in the instruction format of the study have fixed column names."""
    if not isinstance(item, _Object):
        raise BenchmarkError(
            f"{location}: this is not a JSON object.", f"Write an object with '{text_column}' and '{label_column}'."
        )
    if {"instruction", "input", "output"} <= item.keys():
        text_column, label_column = "input", "output"
    check_columns(item.written_keys, text_column, label_column, location)
    return Row(item[text_column], item[label_column], location)
