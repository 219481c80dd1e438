"""The figures over many runs. Each draws a table of the analysis, or nothing if the table is empty."""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from benchmark.analysis import study
from benchmark.analysis.configurations import with_results
from benchmark.report import comparison_figures, curve_figures, diagrams
from benchmark.report.style import ACCURACY_RANGE, BLUE, INK, MUTED, ORANGE, Bars, draw_bars, house_style, new_figure
from benchmark.report.table import Analysis

Drawn = matplotlib.figure.Figure | None


@dataclass(frozen=True)
class Figure:
    """A figure of the report: `draw` returns None where there is nothing to show."""

    name: str  # of its files in results/figures
    section: str  # of the page
    alternative: str  # what it shows, for readers who cannot see it
    draw: Callable[[Analysis], Drawn]


def figure1_decoder_block(analysis: Analysis) -> Drawn:
    """The study's Figure 1 with the dimensions of the model that repeats it."""
    return _diagram(analysis, diagrams.decoder_block)


def figure2_lora(analysis: Analysis) -> Drawn:
    """The study's Figure 2 with the rank and scale of the model that repeats it."""
    return _diagram(analysis, diagrams.lora)


@house_style()
def figure3_label_distribution(analysis: Analysis) -> Drawn:
    """The study's Figure 3: training texts per label, the most frequent first."""
    runs = analysis.results.runs
    results = runs[(runs["dataset"] == study.DATASET) & runs["result"]]
    if results.empty:
        return None
    largest = results["run"].iloc[results["train_rows"].astype(int).argmax()]  # validation rows may be set aside
    data = analysis.results.by_name[largest].record.data
    assert data is not None
    counts = pd.Series(data.splits["train"].counts).sort_values(ascending=False, kind="stable")
    texts = [f"{count:,}  ({count / counts.sum():.1%})" for count in counts]
    figure = new_figure(
        1.2 + 0.33 * len(counts),
        f"Labels of the {counts.sum():,} training texts, {study.DATASET}",
        f"Figure 3 of the study, redrawn: {counts.index[0]} is {counts.iloc[0] / counts.iloc[-1]:.1f} times as "
        f"frequent as {counts.index[-1]}",
    )
    draw_bars(
        figure.subplots(),
        counts.index.tolist(),
        Bars("training texts", np.asarray(counts, dtype=np.int64), BLUE, texts),
    )
    return figure


@house_style()
def accuracy(analysis: Analysis) -> Drawn:
    """Test accuracy with its 95% interval, one line per configuration, the best first."""
    rows = _accuracy_rows(analysis)
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
    for line, row in enumerate(rows.to_dict("records")):
        _draw_accuracy(axes, line, row, floor)
    axes.set_yticks(range(len(rows)), [shortened(label, 38) for label in rows["label"]])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set(xlabel="accuracy")
    for x, align, text in ((-0.015, "right", "model, recipe"), (1.015, "left", "mean accuracy")):
        axes.text(x, -0.75, text, transform=axes.get_yaxis_transform(), ha=align, va="center", color=MUTED)
    handles = _accuracy_legend(rows, floor)
    figure.legend(handles=handles, loc="outside lower left", ncols=4, handletextpad=0.3, columnspacing=1.4)
    return figure


def shortened(label: str, width: int) -> str:
    """The label in at most two lines."""
    return textwrap.fill(label, width, max_lines=2, placeholder=" ...")


def _diagram(analysis: Analysis, draw: Callable[[str, diagrams.Dimensions], matplotlib.figure.Figure]) -> Drawn:
    entry = analysis.results.catalogue[study.DECODERS[0]]
    return draw(entry.config.model.title, diagrams.Dimensions.of(entry.card))


def _accuracy_rows(analysis: Analysis) -> pd.DataFrame:
    """The configurations with results and the models that only the study has run, the best first.

    `published` is the study's accuracy, beside the configuration that repeats it; `by_seed` holds the accuracies.
    """
    found = with_results(analysis.configurations)
    rows = [
        {
            **row,
            "published": study.TABLE3.get(row["model"]) if row["repeats_study"] else None,
            "by_seed": analysis.results.correct(row["counted"]).mean(axis=1),
        }
        for _, row in found.iterrows()
    ]
    repeated = set(found.loc[found["repeats_study"].astype(bool), "model"])
    for model, published in study.TABLE3.items():
        if model not in repeated:
            label = f"{analysis.results.catalogue[model].config.model.title}, paper"
            rows.append({"label": label, "accuracy": published, "published": published, "seeds": 0})
    return pd.DataFrame(rows).sort_values(["accuracy", "label"], ascending=[False, True], kind="stable")


