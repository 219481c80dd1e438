"""The files of a checkpoint are whole and fit each other, or are refused before training; the doctor says the same."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import LABELS
from networks import save_adapter, save_model, scored
from tokenizers import AddedToken
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertweetTokenizer,
    DebertaV2Config,
)

from baselines.weights.compatibility import check_declared
from baselines.weights.kinds import Kind, check_kind
from baselines.weights.loading import fetch_checked
from baselines.weights.sources import Source, Weights
from baselines.weights.starting_point import RequiredWeights
from benchmark.config import RunConfig
from benchmark.configuration.compose import build_classifier
from benchmark.configuration.published import spec_of
from benchmark.data import load as data
from benchmark.errors import BenchmarkError
from benchmark.interface import FitContext

Compose = Callable[..., RunConfig]


def assert_refused(compose_run: Compose, model: str, folder: Path, named: str, fix: str, *overrides: str) -> None:
    """A run is refused with this problem and fix, and the doctor finds the same."""
    with pytest.raises(BenchmarkError, match=named) as refusal:
        scored(compose_run, model, folder, *overrides)
    assert fix in str(refusal.value.fix)
    source = ["model.weights.source=folder", f"model.weights.path={folder}"]
    config = compose_run(f"model={model}", *source, *overrides)
    context = FitContext(LABELS, config.recipe, config.seed, folder.parent)
    findings = build_classifier(config.model).examine((), context)
    assert (refusal.value.problem, refusal.value.fix) in [(finding.found, finding.fix) for finding in findings]


def without_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()


def under_another_name(folder: Path) -> None:
    without_tokenizer(folder)
    (folder / "bert-base-uncased-vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nfeel\n")


def special_tokens_only(folder: Path) -> None:
    values = json.loads((folder / "tokenizer.json").read_text())
    special = {token["content"] for token in values["added_tokens"]}
    values["model"] |= {"vocab": {name: row for name, row in values["model"]["vocab"].items() if name in special}}
    (folder / "tokenizer.json").write_text(json.dumps(values | {"model": values["model"] | {"merges": []}}))


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_roberta", "tiny_llama"])
@pytest.mark.parametrize("damage", [without_tokenizer, under_another_name, special_tokens_only])
def test_a_folder_without_a_tokenizer_is_refused(
    damage: Callable[[Path], None], model: str, compose_run: Compose, tmp_path: Path
) -> None:
    folder = save_model(compose_run, tmp_path / "own", model)
    damage(folder)
    assert_refused(compose_run, model, folder, "tokenizer|vocab", "")


ARCHITECTURES = {
    "electra": {"embedding_size": 32},
    "distilbert": {"dim": 32, "hidden_dim": 64, "n_layers": 1, "n_heads": 2},
    "xlm-roberta": {},
    "albert": {"embedding_size": 32},
    "deberta-v2": {},
    "qwen2": {"num_key_value_heads": 2},
    "modernbert": {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2},
}
SIZES = {"vocab_size": 600, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
         "intermediate_size": 64}  # fmt: skip


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_no_architecture_gets_an_invented_tokenizer(kind: str, tmp_path: Path) -> None:
    options = {"vocab_size": 600, **({} if kind == "distilbert" else SIZES), **ARCHITECTURES[kind]}
    AutoModel.from_config(AutoConfig.for_model(kind, **options)).save_pretrained(tmp_path)
    weights = Weights(Source.folder, path=str(tmp_path))
    with pytest.raises(BenchmarkError, match="tokenizer|vocab"):
        fetch_checked(AutoModelForSequenceClassification, weights, {}, LABELS, RequiredWeights.body)


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused(
    model: str, compose_run: Compose, tmp_path: Path
) -> None:
    folder = save_model(compose_run, tmp_path / "own", model)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([AddedToken(f"new-{number}") for number in range(600)])
    tokenizer.save_pretrained(folder)
    assert_refused(compose_run, model, folder, "only 600 rows", "Put the tokenizer beside the weights")


def test_a_special_token_without_a_row_is_refused_where_it_is_used(compose_run: Compose, tmp_path: Path) -> None:
    """A padding token that was added to a decoder's tokenizer is not."""
    folder = save_model(compose_run, tmp_path / "own", "tiny_llama")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([AddedToken(f"<|{number}|>", special=True) for number in range(600)], special_tokens=True)
    tokenizer.pad_token = "<|598|>"
    tokenizer.save_pretrained(folder)
    scored(compose_run, "tiny_llama", folder, "model.train=false")
    tokenizer.eos_token = "<|599|>"
    tokenizer.save_pretrained(folder)
    assert_refused(compose_run, "tiny_llama", folder, r"<\|599\|>.* only 600 rows", "Put the tokenizer beside")


