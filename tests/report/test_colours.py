"""Figures on the page follow its colour scheme and stay readable in dark mode."""

import re
from pathlib import Path

import pytest
from matplotlib.colors import to_rgb

from benchmark.report import colours, sections
from benchmark.report.colours import KINDS, PALETTE
from benchmark.report.style import SERIES_STYLES

LIGHT = {name: light for name, (light, _) in PALETTE.items()}
DARK = {name: dark for name, (_, dark) in PALETTE.items()}
SERIES = {name for name, light in LIGHT.items() if light in {*KINDS.values(), *(one["color"] for one in SERIES_STYLES)}}
BACKGROUNDS = ("tied", "different", "panel", "grey-box", "blue-box", "orange-box")


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2, from 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    linear = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in to_rgb(colour))
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("name", sorted(SERIES | {"ink", "muted"}))
def test_series_and_text_stand_out_from_dark_paper(name: str) -> None:
    assert len(SERIES) == 7
    assert contrast(DARK[name], DARK["paper"]) >= 4.5


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_readable_on_paper_and_on_filled_shapes(scheme: dict[str, str]) -> None:
    assert min(contrast(scheme["ink"], scheme[name]) for name in ("paper", *BACKGROUNDS)) >= 4.5
    assert min(contrast(scheme["muted"], scheme[name]) for name in ("paper", "panel")) >= 4.5
    assert contrast(scheme["tied"], scheme["different"]) >= 1.5


def test_colours_differ_in_both_schemes() -> None:
    assert len({*LIGHT.values()}) == len({*DARK.values()}) == len(PALETTE)


def test_the_stylesheet_defines_both_schemes_on_the_papers_of_the_page() -> None:
    light, dark = (
        dict(re.findall(r"--figure-([\w-]+): (#\w+);", part)) for part in colours.stylesheet().split("@media")
    )
    assert (light, dark) == (LIGHT, DARK)
    page = (sections.TEMPLATES / "report.css").read_text(encoding="utf-8")
    papers = re.findall(r"--paper: (#\w+);", page)
    assert [to_rgb(paper) for paper in papers] == [to_rgb(scheme["paper"]) for scheme in (LIGHT, DARK)]


def test_a_colour_becomes_its_property_and_an_unknown_one_is_an_error() -> None:
    assert colours.with_properties("fill: #0072b2; opacity: 0.35") == "fill: var(--figure-blue); opacity: 0.35"
    with pytest.raises(KeyError):
        colours.with_properties("fill: #123456")


def test_no_other_module_of_the_report_has_a_colour() -> None:
    modules = [path for path in Path(colours.__file__).parent.rglob("*.py") if path.name != "colours.py"]
    assert len(modules) > 20
    assert [path.name for path in modules if re.search(r'"#[0-9a-fA-F]{3,8}"', path.read_text(encoding="utf-8"))] == []
