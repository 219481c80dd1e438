"""An adapter saved by a run or made elsewhere is evaluated without training; one that does not fit is refused."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import new_network, save_new_adapter
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from baselines.decoder import DecoderClassifier
from baselines.weights.adapter import WEIGHTS_FILE, read_adapter
from baselines.weights.adapter_config import CONFIG_FILE
from baselines.weights.lora import Lora
from benchmark.config import RunConfig, digest_of
from benchmark.configuration.compose import build_classifier
from benchmark.configuration.published import spec_of
from benchmark.data import load as data
from benchmark.errors import BenchmarkError
from benchmark.interface import AdapterSource, FitContext
from benchmark.results.store import Run
from benchmark.run import runner

Compose = Callable[..., RunConfig]
TRAINING = ["recipe.max_steps=10", "recipe.learning_rate=1e-2"]


@pytest.fixture
def saved(compose_run: Compose, tmp_path: Path) -> Callable[..., tuple[Run, Path]]:
    """Trains a tiny decoder; returns the run and the folder of its adapter."""

    def train(model: str = "tiny_llama", *overrides: str) -> tuple[Run, Path]:
        run = runner.run(compose_run(f"model={model}", *TRAINING, f"models_dir={tmp_path}/models", *overrides))
        (folder,) = (path.parent for path in (tmp_path / "models" / model).rglob(WEIGHTS_FILE))
        return run, folder

    return train


@pytest.mark.parametrize("model", ["tiny_llama", "tiny_llama_head"])
def test_a_saved_adapter_gives_the_predictions_of_its_run_without_training(
    model: str, saved: Callable[..., tuple[Run, Path]], compose_run: Compose
) -> None:
    trained, folder = saved(model)
    overrides = [f"model={model}", f"model.adapter={folder}"]
    read = runner.run(compose_run(*overrides), overrides).record
    assert read.predictions_sha256 == trained.record.predictions_sha256
    assert read.fit is not None
    assert (read.fit.steps, read.fit.trained_parameters, read.fit.training_seconds) == (0, 0, None)
    assert (read.trained, read.training_seconds) == (False, None)
    assert trained.record.fit is not None
    sha256 = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    assert read.fit.weights.adapter == AdapterSource(folder.name, sha256, None)
    assert trained.record.fit.saved_sha256 == sha256
    assert read.fit.parameters == trained.record.fit.parameters


def test_one_adapter_can_be_used_with_two_readouts(
    saved: Callable[..., tuple[Run, Path]], compose_run: Compose
) -> None:
    trained, folder = saved()
    written = runner.run(compose_run("model=tiny_llama", f"model.adapter={folder}", "model.readout=generate"))
    assert written.predictions.generated is not None
    assert trained.predictions.generated is None
    assert trained.record.fit is not None
    assert written.record.fit is not None
    assert (trained.record.fit.attention, written.record.fit.attention) == ("packed, batched products", "sdpa")
    assert written.folder != trained.folder


def digest(config: RunConfig) -> str:
    return digest_of(spec_of(config).as_json(), {})


def test_the_record_contains_no_path_and_the_digest_depends_on_the_files(
    saved: Callable[..., tuple[Run, Path]], compose_run: Compose, tmp_path: Path
) -> None:
    _, folder = saved()
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere" / folder.name)
    overrides = ["model=tiny_llama", f"model.adapter={folder}"]
    config = compose_run(*overrides)
    run = runner.run(config, overrides)
    assert str(tmp_path) not in (run.folder / "record.json").read_text()
    assert run.record.overrides[-1] == f"model.adapter=DIR/{folder.name}"
    there = ["model=tiny_llama", f"model.adapter={elsewhere}"]
    before = digest(config)
    assert digest(compose_run(*there)) == before
    scale(elsewhere, 2.0)
    assert digest(compose_run(*there)) != before
    settings = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps(settings | {"lora_alpha": 32}))
    assert digest(compose_run(*overrides)) != before


def scale(folder: Path, factor: float) -> None:
    weights = load_file(folder / WEIGHTS_FILE)
    save_file({key: tensor * factor for key, tensor in weights.items()}, folder / WEIGHTS_FILE)


def test_a_saved_head_gives_the_same_probabilities_with_transformers_and_peft_alone(
    saved: Callable[..., tuple[Run, Path]], compose_run: Compose, tmp_path: Path
) -> None:
    """The base has the same seed. Prompts are computed one by one, without padding."""
    run, folder = saved("tiny_llama_head")
    config = compose_run("model=tiny_llama_head", f"model.adapter={folder}")
    classifier, splits = build_classifier(config.model), data.load(config.dataset)
    assert isinstance(classifier, DecoderClassifier)
    classifier.fit(
        splits.train, splits.validation, FitContext(tuple(config.dataset.labels), config.recipe, 0, tmp_path)
    )
    base = classifier.network.get_base_model()
    reference = AutoModelForSequenceClassification.from_config(base.config)
    state = {name.replace("base_layer.", ""): value for name, value in base.state_dict().items() if "lora_" not in name}
    reference.load_state_dict(
        {name: value for name, value in state.items() if name in reference.state_dict()}, strict=False
    )
    network = PeftModel.from_pretrained(reference, folder).eval()
    prompts, _ = classifier.prompter.prompts(splits.test.texts)
    with torch.inference_mode():
        found = [network(torch.tensor([prompt])).logits.softmax(-1)[0].numpy() for prompt in prompts]
    np.testing.assert_allclose(found, run.predictions.probabilities, atol=1e-5)


def test_an_adapter_made_by_peft_is_evaluated(compose_run: Compose, tmp_path: Path) -> None:
    """Like LLaMA-Factory's: targets by name, in half precision."""
    network = new_network(compose_run)
    adapted = get_peft_model(
        network, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    )
    adapted.half().save_pretrained(tmp_path / "made-elsewhere")
    declared = ["model.lora.rank=4", "model.lora.alpha=8", "model.lora.targets=[q_proj,v_proj]"]
    run = runner.run(compose_run("model=tiny_llama", f"model.adapter={tmp_path}/made-elsewhere", *declared))
    assert run.record.fit is not None
    assert run.record.fit.weights.adapter is not None
    assert run.record.fit.weights.adapter.name == "made-elsewhere"