def test_a_tokenizer_that_pads_with_another_id_is_refused(compose_run: Compose, tmp_path: Path) -> None:
    """RoBERTa finds its padding by that id."""
    folder = save_model(compose_run, tmp_path / "roberta", "tiny_roberta")
    other = save_model(compose_run, tmp_path / "bert", "tiny_bert")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(other / name, folder / name)
    assert_refused(compose_run, "tiny_roberta", folder, "pads with the id 0, but the weights expect 1", "tokenizer")


@pytest.mark.parametrize("name", ["vocab.txt", "vocab.json"])
def test_a_folder_with_two_tokenizers_is_refused(name: str, compose_run: Compose, tmp_path: Path) -> None:
    folder = save_model(compose_run, tmp_path / "own")
    ids = AutoTokenizer.from_pretrained(folder).get_vocab()
    tokens = sorted(ids, key=ids.__getitem__)
    for order in (tokens, [*tokens[:-2], tokens[-1], tokens[-2]]):  # the same ids, and others
        other = json.dumps({token: row for row, token in enumerate(order)}) if "json" in name else "\n".join(order)
        (folder / name).write_text(other)
        if order is tokens:
            scored(compose_run, "tiny_bert", folder, "recipe.max_steps=1")
    assert_refused(compose_run, "tiny_bert", folder, f"two tokenizers: .* in {name}", "Keep the files")


def test_quantised_weights_are_refused(compose_run: Compose, tmp_path: Path) -> None:
    folder = save_model(compose_run, tmp_path / "own")
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | {"quantization_config": {"quant_method": "bitsandbytes"}}))
    assert_refused(compose_run, "tiny_bert", folder, "quantised by bitsandbytes", "dequantize")


def save_python_only(folder: Path) -> None:
    """BERTweet's tokenizer, which exists in Python only, in place of the one in `folder`."""
    without_tokenizer(folder)
    words = [chr(letter) for letter in range(ord("a"), ord("z") + 1)]
    tokens = [*words, *(f"{word}@@" for word in words)]
    (folder / "vocab.txt").write_text("".join(f"{token} 1\n" for token in tokens))
    (folder / "bpe.codes").write_text("#version: 0.2\n")
    BertweetTokenizer(str(folder / "vocab.txt"), str(folder / "bpe.codes")).save_pretrained(folder)


def test_a_tokenizer_in_python_only_counts_the_texts_that_are_cut(compose_run: Compose, tmp_path: Path) -> None:
    folder = save_model(compose_run, tmp_path / "own", "tiny_roberta", num_labels=6)
    save_python_only(folder)
    assert not AutoTokenizer.from_pretrained(folder).is_fast
    classifier, report, predictions = scored(compose_run, "tiny_roberta", folder, "recipe.max_length=64")
    texts = data.load(compose_run().dataset)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    long = [sum(len(tokenizer(text).input_ids) > 64 for text in part.texts) for part in (texts.train, texts.test)]
    assert [report.truncated_texts, predictions.truncated_texts] == long
    assert 0 < long[0] < 60
    assert {len(ids) for ids in classifier._token_ids(texts.test.texts)[0]} <= set(range(65))


