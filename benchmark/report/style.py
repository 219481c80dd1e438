"""The style of the figures, and functions that save them so that the same figure always gives the same bytes.

Figures are built without pyplot, which needs a backend and keeps a global list of figures.
"""

import logging
import math
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO, StringIO
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font, get_font_names
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from PIL import Image

from benchmark.report.colours import BLUE, GREEN, GRID, INK, MUTED, ORANGE, PINK, SKY

SERIES_STYLES: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "linestyle": "-", "marker": "o"},
    {"color": ORANGE, "linestyle": "-", "marker": "s"},
    {"color": GREEN, "linestyle": "--", "marker": "^"},
    {"color": PINK, "linestyle": "--", "marker": "D"},
    {"color": SKY, "linestyle": ":", "marker": "v"},
    {"color": INK, "linestyle": ":", "marker": "P"},
)
"""Up to six series in one panel."""

THOUSANDS = "{x:,.0f}"  # format of tick labels
WIDTH = 7.0  # inches; fits the text column of a README
NARROW = 3.6  # of a figure for a phone
DOTS_PER_INCH = 120
PALETTES = (32, 64, 128, 256)  # numbers of colours of a PNG
CLOSE = 16  # the most by which a palette may change a colour, of 255
PAGE = 12.0  # inches
ACCURACY_RANGE = 0.12  # accuracies further below the best are drawn as an arrow, to keep the others apart

FONT = "DejaVu Sans"  # bundled with matplotlib, so it is the same everywhere
OTHER_SCRIPTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR", "WenQuanYi Zen Hei",
    "Microsoft YaHei", "PingFang SC", "Hiragino Sans", "Yu Gothic", "Malgun Gothic", "Arial Unicode MS",
    "Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Thai", "Noto Sans Hebrew",
    "Nirmala UI", "Leelawadee UI", "Noto Emoji", "Segoe UI Symbol",
)  # fmt: skip
"""Fonts for the characters that `FONT` does not have, if they are installed."""
LAST_RESORT = "Last Resort High-Efficiency"  # bundled with matplotlib: a box for every other character
_STYLE = {
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # print dollar signs in labels as they are
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "svg.fonttype": "path",  # outlines look the same in viewers without the font
}
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # it warns that LAST_RESORT is never bold
_settings_lock = RLock()  # matplotlib's settings are global


@dataclass(frozen=True)
class Bars:
    """One series of horizontal bars."""

    legend: str
    counts: npt.NDArray[np.int64]
    colour: str
    texts: Sequence[str] | None = None  # written after the bars; the counts by default


@contextmanager
def house_style() -> Iterator[None]:
    """Use matplotlib's defaults and this module's style, whatever the user's matplotlibrc sets; also a decorator."""
    with _settings_lock, style.context(["default", _STYLE | {"font.family": [*_fonts(), LAST_RESORT]}]):
        yield


def new_figure(height: float, title: str, subtitle: str, width: float = WIDTH) -> Figure:
    """Create an empty figure with a title and a subtitle. Sizes are in inches; wrapped lines add to the height."""
    title = textwrap.fill(title, int(72 * width / WIDTH))
    subtitle = textwrap.fill(subtitle, int(100 * width / WIDTH))
    below_title = 0.34 + 0.18 * title.count("\n")
    header = below_title + 0.29 + 0.16 * subtitle.count("\n")
    height += header - 0.63
    below_header = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - header / height))
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout=below_header)
    figure.text(0.084 / width, 1 - 0.1 / height, title, size=11, weight="bold", va="top")
    figure.text(0.084 / width, 1 - below_title / height, subtitle, size=9, color=MUTED, va="top")
    return figure


def draw_bars(axes: Axes, names: Sequence[str], *series: Bars) -> None:
    """Draw one row per name from the top down, with one or two bars each. A series may be shorter than `names`."""
    height, spacing = (0.7, 0.0) if len(series) == 1 else (0.36, 0.38)
    for number, bars in enumerate(series):
        rows = np.arange(len(bars.counts)) + spacing * (number - (len(series) - 1) / 2)
        drawn = axes.barh(rows, bars.counts, height, color=bars.colour, label=bars.legend)
        axes.bar_label(drawn, bars.texts or [f"{value:,}" for value in bars.counts], padding=3, size=8)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(THOUSANDS)
    axes.set(xlabel="texts")
    axes.margins(x=0.1)


def lower_end(values: Iterable[float]) -> float:
    """The tenth below the smallest value, where an axis of shares up to 1 can start; 0 without values."""
    return min(0.9, math.floor(10 * min(values, default=0.0) + 1e-9) / 10)


