"""Accuracy against training time and against the number of parameters, beside the study's figures."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.report.colours import INK, KINDS, MUTED
from benchmark.report.figure import Figure
from benchmark.report.formats import duration, parameters
from benchmark.report.placement import place_beside
from benchmark.report.style import ACCURACY_RANGE, NARROW, WIDTH, FigureFooter, house_style, in_two_lines, new_figure
from benchmark.report.wording import four_decimals, in_words, listed

ROOM = 0.1  # of the axis of accuracies, for names above the intervals
SPACE = 2  # the factor from the smallest and the largest network to the ends of the axis


@house_style()
def scaling(analysis: AnalysedResults, dataset: str, width: float = WIDTH) -> Drawing | None:
    """Draw the best configuration of each network by training time, if known, and by size; the study's as printed.

    A narrow figure has the panels below each other, with numbers at the points of the second and their names below.
    """
    networks = _networks(analysis)
    if len(networks) < 2:
        return None
    published = _published(analysis) if dataset == study.DATASET else pd.DataFrame()
    timed = _timed(analysis, networks)
    narrow = width < WIDTH
    below = FigureFooter(_numbered(networks, published) if narrow else [], width, 8.5)
    if narrow:
        for points, first in ((networks, 1), (published, 1 + len(networks))):
            points["beside"] = [str(first + place) for place in range(len(points))]
    by_time = len(timed) > 0
    figure = new_figure(
        4.2 + below.height + 2.9 * (narrow and by_time),
        f"Accuracy against {'training time and ' * by_time}size, {dataset} test split",
        _subtitle(networks, timed, len(published) > 0),
        width,
    )
    figure.set_label(_caption(analysis, networks))
    if by_time:
        shape, ratios = ((2, 1), {"height_ratios": (1, 1.5)}) if narrow else ((1, 2), {"width_ratios": (1, 2)})
        left, axes = figure.subplots(*shape, sharey=True, **ratios)
        _draw_times(left, timed)
    else:
        axes = left = figure.subplots()
    _draw_sizes(axes, networks, published)
    for panel in {left, axes} if narrow else {left}:
        panel.set(ylabel="accuracy")
    low, high = left.get_ylim()
    left.set_ylim(low, high + ROOM * (high - low))
    handles = _key([*networks["kind"], *timed.get("kind", ())], len(published) > 0)
    for panel in (left, axes):
        panel.set_title("\n" * (narrow and panel is left) + " ", size=9)  # room for the key
    columns = 2 if narrow else len(handles)
    left.legend(handles=handles, loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=columns, borderpad=0).set_in_layout(
        False
    )
    below.write(figure)
    if by_time:
        _name_points(figure, left, timed.assign(x=timed["training_seconds"], colour=INK))
    drawn = pd.concat([networks.assign(colour=INK), published.assign(colour=MUTED)])
    _name_points(figure, axes, drawn.assign(x=drawn["parameters"]))
    return figure


def _subtitle(networks: pd.DataFrame, timed: pd.DataFrame, with_study: bool) -> str:
    """The subtitle: what the marks mean, and which networks have no time."""
    sentences = [
        "Filled: measured here, each network with the recipe most accurate on these texts, ablations left out.",
        "Lines are 95% intervals.",
    ]
    if with_study:
        sentences.append("Hollow: printed in the study, not measured here.")
    untimed = networks.loc[~networks["configuration"].isin(timed.get("configuration", ())), "title"].tolist()
    if len(timed) and untimed:
        sentences.append(f"No comparable training time: {listed(untimed)}.")
    sentences.append("The networks also differ in pretraining, fine-tuning and epochs.")
    return " ".join(sentences)


def _timed(analysis: AnalysedResults, networks: pd.DataFrame) -> pd.DataFrame:
    """The networks and the best linear model with times on the machine that trained most; none if only one has."""
    comparable = analysis.comparable
    linear = comparable[(comparable["kind"] == "linear") & comparable["trained"].astype(bool)].head(1)
    points = pd.concat([networks, linear])
    points = points[points["training_seconds"].notna()].astype({"training_seconds": float, "accuracy": float})
    same = points[points["machine"] == points["machine"].value_counts().idxmax()] if len(points) else points
    same = same if len(same) > 1 else same.head(0)
    return same.assign(beside=[_named(row) for row in same.to_dict("records")])


def _draw_times(axes: Axes, points: pd.DataFrame) -> None:
    """Draw accuracy by training time, with names beside the points."""
    seconds = points["training_seconds"]
    for row in points.to_dict("records"):
        colour = KINDS[row["kind"]]
        axes.vlines(row["training_seconds"], row["low"], row["high"], color=colour, alpha=0.35)
        axes.plot(row["training_seconds"], row["accuracy"], "o", color=colour)
    axes.set_xscale("log")
    axes.set_xlim(seconds.min() / 3, seconds.max() * 3)
    axes.xaxis.set_major_locator(FixedLocator([1, 10, 60, 600, 3600, 36000, 360000]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value).replace(".0 ", " ")))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel=f"training time\non {points['machine'].iloc[0]}")
    axes.grid()


def _draw_sizes(axes: Axes, networks: pd.DataFrame, published: pd.DataFrame) -> None:
    """Draw accuracy by parameters, one line per kind with at least three networks."""
    for kind, points in networks.groupby("kind", sort=False):
        _draw_kind(axes, str(kind), points.sort_values("parameters"))
    for row in published.to_dict("records"):
        colour, at = KINDS[row["kind"]], (row["parameters"], row["accuracy"])
        axes.plot(*at, "D", color=colour, markerfacecolor="white", markersize=5)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: parameters(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    sizes = pd.concat([networks["parameters"], published.get("parameters", pd.Series(dtype=float))])
    axes.set_xlim(sizes.min() / SPACE, sizes.max() * SPACE)
    axes.margins(y=0.08)
    axes.set(xlabel="parameters")
    axes.grid()


def _networks(analysis: AnalysedResults) -> pd.DataFrame:
    """The most accurate configuration of each kind and number of parameters, except far below the best.

    `beside` is written beside the point.
    """
    comparable = analysis.comparable
    sized = comparable[comparable["parameters"].notna() & comparable["kind"].isin(KINDS)]
    sized = (
        sized[sized["accuracy"].astype(float) >= comparable["accuracy"].max() - ACCURACY_RANGE] if len(sized) else sized
    )
    networks = sized.drop_duplicates(["kind", "parameters"]).astype({"parameters": float})
    return networks.assign(beside=[_named(row) for row in networks.to_dict("records")])


def _caption(analysis: AnalysedResults, networks: pd.DataFrame) -> str:
    """The caption: the most accurate network, and whether it leads the smallest and the largest significantly."""
    best, by_size = networks.iloc[0], networks.sort_values("parameters", kind="stable")
    differs = analysis.comparisons.set_index(["better", "other"])["differs"]
    size = in_words(best["parameters"])
    sentences = [f"{best['title']} ({size} parameters) is the most accurate, {four_decimals(best['accuracy'])}."]
    for what, row in (("smallest network", by_size.iloc[0]), ("largest measured here", by_size.iloc[-1])):
        if row["configuration"] != best["configuration"]:
            differ = differs[(best["configuration"], row["configuration"])]
            verdict = "is significantly less accurate" if differ else "is not significantly less accurate"
            size, accuracy = in_words(row["parameters"]), four_decimals(row["accuracy"])
            sentences.append(f"The {what}, {row['title']} ({size}; {accuracy}), {verdict}.")
    return " ".join(sentences)


def _published(analysis: AnalysedResults) -> pd.DataFrame:
    """The study's models with the accuracies that it printed."""
    cards = {name: analysis.results.catalogue[name].card for name in study.TABLE3}
    return pd.DataFrame(
        [
            {"beside": study.TABLE3_TITLES[name], "kind": cards[name].kind, "parameters": cards[name].parameters,
             "accuracy": accuracy}
            for name, accuracy in study.TABLE3.items()
        ]
    )  # fmt: skip


