"""A kept model predicts what its run predicted, and refuses files that are not those of its record."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from factories import LABELS
from networks import keep, keep_llama, llama_in_a_folder
from transformers import AutoModelForSequenceClassification

from benchmark.config import RunConfig
from benchmark.configuration.compose import build_classifier
from benchmark.data.load import load as load_data
from benchmark.errors import BenchmarkError
from benchmark.files import sha256_of_file
from benchmark.interface import Predictions
from benchmark.predict import KeptModel, load
from benchmark.run import runner
from benchmark.run.context import fit_context

Compose = Callable[..., RunConfig]


def probabilities(model: KeptModel, texts: tuple[str, ...]) -> Any:
    return [list(answer.probabilities.values()) for answer in model.predict(texts)]


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_roberta", "tfidf", "majority"])
def test_a_kept_model_predicts_what_its_run_predicted(model: str, compose_run: Compose, tmp_path: Path) -> None:
    run, folder, texts = keep(compose_run, tmp_path, f"model={model}")
    kept = load(folder)
    np.testing.assert_allclose(probabilities(kept, texts), run.predictions.probabilities, rtol=0, atol=1e-6)
    answers = kept.predict(texts)
    assert [answer.label for answer in answers] == [LABELS[label] for label in run.predictions.predicted]
    assert all(answer.probability == max(answer.probabilities.values()) for answer in answers)


@pytest.mark.parametrize("readout", ["labels", "head", "generate"])
def test_a_kept_adapter_predicts_what_its_run_predicted_and_so_does_the_merged_model(
    readout: str, compose_run: Compose, tmp_path: Path
) -> None:
    model = "tiny_llama_head" if readout == "head" else "tiny_llama"
    chosen = [f"model={model}", *(["model.readout=generate"] if readout == "generate" else [])]
    run, folder, texts = keep_llama(compose_run, tmp_path, *chosen)
    kept = load(folder, f"model.weights.path={tmp_path}/base")
    answers = kept.predict(texts)
    expected = [LABELS[label] if label >= 0 else None for label in run.predictions.predicted]
    assert [answer.label for answer in answers] == expected
    kept.merge(tmp_path / "merged")
    assert [answer.label for answer in kept.predict(texts)] == expected
    if readout != "generate":
        np.testing.assert_allclose(probabilities(kept, texts), run.predictions.probabilities, rtol=0, atol=1e-5)
    merged = load(tmp_path / "merged")
    with pytest.raises(BenchmarkError, match="model.weights.path=.* has no effect"):
        load(tmp_path / "merged", f"model.weights.path={tmp_path}/base")
    assert [answer.label for answer in merged.predict(texts)] == expected
    if readout == "generate":
        assert {answer.probability for answer in answers} == {None}
        return
    found = probabilities(load(folder, f"model.weights.path={tmp_path}/base"), texts)
    np.testing.assert_allclose(found, run.predictions.probabilities, rtol=0, atol=1e-6)
    np.testing.assert_allclose(probabilities(merged, texts), found, rtol=0, atol=1e-5)
    assert not (tmp_path / "merged/adapter_config.json").exists()


def test_training_and_reading_a_model_change_none_of_its_options(compose_run: Compose, tmp_path: Path) -> None:
    config = compose_run("model=tiny_bert", "model.batching=auto", "recipe.max_steps=1")
    classifier, splits = build_classifier(config.model), load_data(config.dataset)
    classifier.fit(splits.train, splits.validation, fit_context(config, tmp_path / "work"))
    assert classifier == build_classifier(config.model)
    _, folder, _ = keep_llama(compose_run, tmp_path)
    kept = load(folder, f"model.weights.path={tmp_path}/base")
    kept.merge(tmp_path / "merged")
    merged = load(tmp_path / "merged")
    given = build_classifier(merged.record.config.model)
    assert merged.classifier == given
    assert kept.classifier == replace(given, weights=replace(given.weights, path=f"{tmp_path}/base"))


def test_an_adapters_head_keeps_its_labels_on_a_base_that_names_them_in_another_order(
    compose_run: Compose, tmp_path: Path
) -> None:
    source = llama_in_a_folder(compose_run, tmp_path / "base")[1:]
    base = tmp_path / "base"
    names = dict(enumerate(sorted(LABELS)))
    network = AutoModelForSequenceClassification.from_pretrained(
        base, id2label=names, label2id={name: index for index, name in names.items()}
    )
    network.save_pretrained(base)
    run, folder, texts = keep(compose_run, tmp_path, "model=tiny_llama_head", *source)
    found = probabilities(load(folder, f"model.weights.path={base}"), texts)
    np.testing.assert_allclose(found, run.predictions.probabilities, rtol=0, atol=1e-6)


def test_a_kept_model_contains_no_path_of_this_machine(compose_run: Compose, tmp_path: Path) -> None:
    _, folder, _ = keep_llama(compose_run, tmp_path)
    for file in folder.iterdir():
        assert str(tmp_path).encode() not in file.read_bytes(), file.name


def test_weights_that_are_not_those_of_the_record_are_refused(compose_run: Compose, tmp_path: Path) -> None:
    _, folder, _ = keep_llama(compose_run, tmp_path)
    shutil.copytree(tmp_path / "base", tmp_path / "other")
    other = tmp_path / "other/model.safetensors"
    content = bytearray(other.read_bytes())
    content[-1] ^= 1
    other.write_bytes(content)
    with pytest.raises(BenchmarkError, match="base weights are not those"):
        load(folder, f"model.weights.path={tmp_path}/other")
    record = json.loads((folder / "record.json").read_text())
    assert record["fit"]["saved_sha256"] == sha256_of_file(folder / "adapter_model.safetensors")
    content = bytearray((folder / "adapter_model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "adapter_model.safetensors").write_bytes(content)
    with pytest.raises(BenchmarkError, match="are not those of"):
        load(folder, f"model.weights.path={tmp_path}/base")
    record["config"]["dataset"]["labels"].reverse()
    (folder / "record.json").write_text(json.dumps(record))
    for _ in range(2):
        with pytest.raises(BenchmarkError, match=r"record\.json was changed"):
            load(folder, f"model.weights.path={tmp_path}/base")
        record.pop("checksum", None)
        (folder / "record.json").write_text(json.dumps(record))


def test_a_base_from_a_folder_must_be_named_again(compose_run: Compose, tmp_path: Path) -> None:
    _, folder, _ = keep_llama(compose_run, tmp_path)
    with pytest.raises(BenchmarkError) as refusal:
        load(folder)
    assert refusal.value.fix == "Set model.weights.path to a folder with these weights."


def test_an_adapter_on_random_weights_is_refused(compose_run: Compose, tmp_path: Path) -> None:
    _, folder, _ = keep(compose_run, tmp_path, "model=tiny_llama")
    with pytest.raises(BenchmarkError, match="random weights, which were not kept"):
        load(folder)


def test_only_how_a_model_is_computed_can_be_set(compose_run: Compose, tmp_path: Path) -> None:
    run, folder, texts = keep(compose_run, tmp_path, "model=tiny_bert")
    padded = load(folder, "model.batching=padded", "model.prediction_batch_size=3", "model.attention=eager")
    np.testing.assert_allclose(probabilities(padded, texts), run.predictions.probabilities, rtol=0, atol=1e-5)
    with pytest.raises(BenchmarkError, match="cannot be set"):
        load(folder, "model.train=true")
    with pytest.raises(BenchmarkError, match="no adapter"):
        padded.merge(tmp_path / "merged")


def test_texts_that_are_cut_are_counted(compose_run: Compose, tmp_path: Path) -> None:
    _, folder, _ = keep(compose_run, tmp_path, "model=tiny_bert", "recipe.max_length=16")
    kept = load(folder)
    assert kept.predict([]) == []
    kept.predict(["i feel well", "i feel well " * 20])
    assert kept.truncated_texts == 1


def test_a_text_whose_probabilities_are_not_finite_is_quoted(compose_run: Compose, tmp_path: Path) -> None:
    _, folder, _ = keep(compose_run, tmp_path, "model=tfidf")
    model = load(folder)
    model.classifier = Mock(predict=lambda texts: Predictions.from_probabilities(np.full((len(texts), 6), np.nan)))
    with pytest.raises(BenchmarkError, match="The probabilities of 'one text' are not finite") as refused:
        model.predict(["", "one text"])
    assert refused.value.fix.startswith("Set model.precision=fp32")


def test_texts_may_be_a_series_and_each_must_be_a_string(compose_run: Compose, tmp_path: Path) -> None:
    _, folder, texts = keep(compose_run, tmp_path, "model=tfidf")
    model = load(folder)
    shuffled = pd.Series(texts, index=range(len(texts))[::-1])
    assert model.predict(shuffled) == model.predict(texts)
    for missing in (None, np.nan):
        with pytest.raises(BenchmarkError, match="text 1: the text is of type"):
            model.predict([texts[0], missing])


def test_folders_without_a_kept_model_are_refused(compose_run: Compose, tmp_path: Path) -> None:
    run = runner.run(compose_run("model=majority"))
    for folder in (tmp_path, tmp_path / "absent", run.folder):
        with pytest.raises(BenchmarkError):
            load(folder)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["minilm", "probe"])
def test_real_weights_predict_what_their_run_predicted(model: str, compose_run: Compose, tmp_path: Path) -> None:
    run, folder, texts = keep(compose_run, tmp_path, f"model={model}")
    found = probabilities(load(folder), texts)
    np.testing.assert_allclose(found, run.predictions.probabilities, rtol=0, atol=1e-6)
