"""docs/results.md: the findings, every table and every figure, in Markdown."""

from dataclasses import dataclass, field

import pandas as pd

from benchmark.analysis import study
from benchmark.report.figure import Picture
from benchmark.report.html import SECTIONS
from benchmark.report.summary import environment, findings
from benchmark.report.table import Analysis, Table

LEADERBOARD_FIRST = (SECTIONS[-1], *SECTIONS[:-1])
"""The sections in the order in which the chapter of a data set shows them."""


@dataclass
class Chapter:
    """A part of the document: a section about the study's data set, or another data set."""

    title: str
    text: str
    pictures: list[Picture] = field(default_factory=list)
    tables: list[tuple[Table, str]] = field(default_factory=list)  # with their Markdown

    def add(self, section: str, about: tuple[str | None, ...], source: "Content") -> None:
        """Add what belongs to a section and to one of these data sets; None stands for all data sets."""
        self.pictures += [one for one in source.pictures if one.figure.section == section and one.dataset in about]
        self.tables += [
            (table, table.markdown(data))
            for table, data in source.tables.items()
            if table.section == section and table.dataset in about and len(data)
        ]


@dataclass(frozen=True)
class Content:
    """All tables and figures of the report."""

    tables: dict[Table, pd.DataFrame]
    pictures: list[Picture]


def results_page(analysis: Analysis, content: Content) -> str:
    """The document. What concerns the study's data set comes first, by section; each other data set is a chapter."""
    chapters = []
    for section in SECTIONS:
        chapter = Chapter(section.title, section.text)
        chapter.add(section.name, (study.DATASET, None), content)
        chapters.append(chapter)
    for dataset in analysis.datasets:
        if dataset != study.DATASET:
            chapter = Chapter(f"Data set {dataset}", findings(analysis, content.tables, dataset)[0])
            for section in LEADERBOARD_FIRST:
                chapter.add(section.name, (dataset,), content)
            chapters.append(chapter)
    template = environment().get_template("results.md.jinja")
    return template.render(
        findings=findings(analysis, content.tables),
        chapters=[chapter for chapter in chapters if chapter.tables],
        copies=analysis.results.copies,
    )
