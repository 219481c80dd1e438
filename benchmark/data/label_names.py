"""The names of labels, where a source states them apart from its rows."""

import re
import reprlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmark.data.rows import RawSplits
from benchmark.errors import BenchmarkError
from benchmark.files import read_lines

ID = re.compile("0|[1-9][0-9]{0,8}")


def read_label_names(path: Path) -> tuple[str, ...]:
    """The names of the ids 0, 1, ... in a file: one per line, or lines of an id and a name with a tab between them."""
    names: list[str] = []
    separator = ""  # of the first line
    for number, (location, line) in enumerate(read_lines(path)):
        given, tab, name = (part.strip(" ") for part in line.rpartition("\t"))
        separator = separator if names else tab
        if tab != separator or given != (str(number) if tab else ""):
            raise BenchmarkError(
                f"{location}: this is not the name of id {number}, or not written as in the first line.",
                "Write a name on each line, or on each line an id, a tab and its name; name the ids in their order, "
                "the first one 0.",
            )
        if not name or name in names:
            raise BenchmarkError(
                f"{location}: the name {name!r} is {'used twice' if name else 'empty'}.", "Give each id its own name."
            )
        names.append(name)
    return tuple(names)


def as_ids(label: Any) -> Any:
    """A label, or each label of a row, as an id where it is written as a whole number."""
    if isinstance(label, list | tuple):
        return tuple(map(as_ids, label))
    return int(label) if isinstance(label, str) and ID.fullmatch(label) else label


def stated_labels(raw: RawSplits) -> list[str]:
    """The names that the source states for its label ids, or else the different labels of its training rows, sorted.

    Raises `BenchmarkError` for labels that are not names: ids, other numbers, `nan`, and empty ones.
    """
    rows = raw.rows["train"]
    if rows[0].label_names is not None:
        return list(rows[0].label_names)
    labels = set()
    for row in rows:
        for label in row.label if isinstance(row.label, list | tuple) else [row.label]:
            if not isinstance(label, str) or not label.strip() or _is_number(label):
                raise BenchmarkError(
                    f"{row.location}: {reprlib.repr(label)} is not the name of a label.",
                    "Set dataset.labels to the names, for ids in their order, as in 'dataset.labels=[bad,good]'; or "
                    "correct the row.",
                )
            labels.add(label)
    return sorted(labels)


def _is_number(label: str) -> bool:
    with suppress(ValueError):
        float(label)
        return True
    return False
