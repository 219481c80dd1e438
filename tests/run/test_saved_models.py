"""Saved models and repeated seeds give the same predictions."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from child_processes import predictions_of
from networks import llama_in_a_folder
from transformers import AutoModelForSequenceClassification

from benchmark.config import RunConfig
from benchmark.configuration.compose import build_classifier
from benchmark.data.load import load
from benchmark.errors import BenchmarkError
from benchmark.interface import FitContext
from benchmark.run import runner

Compose = Callable[..., RunConfig]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread_per_process")]


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_a_seed_determines_the_predictions(model: str, compose_run: Compose) -> None:
    options = [f"model={model}", "recipe.max_steps=10", "recipe.learning_rate=1e-2", "force=true"]
    first, second, other = (predictions_of(runner.run(compose_run(*options, f"seed={seed}"))) for seed in (0, 0, 1))
    assert first == second != other


RELOADED = """
import pickle, sys
from pathlib import Path
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
import torch
from baselines.compute.hardware import Computation
from baselines.packed.fused import fuse
from baselines.decoder.prompt import Prompter
from benchmark.data.load import load
from benchmark.results.record import sha256
from benchmark.results.store import encode_predictions
from benchmark.configuration.compose import build_classifier
config, folder = pickle.loads(Path(sys.argv[1]).read_bytes()), sys.argv[2]
splits, classifier = load(config.dataset), build_classifier(config.model)
options = classifier.precision, classifier.attention, classifier.batching
classifier.computation = Computation(torch.device("cpu"), *options)
classifier.tokenizer = AutoTokenizer.from_pretrained(folder)
if config.model.family == "encoder":
    classifier.network = AutoModelForSequenceClassification.from_pretrained(folder)
    classifier.max_length = config.recipe.max_length
    assert list(classifier.network.config.id2label.values()) == config.dataset.labels
else:
    by_head = classifier.readout == "classification head"
    auto_class = AutoModelForSequenceClassification if by_head else AutoModelForCausalLM
    base = auto_class.from_pretrained(classifier.weights.path, num_labels=6)
    classifier.network = PeftModel.from_pretrained(base, folder)
    fuse(classifier.network)
    labels, length = config.dataset.labels, config.recipe.max_length
    words = classifier.tokenizer, classifier.chat_template, classifier.instruction
    classifier.prompter = Prompter(*words, labels, length)
predictions = classifier.predict(splits.test.texts)
content = encode_predictions(splits.test, predictions, tuple(config.dataset.labels))
sys.stdout.write(sha256(content))
"""


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_roberta", "tiny_llama", "tiny_llama_head"])
def test_a_saved_model_gives_the_same_predictions_in_a_new_process(
    model: str, compose_run: Compose, tmp_path: Path
) -> None:
    chosen = [f"model={model}"]
    if model.startswith("tiny_llama"):
        chosen = [*llama_in_a_folder(compose_run, tmp_path / "base")[1:], *chosen]
    options = ["recipe.max_steps=10", "recipe.learning_rate=1e-2", f"models_dir={tmp_path}/models"]
    config = compose_run(*chosen, *options)
    run = runner.run(config)
    (folder,) = (path.parent for path in (tmp_path / "models").rglob("*.safetensors"))
    assert folder.name == run.folder.name
    pickled = tmp_path / "config.pickle"
    pickled.write_bytes(pickle.dumps(config))
    command = [sys.executable, "-c", RELOADED, str(pickled), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == run.record.predictions_sha256, done.stderr[-2000:]


def test_the_generation_settings_of_a_checkpoint_are_ignored(compose_run: Compose, tmp_path: Path) -> None:
    chosen = llama_in_a_folder(compose_run, tmp_path / "base")
    (tmp_path / "base/generation_config.json").write_text('{"repetition_penalty": 5.0, "do_sample": true}')
    config = compose_run(*chosen)
    classifier = build_classifier(config.model)
    splits = load(config.dataset)
    classifier.fit(
        splits.train, splits.validation, FitContext(tuple(config.dataset.labels), config.recipe, 0, tmp_path)
    )
    assert classifier.network.generation_config.repetition_penalty in (None, 1.0)  # type: ignore[attr-defined]


def test_the_head_of_a_kept_adapter_keeps_its_labels_on_a_base_that_names_them_in_another_order(
    compose_run: Compose, tmp_path: Path
) -> None:
    """The base comes with a head of its own, which the training replaced."""
    _, *source = llama_in_a_folder(compose_run, tmp_path / "base")
    names = dict(enumerate(sorted(compose_run("model=tiny_llama").dataset.labels)))
    base = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "base", id2label=names, label2id={name: index for index, name in names.items()}
    )
    base.save_pretrained(tmp_path / "base")
    trained = compose_run("model=tiny_llama_head", *source, f"models_dir={tmp_path}/kept", "recipe.max_steps=10")
    expected = runner.run(trained).predictions.probabilities
    (folder,) = (file.parent for file in tmp_path.glob("kept/**/adapter_config.json"))
    scored = runner.run(compose_run("model=tiny_llama_head", *source, f"model.adapter={folder}"))
    np.testing.assert_allclose(scored.predictions.probabilities, expected, rtol=0, atol=1e-5)
    (folder / "adapter_labels.json").write_text('["one", "two"]')
    with pytest.raises(BenchmarkError, match="labels of the adapter .* are one, two"):
        runner.run(compose_run("model=tiny_llama_head", *source, f"model.adapter={folder}"))
