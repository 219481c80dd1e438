"""What LaTeX would take for a command is printed, and figures stand to the right."""

import pandas as pd
import pytest

from benchmark.analysis.evidence import Evidence
from benchmark.report.latex import latex
from benchmark.report.tables import TABLES
from benchmark.report.wording import INTERNAL, readable
from benchmark.results.catalogue import read_contestants


def test_a_table_is_a_booktabs_tabular() -> None:
    table = pd.DataFrame({"Model": ["BERT", "A & B"], "Accuracy": ["0.9063", "-"], "95% interval": ["0.1 to 0.2", "-"]})
    assert latex(table).splitlines() == [
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"Model & Accuracy & 95\% interval \\",
        r"\midrule",
        r"BERT & 0.9063 & 0.1 to 0.2 \\",
        r"A \& B & - & - \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("recipe.max_steps", r"recipe.max\_steps"),
        (r"a\b", r"a\textbackslash b"),
        ("{x} $5 #1", r"\{x\} \$5 \#1"),
        ("a < b > c | d", "a < b > c | d"),  # as they stand, in T1
        ("~^", r"\textasciitilde \textasciicircum "),
        ("± seeds × 2 ≠ labels", r"$\pm$ seeds $\times$ 2 $\neq$ labels"),
    ],
)
def test_special_characters_are_printed(text: str, written: str) -> None:
    assert rf"{written} \\" in latex(pd.DataFrame({"A": [text]})).splitlines()


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_as_many_cells_in_a_row_as_columns(name: str) -> None:
    table = readable(
        TABLES[name](Evidence([], read_contestants())).drop(columns=[*INTERNAL, "command"], errors="ignore")
    )
    rows = [line for line in latex(table).splitlines() if line.endswith(r"\\")]
    assert len(rows) == len(table) + 1
    assert {line.count(" & ") for line in rows} == {len(table.columns) - 1}


@pytest.mark.parametrize("text", ["+0.0503", "< 0.0001", "28.9 ms", "3.72 GiB", "under 0.1 s", "-", "-0.1 to +0.2"])
def test_what_is_a_number_stands_to_the_right(text: str) -> None:
    assert latex(pd.DataFrame({"A": [text, "1"]})).startswith(r"\begin{tabular}{r}")


@pytest.mark.parametrize("text", ["BERT", "2 seeds", "1 of 2 cores"])
def test_words_stand_to_the_left(text: str) -> None:
    assert latex(pd.DataFrame({"A": [text, "1"]})).startswith(r"\begin{tabular}{l}")
