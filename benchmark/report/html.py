"""The report as one page that needs no other file: `results/report.html`.

Every value from a record is escaped, and the page's policy allows no script but its own.
"""

import base64
import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from benchmark.analysis import study
from benchmark.report.figure import Picture
from benchmark.report.formats import duration, gibibytes
from benchmark.report.page_comparison import Texts, comparison_data
from benchmark.report.page_tables import ShownTable, shown_table
from benchmark.report.run_details import anchor, details
from benchmark.report.table import Analysis, Table

TEMPLATES = Path(__file__).with_name("templates")
MOST_SENTENCES = 3  # of the answer; the others are in docs/results.md
TABLE3, LEADERBOARDS = "table3_accuracy", "everything"
REPEATS_TABLE3 = f"leaderboard_{study.DATASET}"  # so the page leaves it out


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
    dataset: str = study.DATASET


def page(
    analysis: Analysis,
    tables: dict[Table, pd.DataFrame],
    pictures: Sequence[Picture],
    answers: Mapping[str, Sequence[str]],
    texts: Texts | None = None,
) -> str:
    """The page's HTML, the same for the same records.

    `answers` are sentences about each data set, the one that stands first on the page first. They may contain
    Markdown's `code` and *emphasis*, as notes may. With `texts`, the comparison of two models shows the texts on which
    they differ.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    filters = (anchor, duration, gibibytes, inline_markdown, quote)
    environment.filters |= {one.__name__: one for one in filters}
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    general = [part for section in SECTIONS if (part := _general(section, analysis, tables, pictures))]
    others = [name for name in answers if name != study.DATASET]
    own = [_own(place, name, analysis, tables, pictures) for place, name in enumerate(others)]
    first = next(iter(answers))
    return environment.get_template("report.html.jinja").render(
        answer=answers[first][:MOST_SENTENCES],
        answers={name: sentences[0] for name, sentences in answers.items() if name != first},
        parts=[*own, *general] if first in others else [*general, *own],
        with_study=study.DATASET in answers,
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


def inline_markdown(text: str) -> Markup:
    escaped = re.sub(r"&amp;(#\d+|amp|lt|gt);", r"&\1;", str(escape(text)))  # Markdown that is escaped already
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    return Markup(re.sub(r"\*([^*<>]+)\*", r"<em>\1</em>", marked))  # noqa: S704  # escaped above


def _general(
    section: Section, analysis: Analysis, tables: dict[Table, pd.DataFrame], pictures: Sequence[Picture]
) -> Part | None:
    """The section with its figures and tables, of the study's data set and of no data set; None if it has neither."""
    drawn = [one for one in pictures if one.dataset in ("", study.DATASET) and one.figure.section == section.name]
    filled = {
        table: _measured_first(data) if table.name == TABLE3 else data
        for table, data in tables.items()
        if table.dataset in (None, study.DATASET) and table.section == section.name and len(data)
        if table.name != REPEATS_TABLE3
    }
    shown = [shown_table(table, data, analysis, drawn=bool(drawn)) for table, data in filled.items()]
    content: list[tuple[Picture, Markup] | ShownTable] = [*map(_with_svg, drawn), *shown]
    return Part(section, content) if content else None


def _own(
    place: int, dataset: str, analysis: Analysis, tables: dict[Table, pd.DataFrame], pictures: Sequence[Picture]
) -> Part:
    """Everything about a data set other than the study's: the cost figure, the leaderboard, then the others."""
    order = [section.name for section in SECTIONS]
    drawn = sorted((one for one in pictures if one.dataset == dataset), key=lambda one: order.index(one.figure.section))
    found = [
        (table, data) for table, data in tables.items() if table.dataset == dataset and len(data) and table.section
    ]
    found.sort(key=lambda one: -1 if one[0].section == LEADERBOARDS else order.index(one[0].section))
    content: list[tuple[Picture, Markup] | ShownTable] = [*map(_with_svg, drawn[:1])]
    content += [shown_table(table, data, analysis) for table, data in found[:1]]
    content += [
        *map(_with_svg, drawn[1:]),
        *(shown_table(table, data, analysis, drawn=True) for table, data in found[1:]),
    ]
    return Part(Section(f"data-{place + 1}", f"Data set {dataset}", ""), content, dataset)


def _measured_first(table3: pd.DataFrame) -> pd.DataFrame:
    """The rows with an accuracy, the highest first."""
    return table3[table3["accuracy"].notna()].sort_values("accuracy", ascending=False, kind="stable")


def _not_run(analysis: Analysis, tables: dict[Table, pd.DataFrame]) -> list[dict[Any, Any]]:
    """The rows of Table 3 without an accuracy, with the kind of model."""
    table3 = next((data for table, data in tables.items() if table.name == TABLE3), None)
    if table3 is None:
        return []
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
