"""Attention over a packed stream, plugged into transformers' `AttentionInterface`.

Under `sdpa` and `eager`, samples of similar length become small padded blocks and plain batched products; under
`flash_attention_2`, on CUDA, one call takes the whole stream. Both are exact attention.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, PreTrainedModel

from baselines.packed.dropout import dropout as drop
from baselines.packed.stream import Block, Blocks, Layout, Varlen
from baselines.training.hardware import Attention, Batching, has_flash_attn, product_type
from benchmark.errors import BenchmarkError

PACKED = "packed"
PROVEN = ("bert", "roberta", "llama")
"""Architectures whose packed losses and gradients the tests hold against the padded ones."""


@contextmanager
def packed_attention(network: PreTrainedModel) -> Iterator[None]:
    """Within, `network` takes a packed stream and its `layout`; outside, ordinary padded batches."""
    usual = network.config._attn_implementation
    network.config._attn_implementation = PACKED
    try:
        yield
    finally:
        network.config._attn_implementation = usual


def usual(attention: Attention) -> Attention:
    """What a network is loaded with: transformers wants flash-attn itself; torch's kernel serves streams only."""
    return Attention.sdpa if attention is Attention.flash_attention_2 and not has_flash_attn() else attention


def check(model_type: str, batching: Batching) -> None:
    """Raise for an architecture nobody has shown to be the same packed; it trains padded."""
    if batching is Batching.packed and model_type not in PROVEN:
        raise BenchmarkError(
            f"model.batching=packed is proven for {', '.join(PROVEN)}, not for {model_type}; set model.batching=padded."
        )


def description(attention: Attention, batching: Batching) -> str:
    """What computes attention in training, for the record."""
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
    """As transformers calls it: query (1, heads, tokens, size), key and value (1, key heads, tokens, size).

    Returns (1, tokens, heads, size), and no weights.
    """
    query, key, value = (states[0].transpose(0, 1) for states in (query, key, value))
    if isinstance(layout, Blocks):
        return over_blocks(query, key, value, layout, scaling, dropout)[None], None
    return over_segments(query, key, value, layout, scaling, dropout, variable_length_kernel())[None], None


AttentionInterface.register(PACKED, attend)  # transformers makes no mask for a kind of attention that names none


def over_blocks(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Blocks, scaling: float, dropout: float
) -> torch.Tensor:
    """All (tokens, heads, size), `query` with a multiple of the others' heads; block by block."""
    kind = product_type(query)
    wide = (query.to(kind), key.to(kind), value.to(kind))
    return torch.cat([_over_block(*wide, layout.prefix, block, scaling, dropout) for block in layout.blocks]).to(
        query.dtype
    )


def _over_block(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    prefix: int,
    block: Block,
    scaling: float,
    dropout: float,
) -> torch.Tensor:
    """(tokens of the block, heads, size). Key heads come first, so that the prefix needs one product each."""
    heads, size = query.shape[1:]
    key_heads = key.shape[1]
    groups = heads // key_heads  # query heads that share a key head
    samples, longest = block.samples, block.longest
    flat = (key_heads * samples, groups * longest)

    def padded(states: torch.Tensor) -> torch.Tensor:
        own = states[block.begin : block.end]
        empty = own.new_zeros(samples * longest, *own.shape[1:])
        return empty.index_copy_(0, block.slots, own).view(samples, longest, *own.shape[1:])

    queries = padded(query * scaling).view(samples, longest, key_heads, groups, size).permute(2, 0, 3, 1, 4)
    own_key, own_value = (padded(states).permute(2, 0, 1, 3).reshape(flat[0], longest, size) for states in (key, value))
    scores = torch.bmm(queries.reshape(*flat, size), own_key.transpose(1, 2))
    scores = scores.view(key_heads, samples, groups, longest, longest)
    scores.masked_fill_(~block.visible[:, None], float("-inf"))
    if block.begin < prefix or prefix == 0:  # nothing stands before
        weights = drop(scores.softmax(dim=-1), dropout)
        mixed = torch.bmm(weights.view(*flat, longest), own_value)
    else:
        before = torch.bmm(queries.reshape(key_heads, -1, size), key[:prefix].permute(1, 2, 0))
        scores = torch.cat((before.view(*scores.shape[:-1], prefix), scores), dim=-1)
        weights = drop(scores.softmax(dim=-1), dropout)
        mixed = torch.bmm(weights[..., :prefix].reshape(key_heads, -1, prefix), value[:prefix].transpose(0, 1))
        mixed = mixed.view(*flat, size) + torch.bmm(weights[..., prefix:].reshape(*flat, longest), own_value)
    mixed = mixed.view(key_heads, samples, groups, longest, size).permute(1, 3, 0, 2, 4)
    return mixed.reshape(samples * longest, heads, size).index_select(0, block.slots)


Kernel = Callable[..., torch.Tensor]
"""(query, key, value, layout, scaling, dropout) -> (tokens, heads, size); causal masks end at the last key."""


def over_segments(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    layout: Varlen,
    scaling: float,
    dropout: float,
    kernel: Kernel,
) -> torch.Tensor:
    """All (tokens, heads, size); one call, each segment's keys with the prefix gathered before them."""
    if layout.keys is not None:
        key, value = key.index_select(0, layout.keys), value.index_select(0, layout.keys)
    return kernel(query, key, value, layout, scaling, dropout)


def variable_length_kernel() -> Kernel:
    """FlashAttention-2: from the flash-attn package where it is installed, else the one within torch."""
    return _flash_attn_package if has_flash_attn() else _torch_varlen


def _flash_attn_package(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Varlen, scaling: float, dropout: float
) -> torch.Tensor:
    from flash_attn import flash_attn_varlen_func  # exists on machines with CUDA only

    mixed: torch.Tensor = flash_attn_varlen_func(
        query,
        key,
        value,
        *layout.bounds,
        dropout_p=dropout,
        softmax_scale=scaling,
        causal=layout.causal,
    )
    return mixed


def _torch_varlen(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Varlen, scaling: float, dropout: float
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    if dropout:
        raise NotImplementedError("torch's variable-length attention has no dropout")
    mixed = varlen_attn(
        query,
        key,
        value,
        *layout.bounds,
        scale=scaling,
        window_size=(-1, 0) if layout.causal else (-1, -1),
        enable_gqa=query.shape[1] != key.shape[1],
    )
    assert isinstance(mixed, torch.Tensor)
    return mixed
