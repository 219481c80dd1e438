"""Rows of CSV, TSV, JSON and JSON-lines files, the hash of a file, and files that are replaced in one step."""

import codecs
import csv
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmark.errors import BenchmarkError
from benchmark.predictions import normalized_label

csv.field_size_limit(2**31 - 1)  # the default of 128 KiB is too low for long texts

ANSWER_KEYS = ("predicted", "predict", "prediction")
GOLD_KEYS = ("gold", "label", "target", "labels", "output", "answer", "reference", "true", "true_label", "gold_label",
             "y_true", "expected", "ground_truth", "truth", "actual", "gt")  # fmt: skip
TEXT_KEYS = ("text", "prompt", "input", "sentence")
"""The columns of model answers, gold labels and texts in a file of answers, the same for all commands."""


@dataclass(frozen=True)
class FileRow:
    """The values of a row by column.

    `location` is for error messages, for example "reviews.csv, row 7". `columns` are the names as written, repeats
    included; `columns_at` says in error messages where they were written.
    """

    values: dict[str, Any]
    location: str
    columns: list[str]
    columns_at: str


def read_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[FileRow]:
    """The rows of a `.csv`, `.tsv`, `.json` or `.jsonl` file in its order.

    `columns` names the columns of a CSV or TSV file without a header. Raises `BenchmarkError` at the first wrong row.
    """
    if path.suffix in DELIMITED:
        return _read_delimited(path, columns)
    return ROW_READERS[path.suffix](path)


def read_all_rows(path: Path) -> list[FileRow]:
    """The rows of a file in one of these formats, at least one; columns must differ after `normalized_label`."""
    if path.suffix not in ROW_READERS:
        raise BenchmarkError(f"{path} is not a supported file.", f"Give a file that ends in {', '.join(ROW_READERS)}.")
    rows = list(read_rows(path))
    if not rows:
        raise BenchmarkError(f"{path} has no rows.", "Write one row per answer.")
    for row in rows:
        if len(set(map(normalized_label, row.columns))) < len(row.columns):
            raise BenchmarkError(f"{row.columns_at}: a column occurs more than once.", "Keep one of them.")
    return rows


def _read_delimited(path: Path, columns: Sequence[str] | None = None) -> Iterator[FileRow]:
    lines = io.StringIO(read_text(path), newline="")
    _, rows = delimited_rows(lines, str(path), columns, tabs=path.suffix == ".tsv")
    yield from rows


def delimited_rows(
    lines: Iterable[str], place: str, columns: Sequence[str] | None = None, tabs: bool = False
) -> tuple[list[str], Iterator[FileRow]]:
    """The columns and the rows of CSV or TSV.

    A quoted field of CSV may contain line ends; in TSV a quote is a character like any other. An empty line is an empty
    field where there is one column, else no row. The number of a row is the number of its last line, as an editor
    counts lines.
    """
    records = _records(lines, place, tabs)
    if columns is not None:
        return list(columns), _file_rows(records, list(columns), place, "dataset.files.columns", tabs)
    _, header = next(records, (0, []))
    return header, _file_rows(records, header, place, f"{place}, header", tabs)


def _records(lines: Iterable[str], place: str, tabs: bool) -> Iterator[tuple[int, list[str]]]:
    """The fields of each row of CSV or TSV, header included, with the number of its last line."""
    quoting: Literal[0, 3] = csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL
    reader = csv.reader(lines, strict=True, delimiter="\t" if tabs else ",", quoting=quoting)
    number = 0
    try:
        for fields in reader:
            number = reader.line_num
            yield number, fields
    except csv.Error as error:
        kind, fix = ("TSV", "Correct the row.") if tabs else ("CSV", "Correct the quotes.")
        raise BenchmarkError(f"{place}, row {number + 1}: the {kind} is invalid ({error}).", fix) from error


def _file_rows(
    records: Iterable[tuple[int, list[str]]], header: list[str], place: str, header_at: str, tabs: bool
) -> Iterator[FileRow]:
    for number, fields in records:
        row = fields or [""] * (len(header) == 1)
        if not row:
            continue
        location = f"{place}, row {number}"
        if len(row) != len(header):
            fix = "Separate columns by commas, and quote fields that contain commas."
            if tabs:
                many = len(row) > len(header)
                fix = "Remove tabs from the texts." if many else "Separate columns by one tab each."
            raise BenchmarkError(
                f"{location}: the number of fields differs from the {len(header)} columns of {header_at}.", fix
            )
        yield FileRow(dict(zip(header, row, strict=True)), location, header, header_at)


