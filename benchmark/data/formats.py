"""Read files of texts and labels in five formats."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.data.rows import Row, check_columns, value_at
from benchmark.errors import BenchmarkError
from benchmark.files import ROW_READERS, read_bytes, read_lines, read_rows


def read_file(path: Path, text_column: str, label_column: str) -> list[Row]:
    """Read a `.txt`, `.csv`, `.json`, `.jsonl` or `.parquet` file. Rows keep the order of the file."""
    rows = list(READERS[path.suffix](path, text_column, label_column))
    if not rows:
        raise BenchmarkError(f"{path} has no rows.", "Add rows or remove the file.")
    return rows


def _read_txt(path: Path, text_column: str, label_column: str) -> Iterator[Row]:
    """One row per line, `text;label`. The text may contain semicolons."""
    for location, line in read_lines(path):
        if ";" not in line:
            raise BenchmarkError(
                f"{location}: there is no ';' between text and label.", "Write the line as `text;label`."
            )
        text, label = line.rsplit(";", 1)
        yield Row(text, label, location)


def _read_objects(path: Path, text_column: str, label_column: str) -> Iterator[Row]:
    """Rows with named values. Those in the instruction format of the study have fixed column names."""
    for row in read_rows(path):
        columns = text_column, label_column
        if {"instruction", "input", "output"} <= row.values.keys():
            columns = "input", "output"
        check_columns(row.columns, *columns, row.columns_at, row.values)
        text, label = (value_at(row.values, column) for column in columns)
        yield Row(text, label, row.location)


def _read_parquet(path: Path, text_column: str, label_column: str) -> Iterator[Row]:
    table = _parquet_table(path)
    names = table.column_names
    nested = {field.name: _fields(field.type) for field in table.schema}
    check_columns(names, text_column, label_column, str(path), nested)
    used = [column if column in names else column.partition(".")[0] for column in (text_column, label_column)]
    label_names = class_label_names(table.schema.metadata, label_column)
    for number, values in enumerate(zip(*(table[column] for column in used), strict=True), start=1):
        location = f"{path}, row {number}"
        try:
            text, label = (
                value_at({top: value.as_py()}, column)
                for top, value, column in zip(used, values, (text_column, label_column), strict=True)
            )
        except (ValueError, OverflowError) as error:
            raise BenchmarkError(
                f"{location}: a value cannot be decoded ({error}).", "Download or export the file again."
            ) from error
        yield Row(text, label, location, label_names)


READERS: dict[str, Callable[[Path, str, str], Iterator[Row]]] = {
    ".txt": _read_txt,
    **dict.fromkeys(ROW_READERS, _read_objects),
    ".parquet": _read_parquet,
}


OBJECT_READERS = (*ROW_READERS, ".parquet")
"""The formats in which rows have named values."""


def read_objects(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Every row of a `.csv`, `.json`, `.jsonl` or `.parquet` file with all its columns, and its location.

    Values of a CSV file are strings.
    """
    objects: list[tuple[str, dict[str, Any]]] = []
    if path.suffix == ".parquet":
        values = _parquet_table(path).to_pylist()
        objects += ((f"{path}, row {number}", row) for number, row in enumerate(values, start=1))
    else:
        for row in read_rows(path):
            if len(set(row.columns)) < len(row.columns):
                raise BenchmarkError(f"{row.columns_at}: a column occurs more than once.", "Keep one of them.")
            objects.append((row.location, row.values))
    if not objects:
        raise BenchmarkError(f"{path} has no rows.", "Export it again.")
    return objects


def class_label_names(metadata: dict[bytes, bytes] | None, label_column: str) -> tuple[str, ...] | None:
    """The names of the label ids that the library datasets wrote into a parquet file, or None."""
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        feature = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        feature = feature[label_column] if label_column in feature else value_at(feature, label_column)
        return tuple(feature["names"]) if feature["_type"] == "ClassLabel" else None
    return None


def _parquet_table(path: Path) -> pa.Table:
    try:
        table = pq.ParquetFile(pa.BufferReader(read_bytes(path))).read()
        _ = table.column_names  # decodes them
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise BenchmarkError(
            f"{path}: the parquet file is not readable ({reason}).", "Download or export it again."
        ) from error
    return table


def _fields(kind: pa.DataType) -> Any:
    """The fields of a nested column, as a dictionary of dictionaries; None for a column of plain values."""
    return {field.name: _fields(field.type) for field in kind} if pa.types.is_struct(kind) else None
