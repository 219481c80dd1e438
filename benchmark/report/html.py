"""The report as one page that needs no other file: `results/report.html`.

Every value from a record is escaped, and the page's policy allows no script but its own.
"""

import base64
import hashlib
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from benchmark.analysis import study
from benchmark.report.answer import answer_on
from benchmark.report.compare import Texts, comparison_data
from benchmark.report.figure import Picture
from benchmark.report.formats import duration, gibibytes
from benchmark.report.page_tables import ShownTable, shown_table
from benchmark.report.run_details import anchor, details
from benchmark.report.table import Analysis, Table

TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Section:
    """A part of the page. It shows the study's figures and tables that are declared with its name."""

    name: str
    title: str
    text: str


SECTIONS = tuple(
    Section(**values) for values in tomllib.loads((TEMPLATES / "sections.toml").read_text(encoding="utf-8"))["sections"]
)


@dataclass(frozen=True)
class Part:
    """A section with what it shows, in order: figures with their SVG, and tables."""

    section: Section
    content: list[tuple[Picture, Markup] | ShownTable]
    answer: str = ""


def page(
    analysis: Analysis,
    tables: dict[Table, pd.DataFrame],
    pictures: Sequence[Picture],
    answer: Sequence[str],
    texts: Texts | None = None,
) -> str:
    """The page's HTML, the same for the same records.

    `answer` are the sentences about the study's data set. They may contain Markdown's `code` and *emphasis*, as notes
    may. With `texts`, the comparison of two models shows the texts on which they differ.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    filters = (anchor, duration, gibibytes, inline_markdown, quote)
    environment.filters |= {one.__name__: one for one in filters}
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    others, with_study = other_datasets(analysis), shows_study(analysis)
    parts = [part for section in SECTIONS if (part := _of_study(section, analysis, tables, pictures))]
    own = [_own(place, dataset, analysis, tables, pictures) for place, dataset in enumerate(others)]
    return environment.get_template("report.html.jinja").render(
        answer=answer if with_study else [part.answer for part in own],
        parts=[*parts * with_study, *own],
        with_study=with_study,
        datasets=others,
        not_run=_not_run(analysis, tables),
        kinds=sorted(set(analysis.configurations["kind"]) | {"encoder", "decoder"}),
        comparisons=comparison_data(analysis, texts or {}),
        details=details(analysis),
        total=len(analysis.results.runs),
        study=study.TITLE,
        script=Markup(script),  # noqa: S704  # our own file
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def shows_study(analysis: Analysis) -> bool:
    """Whether the study's data set was run, or nothing was run at all."""
    return study.DATASET in set(analysis.results.runs["dataset"]) or analysis.results.runs.empty


def other_datasets(analysis: Analysis) -> list[str]:
    return sorted(set(analysis.results.runs["dataset"]) - {study.DATASET})


def inline_markdown(text: str) -> Markup:
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"\*([^*<>]+)\*", r"<em>\1</em>", marked))  # noqa: S704  # escaped above


def _of_study(
    section: Section, analysis: Analysis, tables: dict[Table, pd.DataFrame], pictures: Sequence[Picture]
) -> Part | None:
    """The section with its figures and tables; None if it has neither."""
    drawn = [one for one in pictures if one.dataset == study.DATASET and one.figure.section == section.name]
    filled = {
        table: _measured_first(data) if table.name == "table3_accuracy" else data
        for table, data in tables.items()
        if table.dataset == study.DATASET and table.section == section.name and len(data)
    }
    shown = [shown_table(table, data, analysis) for table, data in filled.items()]
    content = [*map(_with_svg, drawn), *shown]
    return Part(section, content) if content else None


def _own(
    place: int, dataset: str, analysis: Analysis, tables: dict[Table, pd.DataFrame], pictures: Sequence[Picture]
) -> Part:
    """Everything about a data set other than the study's: the first figure and table, then the others."""
    drawn = [_with_svg(one) for one in pictures if one.dataset == dataset]
    shown = [shown_table(table, data, analysis) for table, data in tables.items() if table.dataset == dataset]
    shown = sorted((one for one in shown if one.rows), key=lambda one: not one.table.name.startswith("leaderboard"))
    section = Section(f"data-{place + 1}", f"Data set {dataset}", "")
    return Part(section, [*drawn[:1], *shown[:1], *drawn[1:], *shown[1:]], answer_on(analysis, dataset))


def _measured_first(table3: pd.DataFrame) -> pd.DataFrame:
    """The rows with an accuracy, the highest first."""
    return table3[table3["accuracy"].notna()].sort_values("accuracy", ascending=False, kind="stable")


def _not_run(analysis: Analysis, tables: dict[Table, pd.DataFrame]) -> list[dict[Any, Any]]:
    """The rows of Table 3 without an accuracy, with the kind of model."""
    table3 = next(data for table, data in tables.items() if table.name == "table3_accuracy")
    missing = table3[table3["accuracy"].isna()]
    kinds = [analysis.results.catalogue[name].card.kind for name in missing["name"]]
    return missing.where(missing.notna(), None).assign(kind=kinds).to_dict("records")


def _with_svg(picture: Picture) -> tuple[Picture, Markup]:
    return picture, _inline_svg(picture.name, picture.svg)


def _inline_svg(name: str, document: str) -> Markup:
    """An SVG document as a part of the page, with ids of its own and labelled by its caption."""
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    document = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "\N{REPLACEMENT CHARACTER}", document)  # invalid in XML
    root = ElementTree.fromstring(document)  # noqa: S314  # drawn by this package
    for element in root.iter():
        for attribute, value in element.attrib.items():
            reference = "^#" if attribute.endswith("href") else r"(?<=url\()#"
            own = f"{name}-{value}" if attribute == "id" else re.sub(reference, f"#{name}-", value)
            element.set(attribute, own)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-labelledby": f"{name}-alternative"}
    for metadata in root.findall("{http://www.w3.org/2000/svg}metadata"):
        root.remove(metadata)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704  # serialised, so escaped
