"""Small networks: trained, saved by their libraries or kept by runs. And the definition of attention over segments."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from factories import LABELS
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, LlamaForCausalLM

from baselines.decoder import DecoderClassifier
from baselines.encoder import EncoderClassifier
from baselines.packed.attention import Options, States
from baselines.packed.sample import Sample
from baselines.packed.stream import Varlen
from baselines.weights.tokenizer import train_tokenizer
from benchmark.config import RunConfig
from benchmark.configuration.compose import build_classifier
from benchmark.data.load import Splits, load
from benchmark.interface import FitContext, FitReport, Predictions, Readout
from benchmark.results.store import Run
from benchmark.run import runner

Compose = Callable[..., RunConfig]
Network = EncoderClassifier | DecoderClassifier


def trained(config: RunConfig, work_dir: Path, **options: Any) -> tuple[Network, FitReport, Splits]:
    """A model after the few steps of `config`, so that adapters and heads have left their initial values."""
    classifier = build_classifier(config.model)
    assert isinstance(classifier, EncoderClassifier | DecoderClassifier)
    splits = load(config.dataset)
    recipe = replace(config.recipe, **options)
    context = FitContext(tuple(config.dataset.labels), recipe, config.seed, work_dir, checkpoints=False)
    report = classifier.fit(splits.train, splits.validation, context)
    assert not list(work_dir.glob("checkpoint-*"))  # which the next training would continue from
    return classifier, report, splits


def samples_of(classifier: Network, splits: Splits, rows: int) -> list[Sample]:
    texts, labels = splits.train.texts[:rows], splits.train.labels[:rows].tolist()
    if isinstance(classifier, EncoderClassifier):
        return [Sample(ids, [label]) for ids, label in zip(classifier._token_ids(texts)[0], labels, strict=True)]
    prompts, _ = classifier.prompter.prompts(texts)
    answers = classifier.prompter.answers if classifier.readout is not Readout.head else [[label] for label in range(6)]
    return [Sample(ids, answers[label]) for ids, label in zip(prompts, labels, strict=True)]


def save_model(compose_run: Compose, folder: Path, model: str = "tiny_bert", **options: Any) -> Path:
    """A model with random weights and its tokenizer in `folder`, as a trainer saves them."""
    torch.manual_seed(0)
    config = compose_run(f"model={model}")
    architecture = config.model.parameters["architecture"] | options
    tokenizer = train_tokenizer(architecture, load(config.dataset).train.texts)
    kind = AutoModelForCausalLM if model == "tiny_llama" else AutoModelForSequenceClassification
    network = kind.from_config(AutoConfig.for_model(**architecture, pad_token_id=tokenizer.pad_token_id))
    for parameter in network.parameters():  # large enough for the labels to differ
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def named(labels: Sequence[str]) -> dict[str, Any]:
    """The options of a configuration that names the labels, by id."""
    return {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}


def new_network(compose_run: Compose, **changes: Any) -> Any:
    """A tiny Llama with random weights, and these changes of its architecture."""
    architecture = compose_run("model=tiny_llama").model.parameters["architecture"]
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(**architecture | changes))


def llama_in_a_folder(compose_run: Compose, folder: Path) -> list[str]:
    """Overrides that take a tiny Llama's weights from `folder`, where they are put."""
    config = compose_run("model=tiny_llama")
    architecture = config.model.parameters["architecture"]
    texts = [config.model.parameters["instruction"], *config.dataset.labels]
    tokenizer = train_tokenizer(architecture, texts)
    tokenizer.save_pretrained(folder)
    padding = tokenizer.pad_token_id
    LlamaForCausalLM(AutoConfig.for_model(**architecture, pad_token_id=padding)).save_pretrained(folder)
    return ["model=tiny_llama", "model.weights.source=folder", f"+model.weights.path={folder}"]


def save_adapter(network: Any, folder: Path, **options: Any) -> PeftModel:
    """A LoRA adapter of peft on the network, with values that change the answers."""
    torch.manual_seed(1)
    adapted = get_peft_model(network, LoraConfig(**{"r": 8, "lora_alpha": 16, **options}))
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter), alpha=0.05 if "embed" not in name else 0.5)
    adapted.save_pretrained(folder)
    return adapted


def save_new_adapter(network: Any, folder: Path, task: str = "CAUSAL_LM", **options: Any) -> Path:
    """A new LoRA adapter of peft on the network, which changes no answer yet, in `folder`."""
    config = {"r": 8, "lora_alpha": 16, "target_modules": "all-linear", "task_type": task, **options}
    get_peft_model(network, LoraConfig(**config)).save_pretrained(folder)
    return folder


def scored(compose_run: Compose, model: str, folder: Path, *overrides: str) -> tuple[Any, FitReport, Predictions]:
    """The model after `fit`, its report, and its predictions of the test texts."""
    source = ["model.weights.source=folder", f"model.weights.path={folder}"]
    config = compose_run(f"model={model}", *source, *overrides)
    classifier, splits = build_classifier(config.model), load(config.dataset)
    work = Path(tempfile.mkdtemp(dir=folder.parent))  # a new one, so that nothing continues another training
    report = classifier.fit(splits.train, splits.validation, FitContext(LABELS, config.recipe, config.seed, work))
    return classifier, report, classifier.predict(splits.test.texts)


KEPT_TRAINING = ("recipe.max_steps=6", "recipe.learning_rate=1e-2")


def keep(compose_run: Compose, folder: Path, *overrides: str) -> tuple[Run, Path, tuple[str, ...]]:
    """The run, the folder of its kept model, and its test texts."""
    config = compose_run(*KEPT_TRAINING, *overrides, f"models_dir={folder}/models")
    run = runner.run(config)
    (record,) = (folder / "models").rglob("record.json")
    return run, record.parent, load(config.dataset).test.texts


def keep_llama(compose_run: Compose, folder: Path, *overrides: str) -> tuple[Run, Path, tuple[str, ...]]:
    """The same for a tiny Llama whose base is `folder`/base."""
    source = llama_in_a_folder(compose_run, folder / "base")[1:]
    return keep(compose_run, folder, *(overrides or ("model=tiny_llama",)), *source)


def reference_kernel(states: States, layout: Varlen, options: Options) -> torch.Tensor:
    """The definition, segment by segment; with a causal mask, a query attends to the keys up to its own position."""
    query, key, value = states
    ends = layout.query_ends.tolist(), layout.key_ends.tolist()
    mixed = []
    for segment in range(len(ends[0]) - 1):
        own = query[ends[0][segment] : ends[0][segment + 1]]
        seen = slice(ends[1][segment], ends[1][segment + 1])
        groups = query.shape[1] // key.shape[1]
        keys, values = (part[seen].repeat_interleave(groups, dim=1) for part in (key, value))
        scores = torch.einsum("qhd,khd->hqk", own, keys) * options.scaling
        if layout.causal:
            future = torch.ones(scores.shape[1:], dtype=torch.bool).triu(1 + scores.shape[2] - scores.shape[1])
            scores = scores.masked_fill(future, float("-inf"))
        if options.window is not None:
            queries, keys_seen = scores.shape[1:]
            distance = torch.arange(keys_seen - queries, keys_seen)[:, None] - torch.arange(keys_seen)
            scores = scores.masked_fill(distance.abs() >= options.window, float("-inf"))
        mixed.append(torch.einsum("hqk,khd->qhd", scores.softmax(dim=-1), values))
    return torch.cat(mixed)