def score(compose_run: Compose, folder: Path, *overrides: str) -> Run:
    return runner.run(compose_run("model=tiny_llama", f"model.adapter={folder}", *overrides))


@pytest.mark.parametrize(
    ("changes", "options", "named"),
    [
        ({"hidden_size": 64}, {}, "another network"),
        ({"num_hidden_layers": 3}, {}, "another network"),
        ({"num_hidden_layers": 1}, {}, "another network"),
        ({}, {"r": 4}, r"rank 4, but model\.lora\.rank is 8.*model\.lora\.rank=4"),
        ({}, {"lora_alpha": 8}, r"alpha 8, but model\.lora\.alpha is 16.*model\.lora\.alpha=8"),
        ({}, {"target_modules": ["q_proj"]}, r"model\.lora\.targets=\[q_proj\]"),
        ({}, {"task": "SEQ_CLS"}, r"model\.readout=head"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(
    changes: dict[str, Any], options: dict[str, Any], named: str, compose_run: Compose, tmp_path: Path
) -> None:
    folder = save_new_adapter(new_network(compose_run, **changes), tmp_path / "adapter", **options)
    with pytest.raises(BenchmarkError, match=named) as refusal:
        score(compose_run, folder)
    assert str(folder) in refusal.value.problem
    assert "\n" not in str(refusal.value)


def test_the_remedies_for_rank_alpha_and_targets_lead_to_a_score(compose_run: Compose, tmp_path: Path) -> None:
    options = {"r": 4, "lora_alpha": 8, "target_modules": ["v_proj", "q_proj"]}
    folder, followed = save_new_adapter(new_network(compose_run), tmp_path / "adapter", **options), []
    for _ in options:
        with pytest.raises(BenchmarkError) as refusal:
            score(compose_run, folder, *followed)
        assert refusal.value.fix is not None
        followed.append(refusal.value.fix.removeprefix("Set ").removesuffix("."))
    assert score(compose_run, folder, *followed).record.fit is not None


@pytest.mark.parametrize("target", ["lm_head", "model.embed_tokens"])
def test_targets_that_are_used_without_adapters_are_refused(target: str) -> None:
    with pytest.raises(BenchmarkError, match=f"targets names {target}"):
        Lora(targets=["q_proj", target])


def test_an_adapter_without_a_head_is_refused_for_the_readout_head(compose_run: Compose, tmp_path: Path) -> None:
    folder = save_new_adapter(new_network(compose_run), tmp_path / "adapter")
    with pytest.raises(BenchmarkError, match="model.readout=labels"):
        runner.run(compose_run("model=tiny_llama_head", f"model.adapter={folder}"))


def test_a_head_for_other_labels_is_refused(saved: Callable[..., tuple[Run, Path]], compose_run: Compose) -> None:
    _, folder = saved("tiny_llama_head")
    weights = load_file(folder / WEIGHTS_FILE)
    (head,) = (key for key in weights if "score" in key)
    save_file(weights | {head: weights[head][:5].contiguous()}, folder / WEIGHTS_FILE)
    with pytest.raises(BenchmarkError, match="has 5 labels, but the data set has 6"):
        runner.run(compose_run("model=tiny_llama_head", f"model.adapter={folder}"))


def missing(folder: Path) -> None:
    shutil.rmtree(folder)


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS_FILE), folder / "adapter_model.bin")
    (folder / WEIGHTS_FILE).unlink()


def truncated(folder: Path) -> None:
    (folder / WEIGHTS_FILE).write_bytes((folder / WEIGHTS_FILE).read_bytes()[:-100])


def malformed(folder: Path) -> None:
    (folder / CONFIG_FILE).write_text("{")


def another_kind(folder: Path) -> None:
    (folder / CONFIG_FILE).write_text(json.dumps({"peft_type": "IA3", "task_type": "CAUSAL_LM"}))


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (missing, "has no adapter_config.json"),
        (pickled, "pickled"),
        (truncated, "cannot be read"),
        (malformed, "cannot be read"),
        (another_kind, "IA3"),
    ],
)
def test_a_damaged_adapter_is_refused_before_weights_are_downloaded(
    damage: Callable[[Path], None], named: str, compose_run: Compose, tmp_path: Path
) -> None:
    folder = save_new_adapter(new_network(compose_run), tmp_path / "adapter")
    damage(folder)
    with pytest.raises(BenchmarkError, match=named) as refusal:
        read_adapter(folder, new_network(compose_run), "CAUSAL_LM", Lora(), None)
    assert "\n" not in str(refusal.value)
    assert str(folder) in refusal.value.problem
    config = compose_run("model=tiny_llama", f"model.adapter={folder}")
    context = FitContext(tuple(config.dataset.labels), config.recipe, 0, tmp_path)
    first = build_classifier(config.model).examine((), context)[0]
    assert (first.what, first.found, first.fix) == ("adapter", refusal.value.problem, refusal.value.fix)