def test_the_digest_covers_the_files_of_every_supported_tokenizer(compose_run: Compose, tmp_path: Path) -> None:
    folder = save_model(compose_run, tmp_path / "own", "tiny_roberta")
    save_python_only(folder)
    config = compose_run("model=tiny_roberta", "model.weights.source=folder", f"model.weights.path={folder}")
    before = spec_of(config)
    (folder / "bpe.codes").write_text("#version: 0.2\nj o 5\n")
    assert spec_of(config) != before


def test_the_remedies_for_an_unsupported_attention_lead_to_a_run(compose_run: Compose, tmp_path: Path) -> None:
    """DeBERTa has neither packed streams nor sdpa."""
    folder = save_model(compose_run, tmp_path / "own")
    torch.manual_seed(0)
    options = SIZES | {"max_position_embeddings": 512, "pad_token_id": 0}
    AutoModel.from_config(DebertaV2Config(**options)).save_pretrained(folder)
    followed: list[str] = ["model.architecture.model_type=deberta-v2", "model.architecture.num_hidden_layers=1",
                           "model.architecture.num_attention_heads=2"]  # fmt: skip
    for named in ("batching=packed", "attention is sdpa"):
        with pytest.raises(BenchmarkError, match=named) as refusal:
            scored(compose_run, "tiny_bert", folder, *followed)
        assert_refused(compose_run, "tiny_bert", folder, named, str(refusal.value.fix), *followed)
        followed.append(str(refusal.value.fix).removeprefix("Set ").removesuffix("."))
    assert scored(compose_run, "tiny_bert", folder, *followed)[1].steps == 2


def test_the_remedy_for_an_adapter_in_place_of_weights_leads_to_a_score(compose_run: Compose, tmp_path: Path) -> None:
    base = save_model(compose_run, tmp_path / "base", num_labels=6)
    network = AutoModelForSequenceClassification.from_pretrained(base)
    save_adapter(network, tmp_path / "adapter", task_type="SEQ_CLS", target_modules=["query"])
    fix = f"Set model.adapter={tmp_path}/adapter in its place, and model.weights to its base model;"
    assert_refused(compose_run, "tiny_bert", tmp_path / "adapter", "is a LoRA adapter", fix)
    _, report, predictions = scored(compose_run, "tiny_bert", base, f"model.adapter={tmp_path}/adapter")
    assert report.weights.adapter is not None
    assert np.isfinite(predictions.probabilities).all()


def test_a_pad_token_in_a_text_is_a_token_like_others(compose_run: Compose, tmp_path: Path) -> None:
    folder = save_model(compose_run, tmp_path / "own", "tiny_roberta", num_labels=6)
    texts = ["i feel <pad> fine", "so", "<pad>"]
    found: list[Any] = []
    for batching in ("packed", "padded"):
        classifier, _, _ = scored(
            compose_run, "tiny_roberta", folder, "recipe.max_steps=1", f"model.batching={batching}"
        )
        found.append(classifier.logits(classifier._token_ids(texts)[0]).detach().softmax(-1).numpy())
    np.testing.assert_allclose(*found, atol=1e-5)


def test_small_numbers_of_an_architecture_are_compared_too() -> None:
    config = AutoConfig.for_model("bert", layer_norm_eps=1e-12)
    check_declared(config, {"layer_norm_eps": 1.0000001e-12}, "a model")
    with pytest.raises(BenchmarkError, match="layer_norm_eps=1e-12, but model.architecture declares 1e-10"):
        check_declared(config, {"layer_norm_eps": 1e-10}, "a model")


@pytest.mark.parametrize("name", ["xlnet", "t5"])
def test_networks_that_are_neither_encoders_nor_decoders_are_refused(name: str) -> None:
    for wanted in Kind:
        with pytest.raises(BenchmarkError, match=f"{name} is not supported as an encoder or a decoder"):
            check_kind({"model_type": name}, wanted)
