"""What the terminal shows after the runs of a command: a short leaderboard and the written folders."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.analysis.frame import read_results
from benchmark.errors import BenchmarkError
from benchmark.report.table import Analysis, Column, Table
from benchmark.report.tables.leaderboard import leaderboard

COLUMNS = ("model", "recipe", "accuracy", "spread", "low", "macro_f1", "training_seconds", "status")
"""The columns of the leaderboard that fit a terminal."""


def print_standing(results_dir: Path, asked: str, started: str) -> None:
    """Print the leaderboard of each data set with a run that ended since `started`, or else of `asked`."""
    try:
        analysis = Analysis(read_results(results_dir))
        ended = [run for run in analysis.results.by_name.values() if run.record.finished >= started]
        for dataset in sorted({run.record.dataset for run in ended} or {asked}):
            table = leaderboard(dataset)
            data = table.data(analysis)
            if not data.empty:
                sys.stdout.write(f"\n{dataset}\n{terminal_table(table, data)}\n")
    except BenchmarkError as error:
        sys.stderr.write(f"{error}\n")
        return
    if ended:
        places = [*(run.folder for run in ended), results_dir / "tables", results_dir / "figures"]
        sys.stdout.write("\nwrote\n" + "".join(f"  {place}\n" for place in places))


def terminal_table(table: Table, data: pd.DataFrame) -> str:
    """The rows under the headings of `COLUMNS`, with long cells on several lines."""
    return as_text([column for column in table.columns if column.name in COLUMNS], data)


def as_text(columns: Sequence[Column], data: pd.DataFrame) -> str:
    """The rows under the headings of these columns, with long cells on several lines."""
    texts = [[column.text(row) for column in columns] for row in data.to_dict("records")]
    shown = pd.DataFrame(texts, columns=[column.heading for column in columns])
    widths = [{"recipe": 20, "status": 40, "name": 26}.get(column.name) for column in columns]
    return shown.to_markdown(index=False, tablefmt="simple", disable_numparse=True, maxcolwidths=widths)
