"""The study's two schematic figures, redrawn with the dimensions of a given model.

Both are drawn on empty axes whose unit is the inch. Matrix shapes are outputs × inputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Polygon

from benchmark.interface import ModelCard
from benchmark.report.colours import BLUE_BOX, GREY_BOX, INK, MUTED, ORANGE_BOX, PANEL
from benchmark.report.style import WIDTH, house_style, new_figure
from benchmark.report.wording import in_words

_OUTLINE: dict[str, Any] = {"edgecolor": INK, "linewidth": 0.9}
_ROUNDED = "round,pad=0,rounding_size=0.06"

_STREAM = 2.95  # x of the residual stream, which runs through the middle of the boxes
_BYPASS = 0.75  # x of the residual connections around attention and MLP
_BOX_WIDTH = 3.5
_COUNTS = 4.85  # x of the parameter counts, right of the boxes
_RADIUS = 0.12  # of the circle of a sum

Point = tuple[float, float]


@dataclass(frozen=True)
class Dimensions:
    """The sizes of a Llama-like decoder and of its adapter."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    vocab_size: int
    lora_rank: int
    lora_alpha: int

    @classmethod
    def of(cls, card: ModelCard) -> "Dimensions":
        return cls(**{field.name: int(card.dimensions[field.name]) for field in fields(cls)})

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def key_value_size(self) -> int:
        """The width of all keys, or of all values; the queries are wider if their heads share keys and values."""
        return self.head_size * self.num_key_value_heads


class _Box(NamedTuple):
    """A module of the decoder: its place on the residual stream, its parameter count and its text."""

    bottom: float
    height: float
    colour: str
    parameters: int
    lines: Sequence[str]  # the first in bold


@house_style()
def decoder_block(title: str, sizes: Dimensions) -> Figure:
    """Draw one pre-normalisation decoder layer inside its model; data flows upwards."""
    subtitle = "Figure 1 of the study, redrawn: pre-normalisation; matrix shapes are outputs × inputs"
    figure, axes = _canvas(7.7, f"Decoder block: {title}", subtitle)
    figure.set_label(_parameters_of_blocks(sizes))
    axes.add_patch(FancyBboxPatch((0.45, 1.05), 6.15, 5.05, _ROUNDED, fc=PANEL, ec=MUTED, lw=0.9, ls="--"))
    axes.text(6.5, 5.98, f"× {sizes.num_hidden_layers} layers", ha="right", va="top", weight="bold", size=10)
    _text(axes, (_STREAM, 0.08), "token ids")
    _text(axes, (_STREAM, 7.61), "logits of the next token")
    ends = [(0.0, 0.18), (7.53, 7.7)]  # bottom and top of what the arrows connect, here the two texts
    for box in _boxes(sizes):
        _draw_box(axes, box)
        ends.append((box.bottom, box.bottom + box.height))
    for split, total in ((1.3, 3.42), (3.7, 5.82)):  # the residual connections around attention and MLP
        _sum(axes, (_STREAM, total))
        ends.append((total - _RADIUS, total + _RADIUS))
        _arrow(axes, (_STREAM, split), (_BYPASS, split), (_BYPASS, total), (_STREAM - _RADIUS, total))
    for (_, start), (end, _) in pairwise(sorted(ends)):
        _arrow(axes, (_STREAM, start), (_STREAM, end))
    return figure


@house_style()
def lora(title: str, sizes: Dimensions) -> Figure:
    """Draw a frozen d × d matrix beside its adapter, B after A, with their numbers of parameters."""
    d, r, alpha = sizes.hidden_size, sizes.lora_rank, sizes.lora_alpha
    subtitle = f"Figure 2 of the study, redrawn for a {_shape(d, d)} matrix at rank {r}; shapes are outputs × inputs"
    figure, axes = _canvas(4.2, f"Low-rank adaptation: {title}", subtitle)
    figure.set_label(
        f"A matrix of {d:,} × {d:,} has {d * d:,} parameters and its adapter of rank {r} {2 * d * r:,}; only "
        "the adapter is trained."
    )
    left, middle, right, wide, narrow = 1.35, 2.6, 3.85, 2.0, 0.5
    label: dict[str, Any] = {"size": 9, "linespacing": 1.5}
    note: dict[str, Any] = {"ha": "left", "linespacing": 1.4}
    _vector(axes, (middle, 0.15), wide, f"input $x$, {d:,} wide")
    for x in (left, right):
        _arrow(axes, (middle, 0.39), (middle, 0.65), (x, 0.65), (x, 0.95))
    _trapezoid(axes, (left, 0.95), (wide, wide), 2.1, GREY_BOX)
    _text(axes, (left, 2.0), "$W$, frozen", _shape(d, d), f"{d * d:,} parameters", **label)
    _trapezoid(axes, (right, 0.95), (wide, narrow), 0.9, ORANGE_BOX)
    _text(axes, (right, 1.4), "$A$", **label)
    _arrow(axes, (right, 1.85), (right, 2.15))
    _trapezoid(axes, (right, 2.15), (narrow, wide), 0.9, ORANGE_BOX)
    _text(axes, (right, 2.6), "$B$", **label)
    _text(axes, (right + 1.1, 2.6), "$B$, trained, starts at zero", _shape(d, r), f"{d * r:,} parameters", **note)
    _text(axes, (right + 0.15, 2.0), f"rank $r$ = {r}", **note)
    _text(axes, (right + 1.1, 1.4), "$A$, trained, starts random", _shape(r, d), f"{r * d:,} parameters", **note)
    both = f"{2 * d * r:,} parameters, {2 * r / d:.2%} of $W$"
    _text(axes, (right + 1.1, 0.5), "$A$ and $B$ together", both, **note)
    for x, side in ((left, -_RADIUS), (right, _RADIUS)):
        _arrow(axes, (x, 3.05), (x, 3.45), (middle + side, 3.45))
    _sum(axes, (middle, 3.45))
    _text(axes, (right + 0.1, 3.45), f"times $\\alpha / r$ = {alpha} / {r} = {alpha / r:g}", **note)
    _arrow(axes, (middle, 3.45 + _RADIUS), (middle, 3.9))
    _vector(axes, (middle, 3.9), wide, "$h = W x + (\\alpha / r)\\, B A x$")
    return figure


