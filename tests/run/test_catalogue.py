"""The catalogue of models agrees with the configurations, and its numbers with the published ones."""

from dataclasses import asdict

import pytest

from benchmark.results import schema1
from benchmark.results.catalogue import CATALOGUE, CatalogueEntry, read_catalogue
from benchmark.run.catalogue import catalogue

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
    assert catalogue() == CATALOGUE.read_text(encoding="utf-8"), "run python -m benchmark.run.catalogue"


@pytest.mark.parametrize(("name", "expected"), PARAMETERS.items())
def test_parameter_counts_are_those_of_the_model_cards(name: str, expected: float) -> None:
    assert read_catalogue()[name].card.parameters == pytest.approx(expected, rel=1e-3)


def test_both_interpretations_of_the_studys_lora_train_the_published_counts() -> None:
    models = read_catalogue()
    assert models["llama3_lora"].card.trained_parameters == 20_971_520
    assert models["llama3_lora_ui2024"].card.trained_parameters == 3_407_872


def test_context_lengths_and_grouped_queries_are_computed() -> None:
    models = read_catalogue()
    assert models["llama3_lora"].card.context_length == 8192
    assert models["llama3_lora"].card.grouped_query_attention is True
    assert models["roberta_base"].card.context_length == 512
    assert models["bert_base"].card.grouped_query_attention is False


def test_test_models_are_not_in_the_catalogue() -> None:
    assert not [name for name in read_catalogue() if name.startswith("tiny")]


NEWER = ("llama3_qlora", "mpnet_base", "probe", "probe_mpnet")  # no record of schema 1 has such a configuration
WITH_SCHEMA_1 = {name: entry for name, entry in read_catalogue().items() if name not in NEWER}


@pytest.mark.parametrize("entry", WITH_SCHEMA_1.values(), ids=WITH_SCHEMA_1)
def test_an_upgraded_card_of_schema_1_equals_todays(entry: CatalogueEntry) -> None:
    derived = schema1.card_fields(asdict(entry.config.model))
    card = asdict(entry.card)
    training = (derived.pop("training", None), card.pop("training"))
    assert {name: card[name] for name in derived} == derived
    assert (training[0] is None) == (training[1] is None)
