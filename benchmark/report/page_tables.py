"""The tables of the page: their columns in the page's order, and cells that know their source."""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.configuration_status import WITHOUT_RESULTS, ConfigurationStatus, Outcome
from benchmark.analysis.names import recipe_in_words
from benchmark.report.run_details import anchor
from benchmark.report.table import HARDWARE, Column, Table, ValueSource
from benchmark.report.tables import study_tables
from benchmark.report.terms import terms_in

LONG_TEXT = 24  # characters from which a cell needs a wide column
MOST_UNFOLDED = 15  # a table with more rows is folded
MOST_ROWS = 100  # a longer table is cut; its CSV file has all rows
NAMES = ("model", "recipe")
"""The columns that stand first; `recipe` is part of the model's cell."""
SCORES = ("accuracy", "low")
"""The columns that follow in a table of accuracies, so that a phone shows them without scrolling."""
LONG_NAMES = "everything"
"""The section whose tables name every setting of a configuration."""
HOW_COMPUTED = ("model.attention=", "model.device=", "model.batching=", "model.adapter=", "model.weights.")
"""Settings that other tables do not name."""
LINKING = ("accuracy", "mean", "training_seconds", "status")
"""The first of these columns with a value links to the configuration's runs."""


@dataclass(frozen=True)
class Cell:
    text: str
    source: ValueSource
    number: float | None  # sorts the column
    href: str | None


@dataclass(frozen=True)
class Row:
    """A row of a table. `more` is a second line of its first cell."""

    cells: list[Cell]
    more: str
    kind: str  # of the model; empty where the table has no models
    measured: bool  # whether it has an accuracy


@dataclass(frozen=True)
class ShownTable:
    """A table as the page shows it."""

    table: Table
    remark: str  # that applies to every row
    terms: list[tuple[str, str]]  # in the names of its configurations and hardware, with their meanings
    columns: list[tuple[Column, str]]  # with its CSS class
    rows: list[Row]
    all_rows: int
    folded: bool


def shown_table(table: Table, data: pd.DataFrame, analysis: AnalysedResults, drawn: bool = False) -> ShownTable:
    """The table for the page. It is folded if a figure shows its content (`drawn`), unless it is the study's."""
    data, remarks = _with_remarks(data)
    columns = [column for column in _columns(table) if data[column.name].notna().any()]
    shared = [column for column in columns[1:] if _is_shared(column, data[column.name])]
    columns = [column for column in columns if column not in shared]
    remarks += [f"{column.heading} {column.text(data.iloc[0].to_dict())}" for column in shared]
    with_recipe, whole = _has_recipe(table), table in study_tables.TABLES
    kinds, recipes = _kinds(analysis), {} if table.section == LONG_NAMES else _recipes(analysis)
    rows = [
        Row(
            cells=_cells(columns, row),
            more=recipes.get(str(row.get("configuration")), "" if pd.isna(row["recipe"]) else str(row["recipe"]))
            if with_recipe
            else "",
            kind=kinds.get(row.get("configuration")) or kinds.get(row.get("name"), ""),
            measured=pd.notna(row.get("accuracy")),
        )
        for row in data.head(len(data) if whole else MOST_ROWS).to_dict("records")
    ]
    classes = [_class(column, [row.cells[place] for row in rows]) for place, column in enumerate(columns)]
    headings = list(zip(columns, classes, strict=True))
    same = [f"The same in every row: {'; '.join(remarks)}."] if remarks else []
    remark = " ".join([*_computed(columns), *same])
    hardware = data.get(HARDWARE.name, pd.Series(dtype=object)).dropna()
    named = [*(row.more for row in rows), *map(str, hardware)]
    folded = not whole and (drawn or len(data) > MOST_UNFOLDED)
    return ShownTable(table, remark, terms_in(named), headings, rows, len(data), folded)


