"""How numbers are written for people. Each format takes a value that is not missing."""

import re
from collections.abc import Callable
from typing import Any

from benchmark.analysis.names import exponential

Format = Callable[[Any], str]


def plain(value: Any) -> str:
    """A value as text on one line; whole numbers with thousands separators, others with up to six digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())


MARKUP = re.compile(
    r"""[|$`\\~]                  # tables, formulas, code, escapes
      | \[(?=\^) | \](?=[(:\[])   # footnotes, links
      | <(?=[\w/!?])            # HTML
      | &(?=\#?\w+;)            # entities
      | (?<!\w)[_*](?=\S) | (?<=\S)[_*](?!\w)  # emphasis; not between letters or between spaces
    """,
    re.VERBOSE,
)


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, also in a table, on one line.

    Characters with a meaning become HTML entities, which GitHub and MkDocs understand alike.
    """
    return MARKUP.sub(lambda match: f"&#{ord(match[0])};", " ".join(str(text).split()))


def markdown_code(text: str) -> str:
    """Text as code, also in a table."""
    line = " ".join(str(text).split())
    return f"<code>{markdown_text(line)}</code>" if set(line) & set("|`") else f"`{line}`"


def spreadsheet_text(value: Any) -> Any:
    """Text that a spreadsheet does not read as a formula; other values unchanged."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def fixed(spec: str) -> Format:
    """A format with Python's format specification."""
    return lambda value: format(value, spec)


def p_value(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"


def gigabytes(value: float) -> str:
    return f"{value / 1e9:.2f} GB"


def count(value: float, decimals: int = 1) -> str:
    """A count, or a mean of counts with decimals."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.{decimals}f}"


def parameters(value: float, million: str = "M", billion: str = "B") -> str:
    """A number of parameters in millions or billions, with three digits."""
    return f"{value / 1e9:.3g}{billion}" if value >= 999.5e6 else f"{value / 1e6:.3g}{million}"


def scientific(value: Any) -> str:
    """A number in exponential form: `5e-5` for 0.00005; text unchanged."""
    return exponential(value) if isinstance(value, float) else plain(value)


def duration(seconds: float) -> str:
    if seconds < 0.1:
        return "under 0.1 s"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if round(seconds / 60, 1) < 60 else f"{seconds / 3600:.1f} h"


def milliseconds(seconds: float) -> str:
    if seconds >= 0.9995:  # 1000 with three digits
        return duration(seconds)
    return f"{1000 * seconds:.3g} ms" if seconds >= 1e-5 else "under 0.01 ms"
