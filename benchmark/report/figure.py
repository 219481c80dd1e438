"""What a figure of the report is: a declaration, in `benchmark/report/figures/`, with a function that draws it."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure as Drawing

from benchmark.analysis import study
from benchmark.analysis.comparisons import fields
from benchmark.report.table import Analysis


@dataclass(frozen=True)
class Figure:
    """A declaration.

    `draw` takes the analysis of one data set and its name, and returns None if there is nothing to show. With
    `of_all` it takes the analysis of all data sets, and an empty name.
    """

    name: str
    alternative: str  # what it shows, for readers who cannot see it
    section: str  # of the page
    draw: Callable[[Analysis, str], Drawing | None]
    of_study: bool = False  # drawn for the study's data set only
    of_all: bool = False


@dataclass(frozen=True)
class Picture:
    """A drawn figure."""

    figure: Figure
    dataset: str
    svg: str

    @property
    def name(self) -> str:
        return file_name(self.figure, self.dataset)


def compared(analysis: Analysis) -> pd.DataFrame:
    """The configurations with results, the most accurate first; of several test splits, those on the most used."""
    found = fields(analysis.configurations)
    return (found[0] if found else analysis.configurations.head(0)).reset_index(drop=True)


def file_name(figure: Figure, dataset: str) -> str:
    """The name, without suffix, of the figure's files in results/figures."""
    return figure.name if dataset == study.DATASET or figure.of_all else f"{figure.name}_{dataset}"
