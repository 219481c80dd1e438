"""Read a data set from a folder with one file per split, or with a file of texts and a file of labels."""

import re
from dataclasses import replace
from pathlib import Path

from benchmark.data.file_formats import READERS, ColumnNames, read_file, read_pair
from benchmark.data.label_names import as_ids, read_label_names
from benchmark.data.rows import RawSplits, Row
from benchmark.dataset_config import DatasetConfig, Files
from benchmark.errors import BenchmarkError

SPLIT_NAMES = {
    "train": ("train",),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
"""Split -> its names, for files without their suffix and for splits on the hub."""
LABEL_NAME_FILES = ("labels.txt", "mapping.txt", "classes.txt", "label_names.txt")
"""Usual names of files with the names of label ids."""
Paths = tuple[Path, ...]
"""The file of a split, or its file of texts and its file of labels."""


def read_folder(config: DatasetConfig, folder: Path) -> RawSplits:
    """The splits train, test and, if there is a file for it, validation."""
    try:
        present = sorted(folder.iterdir())
    except OSError as error:
        raise BenchmarkError(
            f"dataset.path={folder} is not a readable folder ({error.strerror}).",
            "Set it to a folder with a train and a test file and, optionally, a validation file.",
        ) from error
    files = {name: paths for name in SPLIT_NAMES if (paths := _files_of(name, folder, present))}
    for name in ("train", "test"):
        if name not in files:
            raise BenchmarkError(f"{folder} has no {name} split.", f"Add one file named {_supported_files(name)}.")
    formats = ", ".join(sorted({file.suffix for paths in files.values() for file in paths}))
    return RawSplits(f"local files ({formats})", {name: _rows(config, paths) for name, paths in files.items()})


def _rows(config: DatasetConfig, files: Paths) -> list[Row]:
    """The rows of a split, with several labels or the names of ids where `dataset.files` says so."""
    layout = config.files or Files()
    named = ColumnNames(config.text_column, config.label_column, layout.columns)
    if layout.label_column is not None:
        named = replace(named, label_column=layout.label_column, label_option="dataset.files.label_column")
    rows = read_pair(*files) if len(files) > 1 else read_file(files[0], named)
    if layout.label_separator is not None:
        rows = [_with_several_labels(row, layout.label_separator) for row in rows]
    if layout.label_names is None:
        _check_ids(rows[0], files[0].parent)
    else:
        names = _label_names(files[0].parent, layout.label_names)
        rows = [replace(row, label_names=names, label=as_ids(row.label)) for row in rows]
    return rows


def _label_names(folder: Path, name: str) -> tuple[str, ...]:
    """The names in the file of this name."""
    if not (folder / name).exists():
        raise BenchmarkError(
            f"{folder} has no file {name}, which dataset.files.label_names names.",
            "Add it, or set dataset.files.label_names=null if the rows have names or the files state them.",
        )
    return read_label_names(folder / name)


def _check_ids(row: Row, folder: Path) -> None:
    """Raise for ids beside a file that may name them in another order than `dataset.labels`."""
    present = [name for name in LABEL_NAME_FILES if (folder / name).is_file()]
    labels = as_ids(row.label)
    has_ids = any(isinstance(label, int) for label in (labels if isinstance(labels, tuple) else (labels,)))
    if present and has_ids and row.label_names is None:
        raise BenchmarkError(
            f"{row.location}: label {row.label!r} may be an id, and {folder} has a file {present[0]}, which is not "
            "read.",
            f"Set 'dataset.files={{label_names: {present[0]}}}', or rename that file if it does not name the ids.",
        )


def _with_several_labels(row: Row, separator: str) -> Row:
    if not isinstance(row.label, str):
        return row
    labels = tuple(label.strip() for label in row.label.split(separator))
    if "" in labels:
        raise BenchmarkError(f"{row.location}: {row.label!r} has an empty label.", "Remove it or name the label.")
    return replace(row, label=labels)


def _files_of(split: str, folder: Path, present: list[Path]) -> Paths | None:
    """The only file of a split, named like `test.csv` or, as on the hub, `test-00000-of-00001.parquet`.

    Or two of them, such as `test_text.txt` and `test_labels.txt`.
    """
    stems = SPLIT_NAMES[split]
    names = {*stems, *(f"{stem}-00000-of-00001" for stem in stems)}
    candidates: list[Paths] = [(path,) for path in present if path.suffix in READERS and path.stem in names]
    pairs = [(folder / f"{stem}_text.txt", folder / f"{stem}_labels.txt") for stem in stems]
    candidates += [pair for pair in pairs if set(pair) & set(present)]
    if len(candidates) > 1:
        listed = ", ".join(path.name for files in candidates for path in files)
        raise BenchmarkError(f"{folder} has several {split} files: {listed}.", "Keep one.")
    if candidates:
        missing = [path for path in candidates[0] if path not in present]
        if missing:
            raise BenchmarkError(f"{folder} has no file {missing[0].name}.", "Add it beside the file of its split.")
        return candidates[0]
    similar = "|".join((*stems, "eval", "evaluation") if split == "validation" else stems)
    for path in present:
        if re.match(rf"({similar})([\W\d_]|$)", path.name, re.IGNORECASE):  # never ignore what may be a split
            raise BenchmarkError(
                f"{path} is not a complete {split} split in a supported format.",
                f"Save the split as one file named {_supported_files(stems[0])}, or rename this file.",
            )
    return None


def _supported_files(stem: str) -> str:
    *suffixes, last = READERS
    return f"{stem}{', '.join(suffixes)} or {last}"
