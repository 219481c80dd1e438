"""Exact attention over a packed stream, registered with transformers' `AttentionInterface`.

With `sdpa` and `eager`, samples of similar length become small padded blocks, computed by batched matrix products. With
`flash_attention_2`, on CUDA, one variable-length call computes the whole stream.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from inspect import signature
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, PreTrainedModel

from baselines.compute.hardware import Attention, Batching, Computation, has_flash_attn, matmul_dtype
from baselines.packed.functions import Rotation
from baselines.packed.functions import dropout as apply_dropout
from baselines.packed.stream import Block, Blocks, Layout, Varlen
from baselines.weights.families import ROTATED_BY_HALVES, SUPPORTED, supports_packing
from benchmark.errors import BenchmarkError

PACKED = "packed"
States = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Query (tokens, heads, size), key and value (tokens, key heads, size); heads are a multiple of the key heads."""


@dataclass(frozen=True)
class Options:
    """Options of the step from scores to weights."""

    scaling: float
    dropout: float = 0.0
    window: int | None = None  # a query attends to keys at a distance below this
    bias: torch.Tensor | None = None  # (heads, longest, longest) added to the scores of own keys


Kernel = Callable[[States, Varlen, Options], torch.Tensor]
"""(states, layout, options) -> (tokens, heads, size); a causal mask is aligned with the last key."""


@contextmanager
def packed_attention(network: PreTrainedModel) -> Iterator[None]:
    """Let `network` take a packed stream with its `layout` instead of padded batches."""
    # The public set_attn_implementation walks over all modules, which is too slow for every pass.
    padded = network.config._attn_implementation
    network.config._attn_implementation = PACKED
    try:
        with _fast_rotation(network):
            yield
    finally:
        network.config._attn_implementation = padded


@contextmanager
def _fast_rotation(network: PreTrainedModel) -> Iterator[None]:
    """Let transformers' modules that rotate queries and keys by `rotate_half` do it in one kernel each way, on CUDA."""
    names = vars(sys.modules[type(network).__module__])
    if network.config.model_type not in ROTATED_BY_HALVES or network.device.type != "cuda":
        yield
        return
    of_transformers = names["apply_rotary_pos_emb"]
    names["apply_rotary_pos_emb"] = _rotate
    try:
        yield
    finally:
        names["apply_rotary_pos_emb"] = of_transformers


