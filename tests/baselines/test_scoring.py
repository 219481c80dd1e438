"""What was trained elsewhere is scored without training, with the predictions of transformers and peft themselves."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import LABELS
from networks import named, save_adapter, save_model, scored
from peft import PeftModel
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from baselines.weights.tokenizer import train_tokenizer
from benchmark.config import RunConfig
from benchmark.configuration.compose import build_classifier
from benchmark.configuration.published import spec_of
from benchmark.configuration.revisions import pin
from benchmark.data import load as data
from benchmark.errors import BenchmarkError
from benchmark.interface import FitContext, Predictions
from benchmark.measure.measurable import Measurable

Compose = Callable[..., RunConfig]
ALPHABETICAL = tuple(sorted(LABELS))
MODELS = {"tiny_bert": "encoder", "tiny_roberta": "encoder", "tiny_llama": "decoder", "tiny_llama_head": "decoder"}


def by_transformers(compose_run: Compose, network: Any, folder: Path, labels: Sequence[str]) -> np.ndarray[Any, Any]:
    """(texts, LABELS): an encoder's probabilities, text by text, with the columns named `labels`."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = data.load(compose_run().dataset).test.texts
    with torch.inference_mode():
        rows = [network.eval()(**tokenizer(text, return_tensors="pt")).logits[0].softmax(-1).numpy() for text in texts]
    return np.array(rows)[:, [labels.index(label) for label in LABELS]]


@pytest.mark.parametrize("batching", ["packed", "padded"])
@pytest.mark.parametrize("model", ["tiny_bert", "tiny_roberta"])
def test_a_head_is_read_by_the_names_of_its_labels(
    model: str, batching: str, compose_run: Compose, tmp_path: Path
) -> None:
    folder = save_model(compose_run, tmp_path / "own", model, **named([label.title() for label in ALPHABETICAL]))
    _, report, predictions = scored(compose_run, model, folder, "model.train=false", f"model.batching={batching}")
    network = AutoModelForSequenceClassification.from_pretrained(folder)
    expected = by_transformers(compose_run, network, folder, ALPHABETICAL)
    np.testing.assert_allclose(predictions.probabilities, expected, atol=1e-5)
    assert (report.trained_parameters, report.steps, report.training_seconds) == (0, 0, None)
    assert report.weights.head is not None
    assert "reordered by name" in report.weights.head
    assert report.weights.trained_head


def test_training_starts_from_a_head_in_the_order_of_the_data_set(compose_run: Compose, tmp_path: Path) -> None:
    """One step with a tiny learning rate changes nothing."""
    folder = save_model(compose_run, tmp_path / "own", **named(ALPHABETICAL))
    tiny = ["recipe.max_steps=1", "recipe.learning_rate=1e-12"]
    _, report, predictions = scored(compose_run, "tiny_bert", folder, *tiny)
    expected = by_transformers(
        compose_run, AutoModelForSequenceClassification.from_pretrained(folder), folder, ALPHABETICAL
    )
    np.testing.assert_allclose(predictions.probabilities, expected, atol=1e-4)
    assert report.steps == 1


@pytest.mark.parametrize(
    "head",
    [
        named(["a", "b", "c", "d", "e", "f"]),
        named(ALPHABETICAL[:5]),
        named([*ALPHABETICAL, "neutral"]),
        {"num_labels": 6},
        named(ALPHABETICAL) | {"problem_type": "multi_label_classification"},
        {"id2label": dict(enumerate(ALPHABETICAL)), "label2id": {label: index for index, label in enumerate(LABELS)}},
    ],
    ids=["other names", "fewer", "more", "no names", "several labels per text", "contradiction"],
)
@pytest.mark.parametrize("model", ["tiny_bert", "tiny_roberta", "tiny_llama_head"])
def test_a_head_that_is_not_one_for_the_labels_begins_anew_or_is_refused(
    model: str, head: dict[str, Any], compose_run: Compose, tmp_path: Path
) -> None:
    """The new head is that of the same weights without one."""
    folder = save_model(compose_run, tmp_path / "own", model, **head)
    tiny = ["recipe.max_steps=1", "recipe.learning_rate=1e-12"]
    _, report, predictions = scored(compose_run, model, folder, *tiny)
    assert report.weights.head is not None
    assert report.weights.trained_head is False
    with pytest.raises(BenchmarkError, match=r"model\.train is false, but the head of the weights"):
        scored(compose_run, model, folder, "model.train=false")
    AutoModelForSequenceClassification.from_pretrained(folder).base_model.save_pretrained(folder)
    _, headless, expected = scored(compose_run, model, folder, *tiny)
    assert headless.weights.head is None
    np.testing.assert_allclose(predictions.probabilities, expected.probabilities, atol=1e-6)
    with pytest.raises(BenchmarkError, match="no trained classification head"):
        scored(compose_run, model, folder, "model.train=false")


