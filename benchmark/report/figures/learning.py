"""Accuracy by the number of training texts."""

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from benchmark.analysis.analysed import AnalysedResults
from benchmark.dataset_config import RowChoice
from benchmark.report.colours import INK
from benchmark.report.figure import Figure, series_styles
from benchmark.report.style import NARROW, SERIES_STYLES, WIDTH, house_style, in_two_lines, new_figure
from benchmark.report.tables.training import learning_curve as table
from benchmark.report.wording import listed

CHOICES = {
    RowChoice.stratified: "labels in proportion",
    RowChoice.balanced: "balanced labels",
    RowChoice.first: "first rows",
}
"""How the title of a panel says which rows were used."""
TICK = 34.0  # points, the width of a tick's label with its margin
BESIDE = 55.0  # points, between two panels


@house_style()
def learning_curve(analysis: AnalysedResults, dataset: str, width: float = WIDTH) -> Drawing | None:
    """Draw the accuracy of as many models as there are line styles, one panel for each choice of the training rows."""
    points = table(analysis)
    if points.empty:
        return None
    curves = [curve for _, curve in points.groupby("curve", sort=False)]
    shown = _with_styles(analysis, curves)
    left_out = f"; {len(shown)} of {len(curves)}" if len(shown) < len(curves) else ""
    by_choice: dict[str, list[Any]] = {}
    for curve, style in shown:
        by_choice.setdefault(curve["rows"].iloc[0], []).append((curve, style))
    narrow = width < WIDTH
    lines = max(sum(1 + _name(curve).count("\n") for curve, _ in panel) for panel in by_choice.values())
    rows, columns = (len(by_choice), 1) if narrow else (1, len(by_choice))
    figure = new_figure(
        0.6 + rows * (2.75 + 0.2 * lines),
        f"Learning curves, {dataset} test split{left_out}",
        "Mean accuracy over the seeds and its 95% interval. Panels with other rows or epochs are not comparable.",
        width,
    )
    figure.set_label(_caption(analysis, [curve for curve, _ in shown]))
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flat
    for axes, (choice, panel) in zip(panels, by_choice.items(), strict=True):
        _draw_accuracies(axes, panel)
        _finish_axes(axes, [curve for curve, _ in panel], RowChoice(choice), 72 * width / columns - BESIDE)
    for axes in panels[:1] if columns > 1 else panels:
        axes.set(ylabel="accuracy")
    return figure


def _with_styles(
    analysis: AnalysedResults, curves: Sequence[pd.DataFrame]
) -> list[tuple[pd.DataFrame, dict[str, Any]]]:
    """The curves that get a line style. A model has one style in all panels, unless a panel has it twice."""
    drawn, keys = Counter[tuple[str, str]](), list[tuple[str, int]]()
    for curve in curves:
        model, panel = curve["model"].iloc[0], curve["rows"].iloc[0]
        keys.append((model, drawn[model, panel]))
        drawn[model, panel] += 1
    series = list(dict.fromkeys(keys))[: len(SERIES_STYLES)]
    styles = dict(zip(series, series_styles(analysis, [model for model, _ in series]), strict=True))
    return [(curve, styles[key]) for curve, key in zip(curves, keys, strict=True) if key in styles]


def _caption(analysis: AnalysedResults, curves: Sequence[pd.DataFrame]) -> str:
    """The caption: in each panel, up to how many texts the largest network leads the smallest; constant models."""
    sizes = analysis.results.runs.drop_duplicates("curve").set_index("curve")["parameters"].dropna().astype(float)
    trained = [curve for curve in curves if curve["epochs"].notna().all() and _of_all_rows(curve) in sizes]
    trained.sort(key=lambda curve: sizes[_of_all_rows(curve)])
    sentences = []
    for choice in CHOICES:
        networks = [curve for curve in trained if curve["rows"].iloc[0] == choice]
        if len(networks) > 1:
            sentences.append(_lead(analysis, networks[-1], networks[0]))
    sentences += [
        f"With {listed([f'{rows:,}' for rows in constant['train_rows']])} texts, {constant['model'].iloc[0]} predicts "
        "one label for all."
        for curve in trained
        if len(constant := curve[curve["remark"].notna()])
    ]
    return " ".join(sentences)


def _of_all_rows(curve: pd.DataFrame) -> str:
    """The curve's id in the table of runs, which leaves out how rows were chosen."""
    return str(curve["curve"].iloc[0]).partition("-")[0]


