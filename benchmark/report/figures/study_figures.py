"""The study's Figures 1 to 3, redrawn."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.report import diagrams
from benchmark.report.colours import BLUE
from benchmark.report.figure import Figure
from benchmark.report.style import NARROW, WIDTH, Bars, draw_bars, house_style, new_figure


def diagram(draw: Callable[[str, diagrams.Dimensions], Drawing], analysis: AnalysedResults, _: str) -> Drawing:
    """Draw Figure 1 or 2 with the dimensions of the model that repeats the study."""
    model = analysis.results.catalogue[study.DECODERS[0]]
    return draw(model.config.model.title, diagrams.Dimensions.of(model.card))


@house_style()
def label_distribution(analysis: AnalysedResults, dataset: str, width: float = WIDTH) -> Drawing | None:
    """Draw Figure 3: the number of training texts with each label, the most frequent first."""
    runs = analysis.results.runs
    with_result = runs[(runs["dataset"] == dataset) & runs["result"]]
    if with_result.empty:
        return None
    largest_first = with_result.sort_values("train_rows", ascending=False, kind="stable")  # some runs set rows aside
    data = analysis.results.runs_by_name[largest_first["run"].iloc[0]].record.data
    assert data is not None
    counts = pd.Series(data.splits["train"].counts).sort_values(ascending=False, kind="stable")
    figure = new_figure(
        1.2 + 0.33 * len(counts),
        f"Labels of the {counts.sum():,} training texts, {dataset}",
        f"Figure 3 of the study, redrawn: {counts.index[0]} is {counts.iloc[0] / counts.iloc[-1]:.1f} times as "
        f"frequent as {counts.index[-1]}",
        width,
    )
    two = counts.iloc[:2].sum() / counts.sum()
    figure.set_label(
        f"{counts.index[0]} and {counts.index[1]} are the labels of {two:.0%} of the training texts; a model that "
        f"always predicts {counts.index[0]} is right for {counts.iloc[0] / counts.sum():.1%} of them."
    )
    texts = [f"{count:,}  ({count / counts.sum():.1%})" for count in counts]
    axes = figure.subplots()
    draw_bars(
        axes,
        counts.index.tolist(),
        Bars("training texts", np.asarray(counts, dtype=np.int64), BLUE, texts),
    )
    if width < WIDTH:
        axes.margins(x=0.5)  # for the numbers behind the bars
    return figure


FIGURES = (
    Figure(
        "figure1_decoder_block",
        "A pre-normalisation decoder block of Llama 3 8B, with the dimensions of its matrices.",
        "models",
        partial(diagram, diagrams.decoder_block),
        of_study=True,
    ),
    Figure(
        "figure2_lora",
        "A frozen matrix beside its low-rank adapter, B after A, with their numbers of parameters.",
        "models",
        partial(diagram, diagrams.lora),
        of_study=True,
    ),
    Figure(
        "figure3_label_distribution",
        "The number of training texts with each label, the most frequent first.",
        "settings",
        label_distribution,
        of_study=True,
        draw_narrow=partial(label_distribution, width=NARROW),
    ),
)
