"""One forward pass of a decoder over some sequences: as one packed stream, or padded to the longest."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from transformers import BatchEncoding

from baselines.attention import packed_attention
from baselines.packing import Stream, pack


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


def padded_left(sequences: Sequence[list[int]], filler: int) -> BatchEncoding:
    """A batch whose last column holds every sequence's last token."""
    longest = max(map(len, sequences))
    ids = torch.tensor([[filler] * (longest - len(s)) + s for s in sequences])
    mask = torch.tensor([[0] * (longest - len(s)) + [1] * len(s) for s in sequences])
    return BatchEncoding({"input_ids": ids, "attention_mask": mask})


def padded_right(sequences: Sequence[list[int]], filler: int) -> BatchEncoding:
    """A batch whose first column holds every sequence's first token, as training usually has it."""
    longest = max(map(len, sequences))
    ids = torch.tensor([s + [filler] * (longest - len(s)) for s in sequences])
    mask = torch.tensor([[1] * len(s) + [0] * (longest - len(s)) for s in sequences])
    return BatchEncoding({"input_ids": ids, "attention_mask": mask})


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
