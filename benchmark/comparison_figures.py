"""What differs and what it costs, drawn: the matrix of all pairs, and accuracy against each kind of cost."""

import textwrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from benchmark import study
from benchmark.comparisons import Comparison, Field, fields
from benchmark.drawing import BLUE, INK, MUTED, house_style, sheet
from benchmark.frontier import AXES, Offer, offers, on_frontier
from benchmark.records import Evidence

MOST_PAIRED = 16  # more variants than that make cells too small for their numbers
MOST_OFFERED = 24  # as many names fit below the panels
REACH = 0.12  # an accuracy further below the best would press the others together; an arrow stands for it
UNITS = {
    "training_seconds": ("training time, seconds", 1.0),
    "peak_memory": ("peak memory, GiB", 2.0**-30),
    "trained_parameters": ("parameters trained", 1.0),
    "seconds_per_text": ("time to answer a text, ms", 1000.0),
}
TIED, DIFFERENT = "#f3f3f3", "#9ecae1"  # light and dark enough for ink on either, apart in greyscale


@house_style()
def pairwise(evidence: Evidence) -> Figure | None:
    """The largest test set's matrix: differences above the diagonal, p-values below it, tied pairs pale."""
    found = next((field for field in fields(evidence) if field.comparisons), None)
    if found is None:
        return None
    shown = min(len(found.variants), MOST_PAIRED)
    left_out = f"; the best {shown} of {len(found.variants)}" if shown < len(found.variants) else ""
    figure = sheet(
        1.5 + 0.4 * shown,
        f"Which models differ, {study.DATASET} test split{left_out}",
        "Above the diagonal: accuracy of the row minus that of the column, in points. Below it: p of the same "
        "pair, McNemar's, corrected by Holm for all pairs. Dark: they differ; pale: tied.",
    )
    axes = figure.subplots()
    _draw_matrix(axes, found, shown)
    names = [f"{textwrap.shorten(v.name, 46, placeholder=' ...')}  {v.accuracy:.4f}" for v in found.variants[:shown]]
    axes.set_yticks(range(shown), [f"{name}   {number}" for number, name in enumerate(names, start=1)])
    axes.set_xticks(range(shown), [str(number) for number in range(1, shown + 1)])
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    key = [Patch(facecolor=DIFFERENT, label="differ"), Patch(facecolor=TIED, edgecolor=MUTED, label="tied")]
    figure.legend(handles=key, loc="outside lower right", ncols=2)
    return figure


def _draw_matrix(axes: Axes, found: Field, shown: int) -> None:
    pairs = {(one, other) for one in range(shown) for other in range(one + 1, shown)}
    size = 8.5 if shown <= 9 else 7 if shown <= 12 else 6
    comparisons = _by_place(found)
    for row, column in sorted(pairs):
        pair = comparisons[row, column]
        face = DIFFERENT if pair.differs else TIED
        for x, y, text in (
            (column, row, f"{100 * pair.difference:+.1f}"),
            (row, column, f"{pair.adjusted_p:.3f}" if pair.adjusted_p >= 0.001 else "<.001"),
        ):
            axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=face))
            weight = "bold" if pair.differs else "normal"
            axes.text(x, y, text, ha="center", va="center", size=size, weight=weight, color=INK)
    axes.set(xlim=(-0.5, shown - 0.5), ylim=(shown - 0.5, -0.5))


def _by_place(found: Field) -> dict[tuple[int, int], Comparison]:
    count = len(found.variants)
    places = [(one, other) for one in range(count) for other in range(one + 1, count)]
    return dict(zip(places, found.comparisons, strict=True))


@house_style()
def frontier(evidence: Evidence) -> Figure | None:
    """Accuracy against training time, large, and against the other costs, small; who is dominated is named below."""
    found = offers(evidence)[:MOST_OFFERED]
    axes_measured = [axis for axis in AXES if sum(axis in offer.costs for offer in found) > 1]
    if not axes_measured:
        return None
    key_rows = -(-len(found) // 2)
    figure = sheet(
        5.3 + 0.17 * key_rows,
        f"What accuracy costs, {study.DATASET} test split",
        "Filled: nobody offers more accuracy for less of that cost (the line joins them). Hollow: somebody does.",
    )
    layout = [[axes_measured[0]] * 6, [axis for axis in axes_measured[1:] for _ in range(2)], ["key"] * 6]
    if len(axes_measured) != len(AXES):
        layout = [[axis] * 6 for axis in axes_measured] + [["key"] * 6]
    heights = [2.6, *[1.6] * (len(layout) - 2), 0.17 * key_rows]
    panels = figure.subplot_mosaic(layout, height_ratios=heights)
    for axis in axes_measured:
        _draw_offers(panels[axis], found, axis, large=axis == axes_measured[0])
    _write_key(panels["key"], found)
    return figure


def _draw_offers(axes: Axes, found: list[Offer], axis: str, large: bool) -> None:
    label, unit = UNITS[axis]
    best = on_frontier(found, axis)
    floor = found[0].accuracy - REACH
    ordered = sorted(best, key=lambda offer: offer.costs[axis])
    axes.step(
        [offer.costs[axis] * unit for offer in ordered],
        [max(offer.accuracy, floor) for offer in ordered],
        where="post", color=BLUE, linewidth=1,
    )  # fmt: skip
    for number, offer in enumerate(found, start=1):
        if axis in offer.costs:
            low = offer.accuracy < floor
            face = BLUE if offer in best else "white"
            at = (offer.costs[axis] * unit, max(offer.accuracy, floor))
            axes.plot(*at, marker="v" if low else "o", color=BLUE, markerfacecolor=face, markersize=6 if large else 4.5)
            axes.annotate(str(number), at, (4, 3), textcoords="offset points", size=8 if large else 7)
    axes.set_xscale("log")
    axes.set(xlabel=label, ylabel="accuracy")
    axes.margins(x=0.08, y=0.12)
    axes.grid()


def _write_key(axes: Axes, found: list[Offer]) -> None:
    """Number and name in two columns; of the dominated, by whom: the most accurate that beats it on every axis."""
    axes.set_axis_off()
    axes.set(xlim=(0, 2), ylim=(-(-len(found) // 2), 0))
    for place, offer in enumerate(found):
        column, row = divmod(place, -(-len(found) // 2))
        better = [number for number, other in enumerate(found, start=1) if other.dominates(offer)]
        name = textwrap.shorten(offer.variant.name, 46, placeholder=" ...")
        text = f"{place + 1}  {name}, {offer.accuracy:.4f}" + (f"; dominated by {better[0]}" if better else "")
        axes.text(column, row + 0.5, text, size=7.5, va="center", color=MUTED if better else INK)
