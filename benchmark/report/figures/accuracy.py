"""The accuracy of every configuration with its interval, beside the study's."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from benchmark.analysis import study
from benchmark.analysis.configurations import with_results
from benchmark.report.figure import Figure
from benchmark.report.style import ACCURACY_RANGE, BLUE, INK, MUTED, ORANGE, house_style, in_two_lines, new_figure
from benchmark.report.table import Analysis

MEAN: dict[str, Any] = {"color": BLUE, "marker": "o", "markersize": 6, "linestyle": "none"}
SEED: dict[str, Any] = {"color": ORANGE, "marker": "|", "markersize": 7, "markeredgewidth": 1.6, "linestyle": "none"}
STUDY: dict[str, Any] = {
    "color": INK,
    "marker": "D",
    "markersize": 5.5,
    "markerfacecolor": "white",
    "linestyle": "none",
}
BELOW: dict[str, Any] = {"color": BLUE, "marker": "<", "markersize": 6, "linestyle": "none"}


@house_style()
def accuracy(analysis: Analysis) -> Drawing | None:
    """Test accuracy with its 95% interval, one row per configuration, the most accurate first."""
    rows = _rows(analysis)
    measured = rows[rows["seeds"] > 0]
    if measured.empty:
        return None
    figure = new_figure(
        1.6 + 0.36 * len(rows),
        f"Accuracy on the test split, {study.DATASET}",
        "Mean over the seeds run here and its 95% interval; hollow diamonds are the study's, not measured here",
    )
    axes = figure.subplots()
    floor = measured["accuracy"].max() - ACCURACY_RANGE
    for place, row in enumerate(rows.to_dict("records")):
        _draw_row(axes, place, row, floor)
    axes.set_yticks(range(len(rows)), [in_two_lines(label, 38) for label in rows["label"]])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set(xlabel="accuracy")
    for x, align, text in ((-0.015, "right", "model, recipe"), (1.015, "left", "mean accuracy")):
        axes.text(x, -0.75, text, transform=axes.get_yaxis_transform(), ha=align, va="center", color=MUTED)
    handles = _legend(rows, floor)
    figure.legend(handles=handles, loc="outside lower left", ncols=4, handletextpad=0.3, columnspacing=1.4)
    return figure


def _rows(analysis: Analysis) -> pd.DataFrame:
    """The configurations with results, and the study's models that were not run under its settings.

    `published` is the study's accuracy, given only beside the configuration that repeats it. `by_seed` holds the
    accuracies of the seeds.
    """
    found = with_results(analysis.configurations)
    repeated = found[found["repeats_study"].astype(bool)]
    rows = [
        {
            **row,
            "published": study.TABLE3.get(row["model"]) if row["repeats_study"] else None,
            "by_seed": analysis.results.correct(row["counted"]).mean(axis=1),
        }
        for _, row in found.iterrows()
    ]
    rows += [
        {"label": f"{_title(analysis, model)}, paper", "accuracy": published, "published": published, "seeds": 0}
        for model, published in study.TABLE3.items()
        if model not in set(repeated["model"])
    ]
    return pd.DataFrame(rows).sort_values(["accuracy", "label"], ascending=[False, True], kind="stable")


def _title(analysis: Analysis, model: str) -> str:
    return analysis.results.catalogue[model].config.model.title


def _draw_row(axes: Axes, place: int, row: dict[Any, Any], floor: float) -> None:
    """The interval at the row's place, its seeds a little below it and the study's accuracy a little above it."""
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
    if pd.notna(row["published"]):
        axes.plot(row["published"], place - 0.27 * bool(row["seeds"]), **STUDY)
    if not row["seeds"]:
        axes.text(1.015, place, "not run here", color=MUTED, **beside)
        return
    seeds = "1 seed" if row["seeds"] == 1 else f"{row['seeds']} seeds"
    axes.text(1.015, place, f"{row['accuracy']:.4f}, {seeds}", **beside)
    if row["accuracy"] < floor:
        axes.plot(0.02, place, transform=axes.get_yaxis_transform(), **BELOW)
        return
    axes.plot([row["low"], row["high"]], [place, place], color=BLUE, linewidth=2, solid_capstyle="butt")
    axes.plot(row["accuracy"], place, **MEAN)
    if row["seeds"] > 1:
        axes.plot(row["by_seed"], np.full(row["seeds"], place + 0.27), **SEED)


def _legend(rows: pd.DataFrame, floor: float) -> list[Line2D]:
    """One entry for each kind of mark in the figure."""
    present = {
        "mean, 95% interval": {**MEAN, "linestyle": "-", "linewidth": 2},
        "one seed": SEED if (rows["seeds"] > 1).any() else None,
        "the study, published": STUDY if rows["published"].notna().any() else None,
        "left of the axis": BELOW if ((rows["seeds"] > 0) & (rows["accuracy"] < floor)).any() else None,
    }
    return [Line2D([], [], label=label, **mark) for label, mark in present.items() if mark is not None]


FIGURES = (
    Figure(
        "accuracy",
        "Accuracy on the test split with its 95% interval, one row per model. Table 3 has the numbers.",
        "accuracy",
        accuracy,
    ),
)
