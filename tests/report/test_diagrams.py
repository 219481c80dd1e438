"""The diagrams state the shapes and parameter counts of the given model."""

from dataclasses import replace

import pytest
from factories import words

from benchmark.interface import ModelCard
from benchmark.report.diagrams import Dimensions, decoder_block, lora

DIMENSIONS = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "lora_rank": 8,
    "lora_alpha": 16,
}
LLAMA = Dimensions(**DIMENSIONS)


def test_dimensions_are_read_from_the_card() -> None:
    card = ModelCard("llama", "some weights", dimensions={**DIMENSIONS, "lora_targets": ["all-linear"]})
    assert Dimensions.of(card) == LLAMA


@pytest.mark.parametrize(
    "fact",
    [
        "Llama 3", "× 32 layers", "128,256 × 4,096", "525,336,576 parameters",
        "4,096 × 4,096", "1,024 × 4,096", "41,943,040 parameters", "32 query heads share 8 key/value heads of 128",
        "14,336 × 4,096", "4,096 × 14,336", "176,160,768 parameters",
    ],
)  # fmt: skip
def test_the_decoder_block_states_the_models_shapes(fact: str) -> None:
    assert fact in words(decoder_block("Llama 3", LLAMA))


def test_each_sublayer_has_its_norm() -> None:
    assert words(decoder_block("Llama 3", LLAMA)).count("RMSNorm") == 3
    assert "× 2 layers" in words(decoder_block("Llama 3", replace(LLAMA, num_hidden_layers=2)))


@pytest.mark.parametrize(
    "fact", ["4,096 × 4", "4 × 4,096", "16,384 parameters", "16 / 4 = 4", "32,768 parameters, 0.20% of"]
)
def test_the_adapter_states_rank_scale_and_parameters(fact: str) -> None:
    assert fact in words(lora("Llama 3", replace(LLAMA, lora_rank=4)))
