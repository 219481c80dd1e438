"""The accuracy of every configuration with its interval, beside the study's."""

import textwrap
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.configurations import with_results
from benchmark.report.colours import BLUE, INK, MUTED, ORANGE
from benchmark.report.figure import Figure
from benchmark.report.style import (
    ACCURACY_RANGE,
    NARROW,
    WIDTH,
    house_style,
    in_two_lines,
    new_figure,
)
from benchmark.report.wording import four_decimals

MARKS: dict[str, dict[str, Any]] = {
    "mean, 95% interval": {"color": BLUE, "marker": "o", "markersize": 6, "linewidth": 2, "solid_capstyle": "butt"},
    "one seed": {"color": ORANGE, "marker": "|", "markersize": 7, "markeredgewidth": 1.6, "linestyle": "none"},
    "the study, published": {
        "color": INK,
        "marker": "D",
        "markersize": 5.5,
        "markerfacecolor": "white",
        "linestyle": "none",
    },
    "left of the axis": {"color": BLUE, "marker": "<", "markersize": 6, "linestyle": "none"},
}
"""The marks by their names in the legend, in its order."""


@house_style()
def accuracy(analysis: AnalysedResults, dataset: str, width: float = WIDTH) -> Drawing | None:
    """Draw the test accuracy with its 95% interval, one row per configuration, the most accurate first.

    In a narrow figure the names stand above the rows.
    """
    narrow = width < WIDTH
    rows = _rows(analysis, dataset)
    measured = rows[rows["seeds"] > 0]
    if measured.empty:
        return None
    figure = new_figure(
        1.6 + (0.5 if narrow else 0.36) * len(rows),
        f"Accuracy on the test split, {dataset}",
        "Mean over the seeds run here and its 95% interval"
        + "; hollow diamonds are the study's, not measured here" * bool(rows["published"].notna().any()),
        width,
    )
    figure.set_label(_caption(analysis, measured.iloc[0]))
    axes = figure.subplots()
    in_row: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
    floor = measured["accuracy"].max() - ACCURACY_RANGE
    for place, row in enumerate(rows.to_dict("records")):
        _draw_row(axes, place, row, floor)
    axes.set_yticks(range(len(rows)), [] if narrow else [in_two_lines(name, 38) for name in rows["short_name"]])
    for place, name in enumerate(rows["short_name"] if narrow else []):
        axes.text(0.01, place - 0.45, textwrap.shorten(name, 52, placeholder=" ..."), size=8, **in_row)
    axes.set_ylim(len(rows) - 0.5, -0.8 if narrow else -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set(xlabel="accuracy")
    for x, align, text in ((-0.015, "right", "model, recipe"), (1.015, "left", "mean accuracy"))[narrow:]:
        axes.text(x, -1 if narrow else -0.75, text, ha=align, color=MUTED, **in_row)
    drawn = {str(line.get_label()): line for line in axes.get_lines()}
    handles = [drawn[name] for name in MARKS if name in drawn]
    figure.legend(handles=handles, loc="outside lower left", ncols=2 if narrow else 4, handletextpad=0.3,
                  columnspacing=1.4)  # fmt: skip
    return figure


def _rows(analysis: AnalysedResults, dataset: str) -> pd.DataFrame:
    """The configurations with results, and the study's models that were not run under its settings.

    `published` is the study's accuracy, given only beside the configuration that repeats it. `by_seed` holds the
    accuracies of the seeds.
    """
    rows: list[dict[Any, Any]] = with_results(analysis.without_ablations).to_dict("records")
    for row in rows:
        row["published"] = study.TABLE3.get(row["model"]) if row["repeats_study"] else None
        row["by_seed"] = analysis.results.correct(row["counted"]).mean(axis=1)
    repeated = {row["model"] for row in rows if row["repeats_study"]}
    if dataset == study.DATASET:
        rows += [
            {"short_name": study.TABLE3_TITLES[model], "accuracy": published, "published": published, "seeds": 0}
            for model, published in study.TABLE3.items()
            if model not in repeated
        ]
    columns = ["short_name", "accuracy", "published", "seeds"]
    made = pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)
    return made.sort_values(["accuracy", "short_name"], ascending=[False, True], kind="stable")


def _caption(analysis: AnalysedResults, best: pd.Series) -> str:
    """The caption: the most accurate configuration, its interval, and how many others it does not lead."""
    pairs = analysis.comparisons[analysis.comparisons["better"] == best["configuration"]]
    others = pairs[pairs["other"].isin(analysis.without_ablations["configuration"])]
    unclear = (~others["differs"].astype(bool)).sum()
    if others.empty:
        lead = ""
    elif unclear == 0:
        lead = f" It is significantly more accurate than {'all others' if len(others) > 1 else 'the other'}."
    else:
        lead = f" Its lead is not significant over {unclear} of {len(others)} others."
    interval = f"95% interval {four_decimals(best['low'])} to {four_decimals(best['high'])}"
    return f"{best['short_name']} is the most accurate, {four_decimals(best['accuracy'])} ({interval}).{lead}"


def _draw_row(axes: Axes, place: int, row: dict[Any, Any], floor: float) -> None:
    """Draw the interval at the row's place, the seeds a little below it and the study's accuracy a little above it."""

    def draw(name: str, x: Any, shift: float = 0, **options: Any) -> None:
        axes.plot(x, [place + shift] * len(x), label=name, **MARKS[name], **options)

    if pd.notna(row["published"]):
        draw("the study, published", [row["published"]], shift=-0.27 * bool(row["seeds"]))
    beside = f"{four_decimals(row['accuracy'])}, the study"
    if row["seeds"]:
        beside = f"{row['accuracy']:.4f}, {row['seeds']} seed{'s' if row['seeds'] > 1 else ''}"
        if row["accuracy"] < floor:
            draw("left of the axis", [0.02], transform=axes.get_yaxis_transform())
        else:
            draw("mean, 95% interval", [row["low"], row["accuracy"], row["high"]], markevery=[1])
            if row["seeds"] > 1:
                draw("one seed", row["by_seed"], shift=0.27)
    colour = INK if row["seeds"] else MUTED
    axes.text(1.015, place, beside, transform=axes.get_yaxis_transform(), va="center", color=colour)


FIGURES = (
    Figure(
        "accuracy",
        "Accuracy on the test split with its 95% interval, one row per model.",
        "accuracy",
        accuracy,
        draw_narrow=partial(accuracy, width=NARROW),
    ),
)
