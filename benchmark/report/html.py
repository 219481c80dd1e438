"""The report as one page that needs no other file: `results/report.html`.

Every value from a record is escaped, and the page's policy allows no script but its own.
"""

import base64
import hashlib
import math
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from benchmark.analysis import study
from benchmark.report.figures import FIGURES
from benchmark.report.formats import duration, gibibytes
from benchmark.report.run_details import anchor, details
from benchmark.report.table import Analysis, Column, Source, Table
from benchmark.report.tables import study as study_tables

TEMPLATES = Path(__file__).with_name("templates")
LONG_TEXT = 24  # characters from which a cell needs a wide column
MOST_UNFOLDED = 15  # a table with more rows is folded
MOST_ROWS = 100  # a longer table is cut; its CSV file has all rows
LINKING = ("accuracy", "mean", "training_seconds", "status")
"""The first of these columns with a value links to the configuration's runs."""


@dataclass(frozen=True)
class Section:
    """A part of the page. It shows the figures and tables that are declared with its name."""

    name: str
    title: str
    text: str


SECTIONS = tuple(
    Section(**values) for values in tomllib.loads((TEMPLATES / "sections.toml").read_text(encoding="utf-8"))["sections"]
)


@dataclass(frozen=True)
class Cell:
    text: str
    source: Source
    number: float | None  # sorts the column
    href: str | None


@dataclass(frozen=True)
class ShownTable:
    """A table as the page shows it."""

    table: Table
    columns: list[tuple[str | None, str]]  # heading and CSS class
    rows: list[list[Cell]]
    all_rows: int
    folded: bool


def page(analysis: Analysis, tables: dict[Table, pd.DataFrame], figures: dict[str, str], answer: list[str]) -> str:
    """The page's HTML, the same for the same records.

    `figures` are SVG documents by name, `answer` the sentences at the top. Sentences and notes may contain Markdown's
    `code` and *emphasis*.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    filters = (anchor, duration, gibibytes, inline_markdown, quote)
    environment.filters |= {one.__name__: one for one in filters}
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    no_runs = pd.DataFrame()
    table3 = next((data for table, data in tables.items() if table.name == "table3_accuracy"), no_runs)
    return environment.get_template("report.html.jinja").render(
        answer=answer,
        sections=[shown for section in SECTIONS if (shown := _shown(section, tables, figures))],
        table3=table3.astype(object).where(table3.notna(), None).to_dict("records"),
        details=details(analysis),
        total=len(analysis.results.runs),
        study=study.TITLE,
        sources=[source for source in Source if source is not Source.nothing],
        script=Markup(script),  # noqa: S704  # our own file
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def inline_markdown(text: str) -> Markup:
    escaped = re.sub(r"&amp;(#\d+|amp|lt|gt);", r"&\1;", str(escape(text)))  # Markdown that is escaped already
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    return Markup(re.sub(r"\*([^*<>]+)\*", r"<em>\1</em>", marked))  # noqa: S704  # escaped above


def _shown(section: Section, tables: dict[Table, pd.DataFrame], figures: dict[str, str]) -> dict[str, Any] | None:
    """The section with its figures and tables; None if it has neither."""
    drawn = [FIGURES[name] for name in figures if FIGURES[name].section == section.name]
    pictures = [(figure, _inline_svg(figure.name, figures[figure.name])) for figure in drawn]
    filled = [_table(table, data) for table, data in tables.items() if table.section == section.name and len(data)]
    return {"section": section, "figures": pictures, "tables": filled} if pictures or filled else None


def _table(table: Table, data: pd.DataFrame) -> ShownTable:
    columns, whole = table.shown("html"), table in study_tables.TABLES
    rows = [_row(columns, row) for row in data.head(len(data) if whole else MOST_ROWS).to_dict("records")]
    kinds = [_kind([row[place] for row in rows]) for place in range(len(columns))]
    headings = [(column.heading, kind) for column, kind in zip(columns, kinds, strict=True)]
    return ShownTable(table, headings, rows, len(data), folded=not whole and len(data) > MOST_UNFOLDED)


def _kind(cells: list[Cell]) -> str:
    if any(cell.number is not None for cell in cells):
        return "number"
    return "long" if max(len(cell.text) for cell in cells) > LONG_TEXT else ""


def _row(columns: list[Column], row: dict[Any, Any]) -> list[Cell]:
    given = [column.name for column in columns if pd.notna(row[column.name])]
    linking = next((name for name in LINKING if name in given), None)
    return [
        Cell(
            text=column.text(row) if column.name in given else "–",
            source=_source(column, row),
            number=_number(row[column.name]),
            href=_href(row) if column.name == linking else None,
        )
        for column in columns
    ]


def _href(row: dict[Any, Any]) -> str | None:
    """The configuration's runs or, without runs, the command that makes one."""
    if pd.notna(row.get("configuration")):
        return f"#{anchor(row['configuration'])}"
    return f"#command-{row['name']}" if "command" in row else None


def _source(column: Column, row: dict[Any, Any]) -> Source:
    """The column's source, unless the row is the study's or was not run."""
    of_study = column.source is Source.study or study_tables.STUDY in (row.get("source"), row.get("recipe"))
    if column.source is Source.measured and not of_study and str(row.get("status")).startswith("not run"):
        return Source.not_run
    if pd.isna(row[column.name]):
        return Source.nothing
    return Source.study if of_study else column.source


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return float(value)


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
