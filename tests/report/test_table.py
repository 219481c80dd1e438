"""How a declared table is made and written, and that the shipped tables are those of the shipped records."""

from pathlib import Path

import pandas as pd
import pytest
from factories import a_record, analysis_of, publish

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.frame import read_results
from benchmark.report.formats import (
    Format,
    count,
    duration,
    fixed,
    gigabytes,
    milliseconds,
    p_value,
    plain,
    scientific,
)
from benchmark.report.table import Column, Table, ValueSource, declared, derived
from benchmark.report.tables import ALWAYS_SHOWN, TABLES, all_tables
from benchmark.results import store

NOTHING = analysis_of()
DATA = pd.DataFrame(
    [
        {"id": "=a1", "name": "a | b_c", "share": 0.5, "low": 0.25, "high": 0.75, "command": "x | y"},
        {"id": "b2", "name": "B", "share": None, "low": None, "high": None, "command": "z"},
    ],
    dtype=object,
)
COLUMNS = (
    Column("id"),
    Column("name", "Name"),
    Column("share", "± share", fixed(".1%")),
    Column("low", "95% interval", fixed(".1%"), end="high"),
    Column("command", "Command", code=True, leave_out=("tex",)),
)
TABLE = Table("one", "A table", lambda _: DATA, COLUMNS, note="A *note*.")


def test_markdown_escapes_bars_shows_code_and_leaves_out_columns_without_heading() -> None:
    assert TABLE.markdown(TABLE.data(NOTHING)).splitlines() == [
        "| Name         | ± share   | 95% interval   | Command                 |",
        "|:-------------|:----------|:---------------|:------------------------|",
        "| a &#124; b_c | 50.0%     | 25.0% to 75.0% | <code>x &#124; y</code> |",
        "| B            | -         | -              | `z`                     |",
    ]


def test_csv_has_every_column_and_no_formula() -> None:
    assert TABLE.csv(TABLE.data(NOTHING)) == (
        "id,name,share,low,high,command\n'=a1,a | b_c,0.5,0.25,0.75,x | y\nb2,B,,,,z\n"
    )


