"""The report as one self-contained page: `results/report.html`.

It shows the tables and figures of the report, and the runs behind each number. Every value from a record is escaped,
and the page's policy runs no script but its own.
"""

import base64
import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from benchmark.analysis import study
from benchmark.report.figures import FIGURES
from benchmark.report.run_details import anchor, details
from benchmark.report.table import Analysis, Column, Source, Table

TEMPLATES = Path(__file__).with_name("templates")
WORDY = 24  # characters from which a column is wide
LONG = 15  # rows from which a table is folded
MOST_ROWS = 100  # shown of a folded table; the rest is in its CSV file
LINKING = ("accuracy", "mean", "training_seconds", "status")  # the first with a value links to the runs


@dataclass(frozen=True)
class Section:
    """A part of the page: the figures and tables whose `section` is its name."""

    name: str
    title: str
    text: str


SECTIONS = (
    Section(
        "accuracy",
        "Accuracy (Table 3)",
        "The study’s models in its order, then the others by rising accuracy. The interval is Wilson’s for one seed "
        "and a bootstrap over seeds and test texts for several.",
    ),
    Section(
        "differences",
        "Which differences are significant",
        "All models predict the same texts, so they are compared text by text. Two models differ if McNemar’s test, "
        "corrected by Holm for the number of comparisons, and the bootstrap of the difference agree; otherwise they "
        "are tied.",
    ),
    Section(
        "cost",
        "What accuracy costs",
        "Training time, memory, trained parameters and prediction time, as measured on the hardware named.",
    ),
    Section(
        "learning",
        "How many training texts are needed",
        "The same models with growing shares of the training texts. The number of epochs stays the same, so fewer "
        "texts are also fewer steps.",
    ),
    Section(
        "confidence",
        "How reliable the confidence is",
        "A calibrated model with a confidence of 80% is correct 80% of the time; ECE is its mean error. A model that "
        "knows when it is unsure gains accuracy by answering only where it is confident.",
    ),
    Section(
        "errors",
        "Where models err",
        "By label, by pair of labels, on parts of the test set, by read-out, and text by text: texts that every model "
        "gets wrong may have a wrong label.",
    ),
    Section(
        "models",
        "Models (Table 1)",
        "The study’s row as printed; parameters of all others are computed from the declared architecture.",
    ),
    Section(
        "settings",
        "Settings and data (Table 2)",
        "How each model is trained; the study’s own settings are the first row.",
    ),
    Section(
        "audit",
        "What the study’s figures can mean",
        "An accuracy on 2,000 texts is a multiple of 0.0005. Without the predictions, only the best case of a "
        "comparison can be tested.",
    ),
    Section(
        "everything",
        "Everything that was run",
        "On each data set, the most accurate first, with trials, random initialisation and failures, which are not in "
        "Table 3.",
    ),
)


@dataclass(frozen=True)
class Cell:
    text: str
    source: Source
    number: float | None = None  # the value by which a column of numbers is sorted
    href: str | None = None


@dataclass(frozen=True)
class ShownTable:
    name: str
    caption: str
    headings: list[tuple[str, str]]  # heading and kind of column: "number", "long" or ""
    rows: list[list[Cell]]
    all_rows: int
    folded: bool
    note: Markup


@dataclass(frozen=True)
class Picture:
    name: str
    svg: Markup
    alternative: str


