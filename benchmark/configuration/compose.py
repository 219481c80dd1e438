"""From Hydra's configuration to a typed run and its model."""

import argparse
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.errors import InstantiationException
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from benchmark.config import CONF_DIR, ModelConfig, Needs, RunConfig
from benchmark.configuration import resolvers
from benchmark.configuration.model_by_place import with_weights
from benchmark.configuration.overrides import REFUSALS, check_named, choices, hydra_value, refusal_error, with_groups
from benchmark.configuration.structured import first_line, to_dataclass
from benchmark.errors import BenchmarkError
from benchmark.interface import Classifier

resolvers.register()

SEARCH_PATH = "hydra.searchpath="
"""The beginning of the override that `with_config_dir` adds."""


def compose(overrides: list[str]) -> RunConfig:
    """The run that command-line overrides ask for."""
    return from_hydra(_compose_checked(overrides))


def each_model(overrides: list[str]) -> list[list[str]]:
    """The overrides of one run per model, if `overrides` name several models or an experiment sweeps models."""
    named = [override for override in overrides if override.startswith("model=")]
    others = [override for override in overrides if not override.startswith("model=")]
    if not named:
        swept = _compose_checked(others, return_hydra_config=True).hydra.sweeper.params or {}
        named = [f"model={swept['model']}"] if "model" in swept else []
    return [[f"model={model}", *others] for model in choices(named[-1])] if named else [others]


def from_hydra(values: DictConfig) -> RunConfig:
    """Validate what Hydra composed; raises `BenchmarkError` that names the option at fault."""
    try:
        plain = cast("dict[str, Any]", OmegaConf.to_container(values, resolve=True))
    except OmegaConfBaseException as error:
        raise BenchmarkError(f"The configuration cannot be resolved: {first_line(error)}.", "Correct it.") from error
    model = dict(plain["model"])
    if not model.get("_target_"):
        raise BenchmarkError("The model's YAML names no class.", "Set _target_: package.module.Class.")
    to_dataclass(Needs, model.pop("needs", None) or {}, "model.needs.")
    plain["model_by_id"] = model.get("id") is not None
    model = with_weights(model)
    known = {key: model.pop(key) for key in ("name", "family", "title", "facts") if key in model}
    plain["model"] = {**known, "target": model.pop("_target_"), "parameters": model}
    return to_dataclass(RunConfig, plain, "")


def build_classifier(model: ModelConfig) -> Classifier:
    """The model that the configuration names; its parameters are checked against the fields of its class."""
    return cast("Classifier", to_dataclass(model_class(model), model.parameters, "model."))


def model_class(model: ModelConfig) -> type[Any]:
    """The dataclass named by `target`."""
    try:
        target = get_class(model.target)
    except (ImportError, ValueError, InstantiationException) as error:
        raise BenchmarkError(
            f"model._target_={model.target} cannot be imported ({' '.join(str(error).split())}).",
            "Name a class as package.module.Class and install what it needs.",
        ) from error
    if not is_dataclass(target):
        raise BenchmarkError(
            f"model._target_={model.target} is not a dataclass.", "Decorate it, so that its options are checked."
        )
    return target


def add_overrides(parser: argparse.ArgumentParser, example: str) -> None:
    """Add the arguments that a run has: overrides, and --config-dir as `python -m benchmark` has it from Hydra."""
    parser.add_argument("overrides", nargs="*", help=f"as for a run: {example}")
    parser.add_argument("--config-dir", type=Path, help="a folder with model/ and dataset/ files of your own")
    parser.add_argument("--results-dir", metavar="DIR", help="the same as results_dir=DIR (default: results)")


def overrides_of(arguments: argparse.Namespace) -> list[str]:
    """The overrides that these arguments give."""
    overrides: list[str] = with_config_dir(arguments.overrides, arguments.config_dir)
    if arguments.results_dir is not None:
        overrides.append(f"results_dir={hydra_value(arguments.results_dir)}")
    return overrides


def with_config_dir(overrides: list[str], folder: Path | None) -> list[str]:
    """The overrides, with `folder` added to Hydra's search path if there is one."""
    if folder is None:
        return [*overrides]
    if not folder.is_dir():
        raise BenchmarkError(f"--config-dir {folder} is not a folder.", "Name one that holds model/ or dataset/.")
    return [f"{SEARCH_PATH}{hydra_value([f'file://{folder.resolve()}'])}", *overrides]


def explain_refusal(error: Exception, overrides: list[str]) -> BenchmarkError:
    """What is wrong with the overrides that Hydra refused, and what to write instead."""
    return refusal_error(error, overrides, _compose)


def _compose_checked(overrides: list[str], return_hydra_config: bool = False) -> DictConfig:
    check_named(overrides)
    try:
        return _compose(overrides, return_hydra_config)
    except REFUSALS as error:
        raise explain_refusal(error, overrides) from error


def _compose(overrides: list[str], return_hydra_config: bool = False) -> DictConfig:
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return hydra.compose("config", overrides=with_groups(overrides), return_hydra_config=return_hydra_config)
