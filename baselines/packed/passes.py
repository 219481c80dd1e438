"""Forward passes of encoders and decoders over a packed stream."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from peft import PeftModel
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from baselines.packed.attention import packed_attention
from baselines.packed.mpnet import packed_relative_attention
from baselines.packed.stream import Blocks, Stream, pack
from baselines.weights.families import WITH_OUTPUT_MODULE, final_module, first_position, reads_the_mean
from baselines.weights.lora import without_adapter


def decoder_states(network: PeftModel | PreTrainedModel, stream: Stream) -> torch.Tensor:
    """Last hidden states at the positions to read, (reads, hidden). The last MLP computes only these positions."""
    base = without_adapter(network)
    body = base.base_model
    mlp = body.layers[-1].mlp

    def scatter(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        return output.new_zeros(1, stream.input_ids.shape[1], output.shape[-1]).index_copy_(1, stream.read, output)

    select = mlp.register_forward_pre_hook(lambda _, states: states[0].index_select(1, stream.read))
    with packed_attention(base), _temporary(select, mlp.register_forward_hook(scatter)):
        states: torch.Tensor = body(**_inputs(stream), use_cache=False).last_hidden_state
    return states[0].index_select(0, stream.read)


def encoder_logits(
    network: PreTrainedModel, sequences: Sequence[list[int]], varlen: bool, device: torch.device
) -> torch.Tensor:
    """Logits of the network's own head, (sequences, labels), from the first token or the mean of each sequence."""
    mean = reads_the_mean(network.config)
    stream = _encoder_stream(network, sequences, mean, varlen, device)
    selects_early = network.config.model_type in WITH_OUTPUT_MODULE

    def as_batch(_: Any, __: Any, output: Any) -> Any:
        """Pass the head a batch of sequences with one token, (sequences, 1, hidden)."""
        alone = isinstance(output, torch.Tensor)
        states = (output if alone else output.last_hidden_state)[0]
        states = _pool(states if selects_early else states[stream.read], sequences, mean)[:, None]
        if alone:
            return states
        output.last_hidden_state = states
        return output

    hooks = [final_module(network).register_forward_hook(as_batch)]
    if selects_early:  # after attention, the last layer computes only the tokens to read
        last = network.base_model.encoder.layer[-1].attention.output
        hooks.append(last.register_forward_pre_hook(lambda _, states: tuple(part[:, stream.read] for part in states)))
    with _attention(network, stream), _temporary(*hooks):
        logits: torch.Tensor = network(**_inputs(stream)).logits
    return logits


def encoder_embeddings(
    body: PreTrainedModel, sequences: Sequence[list[int]], mean: bool, varlen: bool, device: torch.device
) -> torch.Tensor:
    """Embeddings, (sequences, hidden): the mean of a sequence's last hidden states, or the state of its first token."""
    stream = _encoder_stream(body, sequences, mean, varlen, device)
    with _attention(body, stream):
        states = body(**_inputs(stream)).last_hidden_state[0]
    return _pool(states[stream.read], sequences, mean)


def _encoder_stream(
    network: PreTrainedModel, sequences: Sequence[list[int]], mean: bool, varlen: bool, device: torch.device
) -> Stream:
    reads = [range(len(ids) if mean else 1) for ids in sequences]
    first = first_position(network.config)
    return pack(sequences, reads, causal=False, varlen=varlen, first_position=first).to(device)


def _pool(states: torch.Tensor, sequences: Sequence[list[int]], mean: bool) -> torch.Tensor:
    """Reduce the states that the sequences read, one sequence after the other, to (sequences, hidden)."""
    if not mean:
        return states
    parts = torch.split(states, [len(ids) for ids in sequences])
    return torch.stack([part.mean(dim=0) for part in parts])


def last_tokens(sequences: Sequence[list[int]]) -> list[range]:
    """The positions to read if only the last token of each sequence matters."""
    return [range(len(ids) - 1, len(ids)) for ids in sequences]


@contextmanager
def _attention(network: PreTrainedModel, stream: Stream) -> Iterator[None]:
    with ExitStack() as contexts:
        contexts.enter_context(packed_attention(network))
        if network.config.model_type == "mpnet":
            assert isinstance(stream.layout, Blocks)  # `check_attention` refuses FlashAttention-2
            contexts.enter_context(packed_relative_attention(network, stream.layout))
        yield


def _inputs(stream: Stream) -> dict[str, Any]:
    return {"input_ids": stream.input_ids, "position_ids": stream.position_ids, "layout": stream.layout}


@contextmanager
def _temporary(*hooks: RemovableHandle) -> Iterator[None]:
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
