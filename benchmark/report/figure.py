"""What a figure of the report is: a declaration, in `benchmark/report/figures/`, with a function that draws it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure as Drawing

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.report.style import SERIES_STYLES

ALL = ""
"""Stands for all data sets together."""


@dataclass(frozen=True)
class Figure:
    """The declaration of a figure.

    `draw` takes the analysis of one data set and its name, and returns None if there is nothing to show. With
    `of_all` it takes the analysis of all data sets, and an empty name. The label of the drawing is its caption.
    """

    name: str
    alternative: str  # what it shows, for readers who cannot see it
    section: str  # of the page
    draw: Callable[[AnalysedResults, str], Drawing | None]
    of_study: bool = False  # drawn for the study's data set only
    of_all: bool = False
    draw_narrow: Callable[[AnalysedResults, str], Drawing | None] | None = None  # for narrow screens


@dataclass(frozen=True)
class Picture:
    """A drawn figure."""

    figure: Figure
    dataset: str
    svg: str
    narrow: str = ""  # the SVG for narrow screens, if there is one
    caption: str = ""  # a sentence from the values, if the figure has one

    @property
    def alternative(self) -> str:
        """The content of the figure in words, for readers who cannot see it, and its caption."""
        return self.caption or self.figure.alternative

    @property
    def name(self) -> str:
        """The name of the figure's files in results/figures, without suffix."""
        return self.figure.name if self.dataset in (study.DATASET, ALL) else f"{self.figure.name}_{self.dataset}"


def series_styles(analysis: AnalysedResults, titles: Sequence[str]) -> list[dict[str, Any]]:
    """The line style of each series, given the title of its model; at most as many as there are styles.

    The models with most data sets have one style each in all figures. Other models, and further series of the same
    model, get the styles that are left: first the style of the model with fewest data sets.
    """
    usual = dict(zip(analysis.models, SERIES_STYLES, strict=False))
    own = [usual.get(title) if title not in titles[:place] else None for place, title in enumerate(titles)]
    unused = iter([style for style in reversed(SERIES_STYLES) if style not in own])
    return [style or next(unused) for style in own]
