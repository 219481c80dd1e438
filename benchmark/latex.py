"""A table for a paper: LaTeX with the booktabs package, every character written so that it is printed."""

import re

import pandas as pd

WRITTEN = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "±": r"$\pm$", "×": r"$\times$",
}  # fmt: skip


def latex(table: pd.DataFrame) -> str:
    r"""`table`, whose cells are text, as a tabular; figures to the right. Needs \usepackage[T1]{fontenc}, booktabs."""
    columns = "".join("r" if table[column].map(_is_figure).all() else "l" for column in table)
    rows = [" & ".join(map(_cell, row)) + r" \\" for row in table.astype(str).to_numpy()]
    head = " & ".join(map(_cell, table.columns)) + r" \\"
    lines = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        head,
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return "".join(WRITTEN.get(character, character) for character in text.strip())


def _is_figure(text: str) -> bool:
    return re.fullmatch(r"-|(under )?[\d.,e-]+( ?(%|s|min|h|\*)| to [\d.]+)?", text) is not None
