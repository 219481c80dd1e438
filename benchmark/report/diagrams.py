"""The study's two schematic figures redrawn, with a real model's dimensions written in.

Both are drawn on an empty axes whose unit is the inch. Matrix shapes are outputs × inputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Polygon

from benchmark.interface import ModelCard
from benchmark.report.style import INK, MUTED, WIDTH, house_style, sheet

_BLUE = "#c6dcec"
_ORANGE = "#f6cf80"
_GREY = "#e6e6e6"
_FRAME = "#f8f8f8"

_STREAM = 2.95  # the residual stream, up the middle of the boxes; inches from the left
_BYPASS = 0.75  # the paths around attention and MLP
_BOX = 3.5  # width of a box
_NOTES = 4.85  # parameter counts, right of the boxes
_RADIUS = 0.12  # of a sum's circle

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
        """Width of all keys, or all values: less than the queries' where query heads share them."""
        return self.head_size * self.num_key_value_heads


@house_style()
def decoder_block(title: str, sizes: Dimensions) -> Figure:
    """One pre-normalisation decoder layer within its model; data flows upwards."""
    subtitle = "Figure 1 of the study, redrawn: pre-normalisation; matrix shapes are outputs × inputs"
    figure, axes = _canvas(7.7, f"Decoder block: {title}", subtitle)
    d, vocabulary = sizes.hidden_size, sizes.vocab_size
    _frame(axes, 1.05, 6.1, f"× {sizes.num_hidden_layers} layers")
    _caption(axes, 0.08, "token ids")
    _flow(axes, (_STREAM, 0.18), (_STREAM, 0.4))
    _box(axes, 0.4, 0.46, ["Token embedding", _shape(vocabulary, d)], _GREY, vocabulary * d)
    _flow(axes, (_STREAM, 0.86), (_STREAM, 1.3), head=False)
    _sublayer(axes, 1.3, d, _attention(sizes), _BLUE, 2 * d * (d + sizes.key_value_size))
    _flow(axes, (_STREAM, 3.54), (_STREAM, 3.7), head=False)
    _sublayer(axes, 3.7, d, _mlp(sizes), _ORANGE, 3 * d * sizes.intermediate_size)
    _flow(axes, (_STREAM, 5.94), (_STREAM, 6.35))
    _box(axes, 6.35, 0.3, ["RMSNorm"], _GREY, d)
    _flow(axes, (_STREAM, 6.65), (_STREAM, 6.85))
    _box(axes, 6.85, 0.46, ["Language-model head", _shape(vocabulary, d)], _GREY, vocabulary * d)
    _flow(axes, (_STREAM, 7.31), (_STREAM, 7.53))
    _caption(axes, 7.61, "logits of the next token")
    return figure


@house_style()
def lora(title: str, sizes: Dimensions) -> Figure:
    """A frozen d × d matrix beside its adapter, B after A, with their numbers of parameters."""
    d, r, alpha = sizes.hidden_size, sizes.lora_rank, sizes.lora_alpha
    subtitle = f"Figure 2 of the study, redrawn for a {_shape(d, d)} matrix at rank {r}; shapes are outputs × inputs"
    figure, axes = _canvas(4.2, f"Low-rank adaptation: {title}", subtitle)
    left, middle, right, wide, narrow = 1.35, 2.6, 3.85, 2.0, 0.5
    _vector(axes, (middle, 0.15), wide, f"input $x$, {d:,} wide")
    for x in (left, right):
        _flow(axes, (middle, 0.39), (middle, 0.65), (x, 0.65), (x, 0.95))
    _matrix(axes, (left, 0.95), (wide, wide), 2.1, _GREY, "$W$, frozen", _shape(d, d), f"{d * d:,} parameters")
    _matrix(axes, (right, 0.95), (wide, narrow), 0.9, _ORANGE, "$A$")
    _flow(axes, (right, 1.85), (right, 2.15))
    _matrix(axes, (right, 2.15), (narrow, wide), 0.9, _ORANGE, "$B$")
    _note(axes, right + 1.1, 2.6, "$B$, trained, starts at zero", _shape(d, r), f"{d * r:,} parameters")
    _note(axes, right + 0.15, 2.0, f"rank $r$ = {r}")
    _note(axes, right + 1.1, 1.4, "$A$, trained, starts random", _shape(r, d), f"{r * d:,} parameters")
    _note(axes, right + 1.1, 0.5, "$A$ and $B$ together", f"{2 * d * r:,} parameters, {2 * r / d:.2%} of $W$")
    for x, side in ((left, -_RADIUS), (right, _RADIUS)):
        _flow(axes, (x, 3.05), (x, 3.45), (middle + side, 3.45))
    _sum(axes, (middle, 3.45))
    _note(axes, right + 0.1, 3.45, f"times $\\alpha / r$ = {alpha} / {r} = {alpha / r:g}")
    _flow(axes, (middle, 3.45 + _RADIUS), (middle, 3.9))
    _vector(axes, (middle, 3.9), wide, "$h = W x + (\\alpha / r)\\, B A x$")
    return figure


def _attention(sizes: Dimensions) -> list[str]:
    d, key_value, shared = sizes.hidden_size, sizes.key_value_size, sizes.num_key_value_heads
    return [
        "Self-attention, causal, rotary positions",
        f"$W_Q$, $W_O$  {_shape(d, d)}",
        f"$W_K$, $W_V$  {_shape(key_value, d)}",
        f"GQA: {sizes.num_attention_heads} query heads share {shared} key/value heads of {sizes.head_size}",
    ]


