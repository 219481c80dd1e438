"""The figures of many runs: pure functions of the records, None where there is nothing to show."""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.analysis import study
from benchmark.analysis.evidence import Evidence
from benchmark.analysis.statistics import Interval, accuracy_interval
from benchmark.analysis.variants import Variant, repeats_study, variants
from benchmark.report import comparison_figures, curve_figures, diagrams
from benchmark.report.diagrams import Dimensions
from benchmark.report.run_figures import RUN_FIGURES, draw_run
from benchmark.report.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    REACH,
    Bars,
    draw_bars,
    house_style,
    save_png,
    save_svg,
    sheet,
    svg_with_text,
)
from benchmark.results.catalogue import Contestant

__all__ = ["FIGURES", "RUN_FIGURES", "draw_run", "save_png", "save_svg", "svg_with_text"]

STUDY_MODEL = "llama3_lora"

_MEAN: dict[str, Any] = {"color": BLUE, "marker": "o", "markersize": 6, "linestyle": "none"}
_SEED: dict[str, Any] = {"color": ORANGE, "marker": "|", "markersize": 7, "markeredgewidth": 1.6, "linestyle": "none"}
_STUDY: dict[str, Any] = {
    "color": INK,
    "marker": "D",
    "markersize": 5.5,
    "markerfacecolor": "white",
    "linestyle": "none",
}
_BELOW: dict[str, Any] = {"color": BLUE, "marker": "<", "markersize": 6, "linestyle": "none"}


def figure1_decoder_block(evidence: Evidence) -> Figure | None:
    """The study's Figure 1 with the dimensions of the model that repeats it."""
    model = evidence.contestants.get(STUDY_MODEL)
    return None if model is None else diagrams.decoder_block(_title(model), Dimensions.of(model.card))


def figure2_lora(evidence: Evidence) -> Figure | None:
    """The study's Figure 2 with the rank and scale of the model that repeats it."""
    model = evidence.contestants.get(STUDY_MODEL)
    return None if model is None else diagrams.lora(_title(model), Dimensions.of(model.card))


@house_style()
def figure3_label_distribution(evidence: Evidence) -> Figure | None:
    """The study's Figure 3: how many training texts have each label, the most frequent first."""
    # Validation rows may have been carved from the training split: the largest is the whole.
    records = [run.record for run in evidence.runs if run.record.dataset == study.DATASET and run.record.is_result]
    splits = [record.data["splits"]["train"] for record in records if record.data is not None]
    if not splits:
        return None
    split = max(splits, key=lambda split: int(split["rows"]))
    ordered = sorted(split["counts"].items(), key=lambda item: -item[1])
    names, counts = [name for name, _ in ordered], np.array([count for _, count in ordered])
    shares = counts / counts.sum()
    figure = sheet(
        1.2 + 0.33 * len(names),
        f"Labels of the {counts.sum():,} training texts, {study.DATASET}",
        f"Figure 3 of the study, redrawn: {names[0]} is {counts[0] / counts[-1]:.1f} times as frequent as {names[-1]}",
    )
    texts = [f"{count:,}  ({share:.1%})" for count, share in zip(counts, shares, strict=True)]
    draw_bars(figure.subplots(), names, Bars("training texts", counts, BLUE, texts))
    return figure


@house_style()
def accuracy(evidence: Evidence) -> Figure | None:
    """Test accuracy with its 95% interval, a line for each model and recipe, the best first."""
    rows = _rows(evidence)
    measured = [row for row in rows if row.seeds]
    if not measured:
        return None
    figure = sheet(
        1.6 + 0.36 * len(rows),
        f"Accuracy on the test split, {study.DATASET}",
        "Mean over the seeds run here and its 95% interval; hollow diamonds are the study's, not measured here",
    )
    axes = figure.subplots()
    floor = max(row.accuracy for row in measured) - REACH
    for line, row in enumerate(rows):
        _draw_row(axes, line, row, floor)
    _finish_rows(axes, rows)
    figure.legend(handles=_legend(rows, floor), loc="outside lower left", ncols=4, handletextpad=0.3, columnspacing=1.4)
    return figure


