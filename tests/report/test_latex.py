"""LaTeX prints every character of a table and aligns columns of numbers right."""

import pandas as pd
import pytest

from benchmark.report.latex import latex


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (r"a\b_c {x} $5 #1 ~^", r"a\textbackslash b\_c \{x\} \$5 \#1 \textasciitilde \textasciicircum "),
        ("a < b > c | d", "a < b > c | d"),  # printed as they are in the T1 encoding
        ("± seeds × 2 ≠ labels", r"$\pm$ seeds $\times$ 2 $\neq$ labels"),
    ],
)
def test_special_characters_are_printed(text: str, escaped: str) -> None:
    assert rf"{escaped} \\" in latex(pd.DataFrame({"A": [text]})).splitlines()


@pytest.mark.parametrize(
    ("text", "alignment"),
    [
        *(
            (text, "r")
            for text in ("+0.0503", "< 0.0001", "28.9 ms", "3.72 GB", "under 0.1 s", "-", "-0.1 to +0.2", "5% to 9.5%")
        ),
        *((text, "l") for text in ("BERT", "2 seeds", "1 of 2 cores")),
    ],
)
def test_columns_of_numbers_are_aligned_right_and_others_left(text: str, alignment: str) -> None:
    assert latex(pd.DataFrame({"A": [text, "1"]})).startswith(rf"\begin{{tabular}}{{{alignment}}}")
