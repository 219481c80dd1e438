"""What the terminal shows after the runs of a command: their scores beside the best others, and what was written."""

import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.configuration_status import ConfigurationStatus, Outcome
from benchmark.analysis.frame import read_results
from benchmark.errors import BenchmarkError
from benchmark.report.build import PAGE
from benchmark.report.table import Column
from benchmark.report.tables.leaderboard import COLUMNS, ranked
from benchmark.results.store import name_of, results_dir_above

OTHERS = 5
"""How many other configurations are shown."""
IMPORTANCE = ("model", "accuracy", "recipe", "low", "status", "macro_f1", "training_seconds", "spread")
"""The columns of the leaderboard that are shown; the last ones are left out first where the terminal is narrow."""
READABLE = {"model": 18, "recipe": 14, "status": 16}
"""The columns whose cells may take several lines, and the width that they keep."""
MEASURED = ConfigurationStatus(Outcome.measured)
"""The status of a row without remarks."""
GAP = "  "


def show_runs(recorded: Mapping[Path, bool]) -> None:
    """Print the configurations of these runs and the best others, then the new files.

    `recorded` maps the folders of runs in results to whether they are new.
    """
    width = shutil.get_terminal_size().columns
    for results_dir in dict.fromkeys(results_dir_above(folder) for folder in recorded):
        names = [name_of(folder) for folder in recorded if results_dir_above(folder) == results_dir]
        new = [folder for folder, is_new in recorded.items() if is_new and results_dir_above(folder) == results_dir]
        try:
            analysis = AnalysedResults(read_results(results_dir))
            runs = analysis.results.runs
            for dataset in runs.loc[runs["run"].isin(names), "dataset"].unique():
                sys.stdout.write(tables_of(analysis, dataset, names, width))
        except BenchmarkError as error:
            sys.stderr.write(f"{error}\n")
        if new:
            places = [results_dir / PAGE, *new, results_dir / "tables", results_dir / "figures"]
            sys.stdout.write("\nwrote\n" + "".join(f"  {place}\n" for place in places))
        else:
            sys.stdout.write(f"\nnothing new; the report is {results_dir / PAGE}\n")


def tables_of(analysis: AnalysedResults, dataset: str, names: Sequence[str], width: int) -> str:
    """The configurations of the named runs on `dataset`, reduced ones included, and the best others."""
    runs = analysis.results.runs
    configurations = runs.loc[runs["run"].isin(names) & (runs["dataset"] == dataset), "configuration"]
    data = ranked(dataset, analysis)
    is_own = data["configuration"].isin(configurations)
    others = data[~is_own & data["result"].astype(bool)].head(OTHERS)
    groups = [(f"This command's runs on {dataset}", data[is_own])]
    groups += [(f"Best others on {dataset}", others)] if len(others) else []
    shown = pd.concat([rows for _, rows in groups])
    columns = [column for column in COLUMNS if column.name in IMPORTANCE and _is_informative(shown[column.name])]
    cells = pd.DataFrame(
        [[column.text(row) for column in columns] for row in shown.to_dict("records")],
        columns=[column.name for column in columns],
    )
    headings = {column.name: str(column.heading) for column in columns}
    widths = fit_to_width(cells, headings, width)
    lines, start = [], 0
    for title, rows in groups:
        texts = cells.iloc[start : start + len(rows)].to_dict("records")
        lines += ["", title, _line(headings, widths), _line({name: "-" * widths[name] for name in widths}, widths)]
        lines += [_line(row, widths) for row in texts]
        start += len(rows)
    return "\n".join([*lines, ""])


def _is_informative(values: pd.Series) -> bool:
    """Whether a column says more than that every row was measured."""
    return bool(values.notna().any()) and any(value != MEASURED for value in values)


def fit_to_width(cells: pd.DataFrame, headings: Mapping[str, str], width: int) -> dict[str, int]:
    """The columns that fit into `width`, in their order, and the width of each. Cells break between words only."""
    texts = {str(name): [headings[str(name)], *cells[name]] for name in cells}
    full = {name: max(map(len, column)) for name, column in texts.items()}
    least = {
        name: min(full[name], max(READABLE[name], *(len(word) for text in column for word in text.split())))
        if name in READABLE
        else full[name]
        for name, column in texts.items()
    }
    for name in reversed(IMPORTANCE[2:]):
        if _total(least) > width and name in least:
            del least[name]
    widths = {name: full[name] for name in least}
    while _total(widths) > width and (wide := [name for name in widths if widths[name] > least[name]]):
        widths[max(wide, key=lambda name: widths[name])] -= 1
    return widths


def as_text(columns: Sequence[Column], data: pd.DataFrame) -> str:
    """The rows under the headings of these columns, with long cells on several lines."""
    texts = [[column.text(row) for column in columns] for row in data.to_dict("records")]
    shown = pd.DataFrame(texts, columns=[column.heading for column in columns])
    widths = [{"recipe": 20, "status": 40, "name": 26}.get(column.name) for column in columns]
    return shown.to_markdown(index=False, tablefmt="simple", disable_numparse=True, maxcolwidths=widths)


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + len(GAP) * (len(widths) - 1)


def _line(row: Mapping[Any, Any], widths: Mapping[str, int]) -> str:
    """The text of a row, on several lines where a cell is longer than its column."""
    wrapped = [
        textwrap.wrap(row[name], size, break_long_words=False, break_on_hyphens=False) for name, size in widths.items()
    ]
    lines = [
        GAP.join(text.ljust(size) for text, size in zip(texts, widths.values(), strict=True)).rstrip()
        for texts in zip_longest(*wrapped, fillvalue="")
    ]
    return "\n".join(lines)
