"""The colours of the figures: in their files, which are on white, and in the dark mode of the page."""

import re

PAPER = "#ffffff"
INK = "#222222"
MUTED = "#666666"
GRID = "#dddddd"
# From the palette of Okabe and Ito (2008), which readers with any kind of colour vision can tell apart. Blue and
# orange also differ in lightness, so they stay distinct in greyscale.
BLUE = "#0072b2"
ORANGE = "#e69f00"
GREEN = "#009e73"
PINK = "#cc79a7"
SKY = "#56b4e9"
VERMILION = "#d55e00"
KINDS = {"encoder": BLUE, "decoder": VERMILION, "linear": GREEN}
"""The colour of each kind of model; other kinds are dark grey."""
# INK is readable on these, and the first two differ in greyscale.
TIED = "#f3f3f3"
DIFFERENT = "#9ecae1"
PANEL = "#f8f8f8"
GREY_BOX = "#e6e6e6"
BLUE_BOX = "#c6dcec"
ORANGE_BOX = "#f6cf80"

PALETTE = {
    "paper": (PAPER, "#171717"),
    "ink": (INK, "#e8e8e8"),
    "muted": (MUTED, "#aeb3b9"),
    "grid": (GRID, "#3d4145"),
    "blue": (BLUE, "#3f97dc"),
    "orange": (ORANGE, "#e69f00"),
    "green": (GREEN, "#1fb488"),
    "pink": (PINK, "#d98bb6"),
    "sky": (SKY, "#95d5ff"),
    "vermilion": (VERMILION, "#ee6f1c"),
    "tied": (TIED, "#26292b"),
    "different": (DIFFERENT, "#1d4e6f"),
    "panel": (PANEL, "#1e2021"),
    "grey-box": (GREY_BOX, "#34383b"),
    "blue-box": (BLUE_BOX, "#234a66"),
    "orange-box": (ORANGE_BOX, "#664a0c"),
}
"""Every colour of a figure on the page, by the name of its CSS property, and what dark mode shows in its place."""
_PROPERTIES = {light: f"var(--figure-{name})" for name, (light, _) in PALETTE.items()}


def stylesheet() -> str:
    """The CSS that defines the properties in both colour schemes."""
    light, dark = (" ".join(f"--figure-{name}: {pair[scheme]};" for name, pair in PALETTE.items()) for scheme in (0, 1))
    return f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"


def with_properties(style: str) -> str:
    """The style of an SVG element with properties instead of colours; raises `KeyError` if `PALETTE` lacks one."""
    return re.sub(r"#[0-9a-f]{6}\b", lambda colour: _PROPERTIES[colour[0]], style)
