"""What the terminal shows when a command ends: a short leaderboard and what was written."""

import sys
from pathlib import Path

import pandas as pd

from benchmark.analysis.evidence import read_evidence
from benchmark.errors import BenchmarkError
from benchmark.report.tables import leaderboard
from benchmark.report.wording import readable


def print_standing(results_dir: Path, asked: str, started: str) -> None:
    """The leaderboard of each data set with a run that ended since `started`, else of `asked`; what was written."""
    try:
        evidence = read_evidence(results_dir)
        ended = [run for run in evidence.runs if run.record.finished >= started]
        for dataset in sorted({run.record.dataset for run in ended} or {asked}):
            standing = leaderboard(evidence, dataset)
            if not standing.empty:
                sys.stdout.write(f"\n{dataset}\n{terminal_table(standing)}\n")
    except BenchmarkError as error:
        sys.stderr.write(f"{error}\n")
        return
    if ended:
        places = [*(run.folder for run in ended), results_dir / "tables", results_dir / "figures"]
        sys.stdout.write("\nwrote\n" + "".join(f"  {place}\n" for place in places))


def terminal_table(standing: pd.DataFrame) -> str:
    """The leaderboard's columns that fit a terminal."""
    columns = ["model", "recipe", "accuracy", "spread", "low", "high", "macro_f1", "training_seconds", "status"]
    table = readable(standing[columns])
    return table.to_markdown(
        index=False, tablefmt="simple", disable_numparse=True, maxcolwidths=[None, 20, *[None] * 5, 40]
    )
