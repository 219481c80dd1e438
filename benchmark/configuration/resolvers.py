"""What YAML files in conf/ compute: `${name:arguments}`."""

import re
from pathlib import Path
from typing import Any

from hydra import compose
from omegaconf import DictConfig, OmegaConf

from benchmark.config import Needs
from benchmark.configuration.overrides import choices, sweeps, with_groups
from benchmark.configuration.structured import to_dataclass

LABELS = "{labels}"
"""Stands for the labels in an instruction."""


def by_family(table: dict[str, Any], *, _root_: DictConfig) -> Any:
    """Resolver `${by_family:{minilm: 1, encoder: 2, other: 3}}`: the model's value, else that of its family."""
    model = _root_.model
    return table[next((key for key in (model.name, model.family) if key in table), "other")]


def plus_lora(details: str = "", *, _root_: DictConfig) -> str:
    """Resolver `${plus_lora:}`: the end of a decoder's title, empty for one that is not trained but sees examples."""
    return f" LoRA{details}" if _root_.model.get("shots") is None else ""


def instruction(*, _root_: DictConfig) -> str:
    """Resolver `${instruction:}`: what the data set asks of a decoder, or else a sentence with its labels.

    `{labels}` stands for the labels, also in the result as long as they are not known.
    """
    dataset = _root_.dataset
    words = dataset.get("label_words") or {}
    labels = ", ".join(str(words.get(label, label)) for label in dataset.labels)
    text = str(dataset.get("instruction") or f"Classify the following text as one of: {LABELS}.")
    return text.replace(LABELS, labels) if labels else text


def hub_name(repository: str, configuration: object = None) -> str:
    """Resolver `${hub_name:ID,CONFIGURATION}`: a name for results on a data set of the hub."""
    name = "-".join(
        str(part) for part in (repository.rpartition("/")[2] or "hub", configuration) if part not in (None, "")
    )
    return re.sub(r"[^\w.-]", "-", name)


def threads_per_job(jobs: int) -> int:
    """Resolver `${threads_per_job:N}`: the threads of each of N runs at once; -1 is one run for each core."""
    import joblib  # --help does not wait for it

    threads: int = max(1, joblib.cpu_count() // joblib.effective_n_jobs(jobs))
    return threads


def model_needs(resource: str, *, _root_: DictConfig) -> int | None:
    """Resolver `${model_needs:gpus}`: the most that a model of the sweep needs; None for nothing."""
    task = list(_root_.hydra.overrides.task)
    one_run = [override for override in task if not sweeps(override)]
    swept = [f"model={value}" for value in [(_root_.hydra.sweeper.params or {}).get("model")] if value]
    models = [override for override in task if override.startswith("model=")] or swept
    named = [[f"model={choice}"] for choice in choices(models[-1])] if models else [[]]
    others = [override for override in one_run if not override.startswith("model=")]
    runs = [compose("config", overrides=with_groups([*others, *model])) for model in named]
    needs = [run.model.get("needs") or {} for run in runs]
    return max(getattr(to_dataclass(Needs, dict(needed), "model.needs."), resource) for needed in needs) or None


def place_name(pattern: str = "{}", otherwise: str | None = None, *, _root_: DictConfig) -> str | None:
    """Resolver `${place_name:}`: the last part of model.path or model.id as a valid name, in the place of `{}`.

    Without both it is `otherwise`; with both, the weights are those of the path.
    """
    place = _root_.model.get("path") or _root_.model.get("id")
    if not place:
        return otherwise
    return pattern.format(re.sub(r"[^\w.-]+", "-", Path(str(place)).resolve().name).lstrip("-.") or "model")


def register() -> None:
    """Make the resolvers known to OmegaConf; a second time changes nothing."""
    for resolver in (by_family, plus_lora, instruction, hub_name, place_name, threads_per_job, model_needs):
        OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)
