"""What the report shows, in order: the sections with their figures and tables, and the pages that hold the sections."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.analysis import study
from benchmark.report.figure import ALL, Picture
from benchmark.report.table import Table
from benchmark.report.tables.audit import impossible_accuracies

TEMPLATES = Path(__file__).with_name("templates")
_declared = tomllib.loads((TEMPLATES / "sections.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Section:
    """A section of the report. Figures and tables are declared with its name."""

    name: str
    page: str
    title: str
    text: str
    folded_figures: bool = False  # on the page


_NUMBERS = {"impossible": len(impossible_accuracies()), "printed": len(study.TABLE3), "texts": f"{study.TEST_ROWS:,}"}
"""What the texts of sections name in braces."""
SECTIONS = tuple(Section(**one | {"text": one["text"].format(**_NUMBERS)}) for one in _declared["sections"])
PAGES: dict[str, str] = _declared["pages"]
"""The title of each page by its name; a page about another data set is not among them."""
OTHER_DATA_SETS = "Other data sets"


@dataclass(frozen=True)
class Part:
    """A section about the study's data set and about all data sets, or everything about another data set."""

    section: Section
    dataset: str
    pictures: list[Picture]
    tables: list[tuple[Table, pd.DataFrame]]

    @property
    def group(self) -> str:
        """The title of the part's page, or the title of all pages about other data sets."""
        return PAGES.get(self.section.page, OTHER_DATA_SETS)


def parts(
    datasets: Iterable[str], tables: Mapping[Table, pd.DataFrame], pictures: Sequence[Picture]
) -> tuple[list[Part], list[Part]]:
    """The sections that have something to show, and one part for each other data set, its leaderboard first."""
    last, *others = [section.name for section in reversed(SECTIONS)]
    of_datasets = [
        (Section(f"data-{number}", f"results/{name}", f"Data set {name}", ""), [last, *reversed(others)], (name,))
        for number, name in enumerate((name for name in datasets if name != study.DATASET), start=1)
    ]
    general = [(section, [section.name], (study.DATASET, ALL)) for section in SECTIONS]

    def part(section: Section, names: list[str], about: tuple[str, ...]) -> Part:
        drawn = [picture for picture in pictures if picture.dataset in about and picture.figure.section in names]
        filled = [
            (table, data)
            for table, data in tables.items()
            if (table.dataset or ALL) in about and table.section in names and len(data)
        ]
        return Part(
            section,
            about[0],
            sorted(drawn, key=lambda picture: names.index(picture.figure.section)),
            sorted(filled, key=lambda item: names.index(item[0].section)),
        )

    return _filled([part(*declared) for declared in general]), [part(*declared) for declared in of_datasets]


def by_section(part: Part) -> list[Part]:
    """The part about another data set, divided into sections, the leaderboard first."""
    divided = [
        Part(
            section,
            part.dataset,
            [picture for picture in part.pictures if picture.figure.section == section.name],
            [(table, data) for table, data in part.tables if table.section == section.name],
        )
        for section in (SECTIONS[-1], *SECTIONS[:-1])
    ]
    return _filled(divided)


def _filled(given: Iterable[Part]) -> list[Part]:
    """The parts that have something to show."""
    return [part for part in given if part.pictures or part.tables]
