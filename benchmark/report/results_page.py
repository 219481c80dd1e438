"""docs/results.md and the pages that it links to: findings, tables and figures, in Markdown."""

from collections.abc import Sequence

import pandas as pd

from benchmark.analysis.analysed import AnalysedResults
from benchmark.report.figure import Picture
from benchmark.report.sections import OTHER_DATA_SETS, PAGES, Part, by_section, parts
from benchmark.report.summary import answer, findings
from benchmark.report.table import Table
from benchmark.report.wording import jinja_environment

MAIN = "results"
WRITTEN = "Written by `python -m benchmark.report`"
"""The last line of every page begins so. A report overwrites and deletes no other file in docs/."""
MOST_ROWS = 40
"""A longer table is cut; its files have all rows."""


def results_pages(
    analysis: AnalysedResults, tables: dict[Table, pd.DataFrame], pictures: Sequence[Picture]
) -> dict[str, str]:
    """The documents by their place in docs/, the main one first. Each data set but the study's has one of its own."""
    general, of_datasets = parts(analysis.datasets, tables, pictures)
    pages: dict[str, list[Part]] = {MAIN: []}
    for part in general:
        pages.setdefault(part.section.page, []).append(part)
    titles = {name: PAGES[name] for name in pages if name != MAIN}
    titles |= {part.section.page: part.dataset for part in of_datasets}
    answers = {part.section.page: findings(analysis, tables, part.dataset) for part in of_datasets}
    pages |= {part.section.page: by_section(part) for part in of_datasets}
    templates = jinja_environment()
    return {
        f"{name}.md": templates.get_template("results.md.jinja").render(
            main=name == MAIN,
            of_dataset=name in answers,
            title=f"Results on {titles[name]}" if name in answers else titles.get(name, "Results"),
            answer=answer(analysis, tables) if name == MAIN else [],
            findings=findings(analysis, tables)[1:] if name == MAIN else answers.get(name, []),
            chapters=chapters,
            others={
                f"{other}.md": (titles[other], [part.section.title for part in pages[other]], other in answers)
                for other in titles
            },
            other_data_sets=OTHER_DATA_SETS,
            root="../" * (1 + name.count("/")),
            copies=analysis.results.duplicate_runs,
            MOST_ROWS=MOST_ROWS,
            WRITTEN=WRITTEN,
        )
        for name, chapters in pages.items()
    }
