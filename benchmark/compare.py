"""`python -m benchmark.compare A B ...`: compare models by their predictions for the same items."""

import argparse
import sys
from pathlib import Path

from benchmark.analysis.compared_models import read_models
from benchmark.report.terminal_comparison import comparison_text, write_items
from benchmark.terminal import exit_on_error


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.compare",
        description="Compare models by their predictions for the same items, from runs and files of other programs.",
    )
    parser.add_argument(
        "answers",
        nargs="+",
        metavar="FILE | NAME=FILE[,FILE]",
        help="the folder of a run, or a .csv, .tsv, .json, .jsonl or .parquet file (see docs/compare.md)",
    )
    parser.add_argument("--metric", action="append", default=[], help="the metric of files that hold several")
    parser.add_argument("--filter", action="append", default=[], help="the filter of lm-evaluation-harness files")
    parser.add_argument(
        "--stated", action="append", default=[], metavar="NAME=ACCURACY", help="check a published accuracy, as printed"
    )
    parser.add_argument("--items", type=Path, metavar="FILE", help="write the items that differ to a .csv file")
    arguments = parser.parse_args()
    with exit_on_error():
        compared = read_models(arguments.answers, {"metric": arguments.metric, "filter": arguments.filter})
        shown = comparison_text(compared, arguments.stated)
        if arguments.items is not None:
            shown += f"\nwrote {write_items(compared, arguments.items):,} items to {arguments.items}\n"
        sys.stdout.write(shown)


if __name__ == "__main__":
    main()