def _mlp(sizes: Dimensions) -> list[str]:
    d, inner = sizes.hidden_size, sizes.intermediate_size
    return [
        "MLP",
        f"$W_{{gate}}$, $W_{{up}}$  {_shape(inner, d)}",
        f"$W_{{down}}$  {_shape(d, inner)}",
        "$W_{down}\\,(\\mathrm{SiLU}(W_{gate}\\,x) \\odot W_{up}\\,x)$",
    ]


def _sublayer(axes: Axes, bottom: float, d: int, lines: Sequence[str], colour: str, parameters: int) -> None:
    """RMSNorm, then attention or MLP, then the sum with what bypassed both; the paths part at `bottom`."""
    norm, body, total = bottom + 0.2, bottom + 0.7, bottom + 2.12
    _flow(axes, (_STREAM, bottom), (_STREAM, norm))
    _box(axes, norm, 0.3, ["RMSNorm"], _GREY, d)
    _flow(axes, (_STREAM, norm + 0.3), (_STREAM, body))
    _box(axes, body, 1.1, lines, colour, parameters)
    _flow(axes, (_STREAM, body + 1.1), (_STREAM, total - _RADIUS))
    _sum(axes, (_STREAM, total))
    _flow(axes, (_STREAM, bottom), (_BYPASS, bottom), (_BYPASS, total), (_STREAM - _RADIUS, total))


def _canvas(height: float, title: str, subtitle: str) -> tuple[Figure, Axes]:
    """A sheet with an axes over its whole width, (0, 0) to (WIDTH, height), in inches."""
    figure = sheet(height + 0.75, title, subtitle)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0.05 / (height + 0.75), 1, height / (height + 0.75)))
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def _frame(axes: Axes, bottom: float, top: float, text: str) -> None:
    axes.add_patch(_rounded(0.45, bottom, 6.15, top - bottom, _FRAME, edge=MUTED, dashes="--"))
    axes.text(6.5, top - 0.12, text, ha="right", va="top", weight="bold", size=10)


def _box(axes: Axes, bottom: float, height: float, lines: Sequence[str], colour: str, parameters: int) -> None:
    """A box on the stream, its heading in bold, with its number of parameters at the right."""
    axes.add_patch(_rounded(_STREAM - _BOX / 2, bottom, _BOX, height, colour))
    for number, line in enumerate(lines):
        y = bottom + 0.04 + (height - 0.08) * (1 - (number + 0.5) / len(lines))
        axes.text(
            _STREAM, y, line, ha="center", va="center", weight="normal" if number else "bold", size=8.5, parse_math=True
        )
    axes.text(_NOTES, bottom + height / 2, f"{parameters:,} parameters", va="center", size=8, color=MUTED)


def _caption(axes: Axes, y: float, text: str) -> None:
    axes.text(_STREAM, y, text, ha="center", va="center", size=8.5, parse_math=True)


def _rounded(x: float, y: float, width: float, height: float, face: str, edge: str = INK, dashes: str = "-") -> Any:
    style = "round,pad=0,rounding_size=0.06"
    return FancyBboxPatch((x, y), width, height, style, facecolor=face, edgecolor=edge, linewidth=0.9, linestyle=dashes)


def _vector(axes: Axes, bottom: Point, width: float, text: str) -> None:
    """A flat bar centred on the point `bottom`, as wide as the matrix that reads or writes it."""
    x, y = bottom
    axes.add_patch(Polygon(_trapezoid(x, y, width, width, 0.24), facecolor="white", edgecolor=INK, linewidth=0.9))
    axes.text(x, y + 0.115, text, ha="center", va="center", size=8.5, parse_math=True)


def _matrix(axes: Axes, bottom: Point, widths: tuple[float, float], height: float, colour: str, *lines: str) -> None:
    """A trapezoid as wide below as the input and above as the output, centred on the point `bottom`."""
    x, y = bottom
    axes.add_patch(Polygon(_trapezoid(x, y, *widths, height), facecolor=colour, edgecolor=INK, linewidth=0.9))
    axes.text(x, y + height / 2, "\n".join(lines), ha="center", va="center", size=9, linespacing=1.5, parse_math=True)


def _trapezoid(x: float, y: float, below: float, above: float, height: float) -> list[Point]:
    return [(x - below / 2, y), (x + below / 2, y), (x + above / 2, y + height), (x - above / 2, y + height)]


def _note(axes: Axes, x: float, y: float, *lines: str) -> None:
    axes.text(x, y, "\n".join(lines), va="center", size=8.5, linespacing=1.4, parse_math=True)


def _sum(axes: Axes, centre: Point) -> None:
    axes.add_patch(Circle(centre, _RADIUS, facecolor="white", edgecolor=INK, linewidth=0.9))
    axes.text(*centre, "+", ha="center", va="center_baseline", size=11)


def _flow(axes: Axes, *points: Point, head: bool = True) -> None:
    """A line through the points, ending in an arrow unless `head` is False."""
    axes.plot(*zip(*points, strict=True), color=INK, linewidth=1, solid_joinstyle="miter")
    if head:
        arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 0, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 10}
        axes.annotate("", xy=points[-1], xytext=points[-2], arrowprops=arrow)


def _shape(outputs: int, inputs: int) -> str:
    return f"{outputs:,} × {inputs:,}"