def _read_jsonl(path: Path) -> Iterator[FileRow]:
    """The rows of a file with one JSON object per line."""
    for location, line in read_lines(path):
        yield json_row(line, location)


def json_row(line: str, location: str) -> FileRow:
    """The JSON object in a line."""
    return _row_of(_parse_json(line, location), location)


def _read_json(path: Path) -> Iterator[FileRow]:
    """The rows of a list of JSON objects, alone or as `data` of an object."""
    document = _parse_json(read_text(path), str(path))
    if isinstance(document, dict) and isinstance(document.get("data"), list):
        document = document["data"]
    if not isinstance(document, list):
        raise BenchmarkError(
            f"{path}: the document is not a list.",
            'Write a list of objects, {"data": [...]} with such a list, or a .jsonl file with one object per line.',
        )
    for number, item in enumerate(document, start=1):
        yield _row_of(item, f"{path}, row {number}")


ROW_READERS: dict[str, Callable[[Path], Iterator[FileRow]]] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".jsonl": _read_jsonl,
    ".json": _read_json,
}
DELIMITED = (".csv", ".tsv")
"""The formats whose columns a header names, or else the reader of the file."""


def read_bytes(path: Path) -> bytes:
    """The bytes of a file that holds more than a byte-order mark."""
    try:
        content = path.read_bytes()
    except OSError as error:  # for example a folder, a broken link or a missing permission
        raise BenchmarkError(
            f"{path}: the file cannot be read ({error.strerror}).", "Replace it with a readable file."
        ) from error
    if content in (b"", codecs.BOM_UTF8):
        raise BenchmarkError(f"{path} is empty.", "Add rows or remove the file.")
    return content


def read_text(path: Path) -> str:
    """The content of a UTF-8 file."""
    return "".join(decode(io.BytesIO(read_bytes(path)), str(path)))


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line with its location and without its end, which is LF or CRLF."""
    return plain_lines(decode(io.BytesIO(read_bytes(path)), str(path)), str(path))


def decode(lines: Iterable[bytes], place: str) -> Iterator[str]:
    """The lines of a UTF-8 text without its byte-order mark; `place` is for messages."""
    for number, line in enumerate(lines, start=1):
        problem = "there is a NUL byte, as in UTF-16"
        if b"\x00" not in line:
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
                continue
            except UnicodeDecodeError as error:
                problem = f"the text is not UTF-8 ({error.reason})"
        raise BenchmarkError(f"{place}, row {number}: {problem}.", "Export the file again as UTF-8.")


def plain_lines(lines: Iterable[str], place: str) -> Iterator[tuple[str, str]]:
    """Each line with its location and without its end, which is LF or CRLF."""
    for number, line in enumerate(lines, start=1):
        location, text = f"{place}, row {number}", line.removesuffix("\n").removesuffix("\r")
        if "\r" in text:  # old Mac line ends: many rows would be read as one
            raise BenchmarkError(f"{location}: there is a lone carriage return.", "End every line with LF or CRLF.")
        yield location, text


class JsonObject(dict[str, Any]):
    """A JSON object that keeps the keys as written: `dict` alone would hide that a key occurs twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.written_keys = [key for key, _ in pairs]


def _parse_json(text: str, location: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=JsonObject)
    except (ValueError, RecursionError) as error:
        raise BenchmarkError(
            f"{location}: the JSON is invalid ({error}).", "Correct it or export the file again."
        ) from error


def _row_of(item: Any, location: str) -> FileRow:
    if not isinstance(item, JsonObject):
        raise BenchmarkError(
            f"{location}: this is not a JSON object.", "Write every row as an object with named values."
        )
    return FileRow(item, location, item.written_keys, location)


def sha256_of_file(*paths: Path) -> str:
    """The SHA-256 of a file, or of the content of several, one after another."""
    content = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: content)  # updates it
    return content.hexdigest()


def holds_nothing(path: Path) -> bool:
    """Whether there is nothing at `path`, or an empty folder."""
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that replaces it atomically if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".partial-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
