"""The figures over many runs, each declared once: in the module of its subject."""

from benchmark.report.figure import Figure
from benchmark.report.figures import (
    accuracy,
    across_data_sets,
    confidence,
    differences,
    frontier,
    learning,
    scaling,
    study_figures,
)

MODULES = (scaling, accuracy, differences, frontier, across_data_sets, learning, confidence, study_figures)
FIGURES: dict[str, Figure] = {figure.name: figure for module in MODULES for figure in module.FIGURES}