def readable(labels: Sequence[str]) -> list[str]:
    """Each label, or its number where no installed font has its characters."""
    known = {character for font in _fonts() for character in _characters(font)}
    return [
        label if all(ord(character) in known or character.isspace() for character in label) else f"label {number}"
        for number, label in enumerate(labels)
    ]


@cache
def _fonts() -> list[str]:
    """The font of the figures, and the installed ones for scripts that it does not have."""
    return [FONT, *(name for name in OTHER_SCRIPTS if name in get_font_names())]


@cache
def _characters(font: str) -> frozenset[int]:
    return frozenset(get_font(findfont(font)).get_charmap())


def in_two_lines(label: str, width: int) -> str:
    """Break the label into at most two lines of `width` characters, and shorten it if it is longer."""
    return textwrap.fill(label, width, max_lines=2, placeholder=" ...")


def legend_above(axes: Axes) -> None:
    """Put the legend in one line above the axes, where it covers no data."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=4, borderpad=0, borderaxespad=0.8, columnspacing=1.5)


@dataclass(frozen=True)
class FigureFooter:
    """Texts below the panels, one under the other, wrapped to the width of the figure."""

    texts: Sequence[str]
    width: float = WIDTH  # inches
    size: float = 7.5  # points

    @property
    def lines(self) -> list[str]:
        length = int(900 * self.width / WIDTH / self.size)
        return [textwrap.fill(text, length, subsequent_indent=4 * " ") for text in self.texts]

    @property
    def height(self) -> float:
        return self.size / 7.5 * sum(0.17 + 0.125 * line.count("\n") for line in self.lines)

    def write(self, figure: Figure) -> None:
        if not self.texts:
            return
        figure.legend(
            handles=[Line2D([], [], linestyle="none", label=line) for line in self.lines],
            loc="outside lower left", handlelength=0, handletextpad=0, fontsize=self.size,
        )  # fmt: skip


def save_png(figure: Figure, path: Path) -> None:
    """Save `figure` as PNG with a palette and 120 dots per inch, or half as many if it is taller than a page.

    The palette is the smallest that keeps every colour, so that files are small.
    """
    dpi = DOTS_PER_INCH if figure.get_figheight() <= PAGE else DOTS_PER_INCH / 2
    pixels = BytesIO()
    _save(figure, pixels, format="png", dpi=dpi)
    with Image.open(pixels) as image:
        _with_palette(image.convert("RGB")).save(path, format="PNG", optimize=True)


def _with_palette(image: Image.Image) -> Image.Image:
    """Give the image the smallest of the `PALETTES` that changes no colour by more than `CLOSE`, or the largest."""
    pixels = np.asarray(image, dtype=np.int16)
    for colours in PALETTES:
        reduced = image.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        if np.abs(pixels - np.asarray(reduced.convert("RGB"))).max() <= CLOSE:
            break
    return reduced


def save_svg(figure: Figure, path: Path) -> None:
    """Save `figure` as SVG with all text as outlines."""
    path.write_text(_svg(figure), encoding="utf-8", newline="\n")


def svg_with_text(figure: Figure) -> str:
    """Return `figure` as SVG whose text stays text, which is smaller and can be searched on a page."""
    return re.sub(
        r"(?<=font-family: )[^;\"]*|(?<=px )'DejaVu Sans'[^;\"]*",
        f"'{FONT}', sans-serif",
        _svg(figure, {"svg.fonttype": "none"}),
    )


def _svg(figure: Figure, settings: dict[str, Any] | None = None) -> str:
    """Return `figure` as SVG without date and version, and with coordinates to a hundredth of a point.

    Matplotlib names shared elements by a hash of their coordinates, whose last digits depend on the processor. They
    are numbered instead.
    """
    content = StringIO()
    _save(figure, content, settings, format="svg", metadata={"Date": None, "Creator": None})
    numbers = count(1)
    names: defaultdict[str, str] = defaultdict(lambda: f"shared-{next(numbers)}")
    numbered = re.sub(r'(?<=["#])[a-zA-Z]+[0-9a-f]{10}(?=[")])', lambda match: names[match[0]], content.getvalue())
    return re.sub(r"<[a-z][^>]*>", lambda match: _shortened(match[0]), re.sub(r"(?m)^ +", "", numbered))


def _shortened(tag: str) -> str:
    """The SVG tag without rotations by zero. Numbers below 1 stay, because scales are among them."""
    tag = re.sub(r' transform="rotate\(-?0 [^"]*"', "", tag)
    return re.sub(r"[1-9]\d*\.\d{3,}", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), tag)


def _save(figure: Figure, target: BytesIO | StringIO, settings: dict[str, Any] | None = None, **options: Any) -> None:
    with house_style(), rc_context(settings):
        if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # a second layout would move everything slightly
        figure.savefig(target, **options)
