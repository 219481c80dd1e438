"""What differs and what it costs, drawn: the matrix of all pairs, and accuracy against each kind of cost."""

import textwrap
from collections import Counter
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmark.analysis import study
from benchmark.analysis.comparisons import Field, fields
from benchmark.analysis.evidence import Evidence
from benchmark.analysis.frontier import AXES, Offer, dominating, offers, on_frontier
from benchmark.report.style import BLUE, INK, MUTED, REACH, house_style, sheet

MOST_PAIRED = 14  # more variants than that make cells too small for their numbers
MOST_OFFERED = 24  # as many names fit below the panels
UNITS = {
    "training_seconds": ("training time, seconds", 1.0),
    "peak_memory": ("peak memory, GiB", 2.0**-30),
    "trained_parameters": ("parameters trained", 1.0),
    "seconds_per_text": ("time to answer a text, ms", 1000.0),
}
CORNERS: list[dict[str, Any]] = [
    {"xytext": (4, 3), "ha": "left"},
    {"xytext": (4, -3), "ha": "left", "va": "top"},
    {"xytext": (-4, 3), "ha": "right"},
    {"xytext": (-4, -3), "ha": "right", "va": "top"},
]
"""Where a point's number can stand."""
NEAR = (0.09, 0.14)  # width and height of a number, in parts of a small panel
TIED, DIFFERENT = "#f3f3f3", "#9ecae1"  # light and dark enough for ink on either, apart in greyscale


@house_style()
def pairwise(evidence: Evidence) -> Figure | None:
    """Of the test set that most variants answered: differences above the diagonal, p-values below it, ties pale."""
    found = next((field for field in fields(evidence) if field.comparisons), None)
    if found is None:
        return None
    shown = min(len(found.variants), MOST_PAIRED)
    left_out = f"; the best {shown} of {len(found.variants)}" if shown < len(found.variants) else ""
    figure = sheet(
        1.5 + 0.36 * shown,
        f"Which models differ, {study.DATASET} test split{left_out}",
        "Above the diagonal: accuracy of the row minus that of the column, in points. Below it: p of the same "
        "pair, McNemar's, corrected by Holm for all pairs. Shaded: they differ; pale: tied.",
    )
    axes = figure.subplots()
    _draw_matrix(axes, found, shown)
    names = [textwrap.fill(variant.name, 36, max_lines=2, placeholder=" ...") for variant in found.variants[:shown]]
    axes.set_yticks(range(shown), names, size=7.5)
    axes.tick_params(axis="y", pad=58)
    for place, variant in enumerate(found.variants[:shown]):
        beside: dict[str, Any] = {
            "xycoords": axes.get_yaxis_transform(),
            "textcoords": "offset points",
            "ha": "right",
            "va": "center",
        }
        axes.annotate(f"{variant.accuracy:.4f}", (0, place), (-22, 0), **beside, size=7.5)
        axes.annotate(str(place + 1), (0, place), (-6, 0), **beside, size=8)
    axes.set_xticks(range(shown), [str(number) for number in range(1, shown + 1)], size=8)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    key = [Patch(facecolor=DIFFERENT, label="differ"), Patch(facecolor=TIED, edgecolor=MUTED, label="tied")]
    figure.legend(handles=key, loc="outside lower right", ncols=2)
    return figure


def _draw_matrix(axes: Axes, found: Field, shown: int) -> None:
    size = 8.5 if shown <= 8 else 6.5
    for (row, column), pair in found.by_place.items():
        if column >= shown:
            continue
        face = DIFFERENT if pair.differs else TIED
        for x, y, text in (
            (column, row, f"{100 * pair.difference:+.1f}"),
            (row, column, _short(pair.adjusted_p)),
        ):
            axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=face))
            weight = "bold" if pair.differs and shown <= 8 else "normal"
            axes.text(x, y, text, ha="center", va="center", size=size, weight=weight, color=INK)
    axes.set(xlim=(-0.5, shown - 0.5), ylim=(shown - 0.5, -0.5))


def _short(p: float) -> str:
    return "<.001" if p < 0.001 else "1" if p > 0.9995 else f"{p:.3f}".lstrip("0")