def _parameters_of_blocks(sizes: Dimensions) -> str:
    """The caption, which states the parameters of a block, of all blocks, and of the model."""
    embedding, *block, norm, head = [box.parameters for box in _boxes(sizes)]
    blocks = sizes.num_hidden_layers * sum(block)
    return (
        f"A block has {in_words(sum(block))} parameters, the {sizes.num_hidden_layers} blocks {in_words(blocks)} and "
        f"the model {in_words(embedding + blocks + norm + head)}."
    )


def _canvas(height: float, title: str, subtitle: str) -> tuple[Figure, Axes]:
    """Create a figure with empty axes from (0, 0) to (WIDTH, height), in inches."""
    figure = new_figure(height + 0.75, title, subtitle)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0.05 / (height + 0.75), 1, height / (height + 0.75)))
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def _boxes(sizes: Dimensions) -> list[_Box]:
    d, inner, vocabulary = sizes.hidden_size, sizes.intermediate_size, sizes.vocab_size
    key_value, shared = sizes.key_value_size, sizes.num_key_value_heads
    attention = [
        "Self-attention, causal, rotary positions",
        f"$W_Q$, $W_O$  {_shape(d, d)}",
        f"$W_K$, $W_V$  {_shape(key_value, d)}",
        f"GQA: {sizes.num_attention_heads} query heads share {shared} key/value heads of {sizes.head_size}",
    ]
    mlp = [
        "MLP",
        f"$W_{{gate}}$, $W_{{up}}$  {_shape(inner, d)}",
        f"$W_{{down}}$  {_shape(d, inner)}",
        "$W_{down}\\,(\\mathrm{SiLU}(W_{gate}\\,x) \\odot W_{up}\\,x)$",
    ]
    return [
        _Box(0.4, 0.46, GREY_BOX, vocabulary * d, ["Token embedding", _shape(vocabulary, d)]),
        _Box(1.5, 0.3, GREY_BOX, d, ["RMSNorm"]),
        _Box(2.0, 1.1, BLUE_BOX, 2 * d * (d + key_value), attention),
        _Box(3.9, 0.3, GREY_BOX, d, ["RMSNorm"]),
        _Box(4.4, 1.1, ORANGE_BOX, 3 * d * inner, mlp),
        _Box(6.35, 0.3, GREY_BOX, d, ["RMSNorm"]),
        _Box(6.85, 0.46, GREY_BOX, vocabulary * d, ["Language-model head", _shape(vocabulary, d)]),
    ]


def _draw_box(axes: Axes, box: _Box) -> None:
    """Draw a box on the residual stream, with its parameter count on the right."""
    corner = (_STREAM - _BOX_WIDTH / 2, box.bottom)
    axes.add_patch(FancyBboxPatch(corner, _BOX_WIDTH, box.height, _ROUNDED, facecolor=box.colour, **_OUTLINE))
    for number, line in enumerate(box.lines):
        y = box.bottom + 0.04 + (box.height - 0.08) * (1 - (number + 0.5) / len(box.lines))
        _text(axes, (_STREAM, y), line, weight="normal" if number else "bold")
    axes.text(_COUNTS, box.bottom + box.height / 2, f"{box.parameters:,} parameters", va="center", size=8, color=MUTED)


def _vector(axes: Axes, bottom: Point, width: float, text: str) -> None:
    """Draw a vector as a flat bar, as wide as the matrix that reads or writes it."""
    _trapezoid(axes, bottom, (width, width), 0.24, "white")
    _text(axes, (bottom[0], bottom[1] + 0.115), text)


def _trapezoid(axes: Axes, bottom: Point, widths: tuple[float, float], height: float, colour: str) -> None:
    """Draw a trapezoid centred on `bottom`, with the `widths` of its lower and its upper side."""
    (x, y), (below, above) = bottom, (width / 2 for width in widths)
    corners = [(x - below, y), (x + below, y), (x + above, y + height), (x - above, y + height)]
    axes.add_patch(Polygon(corners, facecolor=colour, **_OUTLINE))


def _sum(axes: Axes, centre: Point) -> None:
    axes.add_patch(Circle(centre, _RADIUS, facecolor="white", **_OUTLINE))
    axes.text(*centre, "+", ha="center", va="center_baseline", size=11)


def _text(axes: Axes, centre: Point, *lines: str, **style: Any) -> None:
    """Write lines that may contain formulas; `style` overrides the defaults."""
    defaults = {"ha": "center", "va": "center", "size": 8.5, "parse_math": True}
    axes.text(*centre, "\n".join(lines), **{**defaults, **style})


def _arrow(axes: Axes, *points: Point) -> None:
    """Draw a line through the points with an arrowhead at the last one."""
    axes.plot(*zip(*points, strict=True), color=INK, linewidth=1, solid_joinstyle="miter")
    head = {"arrowstyle": "-|>", "color": INK, "linewidth": 0, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 10}
    axes.annotate("", xy=points[-1], xytext=points[-2], arrowprops=head)


def _shape(outputs: int, inputs: int) -> str:
    return f"{outputs:,} × {inputs:,}"