def test_the_remedy_for_a_head_without_names_leads_to_a_score(compose_run: Compose, tmp_path: Path) -> None:
    folder = save_model(compose_run, tmp_path / "own", num_labels=6)
    with pytest.raises(BenchmarkError) as refusal:
        scored(compose_run, "tiny_bert", folder, "model.train=false")
    assert refusal.value.fix == "Name the labels by id in id2label and label2id of their config.json."
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | named(LABELS)))
    _, report, _ = scored(compose_run, "tiny_bert", folder, "model.train=false")
    assert report.weights.head == "kept"


@pytest.mark.parametrize("batching", ["packed", "padded"])
@pytest.mark.parametrize("options", [{}, {"use_rslora": True}], ids=["lora", "rslora"])
def test_an_encoders_adapter_gives_the_predictions_of_peft(
    options: dict[str, Any], batching: str, compose_run: Compose, tmp_path: Path
) -> None:
    folder = save_model(compose_run, tmp_path / "base", num_labels=6)
    network = AutoModelForSequenceClassification.from_pretrained(folder)
    save_adapter(network, tmp_path / "adapter", task_type="SEQ_CLS", target_modules=["query", "value"], **options)
    overrides = [f"model.adapter={tmp_path}/adapter", f"model.batching={batching}"]
    classifier, report, predictions = scored(compose_run, "tiny_bert", folder, *overrides)
    fresh = AutoModelForSequenceClassification.from_pretrained(folder)
    expected = by_transformers(compose_run, PeftModel.from_pretrained(fresh, tmp_path / "adapter"), folder, LABELS)
    np.testing.assert_allclose(predictions.probabilities, expected, atol=1e-5)
    assert report.trained_parameters == 0
    assert report.weights.adapter is not None
    assert report.weights.adapter.base == "base"
    assert classifier.describe().settings["lora_rank"] == "of the adapter"


def test_an_adapter_on_a_base_without_a_pooler_is_refused(compose_run: Compose, tmp_path: Path) -> None:
    """BERT's head reads the pooler, which no adapter brings: it would be random."""
    folder = save_model(compose_run, tmp_path / "base", num_labels=6)
    network = AutoModelForSequenceClassification.from_pretrained(folder)
    save_adapter(network, tmp_path / "adapter", task_type="SEQ_CLS", target_modules=["query", "value"])
    AutoModelForMaskedLM.from_pretrained(folder).save_pretrained(folder)
    with pytest.raises(BenchmarkError, match=r"bert\.pooler\.dense\.bias is missing"):
        scored(compose_run, "tiny_bert", folder, f"model.adapter={tmp_path}/adapter")


SMALL = {"vocab_size": 600, "pad_token_id": 0, **named(LABELS)}
OTHER_ENCODERS = {
    "distilbert": {"dim": 16, "n_heads": 2, "n_layers": 1, "hidden_dim": 16, **SMALL},
    "deberta-v2": {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 16,
                   "pooler_hidden_size": 16, **SMALL},
}  # fmt: skip


