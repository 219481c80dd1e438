"""Read a data set from a folder with one file per split."""

import re
from pathlib import Path

from benchmark.config import DatasetConfig
from benchmark.data.formats import READERS, read_file
from benchmark.data.rows import RawSplits
from benchmark.errors import BenchmarkError

SPLIT_NAMES = {
    "train": ("train",),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
"""Split -> its names: those of files without suffix, and those of splits on the hub."""


def read_folder(config: DatasetConfig, folder: Path) -> RawSplits:
    """The splits train, test and, if there is a file for it, validation."""
    try:
        present = sorted(folder.iterdir())
    except OSError as error:
        raise BenchmarkError(
            f"dataset.path={folder} is not a readable folder ({error.strerror}).",
            "Set it to a folder with a train and a test file and, optionally, a validation file.",
        ) from error
    files = {name: file for name in SPLIT_NAMES if (file := _file_of(name, folder, present))}
    for name in ("train", "test"):
        if name not in files:
            raise BenchmarkError(f"{folder} has no {name} split.", f"Add one file named {_supported(name)}.")
    formats = ", ".join(sorted({file.suffix for file in files.values()}))
    columns = config.text_column, config.label_column
    return RawSplits(f"local files ({formats})", {name: read_file(file, *columns) for name, file in files.items()})


def _file_of(split: str, folder: Path, present: list[Path]) -> Path | None:
    """The only file of a split, named like `test.csv` or, as on the hub, `test-00000-of-00001.parquet`."""
    stems = SPLIT_NAMES[split]
    names = {*stems, *(f"{stem}-00000-of-00001" for stem in stems)}
    found = [path for path in present if path.suffix in READERS and path.stem in names]
    if len(found) > 1:
        raise BenchmarkError(f"{folder} has several {split} files: {', '.join(p.name for p in found)}.", "Keep one.")
    if found:
        return found[0]
    similar = "|".join((*stems, "eval", "evaluation") if split == "validation" else stems)
    for path in present:
        if re.match(rf"({similar})([\W\d_]|$)", path.name, re.IGNORECASE):  # never ignore what may be a split
            raise BenchmarkError(
                f"{path} is not a complete {split} split in a supported format.",
                f"Save the split as one file named {_supported(stems[0])}, or rename this file.",
            )
    return None


def _supported(stem: str) -> str:
    *suffixes, last = READERS
    return f"{stem}{', '.join(suffixes)} or {last}"
