"""The typed configuration of a run, and the digest that identifies it."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from benchmark.dataset_config import (
    DatasetConfig,
    dataset_as_json,
    dataset_from_json,
    dataset_identity,
    without_defaults,
)
from benchmark.errors import check_option
from benchmark.interface import ADDED_LATER, ClassWeights, Keep, Optimizer, Recipe, Schedule

_INSTALLED = Path(__file__).resolve().parent / "conf"
CONF_DIR = _INSTALLED if _INSTALLED.is_dir() else _INSTALLED.parent.parent / "conf"
"""In an installed package conf/ is part of it; in the repository it is beside it."""


@dataclass(frozen=True)
class Facts:
    """What a model's authors state and cannot be computed, and the source.

    `code_model` is true for a model that was trained on code in the first place, `four_bit_weights` for one whose
    package has weights of 4 bits, which are dequantised.
    """

    training_data: str | None = None
    token_count: str | None = None
    knowledge_cutoff: str | None = None
    source: str | None = None
    code_model: bool = field(default=False, metadata={ADDED_LATER: True})
    four_bit_weights: bool = field(default=False, metadata={ADDED_LATER: True})


@dataclass(frozen=True)
class ModelConfig:
    """A model as the harness sees it: `parameters` are the fields of the class named by `target`.

    `family` is the kind of model as `ModelCard.kind` names it, known before the model is built.
    """

    name: str
    target: str
    family: str
    title: str
    facts: Facts = field(default_factory=Facts)
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Needs:
    """What a run of a model needs of a machine, for schedulers; no result depends on it.

    `memory_gb` is the machine's memory, not the GPU's.
    """

    gpus: int = 0
    memory_gb: int = 8

    def __post_init__(self) -> None:
        check_option("model.needs.gpus", self.gpus, self.gpus >= 0, "Set it to 0 or more.")
        check_option("model.needs.memory_gb", self.memory_gb, self.memory_gb >= 1, "Set it to 1 or more.")


@dataclass(frozen=True)
class RunSpec:
    """What a run computes. Records store it, with the names and hashes of local files in place of their paths."""

    model: ModelConfig
    dataset: DatasetConfig
    recipe: Recipe
    seed: int

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        model, dataset, recipe = (dict(values[group]) for group in ("model", "dataset", "recipe"))
        model["facts"] = Facts(**model["facts"])
        recipe |= {"optimizer": Optimizer(recipe["optimizer"]), "schedule": Schedule(recipe["schedule"])}
        recipe["keep"] = Keep(recipe.get("keep", Keep.last))
        recipe["class_weights"] = recipe.get("class_weights") and ClassWeights(recipe["class_weights"])
        return cls(ModelConfig(**model), dataset_from_json(dataset), Recipe(**recipe), values["seed"])

    def as_json(self) -> dict[str, Any]:
        """The JSON form, without the folder of the data and how its files are written."""
        values = {**asdict(self), "dataset": dataset_as_json(self.dataset)}
        model = {**values["model"], "facts": without_defaults(self.model.facts)}
        return {**values, "model": model, "recipe": without_defaults(self.recipe)}

    @property
    def limits(self) -> dict[str, int]:
        """What was limited, and to how many: such a run is reduced, and not a result."""
        limits = {
            "training rows": self.dataset.train_rows,
            "validation rows": self.dataset.validation_rows,
            "test rows": self.dataset.test_rows,
            "steps": self.recipe.max_steps,
        }
        return {name: limit for name, limit in limits.items() if limit is not None}


def digest_of(spec: dict[str, Any], data_sha256: dict[str, str]) -> str:
    """64 hex digits that identify a run: what matters of its spec in JSON form, and the content of its data."""
    document = {"config": identity_of(spec), "data": data_sha256}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def identity_of(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec in JSON form without what changes no result, and without newer options that are not used.

    The model's title and facts change no result, nor does the choice of rows where all are used. An instruction is a
    parameter of the models that read it.
    """
    model = {key: value for key, value in spec["model"].items() if key not in ("title", "facts")}
    return {**spec, "model": model, "dataset": dataset_identity(spec["dataset"])}


@dataclass(frozen=True)
class RunConfig:
    """One run, fully resolved: what it computes, and where its files go."""

    model: ModelConfig
    dataset: DatasetConfig
    recipe: Recipe
    seed: int
    results_dir: str
    checkpoints_dir: str
    models_dir: str | None
    force: bool
    report_to: list[str]
    model_by_id: bool = False  # whether model.id and model.revision name the weights, not model.weights.hub

    def __post_init__(self) -> None:
        groups = {group: getattr(self, group) for group in ("model", "dataset", "recipe")}
        if self.dataset.test is not None:
            groups["dataset.test"] = self.dataset.test
        for group, part in groups.items():
            name = part.name
            valid = re.fullmatch(r"\w[\w.-]*", name) is not None  # folders are named after it
            check_option(f"{group}.name", repr(name), valid, "Use letters, digits, '_', '-' and '.'.")
        for option in FOLDERS:
            check_option(option, "empty", getattr(self, option) != "", "Name a folder, or leave it out.")
        check_option("seed", self.seed, 0 <= self.seed < 2**32, "Set it to a number in [0, 2**32).")

    @property
    def spec(self) -> RunSpec:
        """What the run computes, with the paths of local files."""
        return RunSpec(self.model, self.dataset, self.recipe, self.seed)


FOLDERS = tuple(option.name for option in fields(RunConfig) if option.name.endswith("_dir"))
"""The options that say where files go; they change no result."""