@house_style()
def frontier(evidence: Evidence) -> Figure | None:
    """Accuracy against training time, large, and against the other costs, small; who is dominated is named below."""
    found = offers(evidence)[:MOST_OFFERED]
    axes_measured = [axis for axis in AXES if sum(axis in offer.costs for offer in found) > 1]
    if not axes_measured:
        return None
    keys = [_key(found, number) for number in range(1, len(found) + 1)]
    columns = 1 if max(map(len, keys)) > 54 else 2  # characters that fit beside each other
    on_gpu = any(_on_gpu(offer) for offer in found)
    figure = sheet(
        5.2 + 0.17 * -(-len(found) // columns),
        f"What accuracy costs, {study.DATASET} test split",
        "Filled: nobody offers more accuracy for less of that cost (the line joins them). Hollow: somebody does."
        + " Squares ran on a GPU." * on_gpu,
    )
    first, *others = axes_measured
    layout = [[first] * 6, [axis for axis in others for _ in range(6 // len(others))]] if others else [[first]]
    panels: dict[str, Axes] = figure.subplot_mosaic(layout, height_ratios=[2.4, 1.4][: len(layout)])
    for axis, axes in panels.items():
        _draw_offers(axes, found, axis, large=axis == first)
        axes.set(ylabel="accuracy" if axis in (first, *others[:1]) else "")
    figure.legend(
        handles=[Line2D([], [], linestyle="none", label=key) for key in keys],
        loc="outside lower left", ncols=columns, handlelength=0, handletextpad=0, fontsize=7.5, columnspacing=1.0,
    )  # fmt: skip
    return figure


def _draw_offers(axes: Axes, found: list[Offer], axis: str, large: bool) -> None:
    """Every offer by accuracy and one cost; numbered in the key's order, where there is room."""
    label, unit = UNITS[axis]
    best = on_frontier(found, axis)
    floor = found[0].accuracy - REACH
    ordered = sorted(best, key=lambda offer: offer.costs[axis])
    costs, accuracies = ([offer.costs[axis] * unit for offer in ordered], [offer.accuracy for offer in ordered])
    axes.step(costs, np.maximum(accuracies, floor), where="post", color=BLUE, linewidth=1)
    numbered = {}
    for number, offer in enumerate(found, start=1):
        if axis in offer.costs:
            at = (offer.costs[axis] * unit, max(offer.accuracy, floor))
            marker = "v" if offer.accuracy < floor else "s" if _on_gpu(offer) else "o"
            face = BLUE if offer in best else "white"
            axes.plot(*at, marker=marker, color=BLUE, markerfacecolor=face, markersize=6 if large else 4.5,
                      zorder=3 if offer in best else 2)  # fmt: skip
            if large or offer in best:
                numbered[number] = at
    axes.set_xscale("log")
    axes.margins(x=0.08, y=0.12)
    _number(axes, numbered, size=8 if large else 7)
    paid = [offer.costs[axis] for offer in found if axis in offer.costs]
    steps = (1,) if max(paid) > 30 * min(paid) else (1, 2, 5)
    axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=7 if large else 4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:.3f}")  # of one width, whatever room the layout leaves
    axes.set(xlabel=label + ("; arrows: below the axis" if large and found[-1].accuracy < floor else ""))
    axes.grid()


def _number(axes: Axes, points: dict[int, tuple[float, float]], size: float) -> None:
    """Each number at its point's upper right; where earlier ones stand close, at the next corner that is free."""
    axes.autoscale_view()
    drawn = axes.transAxes.inverted().transform(axes.transData.transform(list(points.values())))
    for place, (number, at) in enumerate(points.items()):
        close = (np.abs(drawn[:place] - drawn[place]) < NEAR).all(axis=1).sum()
        axes.annotate(str(number), at, textcoords="offset points", size=size, **CORNERS[close % len(CORNERS)])


def _key(found: list[Offer], number: int) -> str:
    """Number, name, accuracy, hardware if it is not that of most; the most accurate that beats it on every axis."""
    offer = found[number - 1]
    better = dominating(offer, found)
    name = textwrap.shorten(offer.variant.name, 84, placeholder=" ...")
    usual = Counter(other.hardware for other in found).most_common(1)[0][0]
    elsewhere = "" if offer.hardware == usual else f" on {offer.hardware}"
    return f"{number}  {name}, {offer.accuracy:.4f}{elsewhere}" + (
        f"; dominated by {found.index(better[0]) + 1}" if better else ""
    )


def _on_gpu(offer: Offer) -> bool:
    fit = offer.variant.results[0].record.fit
    return fit is not None and fit.device.startswith("cuda")


def _plain(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
