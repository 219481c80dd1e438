"""How every figure looks and is saved: one palette, one sheet, the same bytes for the same figure.

Figures are built without pyplot: no window, no backend, no list of figures shared between runs.
"""

import re
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

# Blue and orange of Okabe and Ito's palette (2008): told apart by every kind of colour vision, and
# in greyscale by their lightness.
BLUE = "#0072b2"
ORANGE = "#e69f00"
LINES = (
    ("#0072b2", "-", "o"),
    ("#e69f00", "-", "s"),
    ("#009e73", "--", "^"),
    ("#cc79a7", "--", "D"),
    ("#56b4e9", ":", "v"),
    ("#222222", ":", "P"),
)  # colour, dash and marker of up to six series in one panel; the last two tell them apart without colour
INK = "#222222"
MUTED = "#666666"

THOUSANDS = "{x:,.0f}"  # a format of tick labels
WIDTH = 7.0  # inches: a README's column
DOTS_PER_INCH = 150
REACH = 0.12  # an accuracy further below the best would press the others together; an arrow stands for it

_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same everywhere
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a label is a dollar sign
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "svg.fonttype": "path",  # outlines: a viewer without the font shows the same
}
_one_thread = RLock()  # matplotlib's settings are one dictionary a process


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib's defaults and ours, whatever the user's matplotlibrc says; also a decorator."""
    with _one_thread, style.context(["default", _STYLE]):
        yield


def sheet(height: float, title: str, subtitle: str) -> Figure:
    """An empty figure of the house's width, `height` inches tall or more, under two lines of heading."""
    title, subtitle = textwrap.fill(title, 72), textwrap.fill(subtitle, 105)
    below_title = 0.34 + 0.18 * title.count("\n")
    header = below_title + 0.29 + 0.16 * subtitle.count("\n")
    height += header - 0.63
    below_header = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - header / height))
    figure = Figure(figsize=(WIDTH, height), dpi=DOTS_PER_INCH, layout=below_header)
    figure.text(0.012, 1 - 0.1 / height, title, size=11, weight="bold", va="top")
    figure.text(0.012, 1 - below_title / height, subtitle, size=9, color=MUTED, va="top")
    return figure


def bars_across(
    axes: Axes,
    names: Sequence[str],
    counts: npt.NDArray[np.int64],
    legend: str,
    colour: str,
    offset: float = 0.0,
    height: float = 0.7,
    texts: Sequence[str] | None = None,
) -> None:
    """A horizontal bar with its count (or text) for the first names, from the top down."""
    bars = axes.barh(np.arange(len(counts)) + offset, counts, height, color=colour, label=legend)
    axes.bar_label(bars, texts or [f"{count:,}" for count in counts], padding=3, size=8)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(THOUSANDS)
    axes.set(xlabel="texts")
    axes.margins(x=0.1)


def legend_above(axes: Axes) -> None:
    """The legend in one line over the axes, where no data can be."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=4, borderpad=0, borderaxespad=0.8, columnspacing=1.5)


def save_png(figure: Figure, path: Path) -> None:
    """Write `figure` at 150 dots an inch."""
    _save(figure, path, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})


def save_svg(figure: Figure, path: Path) -> None:
    """Write `figure` as scalable outlines."""
    path.write_text(_svg(figure), encoding="utf-8", newline="\n")


def svg_with_text(figure: Figure) -> str:
    """`figure` as SVG whose words stay text: small, and to be found and read on a page."""
    return _svg(figure, {"svg.fonttype": "none"})


def _svg(figure: Figure, settings: dict[str, Any] | None = None) -> str:
    """Without what would change the bytes: date, version, and ids made from digits that depend on the processor."""
    content = StringIO()
    _save(figure, content, settings, format="svg", metadata={"Date": None, "Creator": None})
    numbers = count(1)
    names: defaultdict[str, str] = defaultdict(lambda: f"shared-{next(numbers)}")
    return re.sub(r'(?<=["#])[a-zA-Z]+[0-9a-f]{10}(?=[")])', lambda found: names[found[0]], content.getvalue())


def _save(figure: Figure, place: Path | StringIO, settings: dict[str, Any] | None = None, **options: Any) -> None:
    with house_style(), rc_context(settings):
        if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # laid out once: a second time would move everything by a hair
        figure.savefig(place, **options)
