"""Attention over a packed stream equals the attention of each sample alone."""

from typing import Any

import pytest
import torch
from networks import reference_kernel

from baselines.compute.hardware import Attention, Batching, Computation, Precision
from baselines.packed.attention import (
    Options,
    States,
    attend,
    attention_description,
    check_supported,
    loading_attention,
    over_blocks,
    over_segments,
    resolve_batching,
    variable_length_kernel,
)
from baselines.packed.stream import Blocks, Layout, Varlen, pack
from benchmark.errors import BenchmarkError

SEQUENCES = [[1, 2, 3, 4], [1, 2, 5], [1, 2, 6, 6, 6, 6, 6], [1, 2, 7]] * 6  # more than one block
READS = [range(len(ids) - 1, len(ids)) for ids in SEQUENCES]
HEADS, KEY_HEADS, SIZE = 6, 2, 8


def layout(causal: bool, varlen: bool) -> Layout:
    return pack(SEQUENCES, READS, causal, varlen).layout


def random_states(causal: bool) -> States:
    """Query, key and value of every token of the stream."""
    tokens = pack(SEQUENCES, READS, causal, varlen=True).input_ids.shape[1]
    random = torch.Generator().manual_seed(0)
    shapes = ((tokens, HEADS, SIZE), (tokens, KEY_HEADS, SIZE), (tokens, KEY_HEADS, SIZE))
    query, key, value = (torch.randn(shape, generator=random).requires_grad_() for shape in shapes)
    return query, key, value


@pytest.mark.parametrize("window", [None, 1, 2, 3, 100])
@pytest.mark.parametrize("causal", [True, False])
def test_padded_blocks_and_variable_length_segments_give_the_same_values_and_gradients(
    causal: bool, window: int | None
) -> None:
    states = random_states(causal)
    blocks, segments = layout(causal, varlen=False), layout(causal, varlen=True)
    assert isinstance(blocks, Blocks)
    assert isinstance(segments, Varlen)
    one = over_blocks(states, blocks, Options(0.3, window=window))
    other = over_segments(states, segments, Options(0.3, window=window), reference_kernel)
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    weight = torch.randn(one.shape, generator=torch.Generator().manual_seed(1))
    for ours, theirs in zip(
        torch.autograd.grad((one * weight).sum(), states),
        torch.autograd.grad((other * weight).sum(), states),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("varlen", [False, True])
def test_transformers_attention_function_computes_both_layouts(varlen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baselines.packed.attention.variable_length_kernel", lambda: reference_kernel)
    states, segments = random_states(causal=True), layout(causal=True, varlen=True)
    assert isinstance(segments, Varlen)
    query, key, value = (part.transpose(0, 1)[None] for part in states)
    found, weights = attend(torch.nn.Module(), query, key, value, None, 0.3, layout=layout(causal=True, varlen=varlen))
    assert weights is None
    expected = over_segments(states, segments, Options(0.3), reference_kernel)[None]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_dropout_zeroes_attention_weights() -> None:
    query, key, _ = random_states(causal=True)
    blocks = layout(causal=True, varlen=False)
    assert isinstance(blocks, Blocks)
    sums = over_blocks((query, key, torch.ones_like(key)), blocks, Options(0.3, dropout=0.25))  # 1 without dropout
    assert 0.9 < sums.mean() < 1.1
    assert sums.std() > 0.1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("causal", [True, False])
def test_flash_attention_on_the_gpu_equals_the_definition(causal: bool) -> None:
    query, key, value = (part.detach().cuda().bfloat16().repeat(1, 1, 8) for part in random_states(causal))
    segments = layout(causal, varlen=True).to(torch.device("cuda"))
    assert isinstance(segments, Varlen)
    ours = over_segments((query, key, value), segments, Options(0.1), variable_length_kernel()).float().cpu()
    on_cpu = (query.float().cpu(), key.float().cpu(), value.float().cpu())
    here = layout(causal, varlen=True)
    assert isinstance(here, Varlen)
    torch.testing.assert_close(ours, over_segments(on_cpu, here, Options(0.1), reference_kernel), rtol=2e-2, atol=2e-2)


def test_an_untested_architecture_is_padded_and_refused_if_packed_was_asked_for() -> None:
    deberta, modernbert = {"model_type": "deberta-v2"}, {"model_type": "modernbert"}
    check_supported(deberta, Batching.padded)
    with pytest.raises(BenchmarkError, match="deberta-v2") as refusal:
        check_supported(deberta, Batching.packed)
    assert refusal.value.fix == "Set model.batching=padded."
    assert resolve_batching(deberta, Batching.auto) is Batching.padded
    assert resolve_batching(modernbert, Batching.auto) is Batching.packed
    assert resolve_batching(modernbert, Batching.padded) is Batching.padded


@pytest.mark.parametrize(
    "entries", [{"is_causal": False}, {"use_bidirectional_attention": True}, {"final_logit_softcapping": 30.0}]
)
def test_a_decoder_that_packed_batching_would_compute_otherwise_is_padded(entries: dict[str, Any]) -> None:
    architecture = {"model_type": "gemma3_text"}
    assert resolve_batching(architecture, Batching.auto) is Batching.packed
    assert resolve_batching(architecture | entries, Batching.auto) is Batching.padded
    with pytest.raises(BenchmarkError, match="gemma3_text with causal attention and logits without a cap only"):
        check_supported(architecture | entries, Batching.packed)


def test_the_description_names_the_implementation(monkeypatch: pytest.MonkeyPatch) -> None:
    def described(attention: Attention, batching: Batching) -> str:
        computation = Computation(torch.device("cpu"), Precision.bf16, attention, batching)
        return attention_description(torch.nn.Module(), computation)

    assert described(Attention.sdpa, Batching.padded) == "sdpa"
    assert described(Attention.eager, Batching.packed) == "packed, batched products"
    monkeypatch.setattr("baselines.packed.attention.has_flash_attn", lambda: False)
    assert described(Attention.flash_attention_2, Batching.packed) == "packed, FlashAttention-2 of torch"
    assert loading_attention(Attention.flash_attention_2) is Attention.sdpa
    assert loading_attention(Attention.eager) is Attention.eager
    monkeypatch.setattr("baselines.packed.attention.has_flash_attn", lambda: True)
    assert described(Attention.flash_attention_2, Batching.packed) == "packed, flash-attn"
    assert loading_attention(Attention.flash_attention_2) is Attention.flash_attention_2
