"""The figures over many runs, each declared once: in the module of its subject."""

from benchmark.report.figure import Figure
from benchmark.report.figures import accuracy, confidence, cost, data_sets, differences, learning, scaling, study

MODULES = (accuracy, differences, cost, scaling, data_sets, learning, confidence, study)
FIGURES: dict[str, Figure] = {figure.name: figure for module in MODULES for figure in module.FIGURES}
