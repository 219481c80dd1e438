"""From Hydra's configuration to a typed run and its model."""

import argparse
import re
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from benchmark.config import CONF_DIR, ModelConfig, Needs, RunConfig
from benchmark.errors import BenchmarkError
from benchmark.interface import Classifier
from benchmark.run.checkpoint import with_weights
from benchmark.run.overrides import REFUSALS, check_named, refusal, sweeps, with_groups, written
from benchmark.run.quoting import check_texts

T = TypeVar("T")


def composed(overrides: list[str]) -> RunConfig:
    """The run that command-line overrides ask for."""
    return from_hydra(_composed(overrides))


def each_model(overrides: list[str]) -> list[list[str]]:
    """The overrides of one run per model, where they name several models or an experiment sweeps them."""
    named = [override.partition("=")[2] for override in overrides if override.startswith("model=")]
    others = [override for override in overrides if not override.startswith("model=")]
    if not named:
        swept = _composed(others, return_hydra_config=True).hydra.sweeper.params or {}
        named = [str(swept["model"])] if "model" in swept else []
    return [[f"model={model.strip()}", *others] for model in named[-1].split(",")] if named else [others]


def add_overrides(parser: argparse.ArgumentParser, example: str) -> None:
    """Add the arguments that a run has: overrides, and --config-dir as `python -m benchmark` has it from Hydra."""
    parser.add_argument("overrides", nargs="*", help=f"as for a run: {example}")
    parser.add_argument("--config-dir", type=Path, help="a folder with model/ and dataset/ files of your own")
    parser.add_argument("--results-dir", metavar="DIR", help="the same as results_dir=DIR (default: results)")


def overrides_of(arguments: argparse.Namespace) -> list[str]:
    """The overrides that these arguments give."""
    overrides: list[str] = with_config_dir(arguments.overrides, arguments.config_dir)
    if arguments.results_dir is not None:
        overrides.append(f"results_dir={written(arguments.results_dir)}")
    return overrides


def with_config_dir(overrides: list[str], folder: Path | None) -> list[str]:
    """The overrides, with `folder` added to Hydra's search path if there is one."""
    if folder is None:
        return [*overrides]
    if not folder.is_dir():
        raise BenchmarkError(f"--config-dir {folder} is not a folder.", "Name one that holds model/ or dataset/.")
    return [f"hydra.searchpath={written([f'file://{folder.resolve()}'])}", *overrides]


def refused(error: Exception, overrides: list[str]) -> BenchmarkError:
    """What is wrong with the overrides that Hydra refused, and what to write instead."""
    return refusal(error, overrides, _compose)


def _composed(overrides: list[str], return_hydra_config: bool = False) -> DictConfig:
    check_named(overrides)
    try:
        return _compose(overrides, return_hydra_config)
    except REFUSALS as error:
        raise refused(error, overrides) from error


def _compose(overrides: list[str], return_hydra_config: bool = False) -> DictConfig:
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("config", overrides=with_groups(overrides), return_hydra_config=return_hydra_config)


def by_family(table: dict[str, Any], *, _root_: DictConfig) -> Any:
    """Resolver `${by_family:{minilm: 1, encoder: 2, other: 3}}`: the model's value, else that of its family."""
    model = _root_.model
    return table[next((key for key in (model.name, model.family) if key in table), "other")]


OmegaConf.register_new_resolver("by_family", by_family, replace=True)


def plus_lora(details: str = "", *, _root_: DictConfig) -> str:
    """Resolver `${plus_lora:}`: the end of a decoder's title, empty for one that is not trained but sees examples."""
    return f" LoRA{details}" if _root_.model.get("shots") is None else ""


OmegaConf.register_new_resolver("plus_lora", plus_lora, replace=True)


def instruction(*, _root_: DictConfig) -> str:
    """Resolver `${instruction:}`: what the data set asks of a decoder, or else a sentence with its labels.

    `{labels}` stands for the labels, also in the result as long as they are not known.
    """
    dataset = _root_.dataset
    words = dataset.get("label_words") or {}
    labels = ", ".join(str(words.get(label, label)) for label in dataset.labels)
    text = str(dataset.get("instruction") or f"Classify the following text as one of: {LABELS}.")
    return text.replace(LABELS, labels) if labels else text


LABELS = "{labels}"
"""Stands for the labels in an instruction."""
OmegaConf.register_new_resolver("instruction", instruction, replace=True)


def hub_name(repository: str, configuration: str | None = None) -> str:
    """Resolver `${hub_name:ID,CONFIGURATION}`: a name for results on a data set of the hub."""
    name = "-".join(filter(None, [repository.rpartition("/")[2] or "hub", configuration]))
    return re.sub(r"[^\w.-]", "-", name)


OmegaConf.register_new_resolver("hub_name", hub_name, replace=True)


