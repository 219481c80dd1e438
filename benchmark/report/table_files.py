"""Every table as the files it is published in: for people, for programs and for papers."""

import pandas as pd

from benchmark.analysis.evidence import Evidence
from benchmark.report.footnotes import FOOTNOTES
from benchmark.report.latex import latex
from benchmark.report.tables import TABLES, leaderboard
from benchmark.report.wording import INTERNAL, markdown, readable


def all_tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """By name: those of `TABLES`, and a leaderboard for each data set."""
    tables = {name: table(evidence) for name, table in TABLES.items()}
    for dataset in sorted({run.record.dataset for run in evidence.runs}):
        tables[f"leaderboard_{dataset}"] = leaderboard(evidence, dataset)
    return tables


def table_files(tables: dict[str, pd.DataFrame]) -> dict[str, str]:
    """The content of `results/tables`, by file name. LaTeX goes without commands: paper has no room for them."""
    content = {}
    for name, table in tables.items():
        note = f"\n{FOOTNOTES[name]}\n" if name in FOOTNOTES else ""
        content[f"{name}.csv"] = table.to_csv(index=False, lineterminator="\n")
        content[f"{name}.md"] = f"{markdown(table)}\n{note}"
        content[f"{name}.tex"] = latex(readable(table.drop(columns=[*INTERNAL, "command"], errors="ignore")))
    return content
