from pathlib import Path

import pandas as pd
import pytest
from factories import analysis

from benchmark.analysis.frame import read_results
from benchmark.report.formats import count, duration, fixed, gibibytes, milliseconds, p_value, plain, scientific
from benchmark.report.table import Analysis, Column, Table
from benchmark.report.tables import TABLES
from benchmark.report.tables.leaderboard import leaderboard

ROWS = pd.DataFrame(
    [
        {"name": "a", "low": 0.25, "high": 0.5, "seconds": 90.0, "command": "python -m benchmark", "other": 1},
        {"name": None, "low": None, "high": None, "seconds": None, "command": "a | b", "other": 2},
    ],
    dtype=object,
)
TABLE = Table(
    "example",
    "An example",
    lambda _: ROWS,
    (
        Column("name", "Name"),
        Column("low", "95% interval", end="high"),
        Column("seconds", "Training", duration),
        Column("command", "Command", code=True, leave_out=("tex",)),
        Column("note"),
    ),
    note="A *note*.",
)


@pytest.fixture(scope="module")
def shipped() -> Analysis:
    return Analysis(read_results(Path("results")))


def test_the_data_has_the_declared_columns_and_no_other() -> None:
    assert list(TABLE.data(analysis()).columns) == ["name", "low", "high", "seconds", "command", "note"]


def test_markdown_has_the_columns_with_a_heading_and_a_dash_for_a_missing_value() -> None:
    head, _, first, second = TABLE.markdown(TABLE.data(analysis())).splitlines()
    assert [cell.strip() for cell in head.split("|")[1:-1]] == ["Name", "95% interval", "Training", "Command"]
    cells = [cell.strip() for cell in first.split("|")[1:-1]]
    assert cells == ["a", "0.2500 to 0.5000", "1.5 min", "`python -m benchmark`"]
    assert second.count(" - ") == 3
    assert r"`a \| b`" in second.replace("\\\\", "\\")


def test_a_csv_file_keeps_numbers_as_numbers_and_every_column() -> None:
    head, first, second = TABLE.csv(TABLE.data(analysis())).splitlines()
    assert head == "name,low,high,seconds,command,note"
    assert first == "a,0.25,0.5,90.0,python -m benchmark,"
    assert second == ",,,,a | b,"


def test_a_column_can_be_left_out_of_one_kind_of_file() -> None:
    files = TABLE.files(TABLE.data(analysis()))
    assert set(files) == {"example.csv", "example.md", "example.tex"}
    assert "python -m benchmark" in files["example.md"]
    assert "python -m benchmark" not in files["example.tex"]
    assert files["example.md"].endswith("\n\nA *note*.\n")


@pytest.mark.parametrize("name", [*TABLES, "leaderboard_emotion"])
def test_every_declared_column_is_computed_for_the_shipped_results(name: str, shipped: Analysis) -> None:
    table = TABLES.get(name) or leaderboard("emotion")
    made = table.make(shipped)
    declared = {part for column in table.columns for part in (column.name, column.end) if part}
    assert len(made) > 0
    assert declared <= set(made.columns)


@pytest.mark.parametrize("name", TABLES)
def test_a_heading_stands_once_and_a_help_text_only_with_a_heading(name: str) -> None:
    headings = [column.heading for column in TABLES[name].columns if column.heading]
    assert len(headings) == len(set(headings)) > 1


@pytest.mark.parametrize(
    ("format_", "value", "text"),
    [
        (plain, True, "yes"),
        (plain, 8_030_261_248, "8,030,261,248"),
        (plain, 0.1234567, "0.123457"),
        (plain, "two\nlines", "two lines"),
        (fixed(".1%"), 0.1234, "12.3%"),
        (p_value, 0.00009, "< 0.0001"),
        (p_value, 0.0001, "0.0001"),
        (gibibytes, 3 * 2**29, "1.50 GiB"),
        (count, 1200.0, "1,200"),
        (count, 2.5, "2.5"),
        (scientific, 0.00005, "5e-5"),
        (scientific, 0.00015, "1.5e-4"),
        (scientific, "none", "none"),
        (duration, 0.05, "under 0.1 s"),
        (duration, 59.9, "59.9 s"),
        (duration, 60.0, "1.0 min"),
        (duration, 3600.0, "1.0 h"),
        (milliseconds, 0.0289, "28.9 ms"),
    ],
)
def test_formats(format_: "object", value: object, text: str) -> None:
    assert callable(format_)
    assert format_(value) == text
