"""Exact attention over a packed stream, registered with transformers' `AttentionInterface`.

With `sdpa` and `eager`, samples of similar length become small padded blocks, computed by batched matrix products. With
`flash_attention_2`, on CUDA, one variable-length call computes the whole stream.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, PreTrainedModel

from baselines.packed.fused import dropout as apply_dropout
from baselines.packed.stream import Block, Blocks, Layout, Varlen
from baselines.training.hardware import Attention, Batching, has_flash_attn, matmul_dtype
from benchmark.errors import BenchmarkError

PACKED = "packed"
SUPPORTED = ("bert", "roberta", "llama")
"""Architectures for which tests show that packed losses and gradients equal the padded ones."""

States = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Query (tokens, heads, size), key and value (tokens, key heads, size); heads are a multiple of the key heads."""

Kernel = Callable[[States, Varlen, float, float], torch.Tensor]
"""(states, layout, scaling, dropout) -> (tokens, heads, size); a causal mask is aligned with the last key."""


@contextmanager
def packed_attention(network: PreTrainedModel) -> Iterator[None]:
    """Within this context, `network` takes a packed stream with its `layout` instead of padded batches."""
    # The public set_attn_implementation walks over all modules, which is too slow for every pass.
    padded = network.config._attn_implementation
    network.config._attn_implementation = PACKED
    try:
        yield
    finally:
        network.config._attn_implementation = padded


def loading_attention(attention: Attention) -> Attention:
    """The attention to load a network with; transformers accepts FlashAttention-2 only if flash-attn is installed."""
    return Attention.sdpa if attention is Attention.flash_attention_2 and not has_flash_attn() else attention


def check_supported(model_type: str, batching: Batching) -> None:
    """Raise for packed batching of an architecture that it was not tested with."""
    if batching is Batching.packed and model_type not in SUPPORTED:
        raise BenchmarkError(
            f"model.batching=packed supports {', '.join(SUPPORTED)}, not {model_type}.", "Set model.batching=padded."
        )


def attention_description(attention: Attention, batching: Batching) -> str:
    """How attention is computed in training, for the record."""
    if batching is Batching.padded:
        return attention.value
    if attention is Attention.flash_attention_2:
        return "packed, flash-attn" if has_flash_attn() else "packed, FlashAttention-2 of torch"
    return "packed, batched products"


def attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    scaling: float,
    dropout: float = 0.0,
    *,
    layout: Layout,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention with the signature of transformers: query (1, heads, tokens, size), key and value with key heads.

    Returns (1, tokens, heads, size), and no attention weights.
    """
    states = query[0].transpose(0, 1), key[0].transpose(0, 1), value[0].transpose(0, 1)
    if isinstance(layout, Blocks):
        return over_blocks(states, layout, scaling, dropout)[None], None
    return over_segments(states, layout, scaling, dropout, variable_length_kernel())[None], None


AttentionInterface.register(PACKED, attend)  # without a mask function, transformers creates no mask


def over_blocks(states: States, layout: Blocks, scaling: float, dropout: float) -> torch.Tensor:
    """(tokens, heads, size), computed block by block."""
    dtype = states[0].dtype
    query, key, value = (part.to(matmul_dtype(part)) for part in states)
    blocks = [_over_block((query, key, value), layout.prefix, block, scaling, dropout) for block in layout.blocks]
    return torch.cat(blocks).to(dtype)


def _over_block(states: States, prefix: int, block: Block, scaling: float, dropout: float) -> torch.Tensor:
    """(tokens of the block, heads, size). Key heads are the first dimension, so that the prefix needs one product."""
    query, key, value = states
    heads, size = query.shape[1:]
    key_heads = key.shape[1]
    groups = heads // key_heads  # query heads that share a key head
    samples, longest = block.samples, block.longest
    flat = (key_heads * samples, groups * longest)

    def padded(part: torch.Tensor) -> torch.Tensor:
        own = part[block.begin : block.end]
        empty = own.new_zeros(samples * longest, *own.shape[1:])
        return empty.index_copy_(0, block.slots, own).view(samples, longest, *own.shape[1:])

    queries = padded(query * scaling).view(samples, longest, key_heads, groups, size).permute(2, 0, 3, 1, 4)
    own_key, own_value = (padded(part).permute(2, 0, 1, 3).reshape(flat[0], longest, size) for part in (key, value))
    scores = torch.bmm(queries.reshape(*flat, size), own_key.transpose(1, 2))
    scores = scores.view(key_heads, samples, groups, longest, longest)
    scores.masked_fill_(~block.visible[:, None], float("-inf"))
    if block.begin < prefix or prefix == 0:  # nothing comes before
        weights = apply_dropout(scores.softmax(dim=-1), dropout)
        mixed = torch.bmm(weights.view(*flat, longest), own_value)
    else:
        before = torch.bmm(queries.reshape(key_heads, -1, size), key[:prefix].permute(1, 2, 0))
        scores = torch.cat((before.view(*scores.shape[:-1], prefix), scores), dim=-1)
        weights = apply_dropout(scores.softmax(dim=-1), dropout)
        mixed = torch.bmm(weights[..., :prefix].reshape(key_heads, -1, prefix), value[:prefix].transpose(0, 1))
        mixed = mixed.view(*flat, size) + torch.bmm(weights[..., prefix:].reshape(*flat, longest), own_value)
    mixed = mixed.view(key_heads, samples, groups, longest, size).permute(1, 3, 0, 2, 4)
    return mixed.reshape(samples * longest, heads, size).index_select(0, block.slots)


def over_segments(states: States, layout: Varlen, scaling: float, dropout: float, kernel: Kernel) -> torch.Tensor:
    """(tokens, heads, size), by one call of `kernel`; the prefix is repeated before the keys of each segment."""
    query, key, value = states
    if layout.keys is not None:
        key, value = key.index_select(0, layout.keys), value.index_select(0, layout.keys)
    return kernel((query, key, value), layout, scaling, dropout)


def variable_length_kernel() -> Kernel:
    """FlashAttention-2 of the flash-attn package if it is installed, else that of torch."""
    return _flash_attn_kernel if has_flash_attn() else _torch_kernel


def _flash_attn_kernel(states: States, layout: Varlen, scaling: float, dropout: float) -> torch.Tensor:
    from flash_attn import flash_attn_varlen_func  # can be installed with CUDA only

    mixed: torch.Tensor = flash_attn_varlen_func(
        *states, *layout.bounds, dropout_p=dropout, softmax_scale=scaling, causal=layout.causal
    )
    return mixed


def _torch_kernel(states: States, layout: Varlen, scaling: float, dropout: float) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    if dropout:
        raise NotImplementedError("torch's variable-length attention has no dropout")
    query, key, value = states
    window, grouped = (-1, 0) if layout.causal else (-1, -1), query.shape[1] != key.shape[1]
    mixed = varlen_attn(query, key, value, *layout.bounds, scale=scaling, window_size=window, enable_gqa=grouped)
    assert isinstance(mixed, torch.Tensor)
    return mixed
