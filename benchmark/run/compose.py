"""A run's configuration from Hydra overrides, for commands other than `python -m benchmark`."""

import argparse
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig

from benchmark.config import CONF_DIR, RunConfig, from_hydra
from benchmark.errors import BenchmarkError


def each_model(overrides: list[str]) -> list[list[str]]:
    """The overrides of each model's run, where they name several or an experiment sweeps them."""
    named = [override.partition("=")[2] for override in overrides if override.startswith("model=")]
    others = [override for override in overrides if not override.startswith("model=")]
    if not named:
        swept = _composed(others, return_hydra_config=True).hydra.sweeper.params or {}
        named = [str(swept["model"])] if "model" in swept else []
    return [[f"model={model.strip()}", *others] for model in named[-1].split(",")] if named else [others]


def add_config_dir(parser: argparse.ArgumentParser) -> None:
    """The option of `python -m benchmark` that Hydra reads there, for the other commands."""
    parser.add_argument("--config-dir", type=Path, help="as for a run: a folder with model/ and dataset/ of your own")


def with_config_dir(overrides: list[str], folder: Path | None) -> list[str]:
    """The overrides and, if there is one, the folder that is searched too."""
    if folder is None:
        return overrides
    if not folder.is_dir():
        raise BenchmarkError(f"--config-dir {folder} is no folder; name the one that holds model/ or dataset/.")
    return [f"hydra.searchpath=['file://{folder.resolve()}']", *overrides]


def composed(overrides: list[str]) -> RunConfig:
    """The run that these command-line overrides ask for."""
    return from_hydra(_composed(overrides))


def _composed(overrides: list[str], return_hydra_config: bool = False) -> DictConfig:
    try:
        with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            return compose("config", overrides=overrides, return_hydra_config=return_hydra_config)
    except HydraException as error:
        said = " ".join(str(error).partition("Config search path")[0].split())
        if said.startswith("Ambiguous value"):
            said = f"{said.partition(' 1. ')[0]}; give it one value."
        raise BenchmarkError(f"The overrides cannot be composed: {said}") from error