def _numbered(networks: pd.DataFrame, published: pd.DataFrame) -> list[str]:
    """The number, name, size and accuracy of each network."""
    rows = [(row["title"], row) for row in networks.to_dict("records")]
    rows += [(f"{row['beside']} of the study", row) for row in published.to_dict("records")]
    return [
        f"{number}  {name}, {parameters(row['parameters'])}, {row['accuracy']:.4f}"
        for number, (name, row) in enumerate(rows, start=1)
    ]


def _draw_kind(axes: Axes, kind: str, points: pd.DataFrame) -> None:
    colour = KINDS[kind]
    axes.vlines(points["parameters"], *(points[end].astype(float) for end in ("low", "high")), color=colour, alpha=0.35)
    joined = "-" if len(points) > 2 else ""  # two points are no trend
    axes.plot(points["parameters"], points["accuracy"], f"o{joined}", color=colour, linewidth=1.2, label=kind)


def _key(kinds: Iterable[str], with_study: bool) -> list[Line2D]:
    """The key: what the colours and the hollow marks mean."""
    handles = [
        Line2D([], [], linestyle="none", marker="o", color=KINDS[kind], label=kind) for kind in dict.fromkeys(kinds)
    ]
    if with_study:
        label = "the study, as printed"
        handles.append(
            Line2D(
                [], [], linestyle="none", marker="D", markersize=5, markerfacecolor="white", color=MUTED, label=label
            )
        )
    return handles


def _name_points(figure: Drawing, axes: Axes, points: pd.DataFrame) -> None:
    """Write `beside` beside each point (x, accuracy), in its colour."""
    names = [
        axes.annotate(
            row["beside"], (row["x"], row["accuracy"]), (0, 0), textcoords="offset points", size=7.5,
            color=row["colour"], ha="center", va="center",
        )
        for row in points.to_dict("records")
    ]  # fmt: skip
    place_beside(
        figure, axes, names, points[["x", "low", "high"]].dropna().astype(float).itertuples(index=False, name=None)
    )


def _named(row: dict[Any, Any]) -> str:
    """The name and accuracy of a network in two or three lines."""
    return f"{in_two_lines(row['title'], 20)}\n{row['accuracy']:.4f}"


FIGURES = (
    Figure(
        "scaling",
        "Accuracy against training time and the number of parameters, beside the study's.",
        "accuracy",
        scaling,
        draw_narrow=partial(scaling, width=NARROW),
    ),
)
