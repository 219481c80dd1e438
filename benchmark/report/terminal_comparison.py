"""The tables of `python -m benchmark.compare`, for a terminal of 80 columns."""

import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis import comparisons
from benchmark.analysis.compared_models import ComparedModels
from benchmark.analysis.configurations import mean_accuracy
from benchmark.analysis.inference import accuracy_interval, possible_counts
from benchmark.errors import BenchmarkError
from benchmark.files import replacing
from benchmark.report.formats import count, fixed, p_value, spreadsheet_text
from benchmark.report.table import ACCURACY, FOUR_DECIMALS, INTERVAL, Column
from benchmark.report.tables.comparison import letters
from benchmark.report.terminal_leaderboard import as_text

MODELS = (
    Column("number", "#"),
    Column("name", "Model"),
    Column("files", "Files"),
    ACCURACY,
    INTERVAL,
    Column("group", "Group"),
)
DIFFERENCES = (
    Column("pair", "Pair"),
    Column("difference", "Difference", fixed("+.4f")),
    INTERVAL,
    Column("p", "McNemar's p", p_value),
    Column("adjusted_p", "p, Holm", p_value),
    Column("verdict", "Verdict"),
)
COUNTS = (
    Column("pair", "Pair"),
    Column("both", "Both right", count),
    Column("wins", "Only first", count),
    Column("losses", "Only second", count),
    Column("neither", "Both wrong", count),
    Column("detectable", "Detectable", FOUR_DECIMALS),
)
STATED = (
    Column("name", "Stated by"),
    Column("accuracy", "Accuracy"),
    Column("counts", "Right predictions that round to it"),
)
NOTE = """\
Pairs have the numbers of the first table; the first of a pair is the more
accurate. Models that share a letter under Group do not differ significantly.
The interval of an accuracy is Wilson's for one file, else a bootstrap over
files and items; that of a difference is a paired bootstrap. McNemar's test is
exact, and Holm's correction is for all pairs. Two models differ if the
corrected p is below 0.05 and the interval excludes 0. Detectable is the
smallest difference that the test finds with 80% power at this disagreement,
if there is one. Counts are means over the pairs of files."""


def model_rows(compared: ComparedModels, differences: pd.DataFrame) -> pd.DataFrame:
    """One row per model, the most accurate first; `differences` are its `pair_rows`."""
    rows = []
    for number, (name, correct) in enumerate(compared.correct.items(), start=1):
        interval, accuracy = accuracy_interval(correct), mean_accuracy(correct)
        row = {"number": number, "configuration": name, "name": name, "files": len(correct), "accuracy": accuracy}
        rows.append(row | {"low": interval.low, "high": interval.high})
    table = pd.DataFrame(rows)
    groups = comparisons.tied_groups(table, differences)
    return table.assign(group=letters(groups, len(table)))


def pair_rows(compared: ComparedModels) -> pd.DataFrame:
    """One row per pair of models; counts are means over pairs of files."""
    correct = compared.correct
    table = pd.DataFrame(comparisons.compare(correct), columns=[*comparisons.COLUMNS[1:]], dtype=object)
    items = next(iter(correct.values())).shape[1]
    right = [round(mean_accuracy(correct[name]) * items, 9) for name in table["better"]]
    numbers = combinations(range(1, len(correct) + 1), 2)
    both = np.array(right, dtype=object) - table["wins"]
    return table.assign(
        pair=[f"{one} - {other}" for one, other in numbers],
        both=both,
        neither=items - both - table["wins"] - table["losses"],
    )


def stated_rows(values: Sequence[str], items: int) -> pd.DataFrame:
    """One row per value `NAME=0.9262`: the numbers of right answers on so many items that round to it, or none."""
    rows = []
    for value in values:
        read = re.fullmatch(r"(?:(.*)=)?(0(?:\.\d+)?|1(?:\.0+)?)", value)
        if read is None:
            raise BenchmarkError(f"--stated {value} is not an accuracy.", "Write NAME=ACCURACY, as in study=0.9262.")
        name, accuracy = read.groups()
        counts = possible_counts(float(accuracy), items, decimals=len(accuracy.partition(".")[2]))
        span = " to ".join(f"{limit:,}" for limit in sorted({*counts[:1], *counts[-1:]})) or "none"
        rows.append({"name": name or "-", "accuracy": accuracy, "counts": f"{span} of {items:,}"})
    return pd.DataFrame(rows)


def comparison_text(compared: ComparedModels, stated_values: Sequence[str] = ()) -> str:
    """Everything that the terminal shows."""
    files, differences = compared.aligned.files, pair_rows(compared)
    items = len(files[0])
    matched = f", matched by {compared.aligned.by}" if len(files) > 1 else ""
    parts = ["\n".join([f"{items:,} items{matched}", *compared.notes])]
    parts.append(as_text(MODELS, model_rows(compared, differences)))
    if len(differences):
        parts += [as_text(DIFFERENCES, differences), as_text(COUNTS, differences), NOTE]
    if stated_values:
        parts.append(as_text(STATED, stated_rows(stated_values, items)))
    return "\n\n".join(parts) + "\n"


def write_items(compared: ComparedModels, path: Path) -> int:
    """Write the items that some file answers correctly and another does not, as CSV; returns how many they are."""
    rows = []
    for answers in zip(*compared.aligned.files, strict=True):
        if len({answer.correct for answer in answers}) > 1:
            known = {key: _first(answers, key) for key in ("id", "text", "gold")}
            row: dict[str, Any] = {"location": answers[0].location, **known}
            for name in compared.correct:
                of_model = [answers[place] for place in compared.models[name]]
                row[f"{name}: right"] = sum(answer.correct for answer in of_model)
                row[f"{name}: predicted"] = " | ".join(dict.fromkeys(answer.predicted or "" for answer in of_model))
            rows.append(row)
    try:
        if path.is_dir() or (path.exists() and not path.read_bytes().startswith(b"location,")):
            raise BenchmarkError(f"--items {path} exists and is not a list of items.", "Name another file.")
        with replacing(path) as temporary:
            table = pd.DataFrame(rows).dropna(axis=1, how="all") if rows else pd.DataFrame(columns=["location", "gold"])
            table.map(spreadsheet_text).to_csv(temporary, index=False, lineterminator="\n")
    except OSError as error:
        raise BenchmarkError(f"--items {path} cannot be written ({error.strerror}).", "Name another file.") from error
    return len(rows)


def _first(answers: Sequence[Any], key: str) -> str | None:
    return next((value for answer in answers if (value := getattr(answer, key)) is not None), None)
