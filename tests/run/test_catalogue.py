"""The catalogue of contestants is what the configurations say, and the numbers are the published ones."""

import pytest

from benchmark.results.catalogue import CATALOGUE, read_contestants
from benchmark.run import catalogue

PARAMETERS = {  # as the model cards state them
    "bert_base": 109.5e6,
    "bert_large": 335.1e6,
    "roberta_base": 124.6e6,
    "roberta_large": 355.4e6,
    "minilm": 22.7e6,
    "smollm2_lora": 134.5e6,
    "llama3_lora": 8_030_261_248,
}


def test_the_shipped_catalogue_is_current() -> None:
    assert catalogue.text() == CATALOGUE.read_text(encoding="utf-8"), "run python -m benchmark.run.catalogue"


@pytest.mark.parametrize(("name", "expected"), PARAMETERS.items())
def test_parameter_counts_are_those_of_the_model_cards(name: str, expected: float) -> None:
    assert read_contestants()[name].card.parameters == pytest.approx(expected, rel=1e-3)


def test_both_readings_of_the_studys_lora_train_what_they_say() -> None:
    contestants = read_contestants()
    assert contestants["llama3_lora"].card.trained_parameters == 20_971_520
    assert contestants["llama3_lora_ui2024"].card.trained_parameters == 3_407_872


def test_context_and_grouped_queries_are_computed() -> None:
    contestants = read_contestants()
    assert contestants["llama3_lora"].card.context_length == 8192
    assert contestants["llama3_lora"].card.grouped_query_attention is True
    assert contestants["roberta_base"].card.context_length == 512
    assert contestants["bert_base"].card.grouped_query_attention is False


def test_toy_models_are_no_contestants() -> None:
    assert not [name for name in read_contestants() if name.startswith("tiny")]
