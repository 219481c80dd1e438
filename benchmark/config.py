"""The typed configuration of a run, and the digest that identifies it."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from benchmark.errors import check_option
from benchmark.interface import NEWER_OPTIONS, ClassWeights, Keep, Optimizer, Recipe, Schedule

CONF_DIR = Path(__file__).resolve().parent.parent / "conf"
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Facts:
    """What a model's authors state and cannot be computed, and the source."""

    training_data: str | None = None
    token_count: str | None = None
    knowledge_cutoff: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class ModelConfig:
    """A model as the harness sees it: `parameters` are the fields of the class named by `target`."""

    name: str
    target: str
    family: str
    title: str
    facts: Facts = field(default_factory=Facts)
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class HubDataset:
    """A data set on the hub; the revision is a commit, so its content cannot change."""

    id: str
    configuration: str | None
    revision: str


@dataclass(frozen=True)
class Synthetic:
    """Rows per split of the embedded data set, and the share of rows with a deliberately wrong label."""

    train: int
    validation: int
    test: int
    flipped_share: float
    seed: int

    def __post_init__(self) -> None:
        for split in SPLITS:
            rows = getattr(self, split)
            check_option(f"dataset.synthetic.{split}", rows, rows >= 1, "Set it to 1 or more.")
        share = self.flipped_share
        check_option("dataset.synthetic.flipped_share", share, 0 <= share < 1, "Set it to a number in [0, 1).")


class RowChoice(StrEnum):
    """Which rows of a split are used where their number is limited."""

    stratified = "stratified"  # drawn with a fixed seed, in the proportions of the labels
    first = "first"  # in the order of the file, as runs did before rows were drawn


@dataclass(frozen=True)
class DatasetConfig:
    """Where texts and labels come from, and what they must be.

    The data come from `synthetic` if set, else from the folder `path`, else from `hub`. `sha256` maps a split to the
    hash of its `text;label` lines; without an entry the content is not checked. `instruction` is what a decoder is
    asked, and `label_words` maps the name of a label to the word that a decoder writes for it, if that is another.
    """

    name: str
    labels: list[str]
    path: str | None = None
    hub: HubDataset | None = None
    synthetic: Synthetic | None = None
    sha256: dict[str, str] = field(default_factory=dict)
    text_column: str = "text"
    label_column: str = "label"
    validation_share: float = 0.1
    train_rows: int | None = None
    validation_rows: int | None = None
    test_rows: int | None = None
    row_choice: RowChoice = RowChoice.stratified
    instruction: str | None = None
    label_words: dict[str, str] | None = None

    def __post_init__(self) -> None:
        labels, share = list(self.labels), self.validation_share
        different = len(set(labels)) == len(labels) >= 2
        check_option("dataset.labels", labels, different, "Name two or more different labels.")
        known = set(self.sha256) <= set(SPLITS)
        check_option("dataset.sha256", sorted(self.sha256), known, f"Its keys are {', '.join(SPLITS)}.")
        check_option("dataset.validation_share", share, 0 < share < 1, "Set it to a number between 0 and 1.")
        for split, rows in self.row_limits.items():
            valid = rows is None or rows >= 1
            check_option(f"dataset.{split}_rows", rows, valid, "Set it to 1 or more, or to null for all rows.")

    @property
    def row_limits(self) -> dict[str, int | None]:
        """The largest number of rows of each split that a run may use; None is no limit."""
        return {"train": self.train_rows, "validation": self.validation_rows, "test": self.test_rows}

    @property
    def words(self) -> tuple[str, ...]:
        """What a decoder writes for each label."""
        return tuple((self.label_words or {}).get(label, label) for label in self.labels)


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
        dataset["hub"] = dataset["hub"] and HubDataset(**dataset["hub"])
        dataset["synthetic"] = dataset["synthetic"] and Synthetic(**dataset["synthetic"])
        dataset["row_choice"] = RowChoice(dataset.get("row_choice", RowChoice.first))  # records from before it existed
        recipe |= {"optimizer": Optimizer(recipe["optimizer"]), "schedule": Schedule(recipe["schedule"])}
        recipe["keep"] = Keep(recipe.get("keep", Keep.last))
        recipe["class_weights"] = recipe.get("class_weights") and ClassWeights(recipe["class_weights"])
        return cls(ModelConfig(**model), DatasetConfig(**dataset), Recipe(**recipe), values["seed"])

    def as_json(self) -> dict[str, Any]:
        """The JSON form, without the folder of the data and without newer options of the recipe that are not used."""
        values = asdict(self)
        del values["dataset"]["path"]
        recipe = values["recipe"].items()
        values["recipe"] = {key: value for key, value in recipe if (key, value) not in NEWER_OPTIONS.items()}
        return values

    @property
    def limits(self) -> dict[str, int]:
        """What was limited, and to how many: such a run is a trial, not a result."""
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
    dataset = {key: value for key, value in spec["dataset"].items() if key != "instruction"}
    limited = any(dataset.get(f"{split}_rows") is not None for split in SPLITS)
    if not limited or dataset.get("row_choice") == RowChoice.first:
        dataset.pop("row_choice", None)
    for option in ("validation_rows", "label_words"):
        if not dataset.get(option):
            dataset.pop(option, None)
    return {**spec, "model": model, "dataset": dataset}


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

    def __post_init__(self) -> None:
        for group in ("model", "dataset", "recipe"):
            name = getattr(self, group).name
            valid = re.fullmatch(r"\w[\w.-]*", name) is not None  # folders are named after it
            check_option(f"{group}.name", repr(name), valid, "Use letters, digits, '_', '-' and '.'.")
        check_option("seed", self.seed, 0 <= self.seed < 2**32, "Set it to a number in [0, 2**32).")


FOLDERS = tuple(name.name for name in fields(RunConfig) if name.name.endswith("_dir"))
"""The options that say where files go; they change no result."""
