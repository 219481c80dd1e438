"""`python -m benchmark.predict MODEL_DIR [FILE]`: label texts with a model that a run kept with `models_dir=`."""

import argparse
import csv
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from benchmark.data.checks import check_characters
from benchmark.data.unlabelled import FORMATS, TEXT, TextRow, format_of, open_lines, text_rows
from benchmark.errors import BenchmarkError
from benchmark.files import replacing
from benchmark.run.folders import check_writable
from benchmark.run.kept import KeptModel, Prediction, load
from benchmark.terminal import exit_on_error, quiet_libraries

__all__ = ["KeptModel", "Prediction", "load", "main"]

BATCH = 256  # texts between two outputs; enough to pack
ADDED = ("predicted", "probability")
"""The columns that are added to those of the input. `python -m benchmark.compare` reads the first."""


def main() -> None:
    parser = _parser()
    arguments = parser.parse_intermixed_args()
    settings = [word for word in arguments.words if word.startswith("model.") and "=" in word]
    files = [word for word in arguments.words if word not in settings]
    if len(files) > 1:
        parser.error(f"one FILE at a time, not {' '.join(files)}")
    only_merges = arguments.merge is not None and not files
    with exit_on_error():
        _check_options(parser, arguments, None if only_merges else next(iter(files), "-"))
        quiet_libraries()
        logging.basicConfig(level=logging.WARNING, format="%(message)s")
        if arguments.merge is not None:
            load(arguments.model_dir, *settings).merge(arguments.merge)
            sys.stderr.write(f"wrote {arguments.merge}\n")
        if not only_merges:
            _label(arguments, settings, *files)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.predict", description="Label texts with a model that a run kept with models_dir=."
    )
    parser.add_argument("model_dir", metavar="MODEL_DIR", help="the folder of the model, below models_dir")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="FILE | model.OPTION=VALUE",
        help="a .txt (one text per line), .csv, .tsv or .jsonl file, - (the default) for standard input; and options "
        "of the model, for example model.device=cpu",
    )
    parser.add_argument("--format", choices=FORMATS, help="the format of FILE (default: by its name; - is txt)")
    parser.add_argument("--text-column", metavar="NAME", help="the column with the text (default: text)")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="a .csv or .jsonl file (default: CSV to the terminal)"
    )
    parser.add_argument("--merge", type=Path, metavar="DIR", help="write the adapter merged into its base model")
    return parser


def _check_options(parser: argparse.ArgumentParser, arguments: argparse.Namespace, file: str | None) -> None:
    """End with an error if an option would be ignored; `file` is None if no texts are labelled."""
    options = ("format", "text_column", "output")
    given = [f"--{name.replace('_', '-')}" for name in options if getattr(arguments, name) is not None]
    if file is None and given:
        parser.error(
            f"{', '.join(given)}: --merge alone labels no texts. Name a FILE too, or - for standard input, or leave "
            "these options out."
        )
    if file is not None and arguments.text_column is not None and _format(arguments, file) == "txt":
        parser.error(
            "--text-column: lines of text have no columns. Leave it out, or set --format to csv, tsv or jsonl."
        )


def _format(arguments: argparse.Namespace, file: str) -> str:
    return arguments.format or format_of(file)


@dataclass
class Counts:
    """How many texts were read, and how many of them were empty."""

    rows: int = 0
    empty: int = 0


def _label(arguments: argparse.Namespace, settings: list[str], file: str = "-") -> None:
    """Read, predict and write batch by batch, and say on standard error how many texts were empty or cut."""
    lines, file_format = open_lines(file), _format(arguments, file)
    place, counts = "standard input" if file == "-" else file, Counts()
    columns, texts = text_rows(lines, file_format, place, arguments.text_column or TEXT)
    _check_columns(columns or [], f"{place}, header")
    with _writer(arguments.output, columns) as write:
        model = load(arguments.model_dir, *settings)
        rows = _checked_rows(texts, file_format, model.record.labels)
        write(())  # the header, also where no row follows
        with _progress() as show:
            while batch := list(islice(rows, BATCH)):
                predictions = model.predict([row.text for row in batch])
                write(zip(batch, predictions, strict=True))
                counts.rows += len(batch)
                counts.empty += sum(not row.text.strip() for row in batch)
                show(len(batch))
    sys.stderr.write(_summary(model, counts, arguments.output))


