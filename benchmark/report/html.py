"""The report as one page that needs nothing beside it: `results/report.html`.

It shows the tables and figures that were made anyway; only the answer's wording and the runs' details are its own.
Every value that comes from a record is escaped, and the page's policy lets no script run but its own.
"""

import base64
import hashlib
import math
import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from benchmark.analysis import study
from benchmark.analysis.evidence import Evidence
from benchmark.report.answer import answer
from benchmark.report.footnotes import FOOTNOTES
from benchmark.report.run_details import anchor, details
from benchmark.report.sections import ALTERNATIVES, Section, caption, complete
from benchmark.report.wording import HEADINGS, INTERNAL, worded

TEMPLATES = Path(__file__).with_name("templates")


class Source(StrEnum):
    """Where a cell's content comes from; the template gives each its mark."""

    measured = "measured here"
    study = "the study's"
    not_run = "not run"
    derived = "worked out from the study's"
    declared = "as declared"  # configuration or model card: nothing that was measured
    nothing = "does not apply"


HIDDEN = {
    "table3_accuracy": ("command",),  # it has a section of its own
    "learning_curve": tuple(f"f1_{label}" for label in study.LABELS),  # the figure beside it shows them
}
DESCRIPTIONS = ("table1_models", "table2_settings")  # of what was asked for, but for the status
AUDITS = ("study_audit", "study_comparisons")  # of printed figures; nothing was measured
DECLARED = ("model", "other", "recipe", "label", "gold", "learning_rate", "epochs", "train_rows", "seed")
WHOLE = ("table1_models", "table2_settings", "table3_accuracy")
WORDY = 24  # characters from which a cell needs room
LONG = 15  # rows from which any other table is folded away
MOST_ROWS = 100  # shown of it; the rest is in its CSV
LINKING = ("accuracy", "mean", "training_seconds", "status")  # the first of them with a value leads to the run


@dataclass(frozen=True)
class Cell:
    text: str
    source: Source
    number: float | None = None  # what a column of numbers is sorted by
    href: str | None = None


@dataclass(frozen=True)
class Table:
    name: str
    caption: str
    headings: list[tuple[str, str]]  # and what it stands over: number, long, or nothing in particular
    rows: list[list[Cell]]
    all_rows: int
    note: Markup

    @property
    def folded(self) -> bool:
        return self.name not in WHOLE and self.all_rows > LONG


@dataclass(frozen=True)
class Picture:
    name: str
    svg: Markup
    alternative: str


