"""docs/results.md: the findings, every table and every figure, in Markdown."""

import re
from collections.abc import Sequence

import pandas as pd

from benchmark.analysis.analysed import AnalysedResults
from benchmark.report.contents import parts
from benchmark.report.figure import Picture
from benchmark.report.summary import environment, findings
from benchmark.report.table import Table

MOST_ROWS = 40
"""A longer table is cut; its files have all rows."""


def results_page(analysis: AnalysedResults, tables: dict[Table, pd.DataFrame], pictures: Sequence[Picture]) -> str:
    """The document. What concerns the study's data set comes first, by section; each other data set is a chapter."""
    general, own = parts(analysis.datasets, tables, pictures)
    templates = environment()
    templates.filters["anchor"] = anchor
    return templates.get_template("results.md.jinja").render(
        findings=findings(analysis, tables),
        chapters=[
            *((part, part.section.text) for part in general if part.tables),
            *((part, findings(analysis, tables, part.dataset)[0]) for part in own),
        ],
        copies=analysis.results.copies,
        MOST_ROWS=MOST_ROWS,
    )  # fmt: skip


def anchor(heading: str) -> str:
    """The id that GitHub and Python-Markdown give a heading."""
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())
