"""What a table of the report is, and how it is written as Markdown, CSV and LaTeX.

A table is declared once, in `benchmark/report/tables/`: its name, title, function, columns, note and place. Numbers
stay numbers in the data (a share is 0..1, time is seconds), so that a CSV file can be computed with.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import pandas as pd

from benchmark.analysis.analysed import AnalysedResults
from benchmark.report.formats import Format, duration, fixed, markdown_code, markdown_text, plain, spreadsheet_text
from benchmark.report.latex import latex

Target = Literal["md", "tex", "html"]
"""The kinds of files that show a table to people."""


class ValueSource(StrEnum):
    """Where a cell's content comes from; the page marks what was not measured here."""

    measured = "measured here"
    study = "the study's"
    not_run = "not run"
    derived = "derived from the study's figures"
    declared = "as declared"  # configuration or model card, nothing that was measured
    nothing = "does not apply"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    `name` is the column of the data. With `end`, both columns are shown as one interval. A column without a heading is
    in the CSV file only.
    """

    name: str
    heading: str | None = None
    format: Format = plain
    help: str = ""
    end: str | None = None
    source: ValueSource = ValueSource.measured
    code: bool = False  # shown as code
    leave_out: tuple[Target, ...] = ()

    def text(self, row: Mapping[Any, Any]) -> str:
        """The cell of a row, for people."""
        value = row[self.name]
        if pd.isna(value):
            return "-"
        return self.format(value) if self.end is None else f"{self.format(value)} to {self.format(row[self.end])}"


@dataclass(frozen=True)
class Table:
    """The declaration of a table: `make` returns the data, with at least the declared columns."""

    name: str
    title: str
    make: Callable[[AnalysedResults], pd.DataFrame]
    columns: tuple[Column, ...]
    note: str = ""  # Markdown
    section: str = ""  # of the page
    dataset: str | None = None  # that it is about; None for tables about the study and for all data sets

    def data(self, analysis: AnalysedResults) -> pd.DataFrame:
        """The declared columns, one row per entry. Raises `KeyError` if `make` did not return one of them."""
        rows, names = self.make(analysis), [part for column in self.columns for part in _parts(column)]
        return (rows[names] if len(rows) else pd.DataFrame(columns=names)).astype(object)

    def shown(self, target: Target) -> list[Column]:
        """The columns that this kind of file shows to people."""
        return [column for column in self.columns if column.heading is not None and target not in column.leave_out]

    def texts(self, data: pd.DataFrame, target: Target) -> pd.DataFrame:
        """The cells as text, under their headings."""
        columns = self.shown(target)
        rows = [[column.text(row) for column in columns] for row in data.to_dict("records")]
        return pd.DataFrame(rows, columns=[column.heading for column in columns])

    def markdown(self, data: pd.DataFrame) -> str:
        texts = self.texts(data, "md")
        for column in self.shown("md"):
            texts[column.heading] = texts[column.heading].map(markdown_code if column.code else markdown_text)
        texts.columns = texts.columns.map(markdown_text)
        return texts.to_markdown(index=False, disable_numparse=True)

    def csv(self, data: pd.DataFrame) -> str:
        cells = [[spreadsheet_text(value) for value in row] for row in data.itertuples(index=False)]
        safe = pd.DataFrame(cells, columns=data.columns, dtype=object)  # object: whole numbers stay whole
        return safe.to_csv(index=False, lineterminator="\n")

    def files(self, data: pd.DataFrame) -> dict[str, str]:
        """The content of the table's files, by name."""
        note = f"\n{self.note}\n" if self.note else ""
        return {
            f"{self.name}.csv": self.csv(data),
            f"{self.name}.md": f"{self.markdown(data)}\n{note}",
            f"{self.name}.tex": latex(self.texts(data, "tex")),
        }


def _parts(column: Column) -> list[str]:
    return [column.name] if column.end is None else [column.name, column.end]


def declared(name: str, heading: str, format: Format = plain) -> Column:  # noqa: A002
    """A column of configuration."""
    return Column(name, heading, format, source=ValueSource.declared)


def derived(name: str, heading: str, format: Format = plain) -> Column:  # noqa: A002
    """A column computed from the study's figures."""
    return Column(name, heading, format, source=ValueSource.derived)


FOUR_DECIMALS = fixed(".4f")
PERCENT = fixed(".1%")

CONFIGURATION = Column("configuration", help="id of the configuration")
MODEL = Column("model", "Model", source=ValueSource.declared)
RECIPE = Column("recipe", "Recipe", source=ValueSource.declared)
ACCURACY = Column("accuracy", "Accuracy", FOUR_DECIMALS, "mean over the seeds")
SPREAD = Column("spread", "SD over seeds", FOUR_DECIMALS, "standard deviation over the seeds")
INTERVAL = Column(
    "low",
    "95% interval",
    FOUR_DECIMALS,
    end="high",
    help="Wilson's for one seed, else a bootstrap over seeds and texts that is at least as wide",
)
SEEDS = Column("seeds", "Seeds")
MACRO_F1 = Column("macro_f1", "Macro-F1", FOUR_DECIMALS, "unweighted mean of the F1 of all labels")
HARDWARE = Column("hardware", "Hardware")
TRAINING = Column("training_seconds", "Training", duration, "median over the seeds of one machine")
STATUS = Column("status", "Status")
MODEL_NAME = Column("name")
IDENTITY = (CONFIGURATION, MODEL, RECIPE)
SCORES = (ACCURACY, SPREAD, INTERVAL, SEEDS, MACRO_F1)