def a_folder(model_type: str, compose_run: Compose, folder: Path) -> Any:
    """A network with random weights, saved in a folder without its head."""
    architecture = {"model_type": model_type, **OTHER_ENCODERS[model_type]}
    tokenizer = train_tokenizer(architecture, data.load(compose_run().dataset).train.texts)
    network = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(**architecture))
    for parameter in network.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    network.base_model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | named(LABELS)))
    return network


def scored_by_path(compose_run: Compose, base: Path, adapter: Path) -> Predictions:
    config = pin(compose_run("model=encoder", f"model.path={base}", f"model.adapter={adapter}"))
    classifier, splits = build_classifier(config.model), data.load(config.dataset)
    classifier.fit(splits.train, splits.validation, FitContext(LABELS, config.recipe, config.seed, base.parent / "w"))
    return classifier.predict(splits.test.texts)


def test_an_adapter_brings_both_layers_of_distilberts_head(compose_run: Compose, tmp_path: Path) -> None:
    network = a_folder("distilbert", compose_run, tmp_path / "base")
    adapted = save_adapter(network, tmp_path / "adapter", task_type="SEQ_CLS", target_modules=["q_lin"]).eval()
    predictions = scored_by_path(compose_run, tmp_path / "base", tmp_path / "adapter")
    expected = by_transformers(compose_run, adapted, tmp_path / "base", LABELS)
    np.testing.assert_allclose(predictions.probabilities, expected, atol=1e-5)


def test_an_adapter_without_the_pooler_that_its_head_reads_is_refused(compose_run: Compose, tmp_path: Path) -> None:
    network = a_folder("deberta-v2", compose_run, tmp_path / "base")
    save_adapter(network, tmp_path / "adapter", task_type="SEQ_CLS", target_modules=["query_proj"])
    with pytest.raises(BenchmarkError, match=r"pooler\.dense\.bias is missing"):
        scored_by_path(compose_run, tmp_path / "base", tmp_path / "adapter")


def test_a_base_of_several_labels_per_text_becomes_a_classifier_of_one(compose_run: Compose, tmp_path: Path) -> None:
    several = named(["x", "y", "z"]) | {"problem_type": "multi_label_classification"}
    folder = save_model(compose_run, tmp_path / "base", **several)
    classifier, _, _ = scored(compose_run, "tiny_bert", folder, "recipe.max_steps=1")
    assert classifier.network.config.problem_type is None


@pytest.mark.parametrize("model", ["tiny_roberta", "tiny_llama_head"])
@pytest.mark.parametrize("labels", [ALPHABETICAL, None], ids=["base names labels", "no names"])
def test_an_adapters_head_has_the_labels_that_its_base_model_names(
    labels: tuple[str, ...] | None, model: str, compose_run: Compose, tmp_path: Path
) -> None:
    options = named(labels) if labels else {"num_labels": 6}
    folder = save_model(compose_run, tmp_path / "base", model, **options)
    targets = ["query"] if model == "tiny_roberta" else ["q_proj"]
    network = AutoModelForSequenceClassification.from_pretrained(folder)
    adapted = save_adapter(network, tmp_path / "adapter", task_type="SEQ_CLS", target_modules=targets).eval()
    overrides = [f"model.adapter={tmp_path}/adapter"]
    overrides += ["model.lora.targets=[q_proj]"] if model == "tiny_llama_head" else []
    classifier, report, predictions = scored(compose_run, model, folder, *overrides)
    texts = data.load(compose_run().dataset).test.texts
    prompts = classifier._token_ids(texts)[0] if model == "tiny_roberta" else classifier.prompter.prompts(texts)[0]
    with torch.inference_mode():
        found = [adapted(torch.tensor([prompt])).logits[0].softmax(-1).numpy() for prompt in prompts]
    columns = [(labels or LABELS).index(label) for label in LABELS]
    np.testing.assert_allclose(predictions.probabilities, np.array(found)[:, columns], atol=1e-5)
    assert report.weights.head is not None
    assert ("base model names" in report.weights.head) is (labels is not None)


DECODER = {"task_type": "CAUSAL_LM", "target_modules": "all-linear"}