FIGURES: dict[str, Callable[[Evidence], Figure | None]] = {
    "accuracy": accuracy,
    "figure1_decoder_block": figure1_decoder_block,
    "figure2_lora": figure2_lora,
    "figure3_label_distribution": figure3_label_distribution,
    "pairwise": comparison_figures.pairwise,
    "frontier": comparison_figures.frontier,
    "learning_curve": curve_figures.learning_curve,
    "calibration": curve_figures.calibration,
}


@dataclass(frozen=True)
class _Row:
    """A line of the accuracy figure; without seeds where only the study has run the model."""

    name: str
    accuracy: float  # the mean over seeds; the study's where there is none
    seeds: tuple[float, ...] = ()
    interval: Interval | None = None
    published: float | None = None


def _title(contestant: Contestant) -> str:
    return str(contestant.config["model"]["title"])


def _rows(evidence: Evidence) -> list[_Row]:
    """A row for each variant with results, and one for each model that only the study has run; the best first."""
    measured = [variant for variant in variants(evidence.runs, study.DATASET) if variant.results]
    rows = [_measured(variant, repeats_study(variant, evidence)) for variant in measured]
    repeated = {variant.first.model for variant in measured if repeats_study(variant, evidence)}
    for model, published in study.TABLE3.items():
        if model not in repeated:
            contestant = evidence.contestants.get(model)
            title = study.TABLE3_TITLES[model] if contestant is None else _title(contestant)
            rows.append(_Row(f"{title}, paper", published, published=published))
    return sorted(rows, key=lambda row: (-row.accuracy, row.name))


def _measured(variant: Variant, repeats: bool) -> _Row:
    return _Row(
        name=variant.name,
        accuracy=variant.accuracy,
        seeds=tuple(variant.correct.mean(axis=1).tolist()),
        interval=accuracy_interval(variant.correct),
        published=study.TABLE3.get(variant.first.model) if repeats else None,
    )


def _draw_row(axes: Axes, line: int, row: _Row, floor: float) -> None:
    """The interval on the line, its seeds a little below and the study's value a little above it."""
    if row.published is not None:
        axes.plot(row.published, line - 0.27 * bool(row.seeds), **_STUDY)
    if not row.seeds:
        axes.text(1.015, line, "not run here", transform=axes.get_yaxis_transform(), va="center", color=MUTED)
        return
    seeds = "1 seed" if len(row.seeds) == 1 else f"{len(row.seeds)} seeds"
    axes.text(1.015, line, f"{row.accuracy:.4f}, {seeds}", transform=axes.get_yaxis_transform(), va="center")
    if row.accuracy < floor:
        axes.plot(0.02, line, transform=axes.get_yaxis_transform(), **_BELOW)
        return
    assert row.interval is not None
    axes.plot([row.interval.low, row.interval.high], [line, line], color=BLUE, linewidth=2, solid_capstyle="butt")
    axes.plot(row.accuracy, line, **_MEAN)
    if len(row.seeds) > 1:
        axes.plot(row.seeds, [line + 0.27] * len(row.seeds), **_SEED)


def _finish_rows(axes: Axes, rows: list[_Row]) -> None:
    axes.set_yticks(range(len(rows)), [textwrap.fill(row.name, 38, max_lines=2, placeholder=" ...") for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set(xlabel="accuracy")
    for x, align, text in ((-0.015, "right", "model, recipe"), (1.015, "left", "mean accuracy")):
        axes.text(x, -0.75, text, transform=axes.get_yaxis_transform(), ha=align, va="center", color=MUTED)


def _legend(rows: list[_Row], floor: float) -> list[Line2D]:
    """Only what is in the figure."""
    present = {
        "mean, 95% interval": {**_MEAN, "linestyle": "-", "linewidth": 2},
        "one seed": _SEED if any(len(row.seeds) > 1 for row in rows) else None,
        "the study, published": _STUDY if any(row.published for row in rows) else None,
        "left of the axis": _BELOW if any(row.seeds and row.accuracy < floor for row in rows) else None,
    }
    return [Line2D([], [], label=label, **mark) for label, mark in present.items() if mark is not None]