def threads_per_job(jobs: int) -> int:
    """Resolver `${threads_per_job:N}`: the threads of each of N runs at once; -1 is one run for each core."""
    import joblib

    threads: int = max(1, joblib.cpu_count() // joblib.effective_n_jobs(jobs))
    return threads


OmegaConf.register_new_resolver("threads_per_job", threads_per_job, replace=True)


def model_needs(resource: str, *, _root_: DictConfig) -> int | None:
    """Resolver `${model_needs:gpus}`: the most that a model of the sweep needs; None for nothing."""
    task = list(_root_.hydra.overrides.task)
    one_run = [override for override in task if not sweeps(override)]
    swept = [f"model={value}" for value in [(_root_.hydra.sweeper.params or {}).get("model")] if value]
    models = [override for override in task if override.startswith("model=")] or swept or ["model=null"]
    choices = [choice.strip() for choice in models[-1].removeprefix("model=").split(",")]
    others = [override for override in one_run if not override.startswith("model=")]
    needs = []
    for choice in choices:
        named = [] if choice == "null" else [f"model={choice}"]
        needs.append(compose("config", overrides=with_groups([*others, *named])).model.get("needs") or {})
    return max(getattr(typed(Needs, dict(needed), "model.needs."), resource) for needed in needs) or None


OmegaConf.register_new_resolver("model_needs", model_needs, replace=True)


def from_hydra(values: DictConfig) -> RunConfig:
    """Validate a composed configuration; raises `BenchmarkError` that names the option at fault."""
    try:
        plain = cast("dict[str, Any]", OmegaConf.to_container(values, resolve=True))
    except OmegaConfBaseException as error:
        raise BenchmarkError(f"The configuration cannot be resolved: {_first_line(error)}.", "Correct it.") from error
    model = dict(plain["model"])
    if not model.get("_target_"):
        raise BenchmarkError("The model's YAML names no class.", "Set _target_: package.module.Class.")
    typed(Needs, model.pop("needs", {}), "model.needs.")
    plain["model_by_id"] = model.get("id") is not None
    model = with_weights(model)
    known = {key: model.pop(key) for key in ("name", "family", "title", "facts") if key in model}
    plain["model"] = {**known, "target": model.pop("_target_"), "parameters": model}
    return typed(RunConfig, plain, "")


def build_classifier(model: ModelConfig) -> Classifier:
    """The model that the configuration names; its parameters are checked against the fields of its class."""
    return cast("Classifier", typed(model_class(model), model.parameters, "model."))


def model_class(model: ModelConfig) -> type[Any]:
    """The dataclass named by `target`."""
    try:
        found = get_class(model.target)
    except (ImportError, ValueError, InstantiationException) as error:
        raise BenchmarkError(
            f"model._target_={model.target} cannot be imported ({' '.join(str(error).split())}).",
            "Name a class as package.module.Class and install what it needs.",
        ) from error
    if not is_dataclass(found):
        raise BenchmarkError(
            f"model._target_={model.target} is not a dataclass.", "Decorate it, so that its options are checked."
        )
    return found


def typed(schema: type[T], values: dict[str, Any], prefix: str) -> T:
    """An instance of the dataclass `schema`, nested ones included; `prefix` goes before option names in errors."""
    try:
        return cast("T", OmegaConf.to_object(OmegaConf.merge(_node(schema, values, prefix), values)))
    except OmegaConfBaseException as error:
        option = f"{prefix}{getattr(error, 'full_key', None) or ''}"
        if isinstance(error, ConfigKeyError) and is_dataclass(error.object_type):
            options = f"The options here are {', '.join(error.object_type.__dataclass_fields__)}."
            fix = f"Leave it out, or choose another model. {options}" if prefix == "model." else options
        elif "is not a ListConfig" in str(error):
            fix = "Write a list: [a, b], [a] for one value, [] for none."
        else:
            fix = "Correct it."
        raise BenchmarkError(f"Option {option}: {_first_line(error)}.", fix) from error


def _node(schema: type[Any], values: dict[str, Any], prefix: str) -> DictConfig:
    """OmegaConf's node for `schema`, writable at every level although the dataclasses are frozen."""
    check_texts(schema, values, prefix)
    node = OmegaConf.structured(schema)
    OmegaConf.set_readonly(node, None)
    for name, value in values.items():
        nested = nested_schema(schema, name)
        if nested is not None and isinstance(value, dict):
            node[name] = _node(nested, value, f"{prefix}{name}.")
    return cast("DictConfig", node)


def nested_schema(schema: type[Any], name: str) -> type[Any] | None:
    """The dataclass that the field holds, alone or as an optional value; None for fields of other types."""
    hint = get_type_hints(schema).get(name)
    types = (candidate for candidate in (hint, *get_args(hint)) if isinstance(candidate, type))
    return next((candidate for candidate in types if is_dataclass(candidate)), None)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
