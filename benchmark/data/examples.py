"""Rows of a file or of the hub as examples: one text and one label id per row."""

import json
import reprlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from unicodedata import normalize

import numpy as np

from benchmark.data.checks import check_text
from benchmark.data.label_names import as_ids
from benchmark.data.rows import Row
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, normalized_label


def unwrap_single_labels(rows: list[Row], skip_multilabel: bool) -> list[Row]:
    """Replace each list of one label by that label.

    Rows with several labels are left out if `skip_multilabel` is set, else refused.
    """
    kept = []
    for row in rows:
        labels = row.label if isinstance(row.label, list | tuple) else (row.label,)
        if not labels:
            raise BenchmarkError(f"{row.location}: there is no label.", "Add one or remove the row.")
        if len(labels) == 1:
            kept.append(replace(row, label=labels[0]))
        elif not skip_multilabel:
            raise BenchmarkError(
                f"{row.location}: there are {len(labels)} labels, {reprlib.repr(list(labels))}.",
                "Set dataset.skip_multilabel=true to leave out all rows with several labels.",
            )
    if not kept:
        raise BenchmarkError(f"{rows[0].location}: this and every other row has several labels.", "Add other rows.")
    return kept


def to_examples(split: str, rows: list[Row], labels: Sequence[str]) -> Examples:
    """Convert rows, all labelled by name or all by id. Raises `BenchmarkError` at the first wrong text or label.

    A whole number is the name of a label if there is a label of that name, else an id. Ids whose names the source
    states are read by these names.
    """
    ids = {name: index for index, name in enumerate(labels)}
    written = [_label_as_written(row, ids) for row in rows]
    by_id = _is_int(written[0])
    for row in rows:
        if row.text is None or (isinstance(row.text, str) and not row.text.strip()):
            raise BenchmarkError(f"{row.location}: the text is empty.", "Add a text or remove the row.")
        check_text(row.text, row.location)
    return Examples(
        ids=tuple(f"{split}-{index}" for index in range(len(rows))),
        texts=tuple(row.text for row in rows),
        labels=np.array(
            [_label_id(row, label, ids, by_id) for row, label in zip(rows, written, strict=True)], dtype=np.int64
        ),
    )


def _label_as_written(row: Row, ids: dict[str, int]) -> Any:
    """The label of a row as a name or an id, or as it was read if it is neither."""
    label = row.label
    if row.label_names is not None and _is_int(label):
        if not 0 <= label < len(row.label_names):
            raise BenchmarkError(
                f"{row.location}: label {reprlib.repr(label)} is not an id from 0 to {len(row.label_names) - 1}, the "
                "ids with a name.",
                "Correct it, or remove rows without a label. If the test split of a Hub data set has no labels, use "
                "another: 'dataset.hub.splits={train: train, test: validation}'.",
            )
        name = row.label_names[label]
        if name not in ids:
            names = json.dumps(row.label_names, separators=(",", ":"))
            raise BenchmarkError(
                f"{row.location}: label {label} has the name {reprlib.repr(name)}, which is not one of "
                f"{', '.join(ids)}.",
                f"Set 'dataset.labels={names}'; dataset.label_words can give a decoder other words.",
            )
        return name
    if _is_int(label) and str(label) in ids:
        return str(label)
    return as_ids(label) if isinstance(label, str) and label not in ids else label


def _label_id(row: Row, label: Any, ids: dict[str, int], by_id: bool) -> int:
    """The id of a label from `_label_as_written`; raises `BenchmarkError` for an unknown label."""
    if by_id and _is_int(label) and 0 <= label < len(ids):
        return int(label)
    if not by_id and isinstance(label, str):
        if label in ids:
            return ids[label]
        similar = [name for name in ids if normalized_label(name) == normalized_label(label)]
        fix = f"Write '{similar[0]}'." if similar else "Correct it or add it to dataset.labels."
        if similar and normalize("NFC", label) == normalize("NFC", similar[0]):  # they look the same
            fix = f"Write '{similar[0]}' in the Unicode form of dataset.labels."
    elif by_id and _is_int(label):
        fix = "Correct it."
    else:
        fix = "Use label names in every row, or whole numbers as ids in every row."
    expected = f"an id from 0 to {len(ids) - 1}" if by_id else f"one of {', '.join(ids)}"
    raise BenchmarkError(f"{row.location}: label {reprlib.repr(label)} is not {expected}.", fix)


def _is_int(label: Any) -> bool:
    return isinstance(label, int) and not isinstance(label, bool)
