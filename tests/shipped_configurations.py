"""The shipped configurations, composed as the command line does but faster."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hydra
from factories import SMALL
from omegaconf import DictConfig, OmegaConf

from benchmark.config import CONF_DIR, RunConfig
from benchmark.configuration.compose import compose, from_hydra
from benchmark.run.catalogue import is_by_place

GROUPS = ("model", "dataset", "recipe", "experiment")


def shipped(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))


MODELS, DATASETS, RECIPES, EXPERIMENTS = map(shipped, GROUPS)
MODELS = [name for name in MODELS if name not in ("encoder", "decoder")]  # which need an id or a folder
BY_PLACE = [name for name in MODELS if is_by_place(name)]


@cache
def choose(*choices: str) -> DictConfig:
    """What Hydra composes of these files, its own settings included; 0.2 seconds per call."""
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return hydra.compose("config", overrides=list(choices), return_hydra_config=True)


@cache
def changed(*overrides: str) -> RunConfig:
    """Like `compose`, but single values are merged into cached compositions, so unknown options reach the checks."""
    choices = [override for override in overrides if override.partition("=")[0] in GROUPS]
    whole = choose(*choices)
    run = OmegaConf.masked_copy(whole, [key for key in whole if key != "hydra"])
    OmegaConf.set_struct(run, False)
    values = OmegaConf.from_dotlist([override for override in overrides if override not in choices])
    return from_hydra(OmegaConf.merge(run, values))


def swept(experiment: str) -> Any:
    """The sweep parameters of an experiment, by option."""
    return choose(f"experiment={experiment}").hydra.sweeper.params


def strings(value: Any) -> Iterator[str]:
    """Every string in nested lists and dictionaries."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for nested in value.values() if isinstance(value, dict) else value:
            yield from strings(nested)


def composer(folder: Path) -> Callable[..., RunConfig]:
    """Composes a run of the tiny synthetic data set whose results and checkpoints stay in `folder`."""

    def composed_in_folder(*overrides: str) -> RunConfig:
        folders = [f"results_dir={folder}/results", f"checkpoints_dir={folder}/checkpoints"]
        return compose([*SMALL, "recipe.max_steps=2", *folders, *overrides])

    return composed_in_folder