def _rotate(
    query: torch.Tensor, key: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, unsqueeze_dim: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotate query and key by their positions; the signature is that of transformers' function."""
    cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
    turned: tuple[torch.Tensor, torch.Tensor] = Rotation.apply(query, key, cos, sin)  # type: ignore[no-untyped-call]
    return turned


def loading_attention(attention: Attention) -> Attention:
    """The attention to load a network with; transformers accepts FlashAttention-2 only if flash-attn is installed."""
    return Attention.sdpa if attention is Attention.flash_attention_2 and not has_flash_attn() else attention


def check_supported(architecture: Mapping[str, Any], batching: Batching) -> None:
    """Raise for packed batching of an architecture that it was not tested with."""
    if batching is not Batching.packed or supports_packing(architecture):
        return
    model_type = architecture["model_type"]
    problem = f"model.batching=packed supports {', '.join(SUPPORTED)}, not {model_type}."
    if model_type in SUPPORTED:
        problem = f"model.batching=packed supports {model_type} with causal attention and logits without a cap only."
    raise BenchmarkError(problem, "Set model.batching=padded.")


def resolve_batching(architecture: Mapping[str, Any], batching: Batching) -> Batching:
    """Replace `auto` by packed for every architecture that was tested with it, and by padded for the others."""
    if batching is not Batching.auto:
        return batching
    return Batching.packed if supports_packing(architecture) else Batching.padded


def attention_description(network: Any, computation: Computation) -> str:
    """A description of the attention in training, for the record."""
    if computation.packed:
        if not computation.varlen:
            return "packed, batched products"
        return "packed, flash-attn" if has_flash_attn() else "packed, FlashAttention-2 of torch"
    if computation.attention is Attention.auto:
        return str(network.config._attn_implementation)  # transformers has no public name for what it chose
    return computation.attention.value


def attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    scaling: float,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    *,
    layout: Layout,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention with the signature of transformers: query (1, heads, tokens, size), key and value with key heads.

    Returns (1, tokens, heads, size), and no attention weights.
    """
    states = query[0].transpose(0, 1), key[0].transpose(0, 1), value[0].transpose(0, 1)
    options = Options(scaling, dropout, sliding_window)
    if isinstance(layout, Blocks):
        return over_blocks(states, layout, options)[None], None
    return over_segments(states, layout, options, variable_length_kernel())[None], None


AttentionInterface.register(PACKED, attend)  # without a mask function, transformers creates no mask


def over_blocks(states: States, layout: Blocks, options: Options) -> torch.Tensor:
    """Attention computed block by block: (tokens, heads, size)."""
    dtype = states[0].dtype
    query, key, value = (part.to(matmul_dtype(part)) for part in states)
    blocks = [_over_block((query, key, value), layout.prefix, block, options) for block in layout.blocks]
    return torch.cat(blocks).to(dtype)


def _over_block(states: States, prefix: int, block: Block, options: Options) -> torch.Tensor:
    """Attention of one block, (tokens of the block, heads, size).

    Key heads are the first dimension, so that the prefix needs one product.
    """
    query, key, value = states
    heads, size = query.shape[1:]
    key_heads = key.shape[1]
    groups = heads // key_heads  # query heads that share a key head
    samples, longest = block.samples, block.longest
    flat = (key_heads * samples, groups * longest)

    def pad(part: torch.Tensor) -> torch.Tensor:
        tokens = part[block.begin : block.end]
        empty = tokens.new_zeros(samples * longest, *tokens.shape[1:])
        return empty.index_copy_(0, block.slots, tokens).view(samples, longest, *tokens.shape[1:])

    queries = pad(query * options.scaling).view(samples, longest, key_heads, groups, size).permute(2, 0, 3, 1, 4)
    own_key, own_value = (pad(part).permute(2, 0, 1, 3).reshape(flat[0], longest, size) for part in (key, value))
    scores = _own_scores(queries, own_key, block, options)
    if block.begin < prefix or prefix == 0:  # nothing comes before
        weights = apply_dropout(scores.softmax(dim=-1), options.dropout)
        mixed = torch.bmm(weights.view(*flat, longest), own_value)
    else:
        scores = torch.cat((_prefix_scores(queries, key[:prefix], block, options), scores), dim=-1)
        weights = apply_dropout(scores.softmax(dim=-1), options.dropout)
        mixed = torch.bmm(weights[..., :prefix].reshape(key_heads, -1, prefix), value[:prefix].transpose(0, 1))
        mixed = mixed.view(*flat, size) + torch.bmm(weights[..., prefix:].reshape(*flat, longest), own_value)
    mixed = mixed.view(key_heads, samples, groups, longest, size).permute(1, 3, 0, 2, 4)
    return mixed.reshape(samples * longest, heads, size).index_select(0, block.slots)


def _own_scores(queries: torch.Tensor, own_key: torch.Tensor, block: Block, options: Options) -> torch.Tensor:
    """Scores of the keys of the same sample: (key heads, samples, groups, queries, keys)."""
    key_heads, samples, groups, longest, size = queries.shape
    products = torch.bmm(queries.reshape(key_heads * samples, groups * longest, size), own_key.transpose(1, 2))
    scores = products.view(key_heads, samples, groups, longest, longest)
    if options.bias is not None:
        scores += options.bias.view(key_heads, 1, groups, *options.bias.shape[1:])[..., :longest, :longest]
    return scores.masked_fill_(~_visible(block, options.window)[:, None], float("-inf"))


def _prefix_scores(queries: torch.Tensor, key: torch.Tensor, block: Block, options: Options) -> torch.Tensor:
    """Scores of the keys of the prefix, which come before: (key heads, samples, groups, queries, prefix)."""
    prefix, key_heads, size = key.shape
    scores = torch.bmm(queries.reshape(key_heads, -1, size), key.permute(1, 2, 0)).view(*queries.shape[:-1], prefix)
    if options.window is not None and prefix + block.longest > options.window:
        distance = prefix + _positions(block)[:, None] - torch.arange(prefix, device=scores.device)
        scores.masked_fill_(distance >= options.window, float("-inf"))
    return scores


def _visible(block: Block, window: int | None) -> torch.Tensor:
    """A mask of the keys that each query of the block attends to; broadcasts to (samples, queries, keys)."""
    if window is None or block.longest <= window:
        return block.visible
    slot = _positions(block)
    distance = (slot[:, None] - slot).abs()
    seen = block.visible | (distance == 0)  # padding sees itself, since softmax of nothing is NaN
    return seen & (distance < window)


def _positions(block: Block) -> torch.Tensor:
    return torch.arange(block.longest, device=block.slots.device)


def over_segments(states: States, layout: Varlen, options: Options, kernel: Kernel) -> torch.Tensor:
    """Attention by one call of `kernel`, (tokens, heads, size).

    The prefix is repeated before the keys of each segment.
    """
    query, key, value = states
    if layout.keys is not None:
        key, value = key.index_select(0, layout.keys), value.index_select(0, layout.keys)
    return kernel((query, key, value), layout, options)


def variable_length_kernel() -> Kernel:
    """FlashAttention-2 of the flash-attn package if it is installed, else that of torch."""
    return _flash_attn_kernel if has_flash_attn() else _torch_kernel


def _window(layout: Varlen, options: Options) -> tuple[int, int]:
    """The numbers of keys that a query sees to its left and right; -1 means all."""
    reach = -1 if options.window is None or layout.most_keys <= options.window else options.window - 1
    return reach, 0 if layout.causal else reach


def _flash_attn_kernel(states: States, layout: Varlen, options: Options) -> torch.Tensor:
    from flash_attn import flash_attn_varlen_func  # can be installed with CUDA only

    mixed: torch.Tensor = flash_attn_varlen_func(
        *states,
        *layout.bounds,
        dropout_p=options.dropout,
        softmax_scale=options.scaling,
        causal=layout.causal,
        window_size=_window(layout, options),
    )
    return mixed


def _torch_kernel(states: States, layout: Varlen, options: Options) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    if options.dropout:
        raise NotImplementedError("torch's variable-length attention has no dropout")
    query, key, value = states
    grouped = query.shape[1] != key.shape[1] and _grouping_is_an_option()
    options_of_torch: dict[str, Any] = {"scale": options.scaling, "window_size": _window(layout, options)}
    if grouped:
        options_of_torch["enable_gqa"] = True
    mixed = varlen_attn(query, key, value, *layout.bounds, **options_of_torch)
    assert isinstance(mixed, torch.Tensor)
    return mixed


@cache
def _grouping_is_an_option() -> bool:
    """Whether torch must be told that query heads share key heads; version 2.11 must not."""
    from torch.nn.attention.varlen import varlen_attn

    return "enable_gqa" in signature(varlen_attn).parameters