def _with_remarks(data: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The data without the remarks that all rows share, and these remarks; unchanged unless all rows were measured."""
    statuses: list[ConfigurationStatus] = list(data.get("status", ()))
    if not statuses or any(status.outcome is not Outcome.measured for status in statuses):
        return data, []
    shared = [remark for remark in statuses[0].remarks if all(remark in status.remarks for status in statuses)]
    remaining = [[remark for remark in status.remarks if remark not in shared] for status in statuses]
    texts = ["; ".join(remarks) or None for remarks in remaining]
    return data.assign(status=pd.Series(texts, data.index, dtype=object)), shared


def _computed(columns: list[Column]) -> list[str]:
    """A sentence that names the computed columns; without names if all columns are computed or the study's."""
    computed = [str(column.heading) for column in columns if column.source is ValueSource.derived]
    others = {column.source for column in columns} - {ValueSource.derived, ValueSource.study}
    named = f": {'; '.join(computed)}" if others else ""
    return [f"Computed, not measured{named}."] if computed else []


def _is_shared(column: Column, values: pd.Series) -> bool:
    """Whether every row has the same setting, which the note shows instead of a column."""
    return column.source is ValueSource.declared and len(values) > 1 and values.nunique(dropna=False) == 1


def _columns(table: Table) -> list[Column]:
    elsewhere = {"command", "recipe"} if _has_recipe(table) else {"command"}  # with the runs, and below the model
    shown = [column for column in table.shown("html") if column.name not in elsewhere]
    first = (*NAMES, *SCORES) if any(column.name == "accuracy" for column in shown) else NAMES
    return sorted(shown, key=lambda column: first.index(column.name) if column.name in first else len(first))


def _has_recipe(table: Table) -> bool:
    """Whether the recipe is shown below the model."""
    return {"model", "recipe"} <= {column.name for column in table.shown("html")}


def _recipes(analysis: AnalysedResults) -> dict[str, str]:
    """The recipe of each configuration with the settings that differ from it, but not how it was computed."""
    records = {row["configuration"]: row["run"] for _, row in analysis.configurations.iterrows()}
    results = analysis.results
    return {
        configuration: recipe_in_words(results.runs_by_name[run].record, results.catalogue, HOW_COMPUTED)
        for configuration, run in records.items()
    }


def _kinds(analysis: AnalysedResults) -> dict[Any, str]:
    """The kind of model by the id of a configuration, and by the name of a shipped model."""
    shipped = {name: entry.card.kind for name, entry in analysis.results.catalogue.items()}
    table = analysis.configurations
    return shipped | dict(zip(table["configuration"], table["kind"], strict=True))


def _class(column: Column, cells: list[Cell]) -> str:
    if column.end is not None:
        return "number interval"
    if any(cell.number is not None for cell in cells):
        return "number"
    return "long" if max((len(cell.text) for cell in cells), default=0) > LONG_TEXT else ""


def _cells(columns: list[Column], row: dict[Any, Any]) -> list[Cell]:
    given = [column.name for column in columns if pd.notna(row[column.name])]
    linking = next((name for name in LINKING if name in given), None)
    return [
        Cell(
            text=_text(column, row) if column.name in given else "–",
            source=_source(column, row),
            number=_number(row[column.name]),
            href=_href(row) if column.name == linking else None,
        )
        for column in columns
    ]


def _text(column: Column, row: dict[Any, Any]) -> str:
    """The text of a cell; an interval may wrap only behind "to"."""
    text = column.text(row)
    return text if column.end is None else text.replace("to ", "to\N{NO-BREAK SPACE}")


def _href(row: dict[Any, Any]) -> str | None:
    """The link to the runs of the row's configuration."""
    return f"#{anchor(row['configuration'])}" if pd.notna(row.get("configuration")) else None


def _source(column: Column, row: dict[Any, Any]) -> ValueSource:
    """The source of a cell: the column's, unless the row is the study's or was not run."""
    status = row.get("status")
    outcome = status.outcome if isinstance(status, ConfigurationStatus) else None
    of_study = (
        column.source is ValueSource.study or outcome is Outcome.published or row.get("source") == study_tables.STUDY
    )
    if column.source is ValueSource.measured and outcome in WITHOUT_RESULTS:
        return ValueSource.not_run
    if pd.isna(row[column.name]):
        return ValueSource.nothing
    return ValueSource.study if of_study else column.source


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return float(value)
