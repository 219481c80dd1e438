"""Read files of texts and labels in six formats."""

import json
import reprlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.data.rows import Row, check_columns, top_of, value_at
from benchmark.errors import BenchmarkError
from benchmark.files import DELIMITED, ROW_READERS, read_all_rows, read_bytes, read_lines, read_rows

INSTRUCTION = {"instruction", "input", "output"}
"""The columns of the study's files."""


@dataclass(frozen=True)
class ColumnNames:
    """The columns of the text and the label. `columns` names all columns of a file without a header."""

    text_column: str = "text"
    label_column: str = "label"
    columns: Sequence[str] | None = None
    label_option: str = "dataset.label_column"  # the option that named the column of labels


def read_file(path: Path, named: ColumnNames) -> list[Row]:
    """Read a `.txt`, `.csv`, `.tsv`, `.json`, `.jsonl` or `.parquet` file. Rows keep the order of the file."""
    if named.columns is not None and path.suffix not in DELIMITED:
        raise BenchmarkError(
            f"dataset.files.columns names the columns of a file without a header, but {path} is not CSV or TSV.",
            "Set dataset.files.columns=null.",
        )
    rows = list(READERS[path.suffix](path, named))
    if not rows:
        raise BenchmarkError(f"{path} has no rows.", "Add rows or remove the file.")
    if named.columns is not None and (rows[0].text, rows[0].label) == (named.text_column, named.label_column):
        raise BenchmarkError(
            f"{rows[0].location}: this is a header, but dataset.files.columns is set.",
            "Set dataset.files.columns=null.",
        )
    return rows


def read_pair(texts: Path, labels: Path) -> list[Row]:
    """Read one text per line from one file and its label from the same line of another.

    Space around a text or label is no part of it.
    """
    text_lines, label_lines = list(read_lines(texts)), list(read_lines(labels))
    if len(text_lines) != len(label_lines):
        shorter, number = (texts, len(text_lines)) if len(text_lines) < len(label_lines) else (labels, len(label_lines))
        raise BenchmarkError(
            f"{shorter}, row {number + 1}: the file ends here, but {texts.name} has {len(text_lines)} lines and "
            f"{labels.name} has {len(label_lines)}.",
            "Write the label of each text in the same line of the other file.",
        )
    return [
        Row(text.strip(), label.strip(), f"{location} and {labels.name}")
        for (location, text), (_, label) in zip(text_lines, label_lines, strict=True)
    ]


def _read_txt(path: Path, named: ColumnNames) -> Iterator[Row]:
    """Read one row per line, `text;label`. The text may contain semicolons."""
    for location, line in read_lines(path):
        if ";" not in line:
            raise BenchmarkError(
                f"{location}: there is no ';' between text and label.", "Write the line as `text;label`."
            )
        text, label = line.rsplit(";", 1)
        yield Row(text, label, location)


def _read_named_values(path: Path, named: ColumnNames) -> Iterator[Row]:
    """Read rows with named values. Rows in the instruction format of the study have fixed column names."""
    for row in read_rows(path, named.columns):
        columns = named.text_column, named.label_column
        if row.values.keys() >= INSTRUCTION:
            if columns[1] in row.values and row.values[columns[1]] != row.values["output"]:
                raise BenchmarkError(
                    f"{row.location}: '{columns[1]}' is {reprlib.repr(row.values[columns[1]])}, but 'output', the gold "
                    f"label in a file of instructions, is {reprlib.repr(row.values['output'])}.",
                    "Remove one of them.",
                )
            columns = "input", "output"
        check_columns(row.columns, *columns, row.columns_at, row.values, named.label_option)
        text, label = (value_at(row.values, column) for column in columns)
        yield Row(text, label, row.location)


def _read_parquet(path: Path, named: ColumnNames) -> Iterator[Row]:
    """Read rows of a parquet file, whose columns may be nested and whose label ids may have names."""
    table = _parquet_table(path)
    text_column, label_column = named.text_column, named.label_column
    names = table.column_names
    nested = {field.name: _fields(field.type) for field in table.schema}
    check_columns(names, text_column, label_column, str(path), nested, named.label_option)
    used = [top_of(column, names) for column in (text_column, label_column)]
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


READERS: dict[str, Callable[[Path, ColumnNames], Iterator[Row]]] = {
    ".txt": _read_txt,
    **dict.fromkeys(ROW_READERS, _read_named_values),
    ".parquet": _read_parquet,
}


OBJECT_SUFFIXES = (*ROW_READERS, ".parquet")
"""The formats in which rows have named values."""


def read_objects(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Every row of a `.csv`, `.tsv`, `.json`, `.jsonl` or `.parquet` file with all its columns, and its location.

    Values of CSV and TSV files are strings.
    """
    if path.suffix != ".parquet":
        return [(row.location, row.values) for row in read_all_rows(path)]
    rows = _parquet_table(path).to_pylist()
    if not rows:
        raise BenchmarkError(f"{path} has no rows.", "Export it again.")
    return [(f"{path}, row {number}", row) for number, row in enumerate(rows, start=1)]


def class_label_names(metadata: dict[bytes, bytes] | None, label_column: str) -> tuple[str, ...] | None:
    """The names of the label ids that the library datasets wrote into a parquet file, or None."""
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        feature = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        feature = feature[label_column] if label_column in feature else value_at(feature, label_column)
        feature = feature.get("feature", feature)  # of a list
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
