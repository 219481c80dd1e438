"""What a figure of the report is: a declaration, in `benchmark/report/figures/`, with a function that draws it."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure as Drawing

from benchmark.report.table import Analysis


@dataclass(frozen=True)
class Figure:
    """A declaration. `draw` returns None if there is nothing to show."""

    name: str  # of its files in results/figures
    alternative: str  # what it shows, for readers who cannot see it
    section: str  # of the page
    draw: Callable[[Analysis], Drawing | None]
