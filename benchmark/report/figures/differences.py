"""Which configurations differ significantly, as a matrix of all pairs."""

from functools import partial
from itertools import combinations
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Patch, Rectangle

from benchmark.analysis.analysed import AnalysedResults
from benchmark.report.colours import DIFFERENT, INK, MUTED, TIED
from benchmark.report.figure import Figure
from benchmark.report.style import NARROW, WIDTH, FigureFooter, house_style, in_two_lines, new_figure
from benchmark.report.wording import count_in_words

MOST, MOST_NARROW = 14, 10  # with more configurations the cells are too small for their numbers
FEWEST = 3  # of one pair the table says enough
FEW = 8  # up to here the numbers are large


@house_style()
def pairwise(analysis: AnalysedResults, dataset: str, width: float = WIDTH) -> Drawing | None:
    """Draw the difference of every pair above the diagonal, for the test set with most configurations.

    A narrow figure has fewer configurations, and their names below.
    """
    comparable = analysis.comparable
    if len(comparable) < FEWEST:
        return None
    narrow = width < WIDTH
    shown = comparable.head(MOST_NARROW if narrow else MOST)
    left_out = f"; the best {len(shown)} of {len(comparable)}" if len(shown) < len(comparable) else ""
    names = [f"{name}, {accuracy:.4f}" for name, accuracy in zip(shown["short_name"], shown["accuracy"], strict=True)]
    below = FigureFooter(
        [f"{place}  {name}" for place, name in enumerate(names, start=1)] if narrow else [], width, 8.5
    )
    figure = new_figure(
        1.5 + 0.36 * len(shown) + below.height,
        f"Which models differ, {dataset} test split{left_out}",
        "Accuracy of the row minus that of the column, in percentage points. Blue: the difference is significant; "
        "grey: it is not.",
        width,
    )
    figure.set_label(_caption(analysis.comparisons, comparable, len(shown)))
    axes = figure.subplots()
    _draw_cells(axes, analysis.comparisons, shown, size=7.1 if narrow else 8.5 if len(shown) <= FEW else 6.5)
    numbers = [str(place + 1) for place in range(len(shown))]
    if narrow:
        axes.set_yticks(range(len(shown)), numbers, size=8)
    else:
        _write_names(axes, shown)
    axes.set_xticks(range(len(shown)), numbers, size=8)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    if not narrow:
        key = [
            Patch(facecolor=DIFFERENT, label="differ"),
            Patch(facecolor=TIED, edgecolor=MUTED, label="not significant"),
        ]
        figure.legend(handles=key, loc="outside lower right", ncols=2)
    below.write(figure)
    return figure


def _caption(pairs: pd.DataFrame, comparable: pd.DataFrame, drawn: int) -> str:
    """The caption: how many of the most accurate do not differ from each other, and how many others the best leads."""
    ids, differing = list(comparable["configuration"]), pairs[pairs["differs"].astype(bool)]
    among = differing[differing["better"].isin(ids) & differing["other"].isin(ids)]
    later = [max(ids.index(one), ids.index(other)) for one, other in zip(among["better"], among["other"], strict=True)]
    alike, led = min(later, default=len(ids)), int((among["better"] == ids[0]).sum())
    many = f"The {count_in_words(alike)} most accurate of {count_in_words(len(ids))} configurations do not differ "
    first = f"{many}significantly from each other. " if alike > 1 else ""
    less = f"{count_in_words(led).capitalize()} {'is' if led == 1 else 'are'}" if led else "None is"
    here = int((among["better"].eq(ids[0]) & among["other"].isin(ids[:drawn])).sum())
    some = f" ({count_in_words(here) if here else 'none'} of them drawn)" if here < led else ""
    return f"{first}{less} significantly less accurate than the most accurate{some}."


def _write_names(axes: Axes, shown: pd.DataFrame) -> None:
    """Write name, accuracy and number on the left of each row."""
    axes.set_yticks(range(len(shown)), [in_two_lines(name, 36) for name in shown["short_name"]], size=7.5)
    axes.tick_params(axis="y", pad=58)
    for place, accuracy in enumerate(shown["accuracy"]):
        beside: dict[str, Any] = {
            "xy": (0, place),
            "xycoords": axes.get_yaxis_transform(),
            "textcoords": "offset points",
            "ha": "right",
            "va": "center",
        }
        axes.annotate(f"{accuracy:.4f}", xytext=(-22, 0), size=7.5, **beside)
        axes.annotate(str(place + 1), xytext=(-6, 0), size=8, **beside)


def _draw_cells(axes: Axes, pairs: pd.DataFrame, shown: pd.DataFrame, size: float) -> None:
    """Draw the cell of every pair of `shown`."""
    by_ids = pairs.set_index(["better", "other"])
    few = len(shown) <= FEW
    for (row, better), (column, other) in combinations(enumerate(shown["configuration"]), 2):
        pair = by_ids.loc[(better, other)]
        colour = DIFFERENT if pair["differs"] else TIED
        weight = "bold" if pair["differs"] and few else "normal"
        axes.add_patch(Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, facecolor=colour))
        difference = f"{100 * pair['difference']:+.1f}"
        axes.text(column, row, difference, ha="center", va="center", size=size, weight=weight, color=INK)
    axes.set(xlim=(-0.5, len(shown) - 0.5), ylim=(len(shown) - 0.5, -0.5))


FIGURES = (
    Figure(
        "pairwise",
        "All pairs of models: which differ and by how much. The table of pairs has the numbers.",
        "differences",
        pairwise,
        draw_narrow=partial(pairwise, width=NARROW),
    ),
)