def test_a_table_is_written_as_csv_markdown_with_its_note_and_latex() -> None:
    files = TABLE.files(TABLE.data(NOTHING))
    assert list(files) == ["one.csv", "one.md", "one.tex"]
    assert files["one.md"].endswith("| `z`                     |\n\nA *note*.\n")
    assert files["one.tex"].splitlines() == [
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"Name & $\pm$ share & 95\% interval \\",
        r"\midrule",
        r"a | b\_c & 50.0\% & 25.0\% to 75.0\% \\",
        r"B & - & - \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
    assert not Table("no", "", lambda _: DATA, COLUMNS).files(DATA)["no.md"].endswith("\n\n")


@pytest.mark.parametrize(("target", "shown"), [("md", 4), ("html", 4), ("tex", 3)])
def test_a_column_is_left_out_where_it_says_so(target: str, shown: int) -> None:
    assert len(TABLE.shown(target)) == shown


def test_a_declared_column_that_is_not_made_is_an_error_and_an_undeclared_one_left_out() -> None:
    assert list(Table("few", "", lambda _: DATA, (Column("name"),)).data(NOTHING)) == ["name"]
    for column in (Column("nmae"), Column("low", end="hihg")):
        with pytest.raises(KeyError):
            Table("misspelt", "", lambda _: DATA, (column,)).data(NOTHING)


def test_a_table_without_rows_has_its_columns() -> None:
    data = Table("none", "", lambda _: pd.DataFrame(), COLUMNS).data(NOTHING)
    assert list(data) == ["id", "name", "share", "low", "high", "command"]
    assert len(TABLE.markdown(data).splitlines()) == 2


def test_columns_say_where_their_content_comes_from() -> None:
    assert [make("a", "A").source for make in (Column, declared, derived)] == [
        ValueSource.measured, ValueSource.declared, ValueSource.derived
    ]  # fmt: skip
    assert declared("a", "A", count).text({"a": 1000}) == derived("a", "A", count).text({"a": 1000}) == "1,000"


@pytest.mark.parametrize(
    ("format_", "value", "shown"),
    [
        *((plain, value, shown) for value, shown in ((True, "yes"), (1234, "1,234"), (0.25, "0.25"), ("a\n b", "a b"))),
        (fixed("+.4f"), 0.05, "+0.0500"),
        *((p_value, value, shown) for value, shown in ((0.0001, "0.0001"), (0.00009, "< 0.0001"), (1.0, "1.0000"))),
        (gigabytes, 1.5e9, "1.50 GB"),
        *((count, value, shown) for value, shown in ((1234.0, "1,234"), (2.5, "2.5"), (7, "7"))),
        *((scientific, value, shown) for value, shown in ((5e-5, "5e-5"), (0.00025, "2.5e-4"), ("2e-4 *", "2e-4 *"))),
        *(
            (duration, value, shown)
            for value, shown in (
                (0.09, "under 0.1 s"), (0.1, "0.1 s"), (59.94, "59.9 s"), (59.96, "1.0 min"), (60, "1.0 min"),
                (3596, "59.9 min"), (3599, "1.0 h"), (5400, "1.5 h"),
            )
        ),
        *(
            (milliseconds, value, shown)
            for value, shown in (
                (9e-6, "under 0.01 ms"), (1e-5, "0.01 ms"), (0.0289, "28.9 ms"), (0.9, "900 ms"), (0.9994, "999 ms"),
                (0.9996, "1.0 s"), (1, "1.0 s"),
            )
        ),
    ],
)  # fmt: skip
def test_numbers_are_written_with_their_unit(format_: Format, value: object, shown: str) -> None:
    assert format_(value) == shown


# The shipped tables


@pytest.fixture(scope="module")
def shipped_tables(shipped: Path) -> dict[Table, pd.DataFrame]:
    """The tables of the shipped records."""
    return all_tables(AnalysedResults(read_results(shipped / "results")))


def test_the_shipped_tables_are_those_of_the_shipped_records(
    shipped: Path, shipped_tables: dict[Table, pd.DataFrame]
) -> None:
    for table, data in shipped_tables.items():
        assert (shipped / "results/tables" / f"{table.name}.csv").read_text() == table.csv(data), table.name


def test_no_declared_column_of_the_shipped_tables_is_empty(shipped_tables: dict[Table, pd.DataFrame]) -> None:
    """Other data sets may have models of one kind only."""
    studys = {table: data for table, data in shipped_tables.items() if table.dataset in (None, study.DATASET)}
    empty = {(table.name, name) for table, data in studys.items() for name in data if data[name].isna().all()}
    assert empty == set()


def test_wins_minus_losses_are_the_difference_beside_them(shipped_tables: dict[Table, pd.DataFrame]) -> None:
    (pairwise,) = [table for table in shipped_tables if table.name == "pairwise"]
    shown = pairwise.texts(shipped_tables[pairwise], "md")
    won, lost = (shown[f"Only the {one} is correct"].str.replace(",", "").astype(float) for one in ("better", "other"))
    assert ((won - lost) / 2000 - shown["Difference"].astype(float)).abs().max() <= 0.5e-4 + 1e-5


@pytest.mark.parametrize("name", sorted(ALWAYS_SHOWN))
def test_the_first_run_does_not_change_the_columns_of_a_table(name: str, tmp_path: Path) -> None:
    analysis = analysis_of(*(publish(tmp_path, a_record(model), [0] * 10) for model in ("tfidf", "minilm")))
    assert list(TABLES[name].data(analysis)) == list(TABLES[name].data(NOTHING))


def test_tables_do_not_depend_on_the_order_in_which_runs_were_made(tmp_path: Path) -> None:
    records = [a_record("tfidf", seed=1), a_record("minilm"), a_record("tfidf", seed=0)]
    made = []
    for place, order in (("one", records), ("two", records[::-1])):
        for record in order:
            publish(tmp_path / place, record)
        tables = all_tables(analysis_of(*store.read_all(tmp_path / place)))
        made.append({table.name: table.csv(data) for table, data in tables.items()})
    assert made[0] == made[1]
    assert set(made[0]) == {*ALWAYS_SHOWN, "dollars", "leaderboard_emotion"}
