"""`python -m benchmark.catalogue`: what every contestant is, computed without weights or network.

The file it writes is part of the package, so that a report knows the models nobody has run yet.
A test keeps it current.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig

from benchmark.classifier import BenchmarkError
from benchmark.config import CONF_DIR, RunConfig, build_classifier, from_hydra
from benchmark.records import CATALOGUE
from benchmark.runner import recorded


def main() -> None:
    argparse.ArgumentParser(prog="python -m benchmark.catalogue", description=__doc__).parse_args()
    CATALOGUE.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"wrote {CATALOGUE.name}\n")


def text() -> str:
    """The catalogue as JSON: name -> resolved configuration under recipe=paper, and model card."""
    entries: dict[str, dict[str, Any]] = {}
    for name in contestants():
        config = composed([f"model={name}"])
        entries[name] = {"config": recorded(config), "card": asdict(build_classifier(config.model).describe())}
    return json.dumps(entries, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def contestants() -> list[str]:
    """Every model of `conf/model` that may give a result; the tiny ones exist for tests."""
    return sorted(path.stem for path in (CONF_DIR / "model").glob("*.yaml") if not path.stem.startswith("tiny_"))


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


if __name__ == "__main__":
    main()
