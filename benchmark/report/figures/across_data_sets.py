"""The accuracy of the same models on several data sets."""

from functools import partial

import pandas as pd
from matplotlib.figure import Figure as Drawing

from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.configurations import NETWORKS
from benchmark.report.colours import GRID
from benchmark.report.figure import Figure, series_styles
from benchmark.report.style import NARROW, SERIES_STYLES, WIDTH, house_style, new_figure
from benchmark.report.tables.data_sets import DATA_SETS
from benchmark.report.wording import count_in_words, four_decimals, listed

LEFT_OUT = "constant"  # the kind of model whose accuracy would squeeze the others together


@house_style()
def data_sets(analysis: AnalysedResults, _: str, width: float = WIDTH) -> Drawing | None:
    """Draw the models that were run on several data sets: accuracy with its 95% interval, one row per data set.

    In a narrow figure the names stand above the rows.
    """
    rows = DATA_SETS.data(analysis)
    rows = rows[rows["kind"] != LEFT_OUT]
    run_on = rows.groupby(["name", "model"], sort=False)["dataset"].nunique()
    several = run_on[run_on > 1].sort_values(ascending=False, kind="stable")
    if several.empty:
        return None
    models = list(several.head(len(SERIES_STYLES)).index)
    names = list(rows["dataset"].unique())
    narrow = width < WIDTH
    figure = new_figure(
        1.2 + 0.17 * (len(models) // 2) * narrow + (0.35 + 0.13 * len(models)) * len(names),
        "The same models on several data sets",
        "Models that were run on two or more data sets: accuracy on each test split and its 95% interval. "
        "Where several settings were run, those that were best on validation.",
        width,
    )
    drawn = rows[rows["name"].isin([name for name, _ in models])]
    figure.set_label(f"{_caption(drawn)} {_networks(analysis, drawn)}")
    axes = figure.subplots()
    styles = series_styles(analysis, [title for _, title in models])
    for place, ((name, title), look) in enumerate(zip(models, styles, strict=True)):
        points = rows[rows["name"] == name]
        shift = 0.7 * ((place + 0.5) / len(models) - 0.5) + 0.12 * narrow
        at = points["dataset"].map(names.index) + shift
        axes.hlines(
            at, points["low"].astype(float), points["high"].astype(float), color=look["color"], linewidth=1.6, alpha=0.5
        )
        axes.plot(points["accuracy"].astype(float), at, look["marker"], color=look["color"], markersize=5, label=title)
    described = [_described(rows, name) for name in names]
    axes.set_yticks(range(len(names)), [] if narrow else described)
    for place, text in enumerate(described if narrow else []):
        axes.text(0.01, place - 0.44, text.replace("\n", ": "), transform=axes.get_yaxis_transform(), size=8, va="top")
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    boundaries = [place + 0.5 for place in range(len(names) - 1)]
    axes.hlines(boundaries, 0, 1, transform=axes.get_yaxis_transform(), color=GRID, linewidth=0.6)
    axes.set(xlabel="accuracy")
    figure.legend(loc="outside lower left", ncols=1 if narrow else 2, handletextpad=0.3, columnspacing=1.4)
    return figure


def _caption(drawn: pd.DataFrame) -> str:
    """The caption: the most accurate model on each data set. The rows are sorted by data set and falling accuracy."""
    best = drawn.drop_duplicates("dataset")
    best = best.assign(place=best["dataset"] + " (" + best["accuracy"].map(four_decimals) + ")")
    places = [f"{model} on {listed(rows['place'].tolist())}" for model, rows in best.groupby("model", sort=False)]
    return f"Of the models drawn, the most accurate is {listed(places)}."


def _networks(analysis: AnalysedResults, rows: pd.DataFrame) -> str:
    """The number of networks drawn for each data set; the heads of one network count once."""
    sizes = rows["configuration"].map(analysis.configurations.set_index("configuration")["parameters"])
    networks = rows.assign(size=sizes)[rows["kind"].isin(NETWORKS)].drop_duplicates(["dataset", "kind", "size"])
    counts = networks["dataset"].value_counts().reindex(rows["dataset"].unique(), fill_value=0)
    on_each = [f"{count_in_words(count) if count else 'none'} on {name}" for name, count in counts.items()]
    return f"Networks drawn: {listed(on_each)}."


def _described(rows: pd.DataFrame, dataset: str) -> str:
    points = rows[rows["dataset"] == dataset]
    return f"{dataset}\n{points['train_rows'].dropna().max():,} training texts, {points['labels'].iloc[0]} labels"


FIGURES = (
    Figure(
        "data_sets",
        "Accuracy of the same models on each data set, with its 95% interval.",
        "several-data-sets",
        data_sets,
        of_all=True,
        draw_narrow=partial(data_sets, width=NARROW),
    ),
)
