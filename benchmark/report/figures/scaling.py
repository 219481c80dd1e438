"""Accuracy against the number of parameters, encoders and decoders apart, beside the study's figures."""

from functools import partial
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.inference import wilson_interval
from benchmark.report.colours import INK, MUTED
from benchmark.report.figure import Figure, compared
from benchmark.report.figures.frontier import KINDS
from benchmark.report.formats import parameters
from benchmark.report.style import ACCURACY_RANGE, NARROW, WIDTH, Below, house_style, new_figure
from benchmark.report.wording import digits, in_words

SPACE = (1 / 12, 4)  # factors from the smallest and the largest network to the ends of the axis, for their names
NARROW_SPACE = (1 / 2, 2)  # the same, for numbers


@house_style()
def scaling(analysis: AnalysedResults, dataset: str, width: float = WIDTH) -> Drawing | None:
    """The best configuration of each network, one line per kind; the study's models as it printed them.

    A narrow figure has numbers at the points and their names below.
    """
    networks = _networks(analysis)
    if len(networks) < 2:
        return None
    published = _published(analysis) if dataset == study.DATASET else pd.DataFrame()
    narrow = width < WIDTH
    below = Below(_numbered(networks, published) if narrow else [], width, 8.5)
    if narrow:
        for points, first in ((networks, 1), (published, 1 + len(networks))):
            points["beside"] = [str(first + place) for place in range(len(points))]
    figure = new_figure(
        4.3 + below.height,
        f"Accuracy against size, {dataset} test split",
        "Filled: the best configuration of each network run here, with its 95% interval."
        + " Hollow: as the study printed them, not measured here (dashed: Wilson's interval for one run)."
        * (len(published) > 0)
        + " The networks also differ in pretraining, fine-tuning and epochs.",
        width,
    )
    figure.set_label(_caption(analysis, networks))
    axes = figure.subplots()
    for kind, points in networks.groupby("kind", sort=False):
        _draw_kind(axes, str(kind), points.sort_values("parameters"))
    for row in published.to_dict("records"):
        colour, at = KINDS[row["kind"]], (row["parameters"], row["accuracy"])
        axes.vlines(at[0], row["low"], row["high"], color=colour, alpha=0.6, linewidth=0.8, linestyle="--")
        axes.plot(*at, "D", color=colour, markerfacecolor="white", markersize=5)
        axes.annotate(row["beside"], at, color=MUTED, **_beside(left=False, above=False))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: parameters(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    sizes = pd.concat([networks["parameters"], published.get("parameters", pd.Series(dtype=float))])
    space = NARROW_SPACE if narrow else SPACE
    axes.set_xlim(sizes.min() * space[0], sizes.max() * space[1])
    axes.margins(y=0.08)
    axes.set(xlabel="parameters", ylabel="accuracy")
    axes.grid()
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=4, borderpad=0)
    below.write(figure)
    return figure


def _networks(analysis: AnalysedResults) -> pd.DataFrame:
    """The most accurate configuration of each kind and number of parameters, without those far below the best.

    `beside` is written beside the point.
    """
    comparable = compared(analysis)
    sized = comparable[comparable["parameters"].notna() & comparable["kind"].isin(KINDS)]
    sized = (
        sized[sized["accuracy"].astype(float) >= comparable["accuracy"].max() - ACCURACY_RANGE] if len(sized) else sized
    )
    networks = sized.drop_duplicates(["kind", "parameters"]).astype({"parameters": float})
    return networks.assign(beside=[f"{row['title']}\n{row['accuracy']:.4f}" for row in networks.to_dict("records")])


def _caption(analysis: AnalysedResults, networks: pd.DataFrame) -> str:
    """The most accurate network, and whether it leads the smallest and the largest significantly."""
    best, by_size = networks.iloc[0], networks.sort_values("parameters", kind="stable")
    differs = analysis.comparisons.set_index(["better", "other"])["differs"]
    sentences = [
        f"{best['title']} ({in_words(best['parameters'])} parameters) is the most accurate, {digits(best['accuracy'])}."
    ]
    for what, row in (("smallest", by_size.iloc[0]), ("largest", by_size.iloc[-1])):
        if row["configuration"] != best["configuration"]:
            differ = differs[(best["configuration"], row["configuration"])]
            verdict = "is significantly less accurate" if differ else "is not significantly less accurate"
            size, accuracy = in_words(row["parameters"]), digits(row["accuracy"])
            sentences.append(f"The {what}, {row['title']} ({size}; {accuracy}), {verdict}.")
    return " ".join(sentences)


def _published(analysis: AnalysedResults) -> pd.DataFrame:
    """The study's models with the accuracies that it printed, and their intervals for one run."""
    cards = {name: analysis.results.catalogue[name].card for name in study.TABLE3}
    return pd.DataFrame(
        [
            {"beside": study.TABLE3_TITLES[name], "kind": cards[name].kind, "parameters": cards[name].parameters,
             "accuracy": accuracy, **vars(wilson_interval(accuracy * study.TEST_ROWS, study.TEST_ROWS))}
            for name, accuracy in study.TABLE3.items()
        ]
    )  # fmt: skip


def _numbered(networks: pd.DataFrame, published: pd.DataFrame) -> list[str]:
    """Number, name, size and accuracy of each network."""
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
    left = kind == "encoder"  # else names of an encoder and a decoder of one size would overlap
    accuracies = points["accuracy"].astype(float)
    beside = accuracies.shift(1 if left else -1).fillna(0 if left else 1)
    for row, above in zip(points.to_dict("records"), beside <= accuracies, strict=True):
        axes.annotate(row["beside"], (row["parameters"], row["accuracy"]), color=INK, **_beside(left, above))


def _beside(left: bool, above: bool) -> dict[str, Any]:
    """The place of a name beside its point, on the side of the line that is free."""
    return {
        "xytext": (-6 if left else 6, 3 if above else -3),
        "textcoords": "offset points",
        "ha": "right" if left else "left",
        "va": "bottom" if above else "top",
        "size": 7.5,
    }


FIGURES = (
    Figure(
        "scaling",
        "Accuracy against the number of parameters, encoders and decoders apart, beside the study's.",
        "cost",
        scaling,
        draw_narrow=partial(scaling, width=NARROW),
    ),
)
