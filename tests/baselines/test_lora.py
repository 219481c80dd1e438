"""An adapter kept by a run, or made elsewhere, is scored without training; one that does not fit is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmark.analysis.evidence import Evidence
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from baselines.decoder import DecoderClassifier
from baselines.weights.lora import CONFIG, WEIGHTS, Lora, read_adapter
from benchmark.config import RunConfig
from benchmark.data import load as data
from benchmark.errors import BenchmarkError
from benchmark.interface import FitContext
from benchmark.report.tables import leaderboard, table2_settings
from benchmark.results.catalogue import read_contestants
from benchmark.results.record import sha256
from benchmark.results.store import Run
from benchmark.run import doctor, runner
from benchmark.run.compose import build_classifier, composed

Compose = Callable[..., RunConfig]
TRAINING = ["recipe.max_steps=10", "recipe.learning_rate=1e-2"]


@pytest.fixture
def kept(compose_run: Compose, tmp_path: Path) -> Callable[..., tuple[Run, Path]]:
    """A tiny decoder after a short training, and the folder that keeps its adapter."""

    def train(model: str = "tiny_llama", *overrides: str) -> tuple[Run, Path]:
        run = runner.run(compose_run(f"model={model}", *TRAINING, f"models_dir={tmp_path}/models", *overrides))
        (folder,) = (path.parent for path in (tmp_path / "models" / model).rglob(WEIGHTS))
        return run, folder

    return train


@pytest.mark.parametrize("model", ["tiny_llama", "tiny_llama_head"])
def test_a_kept_adapter_answers_as_the_run_that_trained_it_and_trains_nothing(
    model: str, kept: Callable[..., tuple[Run, Path]], compose_run: Compose
) -> None:
    trained, folder = kept(model)
    overrides = [f"model={model}", f"model.adapter={folder}"]
    read = runner.run(compose_run(*overrides), overrides).record
    assert read.predictions_sha256 == trained.record.predictions_sha256
    assert read.fit is not None
    assert (read.fit.steps, read.fit.trained_parameters, read.fit.training_seconds) == (0, 0, None)
    assert read.fit.weights["adapter"]["sha256"] == sha256((folder / WEIGHTS).read_bytes())
    assert read.fit.parameters == trained.record.fit.parameters  # type: ignore[union-attr]


def test_one_training_is_read_out_in_two_ways(kept: Callable[..., tuple[Run, Path]], compose_run: Compose) -> None:
    trained, folder = kept()
    written = runner.run(compose_run("model=tiny_llama", f"model.adapter={folder}", "model.readout=generate"))
    assert written.predictions.generated is not None
    assert trained.predictions.generated is None
    assert trained.record.fit is not None
    assert written.record.fit is not None
    assert (trained.record.fit.attention, written.record.fit.attention) == ("packed, batched products", "sdpa")
    assert written.folder != trained.folder


def test_no_folder_reaches_the_record_and_the_digest_follows_the_content(
    kept: Callable[..., tuple[Run, Path]], compose_run: Compose, tmp_path: Path
) -> None:
    _, folder = kept()
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere" / folder.name)
    overrides = ["model=tiny_llama", f"model.adapter={folder}"]
    config = compose_run(*overrides)
    run = runner.run(config, overrides)
    assert str(tmp_path) not in (run.folder / "record.json").read_text()
    assert run.record.overrides[-1] == f"model.adapter={folder.name}"
    there = ["model=tiny_llama", f"model.adapter={elsewhere}"]
    assert compose_run(*there).digest({}) == config.digest({})
    scale(elsewhere, 2.0)
    assert compose_run(*there).digest({}) != config.digest({})
    settings = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(settings | {"lora_alpha": 32}))
    assert compose_run(*overrides).digest({}) != config.digest({})


def scale(folder: Path, factor: float) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file({key: tensor * factor for key, tensor in weights.items()}, folder / WEIGHTS)


def test_tables_show_no_training_that_did_not_happen(
    kept: Callable[..., tuple[Run, Path]], compose_run: Compose
) -> None:
    trained, folder = kept()
    overrides = ["model=tiny_llama", f"model.adapter={folder}"]
    read = runner.run(compose_run(*overrides, "recipe.max_steps=null"), overrides)
    rows = leaderboard(Evidence([trained, read], read_contestants()), "synthetic").set_index("recipe")
    before, after = rows.loc["paper"], rows.loc[f"paper, adapter={folder.name}"]
    assert before.training_seconds > 0
    assert after.training_seconds is None
    assert "not trained by this run" in after.status
    assert "run" not in set(table2_settings(Evidence([read], read_contestants())).status)


def test_a_kept_head_read_by_plain_transformers_and_peft_gives_the_same_probabilities(
    kept: Callable[..., tuple[Run, Path]], compose_run: Compose, tmp_path: Path
) -> None:
    """The base is the one of the same seed; each prompt goes in alone, so that nothing is padded."""
    run, folder = kept("tiny_llama_head")
    config = compose_run("model=tiny_llama_head", f"model.adapter={folder}")
    classifier, splits = build_classifier(config.model), data.load(config.dataset)
    assert isinstance(classifier, DecoderClassifier)
    classifier.fit(
        splits.train, splits.validation, FitContext(tuple(config.dataset.labels), config.recipe, 0, tmp_path)
    )
    base = classifier.network.get_base_model()
    plain = AutoModelForSequenceClassification.from_config(base.config)
    state = {name.replace("base_layer.", ""): value for name, value in base.state_dict().items() if "lora_" not in name}
    plain.load_state_dict({name: value for name, value in state.items() if name in plain.state_dict()}, strict=False)
    network = PeftModel.from_pretrained(plain, folder).eval()
    prompts, _ = classifier.prompter.prompts(splits.test.texts)
    with torch.inference_mode():
        found = [network(torch.tensor([prompt])).logits.softmax(-1)[0].numpy() for prompt in prompts]
    np.testing.assert_allclose(found, run.predictions.probabilities, atol=1e-5)


def test_an_adapter_that_peft_alone_made_is_scored(compose_run: Compose, tmp_path: Path) -> None:
    """As LLaMA-Factory saves one: targets by name, half precision."""
    network = fresh(compose_run)
    adapted = get_peft_model(
        network, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    )
    adapted.half().save_pretrained(tmp_path / "made-elsewhere")
    declared = ["model.lora.rank=4", "model.lora.alpha=8", "model.lora.targets=[q_proj,v_proj]"]
    run = runner.run(compose_run("model=tiny_llama", f"model.adapter={tmp_path}/made-elsewhere", *declared))
    assert run.record.fit is not None
    assert run.record.fit.weights["adapter"]["name"] == "made-elsewhere"


def fresh(compose_run: Compose, **changes: Any) -> Any:
    architecture = compose_run("model=tiny_llama").model.parameters["architecture"]
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(**architecture | changes))


def made(network: Any, folder: Path, task: str = "CAUSAL_LM", **options: Any) -> Path:
    config = {"r": 8, "lora_alpha": 16, "target_modules": "all-linear", "task_type": task, **options}
    get_peft_model(network, LoraConfig(**config)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("changes", "options", "said"),
    [
        ({"hidden_size": 64}, {}, "made for another network"),
        ({"num_hidden_layers": 3}, {}, "made for another network"),
        ({"num_hidden_layers": 1}, {}, "made for another network"),
        ({}, {"r": 4}, "has rank 4, but model.lora.rank says 8; set model.lora.rank=4"),
        ({}, {"lora_alpha": 8}, "has alpha 8, but model.lora.alpha says 16; set model.lora.alpha=8"),
        ({}, {"target_modules": ["q_proj"]}, "choose the model, model.lora.targets"),
        ({}, {"task": "SEQ_CLS"}, "set model.readout=head"),
        ({}, {"use_rslora": True}, "has use_rslora set, so that alpha / rank is not its scale"),
        ({}, {"alpha_pattern": {"q_proj": 4}}, "has alpha_pattern set"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(
    changes: dict[str, Any], options: dict[str, Any], said: str, compose_run: Compose, tmp_path: Path
) -> None:
    folder = made(fresh(compose_run, **changes), tmp_path / "adapter", **options)
    with pytest.raises(BenchmarkError, match=said) as refusal:
        runner.run(compose_run("model=tiny_llama", f"model.adapter={folder}"))
    assert str(tmp_path) not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("target", ["lm_head", "model.embed_tokens"])
def test_adapters_where_none_would_be_read_are_refused(target: str) -> None:
    with pytest.raises(BenchmarkError, match=f"targets names {target}, which is read without adapters"):
        Lora(targets=["q_proj", target])


def test_an_adapter_without_a_head_is_refused_where_a_head_is_read(compose_run: Compose, tmp_path: Path) -> None:
    folder = made(fresh(compose_run), tmp_path / "adapter")
    with pytest.raises(BenchmarkError, match="set model.readout=labels"):
        runner.run(compose_run("model=tiny_llama_head", f"model.adapter={folder}"))


def test_a_head_for_other_labels_is_refused(kept: Callable[..., tuple[Run, Path]], compose_run: Compose) -> None:
    _, folder = kept("tiny_llama_head")
    weights = load_file(folder / WEIGHTS)
    (head,) = (key for key in weights if "score" in key)
    save_file(weights | {head: weights[head][:5].contiguous()}, folder / WEIGHTS)
    with pytest.raises(BenchmarkError, match="score.weight it has \\(5, 32\\), and \\(6, 32\\) is needed"):
        runner.run(compose_run("model=tiny_llama_head", f"model.adapter={folder}"))


def missing(folder: Path) -> None:
    shutil.rmtree(folder)


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "adapter_model.bin")
    (folder / WEIGHTS).unlink()


def truncated(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-100])


def no_json(folder: Path) -> None:
    (folder / CONFIG).write_text("{")


def another_kind(folder: Path) -> None:
    (folder / CONFIG).write_text(json.dumps({"peft_type": "IA3", "task_type": "CAUSAL_LM"}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (missing, "is no folder with an adapter_config.json"),
        (pickled, "pickles are not read"),
        (truncated, "cannot be read"),
        (no_json, "cannot be read"),
        (another_kind, "only LoRA"),
    ],
)
def test_what_is_no_adapter_is_refused_in_one_sentence_before_weights_are_fetched(
    damage: Callable[[Path], None], said: str, compose_run: Compose, tmp_path: Path
) -> None:
    folder = made(fresh(compose_run), tmp_path / "adapter")
    damage(folder)
    with pytest.raises(BenchmarkError, match=said) as refusal:
        read_adapter(folder, Lora(), fresh(compose_run), "CAUSAL_LM")
    assert "\n" not in str(refusal.value)
    assert str(tmp_path) not in str(refusal.value)
    config = composed(["model=tiny_llama", "dataset=synthetic", f"model.adapter={folder}"])
    assert [finding.remedy is not None for finding in doctor.examine(config) if finding.what == "adapter"] == [True]
