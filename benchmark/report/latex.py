"""A table for a paper: LaTeX with the booktabs package, every character written so that it is printed."""

import re

import pandas as pd

MATH = {"±": r"$\pm$", "×": r"$\times$", "≠": r"$\neq$"}


def latex(table: pd.DataFrame) -> str:
    r"""`table`, whose cells are text, as a tabular; figures to the right. Needs \usepackage[T1]{fontenc}, booktabs."""
    columns = "".join("r" if table[column].map(_is_figure).all() else "l" for column in table)
    written = table.to_latex(index=False, escape=True, column_format=columns)
    return "".join(MATH.get(character, character) for character in written)


def _is_figure(text: str) -> bool:
    """A number, perhaps signed, with a unit, bounded or an interval; or a dash."""
    return re.fullmatch(r"-|(under |< ?)?[+-]?[\d.,e-]+( ?(%|ms|s|min|h|GiB|\*)| to [+-]?[\d.]+)?", text) is not None