def page(evidence: Evidence, tables: dict[str, pd.DataFrame], figures: dict[str, str]) -> str:
    """The page's HTML, the same for the same records; `figures` are SVG documents by name."""
    behind = details(evidence)
    sections = complete([*figures, *tables])
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    return environment.get_template("report.html.jinja").render(
        answer=answer(tables["table3_accuracy"], tables["ties"], evidence),
        sections=[shown for section in sections if (shown := _shown(section, tables, figures))],
        commands=_commands(tables["table3_accuracy"]),
        details=behind,
        runs=len(evidence.runs),
        study=study.TITLE,
        sources=[source for source in Source if source is not Source.nothing],
        script=Markup(script),  # noqa: S704  # our own file
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _shown(section: Section, tables: dict[str, pd.DataFrame], figures: dict[str, str]) -> dict[str, Any] | None:
    """What the section shows, in its order; None where it has nothing to show."""
    runs = _runs(tables["table3_accuracy"])
    parts: list[Table | Picture] = []
    for name in section.shows:
        if name in figures:
            parts.append(Picture(name, _inline(name, figures[name]), ALTERNATIVES.get(name, caption(name))))
        if name in tables and not tables[name].empty:
            parts.append(_table(name, tables[name], runs))
    return {"section": section, "parts": parts} if parts else None


def _runs(table3: pd.DataFrame) -> dict[tuple[str, str], str]:
    """The run behind a model and recipe, where they name but one variant."""
    rows = [row for row in table3.to_dict("records") if pd.notna(row["run"])]
    named = Counter((row["model"], row["recipe"]) for row in rows)
    return {key: row["run"] for row in rows if named[key := (row["model"], row["recipe"])] == 1}


def _table(name: str, table: pd.DataFrame, runs: dict[tuple[str, str], str]) -> Table:
    runs = {} if "train_rows" in table or name == "readouts" else runs  # a row is of fewer texts or seeds than the runs
    shown = table.drop(columns=[*HIDDEN.get(name, ())]).head(len(table) if name in WHOLE else MOST_ROWS)
    texts = worded(shown.drop(columns=[*INTERNAL], errors="ignore"))
    columns = [str(column) for column in texts.columns]
    rows = [
        _row(name, columns, text, {"run": runs.get((str(values.get("model")), str(values.get("recipe")))), **values})
        for text, values in zip(texts.to_dict("records"), shown.to_dict("records"), strict=True)
    ]
    kinds = [_kind([row[place] for row in rows]) for place in range(len(columns))]
    headings = [(HEADINGS[column], kind) for column, kind in zip(columns, kinds, strict=True)]
    return Table(name, caption(name), headings, rows, len(table), _emphasised(FOOTNOTES.get(name, "")))


def _kind(column: list[Cell]) -> str:
    if any(cell.number is not None for cell in column):
        return "number"
    return "long" if max(len(cell.text) for cell in column) > WORDY else ""


def _row(table: str, columns: list[str], texts: dict[Any, str], values: dict[Any, Any]) -> list[Cell]:
    target = anchor(values["run"]) if pd.notna(values["run"]) else None
    if target is None and table == "table3_accuracy":
        target = f"how-{values['name']}"
    linking = next((column for column in LINKING if column in columns and pd.notna(values[column])), None)
    return [
        Cell(
            text="–" if texts[column] == "-" else texts[column],
            source=_source(table, column, values),
            number=_number(values["low" if column == "interval" else column]),
            href=f"#{target}" if target and column == linking else None,
        )
        for column in columns
    ]


def _source(table: str, column: str, values: dict[Any, Any]) -> Source:
    """Where a cell comes from, by its table's rule."""
    given = pd.notna(values["low" if column == "interval" else column])
    status = str(values.get("status") or "")
    if column == "study" or values.get("source") == "the study" or status == "published":
        return Source.study if given else Source.nothing
    declared = column in DECLARED or (table in DESCRIPTIONS and column != "status")
    if status.startswith("not run") and not declared:
        return Source.not_run
    if not given:
        return Source.nothing
    if table in AUDITS:
        return Source.derived
    return Source.declared if declared else Source.measured


def _emphasised(text: str) -> Markup:
    """A footnote's Markdown, of which it uses `code` and *emphasis*."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"\*([^*<>]+)\*", r"<em>\1</em>", marked))  # noqa: S704  # escaped above


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return float(value)


def _commands(table3: pd.DataFrame) -> list[dict[str, Any]]:
    """How to make each row of Table 3, with the place that its cell leads to."""
    rows = table3.to_dict("records")
    return [
        {
            **{key: row[key] for key in ("model", "recipe", "command")},
            "ran": pd.notna(row["accuracy"]),
            "id": None if pd.notna(row["run"]) else f"how-{row['name']}",
            "href": f"#{anchor(row['run'])}" if pd.notna(row["run"]) else None,
        }
        for row in rows
    ]


def _inline(name: str, document: str) -> Markup:
    """An SVG document as part of a page: its ids made its own, sized by the page, hidden behind its description."""
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    document = re.sub(
        r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "\N{REPLACEMENT CHARACTER}", document
    )  # XML has no place for them
    root = ElementTree.fromstring(document)  # noqa: S314  # drawn by benchmark.figures a moment ago
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