def by_peft(classifier: Any, network: Any, texts: Sequence[str]) -> np.ndarray[Any, Any]:
    """(texts, LABELS): constrained decoding over the labels, text by text, without batches."""
    answers, rows = classifier.prompter.answers, []
    for prompt in classifier.prompter.prompts(texts)[0]:
        row = []
        for answer in answers:
            total = 0.0
            for depth, token in enumerate(answer):
                possible = sorted({other[depth] for other in answers if other[:depth] == answer[:depth]})
                with torch.inference_mode():
                    logits = network(torch.tensor([prompt + answer[:depth]])).logits[0, -1]
                total += float(logits[possible].log_softmax(-1)[possible.index(token)])
            row.append(np.exp(total))
        rows.append(row)
    return np.array(rows)


def test_an_rslora_adapter_has_the_scale_of_peft(compose_run: Compose, tmp_path: Path) -> None:
    folder = save_model(compose_run, tmp_path / "base", "tiny_llama")
    save_adapter(AutoModelForCausalLM.from_pretrained(folder), tmp_path / "adapter", use_rslora=True, **DECODER)
    classifier, _, predictions = scored(compose_run, "tiny_llama", folder, f"model.adapter={tmp_path}/adapter")
    network = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), tmp_path / "adapter").eval()
    expected = by_peft(classifier, network, data.load(compose_run().dataset).test.texts[:6])
    np.testing.assert_allclose(predictions.probabilities[:6], expected, atol=1e-5)


UNSUPPORTED: dict[str, dict[str, Any]] = {
    "use_dora": {"use_dora": True},
    "rank_pattern": {"rank_pattern": {"q_proj": 4}},
    "alpha_pattern": {"alpha_pattern": {"q_proj": 4}},
    "layers_to_transform": {"layers_to_transform": [1], "target_modules": ["q_proj", "v_proj"]},
    "trainable_token_indices": {"trainable_token_indices": [5, 6]},
    "modules_to_save": {"modules_to_save": ["lm_head"]},
    "lm_head.weight": {},  # saved with the embeddings
}


@pytest.mark.parametrize("option", UNSUPPORTED)
def test_the_remedy_for_an_unsupported_option_leads_to_the_predictions_of_peft(
    option: str, compose_run: Compose, tmp_path: Path
) -> None:
    folder = save_model(compose_run, tmp_path / "base", "tiny_llama")
    base = AutoModelForCausalLM.from_pretrained(folder)
    adapted = save_adapter(base, tmp_path / "adapter", **{**DECODER, **UNSUPPORTED[option]})
    if option == "lm_head.weight":
        adapted.save_pretrained(tmp_path / "adapter", save_embedding_layers=True)
    with pytest.raises(BenchmarkError, match=option) as refusal:
        scored(compose_run, "tiny_llama", folder, f"model.adapter={tmp_path}/adapter")
    assert refusal.value.fix is not None
    assert "merge_and_unload()" in refusal.value.fix
    assert "model.train=false model.weights.source=folder model.weights.path=FOLDER" in refusal.value.fix
    adapted.merge_and_unload().save_pretrained(tmp_path / "merged")
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "merged")
    classifier, report, predictions = scored(compose_run, "tiny_llama", tmp_path / "merged", "model.train=false")
    network = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), tmp_path / "adapter").eval()
    expected = by_peft(classifier, network, data.load(compose_run().dataset).test.texts[:3])
    np.testing.assert_allclose(predictions.probabilities[:3], expected, atol=1e-5)
    assert (report.trained_parameters, report.weights.adapter) == (0, None)


@pytest.mark.parametrize("batching", ["packed", "padded"])
def test_a_merged_decoder_gives_the_predictions_of_its_adapter(
    batching: str, compose_run: Compose, tmp_path: Path
) -> None:
    folder = save_model(compose_run, tmp_path / "base", "tiny_llama")
    adapted = save_adapter(AutoModelForCausalLM.from_pretrained(folder), tmp_path / "adapter", **DECODER)
    adapted.merge_and_unload().save_pretrained(tmp_path / "merged")
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "merged")
    overrides = [f"model.batching={batching}"]
    adapter = f"model.adapter={tmp_path}/adapter"
    _, _, expected = scored(compose_run, "tiny_llama", folder, adapter, *overrides)
    _, _, found = scored(compose_run, "tiny_llama", tmp_path / "merged", "model.train=false", *overrides)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
    free = scored(compose_run, "tiny_llama", tmp_path / "merged", "model.train=false", "model.readout=generate")[2]
    assert free.generated == scored(compose_run, "tiny_llama", folder, adapter, "model.readout=generate")[2].generated


