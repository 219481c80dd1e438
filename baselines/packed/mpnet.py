"""Packed attention of MPNet, which adds a learned bias of relative positions and takes no `AttentionInterface`.

Song et al., 2020, "MPNet: Masked and Permuted Pre-training for Language Understanding".
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from transformers import PreTrainedModel

from baselines.packed.attention import Options, over_blocks
from baselines.packed.stream import Blocks


@dataclass(frozen=True)
class Bias:
    """The blocks of a stream and the bias of the longest one, which every layer of a pass needs."""

    layout: Blocks
    values: torch.Tensor  # (heads, longest, longest)


@contextmanager
def packed_relative_attention(network: PreTrainedModel, layout: Blocks) -> Iterator[None]:
    """Let the layers of `network` attend over the blocks of `layout`."""
    encoder = network.base_model.encoder
    layers = [layer.attention.attn for layer in encoder.layer]
    encoder.compute_position_bias = partial(_bias, encoder, layout)
    for layer in layers:
        layer.forward = partial(_attend, layer)
    try:
        yield
    finally:
        del encoder.compute_position_bias  # which uncovers the method of the class
        for layer in layers:
            del layer.forward


def _bias(encoder: Any, layout: Blocks, states: torch.Tensor) -> Bias:
    longest = max(block.longest for block in layout.blocks)
    values: torch.Tensor = type(encoder).compute_position_bias(encoder, states.new_empty(1, longest))
    return Bias(layout, values[0])


def _attend(layer: Any, states: torch.Tensor, mask: None, position_bias: Bias, **_: Any) -> tuple[torch.Tensor]:
    """Attention of one layer, (1, tokens, hidden), as MPNetSelfAttention.forward returns it."""
    query, key, value = (
        product(states)[0].unflatten(-1, (layer.num_attention_heads, layer.attention_head_size))
        for product in (layer.q, layer.k, layer.v)
    )
    dropout = layer.dropout.p if layer.training else 0.0
    options = Options(layer.attention_head_size**-0.5, dropout, bias=position_bias.values)
    mixed = over_blocks((query, key, value), position_bias.layout, options)
    return (layer.o(mixed.flatten(1))[None],)
