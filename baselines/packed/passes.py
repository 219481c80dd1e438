"""One forward pass of a decoder over some sequences: as one packed stream, or padded to the longest."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from torch.nn.utils.rnn import pad_sequence
from transformers import BatchEncoding

from baselines.packed.attention import packed_attention
from baselines.packed.stream import Stream, pack


def packed_states(
    network: PeftModel, sequences: Sequence[list[int]], reads: Sequence[range], varlen: bool, device: torch.device
) -> torch.Tensor:
    """(reads, hidden): the last hidden states at the positions to read, in one packed pass."""
    stream = pack(sequences, reads, causal=True, varlen=varlen).to(device)
    base = network.get_base_model()
    body = base.base_model
    with packed_attention(base), _last_mlp_where_read(body.layers[-1].mlp, stream):
        states = body(
            input_ids=stream.input_ids, position_ids=stream.position_ids, layout=stream.layout, use_cache=False
        ).last_hidden_state
    read: torch.Tensor = states[0, stream.read]
    return read


def last_tokens(sequences: Sequence[list[int]]) -> list[range]:
    """What to read of each sequence when only its last token matters."""
    return [range(len(ids) - 1, len(ids)) for ids in sequences]


def padded(sequences: Sequence[list[int]], filler: int, side: str) -> BatchEncoding:
    """A batch: padded on the left, its last column holds every last token; on the right, as training usually has it."""

    def filled(rows: list[torch.Tensor], value: int) -> torch.Tensor:
        return pad_sequence(rows, batch_first=True, padding_value=value, padding_side=side)

    ids = [torch.tensor(sequence) for sequence in sequences]
    return BatchEncoding(
        {"input_ids": filled(ids, filler), "attention_mask": filled([torch.ones_like(row) for row in ids], 0)}
    )


@contextmanager
def _last_mlp_where_read(mlp: Any, stream: Stream) -> Iterator[None]:
    """Behind the last attention every token stands alone: compute the last MLP only for tokens that are read."""

    def everywhere(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        return output.new_zeros(1, stream.input_ids.shape[1], output.shape[-1]).index_copy_(1, stream.read, output)

    handles = [
        mlp.register_forward_pre_hook(lambda _, states: states[0][:, stream.read]),
        mlp.register_forward_hook(everywhere),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