def page(analysis: Analysis, tables: dict[Table, pd.DataFrame], figures: dict[str, str], findings: list[str]) -> str:
    """The page's HTML, the same for the same records. `figures` are SVG documents by name."""
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    table3 = next(data for table, data in tables.items() if table.name == "table3_accuracy")
    return environment.get_template("report.html.jinja").render(
        answer=findings[:2],
        sections=[shown for section in SECTIONS if (shown := _shown(section, tables, figures))],
        commands=[_command(row) for row in table3.to_dict("records")],
        details=details(analysis),
        runs=len(analysis.results.by_name),
        study=study.TITLE,
        sources=[source for source in Source if source is not Source.nothing],
        script=Markup(script),  # noqa: S704  # our own file
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _shown(section: Section, tables: dict[Table, pd.DataFrame], figures: dict[str, str]) -> dict[str, Any] | None:
    """The figures of the section, then its tables; None if there is nothing to show."""
    parts: list[ShownTable | Picture] = [
        Picture(name, _inline(name, svg), FIGURES[name].alternative)
        for name, svg in figures.items()
        if FIGURES[name].section == section.name
    ]
    parts += [_table(table, data) for table, data in tables.items() if table.section == section.name and not data.empty]
    return {"section": section, "parts": parts} if parts else None


def _table(table: Table, data: pd.DataFrame) -> ShownTable:
    folded = len(data) > LONG and not table.whole
    columns = table.shown("html")
    rows = [_row(columns, values) for values in data.head(MOST_ROWS if folded else len(data)).to_dict("records")]
    kinds = [_kind([row[place] for row in rows]) for place in range(len(columns))]
    headings = [(str(column.heading), kind) for column, kind in zip(columns, kinds, strict=True)]
    return ShownTable(table.name, table.title, headings, rows, len(data), folded, _emphasised(table.note))


def _kind(cells: list[Cell]) -> str:
    if any(cell.number is not None for cell in cells):
        return "number"
    return "long" if max(len(cell.text) for cell in cells) > WORDY else ""


def _row(columns: list[Column], values: dict[Any, Any]) -> list[Cell]:
    names = {column.name for column in columns}
    linking = next((name for name in LINKING if name in names and pd.notna(values[name])), None)
    target = _target(values)
    return [
        Cell(
            text="–" if (text := column.text(values)) == "-" else text,
            source=_source(column, values),
            number=_number(values[column.name]),
            href=f"#{target}" if target and column.name == linking else None,
        )
        for column in columns
    ]


def _target(row: dict[Any, Any]) -> str | None:
    """Where a row links to: the runs of its configuration, or the command of a model that was not run."""
    if pd.notna(row.get("configuration")):
        return anchor(row["configuration"])
    return f"how-{row['name']}" if "command" in row else None


def _source(column: Column, row: dict[Any, Any]) -> Source:
    given = pd.notna(row[column.name])
    status = str(row.get("status") or "")
    if column.source is Source.study or row.get("source") == "the study" or status == "published":
        return Source.study if given else Source.nothing
    if status.startswith("not run") and column.source is not Source.declared:
        return Source.not_run
    return column.source if given else Source.nothing


def _command(row: dict[Any, Any]) -> dict[str, Any]:
    """How to make a row of Table 3, with the place that its cell links to."""
    target, run = _target(row), pd.notna(row["configuration"])
    return {
        **{key: row[key] for key in ("model", "recipe", "command")},
        "ran": pd.notna(row["accuracy"]),
        "id": None if run else target,
        "href": f"#{target}" if run else None,
    }


def _emphasised(text: str) -> Markup:
    """A note's Markdown, which uses only `code` and *emphasis*, as HTML."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"\*([^*<>]+)\*", r"<em>\1</em>", marked))  # noqa: S704  # escaped above


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return float(value)


def _inline(name: str, document: str) -> Markup:
    """An SVG document as part of the page: with ids of its own, sized by the page, labelled by its description."""
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    valid = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "\N{REPLACEMENT CHARACTER}", document)  # not allowed in XML
    root = ElementTree.fromstring(valid)  # noqa: S314  # drawn by benchmark.report.figures
    for element in root.iter():
        for attribute, value in element.attrib.items():
            if attribute == "id":
                element.set(attribute, f"{name}-{value}")
            elif attribute.endswith("href") and value.startswith("#"):
                element.set(attribute, f"#{name}-{value[1:]}")
            elif "url(#" in value:
                element.set(attribute, value.replace("url(#", f"url(#{name}-"))
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-labelledby": f"{name}-alternative"}
    for metadata in root.findall("{http://www.w3.org/2000/svg}metadata"):
        root.remove(metadata)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704  # serialised, so escaped