def _lead(analysis: AnalysedResults, larger: pd.DataFrame, smaller: pd.DataFrame) -> str:
    """Up to how many texts the larger network's interval lies above the smaller's, and whether they differ with all."""
    both = larger.merge(smaller, on="train_rows", suffixes=("", "_smaller"))
    leads = both[(both["low"] > both["high_smaller"]).astype(bool).cumprod().astype(bool)]["train_rows"]
    names = f"{larger['model'].iloc[0]} is more accurate than {smaller['model'].iloc[0]}"
    parts = (
        [f"{names} with up to {leads.max():,} training texts (the 95% intervals do not overlap)"] if len(leads) else []
    )
    runs = analysis.results.runs
    ids = {runs.loc[runs["result"] & (runs["curve"] == _of_all_rows(one)), "configuration"].min()
           for one in (larger, smaller)}  # fmt: skip
    pairs = analysis.comparisons
    pair = pairs[pairs["better"].isin(ids) & pairs["other"].isin(ids)]
    if len(pair):
        verdict = "differ significantly" if pair["differs"].iloc[0] else "do not differ significantly"
        parts.append(f"with all {both['train_rows'].max():,} they {verdict}")
    return "; ".join(parts) + "." + _batches(analysis, larger, smaller) if parts else ""


def _batches(analysis: AnalysedResults, larger: pd.DataFrame, smaller: pd.DataFrame) -> str:
    """A sentence that says which of the two takes more steps with the same texts and epochs, if one does."""
    by_curve = analysis.results.runs.drop_duplicates("curve").set_index("curve")["run"]
    one, other = (
        analysis.results.runs_by_name[by_curve[_of_all_rows(curve)]].record.config.recipe.effective_batch
        for curve in (larger, smaller)
    )
    if one == other:
        return ""
    more, fewer = (larger, smaller) if one < other else (smaller, larger)
    names = [curve["model"].iloc[0] for curve in (more, fewer)]
    batches = f"batches of {min(one, other)}, not {max(one, other)}"
    return f" {names[0]} takes more steps with the same texts than {names[1]} ({batches})."


def _draw_accuracies(axes: Axes, shown: Sequence[tuple[pd.DataFrame, dict[str, Any]]]) -> None:
    line: dict[str, Any] = {"markersize": 4.5, "linewidth": 1.4, "capsize": 2, "elinewidth": 0.9}
    for curve, style in shown:
        means, ends = curve["accuracy"].to_numpy(float), curve[["low", "high"]].to_numpy(float).T
        axes.errorbar(curve["train_rows"], means, np.abs(ends - means), label=_name(curve), **line, **style)


def _name(curve: pd.DataFrame) -> str:
    return in_two_lines(f"{curve['model'].iloc[0]}, {curve['recipe'].iloc[0]}", 40)


def _finish_axes(axes: Axes, curves: Sequence[pd.DataFrame], choice: RowChoice, room: float) -> None:
    """Write the title, ticks that do not overlap in a panel of `room` points, and the names below the panel."""
    epochs = sorted({curve["epochs"].iloc[0] for curve in curves if curve["epochs"].notna().all()})
    in_epochs = f" (networks: {listed([f'{number:g}' for number in epochs], 'or')} epoch{'s' * (epochs != [1])})"
    axes.set_title(CHOICES[choice] + in_epochs * bool(epochs), size=9, color=INK, loc="left")
    axes.set_xscale("log")
    rows = sorted({row for curve in curves for row in curve["train_rows"]})
    ticks = _apart(rows, room)
    axes.set_xticks(ticks, [f"{row:,}" if row < 10_000 else f"{row / 1000:g}k" for row in ticks], size=8)
    axes.minorticks_off()
    axes.set(xlabel="training rows")
    axes.grid()
    axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.2), borderpad=0, fontsize=8)


def _apart(rows: Sequence[int], room: float) -> list[int]:
    """The numbers of rows whose labels do not overlap; of two that would, the larger number is kept."""
    kept = [rows[-1]]
    for row in rows[-2::-1]:
        if math.log(kept[-1] / row) * room >= TICK * math.log(rows[-1] / rows[0]):
            kept.append(row)
    return kept[::-1]


FIGURES = (
    Figure(
        "learning_curve",
        "Accuracy against the number of training texts, one panel for each choice of the rows. The table below has "
        "the numbers, and the names of the recipes are explained below it.",
        "learning",
        learning_curve,
        of_study=True,
        draw_narrow=partial(learning_curve, width=NARROW),
    ),
)