@pytest.mark.parametrize("end", ["<|eot_id|>", ""])
def test_a_head_reads_the_last_token_of_a_prompt_whatever_it_is(end: str, compose_run: Compose, tmp_path: Path) -> None:
    """Packed, padded and alone; the token is the one that ends an answer, or the last of the text."""
    folder = save_model(compose_run, tmp_path / "own", "tiny_llama_head", **named(LABELS))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = "{% for turn in messages %}{{ turn.content + '" + end + "' }}{% endfor %}"
    tokenizer.save_pretrained(folder)
    network, found = AutoModelForSequenceClassification.from_pretrained(folder).eval(), []
    for batching in ("packed", "padded"):
        overrides = ["model.train=false", "model.chat_template=null", f"model.batching={batching}"]
        classifier, _, predictions = scored(compose_run, "tiny_llama_head", folder, *overrides)
        found.append(predictions.probabilities)
    prompts, _ = classifier.prompter.prompts(data.load(compose_run().dataset).test.texts)
    assert len({prompt[-1] for prompt in prompts}) == 1 or not end
    with torch.inference_mode():
        alone = [network(torch.tensor([prompt])).logits[0].softmax(-1).numpy() for prompt in prompts]
    np.testing.assert_allclose(found[0], alone, atol=1e-5)
    np.testing.assert_allclose(found[1], alone, atol=1e-5)


def test_a_decoder_with_a_trained_head_is_scored_by_the_names_of_its_labels(
    compose_run: Compose, tmp_path: Path
) -> None:
    folder = save_model(compose_run, tmp_path / "own", "tiny_llama_head", **named(ALPHABETICAL))
    classifier, report, predictions = scored(compose_run, "tiny_llama_head", folder, "model.train=false")
    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    prompts, _ = classifier.prompter.prompts(data.load(compose_run().dataset).test.texts)
    with torch.inference_mode():
        found = [network(torch.tensor([prompt])).logits[0].softmax(-1).numpy() for prompt in prompts]
    columns = [ALPHABETICAL.index(label) for label in LABELS]
    np.testing.assert_allclose(predictions.probabilities, np.array(found)[:, columns], atol=1e-5)
    assert report.weights.head is not None


@pytest.mark.parametrize("model", MODELS)
def test_an_option_that_was_added_later_changes_no_digest(model: str, compose_run: Compose) -> None:
    config = compose_run(f"model={model}")
    parameters = spec_of(config).model.parameters
    assert "train" not in parameters
    assert ("adapter" in parameters) is (MODELS[model] == "decoder")
    other = spec_of(compose_run(f"model={model}", "model.train=false")).model.parameters
    assert other == {**parameters, "train": False}


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_a_model_that_is_not_trained_has_no_training_to_time(model: str, compose_run: Compose) -> None:
    classifier = build_classifier(compose_run(f"model={model}", "model.train=false").model)
    assert isinstance(classifier, Measurable)
    with pytest.raises(BenchmarkError, match="nothing is trained"):
        classifier.speed_comparison().references()


def test_scores_without_training_are_another_training_than_those_with_it(compose_run: Compose) -> None:
    trained, scored_only = (
        build_classifier(compose_run("model=tiny_llama", f"model.train={on}").model).describe()
        for on in ("true", "false")
    )
    assert trained.training != scored_only.training
    assert (trained.settings["lora_rank"], scored_only.settings["lora_rank"]) == (8, "none")
    assert (scored_only.trained_parameters, scored_only.parameters) == (0, trained.parameters)
