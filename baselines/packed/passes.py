"""Forward passes of encoders and decoders over a packed stream, and padded batches of decoders."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from torch.nn.utils.rnn import pad_sequence
from torch.utils.hooks import RemovableHandle
from transformers import BatchEncoding, PreTrainedModel

from baselines.packed.attention import packed_attention
from baselines.packed.stream import Stream, pack


def decoder_states(
    network: PeftModel | PreTrainedModel,
    sequences: Sequence[list[int]],
    reads: Sequence[range],
    varlen: bool,
    device: torch.device,
) -> torch.Tensor:
    """(reads, hidden): the last hidden states at the positions to read. The last MLP computes only those."""
    stream = pack(sequences, reads, causal=True, varlen=varlen).to(device)
    base = without_adapter(network)
    body = base.base_model
    mlp = body.layers[-1].mlp

    def scatter(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        return output.new_zeros(1, stream.input_ids.shape[1], output.shape[-1]).index_copy_(1, stream.read, output)

    select = mlp.register_forward_pre_hook(lambda _, states: states[0][:, stream.read])
    with packed_attention(base), _temporary(select, mlp.register_forward_hook(scatter)):
        states: torch.Tensor = body(**_inputs(stream), use_cache=False).last_hidden_state
    return states[0, stream.read]


def encoder_states(
    network: PreTrainedModel, sequences: Sequence[list[int]], varlen: bool, first_position: int, device: torch.device
) -> torch.Tensor:
    """(sequences, 1, hidden): the last hidden states of the first tokens. After attention, the last layer computes
    only those.
    """
    reads = [range(1)] * len(sequences)
    stream = pack(sequences, reads, causal=False, varlen=varlen, first_position=first_position).to(device)
    body = network.base_model
    select = body.encoder.layer[-1].attention.output.register_forward_pre_hook(
        lambda _, states: tuple(state[:, stream.read] for state in states)
    )
    with packed_attention(network), _temporary(select):
        states: torch.Tensor = body(**_inputs(stream)).last_hidden_state
    return states.transpose(0, 1)


def without_adapter(network: PeftModel | PreTrainedModel) -> PreTrainedModel:
    """The network of transformers, whose layers contain the adapter if there is one."""
    return network.get_base_model() if isinstance(network, PeftModel) else network


def last_tokens(sequences: Sequence[list[int]]) -> list[range]:
    """The positions to read if only the last token of each sequence matters."""
    return [range(len(ids) - 1, len(ids)) for ids in sequences]


def padded(sequences: Sequence[list[int]], filler: int, side: str) -> BatchEncoding:
    """A batch padded on the `side` "left", where its last column contains every last token, or on the "right"."""

    def filled(rows: list[torch.Tensor], value: int) -> torch.Tensor:
        return pad_sequence(rows, batch_first=True, padding_value=value, padding_side=side)

    ids = [torch.tensor(sequence) for sequence in sequences]
    return BatchEncoding(
        {"input_ids": filled(ids, filler), "attention_mask": filled([torch.ones_like(row) for row in ids], 0)}
    )


def _inputs(stream: Stream) -> dict[str, Any]:
    return {"input_ids": stream.input_ids, "position_ids": stream.position_ids, "layout": stream.layout}


@contextmanager
def _temporary(*hooks: RemovableHandle) -> Iterator[None]:
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
