"""Figures look the same and have the same bytes, whatever surrounds them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from factories import row_names
from matplotlib.figure import Figure
from PIL import Image

from benchmark.report.colours import BLUE, ORANGE
from benchmark.report.style import (
    CLOSE,
    DOTS_PER_INCH,
    PAGE,
    WIDTH,
    Bars,
    _shortened,
    draw_bars,
    house_style,
    legend_above,
    new_figure,
    save_png,
    save_svg,
    svg_with_text,
)

GOLD = Bars("gold", np.array([4000, 1]), ORANGE)
PREDICTED = Bars("predicted", np.array([3000, 1, 1000]), BLUE, ["most", "one", "rest"])

Save = Callable[[Figure, Path], None]


@house_style()
def a_figure(*series: Bars) -> Figure:
    figure = new_figure(2.0, "A title", "A subtitle")
    axes = figure.subplots()
    draw_bars(axes, ["joy", "sadness", "no label"], *series)
    legend_above(axes)
    return figure


def saved(folder: Path, *order: Save) -> list[bytes]:
    folder.mkdir(exist_ok=True)
    figure = a_figure(GOLD, PREDICTED)
    for save in order:
        save(figure, folder / save.__name__)
    return [(folder / save.__name__).read_bytes() for save in (save_png, save_svg)]


def test_bars_have_their_counts_or_texts_from_the_top_down() -> None:
    [axes] = a_figure(GOLD, PREDICTED).axes
    assert [text.get_text() for text in axes.texts] == ["4,000", "1", "most", "one", "rest"]
    assert row_names(axes) == ["joy", "sadness", "no label"]
    assert axes.get_ylim() == (2.5, -0.5)


def test_a_png_has_the_smallest_palette_that_keeps_every_colour(tmp_path: Path) -> None:
    def colours_of(*panels: str) -> int:
        figure = new_figure(3, "A title", "A subtitle")
        for axes, colours in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
            axes.imshow(np.arange(200).reshape(10, 20), cmap=colours, aspect="auto", interpolation="nearest")
        save_png(figure, tmp_path / "a.png")
        full = BytesIO()
        figure.savefig(full, format="png", dpi=DOTS_PER_INCH)
        with Image.open(tmp_path / "a.png") as reduced, Image.open(full) as image:
            pixels, exact = (np.asarray(one.convert("RGB"), dtype=int) for one in (reduced, image))
            assert np.abs(pixels - exact).max() <= CLOSE
            return len(reduced.getcolors(256) or ())

    assert colours_of("Greys") <= 32 < colours_of("Blues", "viridis", "inferno", "RdYlGn") <= 256


@pytest.mark.parametrize(("height", "scale"), [(PAGE, 1), (2 * PAGE, 0.5)])
def test_a_figure_taller_than_a_page_has_half_as_many_dots(height: float, scale: float, tmp_path: Path) -> None:
    save_png(new_figure(height, "A title", "A subtitle"), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (WIDTH * DOTS_PER_INCH * scale, height * DOTS_PER_INCH * scale)


def test_the_order_of_saving_does_not_change_the_bytes(tmp_path: Path) -> None:
    assert saved(tmp_path, save_svg, save_png) == saved(tmp_path, save_png, save_svg)


def test_user_settings_and_other_threads_do_not_change_the_bytes(tmp_path: Path) -> None:
    expected = saved(tmp_path, save_svg, save_png)
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black", "svg.fonttype": "none"}):
        before = dict(mpl.rcParams)
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda number: saved(tmp_path / str(number), save_svg, save_png), range(3)))
        assert dict(mpl.rcParams) == before
    assert found == [expected] * 3


def test_rounding_that_depends_on_the_processor_does_not_change_the_bytes(tmp_path: Path) -> None:
    drawn = []
    for width in (0.8, np.nextafter(0.8, 1)):
        figure = Figure()
        figure.add_axes((0.1, 0.1, width, 0.8)).plot([1, 2], [3, 4], marker="o")  # has a shared clip path
        save_svg(figure, tmp_path / "figure.svg")
        drawn.append((tmp_path / "figure.svg").read_text(encoding="utf-8"))
    assert drawn[0] == drawn[1]
    assert drawn[0].count('id="shared-1"') == 1
    assert "url(#shared-" in drawn[0]


def test_an_svg_tag_is_shortened_without_change_of_scales() -> None:
    tag = '<text x="189.601474" y="0.123456" transform="rotate(-0 189.601474 258.143952)">'
    assert _shortened(tag) == '<text x="189.6" y="0.123456">'
    assert _shortened('<g transform="scale(0.015625)">') == '<g transform="scale(0.015625)">'
    assert _shortened('<path d="M 50.00024 242.491087  L -3.500001 0.5"/>') == '<path d="M 50 242.49  L -3.5 0.5"/>'
    assert _shortened('<g transform="rotate(-90 21.876543 9)">') == '<g transform="rotate(-90 21.88 9)">'


def test_numbers_in_the_texts_of_a_figure_are_not_rounded() -> None:
    figure = new_figure(1, "1.23456", "")
    assert ">1.23456<" in svg_with_text(figure)
