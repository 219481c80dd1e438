r"""Tables for a paper, as LaTeX that needs \usepackage[T1]{fontenc} and \usepackage{booktabs}."""

import re

import pandas as pd

SYMBOLS = {"±": r"$\pm$", "×": r"$\times$", "≠": r"$\neq$"}  # not in T1; pandas escapes LaTeX's own characters

_WITH_UNIT = r"[+-]?[\d.,e-]+( ?(%|ms|s|min|h|GB|\*))?"
_NUMBER = re.compile(rf"-|(under |< ?)?{_WITH_UNIT}( to {_WITH_UNIT})?")
"""A dash, or a number that may have a sign, a unit or a bound, or an interval."""


def latex(table: pd.DataFrame) -> str:
    """Return a table of strings as a LaTeX tabular; columns of numbers are aligned right."""
    alignment = "".join("r" if all(map(_NUMBER.fullmatch, table[column])) else "l" for column in table)
    text = table.to_latex(index=False, escape=True, column_format=alignment)
    return "".join(SYMBOLS.get(character, character) for character in text)
