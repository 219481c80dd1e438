"""What the terminal shows when a command ends: a short leaderboard and what was written."""

import sys
from pathlib import Path

from benchmark.analysis.frame import read_results
from benchmark.errors import BenchmarkError
from benchmark.report.table import Analysis
from benchmark.report.tables.leaderboard import leaderboard

COLUMNS = ("model", "recipe", "accuracy", "spread", "low", "macro_f1", "training_seconds", "status")
WIDTHS = [None, 20, None, None, None, None, None, 40]


def print_standing(results_dir: Path, asked: str, started: str) -> None:
    """The leaderboard of each data set with a run that ended since `started`, else of `asked`; what was written."""
    try:
        analysis = Analysis(read_results(results_dir))
        ended = [run for run in analysis.results.by_name.values() if run.record.finished >= started]
        for dataset in sorted({run.record.dataset for run in ended} or {asked}):
            if table := standing(analysis, dataset):
                sys.stdout.write(f"\n{dataset}\n{table}\n")
    except BenchmarkError as error:
        sys.stderr.write(f"{error}\n")
        return
    if ended:
        places = [*(run.folder for run in ended), results_dir / "tables", results_dir / "figures"]
        sys.stdout.write("\nwrote\n" + "".join(f"  {place}\n" for place in places))


def standing(analysis: Analysis, dataset: str) -> str:
    """The columns of the leaderboard that fit a terminal; empty if nothing was run on the data set."""
    table = leaderboard(dataset)
    data = table.data(analysis)
    if data.empty:
        return ""
    headings = [column.heading for column in table.columns if column.name in COLUMNS]
    texts = table.texts(data, "md")[headings]
    return texts.to_markdown(index=False, tablefmt="simple", disable_numparse=True, maxcolwidths=WIDTHS)