def _checked_rows(rows: Iterable[TextRow], file_format: str, labels: Sequence[str]) -> Iterator[TextRow]:
    """The rows as they are read; raises `BenchmarkError` at the first that cannot be labelled or written.

    None may have a column that the output adds, a value that is not Unicode, or be a line `text;label` as in a data
    set.
    """
    for row in rows:
        _check_columns(row.row.columns, row.row.columns_at)
        check_characters(json.dumps(row.row.values, ensure_ascii=False), row.row.location, "a value")
        if file_format == "txt" and row.text.rpartition(";")[1:] in [(";", label) for label in labels]:
            raise BenchmarkError(
                f"{row.row.location}: the line ends with {row.text[row.text.rindex(';') :]!r}, a label of the model.",
                "Remove the labels; if this is a text, write the texts as .csv with the column text.",
            )
        yield row


def _check_columns(columns: Sequence[str], place: str) -> None:
    """Raise if one of the columns is one that the output adds."""
    if taken := [column for column in ADDED if column in columns]:
        raise BenchmarkError(f"{place}: the column {taken[0]!r} is one that the output adds.", "Rename it.")


Write = Callable[[Iterable[tuple[TextRow, Prediction]]], None]


@contextmanager
def _writer(output: Path | None, columns: list[str] | None) -> Iterator[Write]:
    """Writes rows to standard output, or to a file that is there when all rows are.

    `columns` are the columns of all rows; if it is None, the first row names them.
    """
    if output is None:
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
        yield _csv_to(sys.stdout, columns)
        return
    if output.suffix not in (".csv", ".jsonl"):
        raise BenchmarkError(f"--output {output} is neither .csv nor .jsonl.", "Name it with one of these endings.")
    check_writable("--output", output.parent)
    with replacing(output) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        yield _csv_to(file, columns) if output.suffix == ".csv" else _jsonl_to(file)


def _jsonl_to(file: IO[str]) -> Write:
    def write(rows: Iterable[tuple[TextRow, Prediction]]) -> None:
        for row, prediction in rows:
            file.write(json.dumps({**row.row.values, **_added_values(prediction)}, ensure_ascii=False) + "\n")

    return write


def _csv_to(file: IO[str], columns: list[str] | None) -> Write:
    writer = csv.writer(file, lineterminator="\n")
    quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)  # a lone \r must be quoted too
    header: list[str] = []

    def begin(columns: list[str]) -> None:
        header.extend(columns)
        writer.writerow([*header, *ADDED])

    def write(rows: Iterable[tuple[TextRow, Prediction]]) -> None:
        if columns and not header:
            begin(columns)
        for row, prediction in rows:
            if not header:
                begin(row.row.columns)
            if set(row.row.columns) != set(header):
                raise BenchmarkError(
                    f"{row.row.location}: the names differ from those of the first row.",
                    "Write JSON lines: --output FILE.jsonl.",
                )
            cells = [_cell(row.row.values[name]) for name in header]
            has_return = any(isinstance(cell, str) and "\r" in cell for cell in cells)
            (quoting if has_return else writer).writerow([*cells, *_added_values(prediction).values()])
        file.flush()

    return write


def _cell(value: Any) -> Any:
    """The value in a cell of CSV: lists, objects and truth values of JSON stay JSON, and null is empty."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _added_values(prediction: Prediction) -> dict[str, str | float | None]:
    probability = None if prediction.probability is None else float(f"{prediction.probability:.7g}")  # of float32
    return dict(zip(ADDED, (prediction.label, probability), strict=True))


@contextmanager
def _progress() -> Iterator[Callable[[int], object]]:
    """A count of texts on a terminal to which the output does not go."""
    from tqdm import tqdm  # --help does not wait for it

    with tqdm(unit=" texts", leave=False, disable=sys.stdout.isatty() or not sys.stderr.isatty()) as bar:
        yield bar.update


def _summary(model: KeptModel, counts: Counts, output: Path | None) -> str:
    place = "" if output is None else f" to {output}"
    labelled = counts.rows - counts.empty
    said = f"{labelled:,} {'text' if labelled == 1 else 'texts'} labelled{place}"
    if counts.empty:
        said += f"; {counts.empty:,} empty, without a label"
    if model.truncated_texts:
        said += f"; {model.truncated_texts:,} were cut to {model.record.config.recipe.max_length} tokens"
    return f"{said}\n"


if __name__ == "__main__":
    main()