_MEAN: dict[str, Any] = {"color": BLUE, "marker": "o", "markersize": 6, "linestyle": "none"}
_SEED: dict[str, Any] = {**_MEAN, "color": ORANGE, "marker": "|", "markersize": 7, "markeredgewidth": 1.6}
_STUDY: dict[str, Any] = {**_MEAN, "color": INK, "marker": "D", "markersize": 5.5, "markerfacecolor": "white"}
_BELOW: dict[str, Any] = {**_MEAN, "marker": "<"}


def _draw_accuracy(axes: Axes, line: int, row: dict[Any, Any], floor: float) -> None:
    """The interval on the line, its seeds a little below and the study's value a little above it."""
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
    if pd.notna(row["published"]):
        axes.plot(row["published"], line - 0.27 * bool(row["seeds"]), **_STUDY)
    if not row["seeds"]:
        axes.text(1.015, line, "not run here", color=MUTED, **beside)
        return
    seeds = "1 seed" if row["seeds"] == 1 else f"{row['seeds']} seeds"
    axes.text(1.015, line, f"{row['accuracy']:.4f}, {seeds}", **beside)
    if row["accuracy"] < floor:
        axes.plot(0.02, line, transform=axes.get_yaxis_transform(), **_BELOW)
        return
    axes.plot([row["low"], row["high"]], [line, line], color=BLUE, linewidth=2, solid_capstyle="butt")
    axes.plot(row["accuracy"], line, **_MEAN)
    if row["seeds"] > 1:
        axes.plot(row["by_seed"], np.full(row["seeds"], line + 0.27), **_SEED)


def _accuracy_legend(rows: pd.DataFrame, floor: float) -> list[Line2D]:
    """The marks that are in the figure."""
    present = {
        "mean, 95% interval": {**_MEAN, "linestyle": "-", "linewidth": 2},
        "one seed": _SEED if (rows["seeds"] > 1).any() else None,
        "the study, published": _STUDY if rows["published"].notna().any() else None,
        "left of the axis": _BELOW if ((rows["seeds"] > 0) & (rows["accuracy"] < floor)).any() else None,
    }
    return [Line2D([], [], label=label, **mark) for label, mark in present.items() if mark is not None]


FIGURES = {
    figure.name: figure
    for figure in (
        Figure(
            "accuracy",
            "accuracy",
            "Accuracy on the test split with its 95% interval, one line per model; the numbers are Table 3's.",
            accuracy,
        ),
        Figure(
            "pairwise",
            "differences",
            "All pairs of models, which differ and by how much; the numbers are in the table below.",
            comparison_figures.pairwise,
        ),
        Figure(
            "frontier",
            "cost",
            "Accuracy against each cost, with the frontier drawn; the numbers are in the table below.",
            comparison_figures.frontier,
        ),
        Figure(
            "learning_curve",
            "learning",
            "Accuracy and the F1 of each label against the number of training texts; accuracy is in the table below.",
            curve_figures.learning_curve,
        ),
        Figure(
            "calibration",
            "confidence",
            "Accuracy against confidence, and by share of texts answered; the numbers are in the table below.",
            curve_figures.calibration,
        ),
        Figure(
            "figure1_decoder_block",
            "models",
            "A pre-normalisation decoder block of Llama 3 8B, with the dimensions of its matrices.",
            figure1_decoder_block,
        ),
        Figure(
            "figure2_lora",
            "models",
            "A frozen matrix beside its low-rank adapter, B after A, with their numbers of parameters.",
            figure2_lora,
        ),
        Figure(
            "figure3_label_distribution",
            "settings",
            "The number of training texts with each label, the most frequent first.",
            figure3_label_distribution,
        ),
    )
}
