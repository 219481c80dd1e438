"""What a run is: Hydra's YAML becomes the frozen dataclasses here, or one sentence says why not."""

import hashlib
import json
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

from hydra.errors import InstantiationException
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from benchmark.errors import BenchmarkError
from benchmark.interface import Classifier, Recipe

CONF_DIR = Path(__file__).resolve().parent.parent / "conf"

ADAPTER_FILES = ("adapter_*",)
WEIGHT_FILES = ("*.safetensors", "*.gguf", "*.json", "*.txt", "*.model", "*.jinja")
"""Tokenizer and chat template included: what can change a result."""

T = TypeVar("T")


@dataclass(frozen=True)
class Facts:
    """What a model's makers say of it and nobody can compute, and where they say it."""

    training_data: str | None = None
    token_count: str | None = None
    knowledge_cutoff: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class ModelConfig:
    """A contestant as the referee sees it: `parameters` belong to the class named by `target`."""

    name: str
    target: str
    family: str
    title: str
    facts: Facts = field(default_factory=Facts)
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class HubDataset:
    """A data set on the hub; the revision is a commit, so that its content cannot change."""

    id: str
    configuration: str | None
    revision: str


@dataclass(frozen=True)
class Synthetic:
    """Sizes of the embedded data set and the share of its rows given a wrong label on purpose."""

    train: int
    validation: int
    test: int
    flipped_share: float
    seed: int

    def __post_init__(self) -> None:
        if min(self.train, self.validation, self.test) < 1:
            raise BenchmarkError("dataset.synthetic: train, validation and test need at least one row each.")
        if not 0 <= self.flipped_share < 1:
            raise BenchmarkError(f"dataset.synthetic.flipped_share is {self.flipped_share}; it must lie in [0, 1).")


@dataclass(frozen=True)
class DatasetConfig:
    """Where texts and labels come from, and what they must be.

    Exactly one route is taken: `synthetic`, else the folder `path`, else `hub`. `sha256` maps a
    split to the hash of its `text;label` lines; an empty map leaves the content unchecked.
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
    test_rows: int | None = None

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise BenchmarkError(f"dataset.labels must name two or more different labels, not {list(self.labels)}.")
        if unknown := sorted(set(self.sha256) - {"train", "validation", "test"}):
            raise BenchmarkError(f"dataset.sha256 names {unknown[0]}, which is no split; use train, validation, test.")
        if not 0 < self.validation_share < 1:
            raise BenchmarkError(f"dataset.validation_share is {self.validation_share}; it must lie in (0, 1).")
        for option in ("train_rows", "test_rows"):
            rows = getattr(self, option)
            if rows is not None and rows < 1:
                raise BenchmarkError(f"dataset.{option} is {rows}; it must be at least 1, or null for all rows.")


@dataclass(frozen=True)
class RunConfig:
    """One run, fully resolved."""

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
        for option, name in (("model", self.model.name), ("dataset", self.dataset.name), ("recipe", self.recipe.name)):
            if not re.fullmatch(r"\w[\w.-]*", name):
                raise BenchmarkError(
                    f"{option}.name is {name!r}; it names a folder: use letters, digits, '_', '-', '.'."
                )
        if not 0 <= self.seed < 2**32:
            raise BenchmarkError(f"seed is {self.seed}; it must lie in [0, 2**32).")

    def identity(self) -> dict[str, Any]:
        """The part of the configuration that can change a result: no title or launcher, and no folder.

        What a model reads keeps its last name only, for records are published, and its content's hash.
        """
        identity = asdict(self)
        for key in ("results_dir", "checkpoints_dir", "models_dir", "force", "report_to"):
            del identity[key]
        for key in ("title", "facts"):
            del identity["model"][key]
        del identity["dataset"]["path"]
        identity["model"]["parameters"] = deepcopy(self._parameters)
        return identity

    @cached_property
    def _parameters(self) -> dict[str, Any]:
        """The model's, as `identity` has them; weights of many gigabytes are read once."""
        return _without_folders(self.model.parameters)

    def digest(self, data_sha256: dict[str, str]) -> str:
        """64 hex digits naming the identity and the content of the data it is run on."""
        return digest_of(self.identity(), data_sha256)


def digest_of(identity: dict[str, Any], data_sha256: dict[str, str]) -> str:
    document = {"config": identity, "data": data_sha256}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _without_folders(parameters: dict[str, Any]) -> dict[str, Any]:
    published = dict(parameters)
    for key, value in parameters.items():
        if isinstance(value, dict):
            published[key] = _without_folders(value)
        elif key in ("path", "adapter") and value is not None:
            published[key] = _named(Path(value), ADAPTER_FILES if key == "adapter" else WEIGHT_FILES)
    return published


def _named(path: Path, patterns: Sequence[str]) -> str:
    """The last name, with a hash of the content: a file's, or that of the files in a folder that match a pattern."""
    files = [path] if path.is_file() else sorted(file for pattern in patterns for file in path.glob(pattern))
    content = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as stream:
                while block := stream.read(2**20):
                    content.update(block)
        except OSError as error:
            raise BenchmarkError(f"{file} cannot be read ({error.strerror}); give a model's files.") from error
    return path.name + (f"@{content.hexdigest()[:12]}" if files else "")


def by_family(table: dict[str, Any], *, _root_: DictConfig) -> Any:
    """Resolver `${by_family:{minilm: 1, encoder: 2, other: 3}}`: the value for the model, else for its family."""
    model = _root_.model
    return table[next((key for key in (model.name, model.family) if key in table), "other")]


OmegaConf.register_new_resolver("by_family", by_family, replace=True)


def from_hydra(composed: DictConfig) -> RunConfig:
    """Validate a composed configuration; raises `BenchmarkError` naming the option at fault."""
    try:
        values = cast("dict[str, Any]", OmegaConf.to_container(composed, resolve=True))
    except OmegaConfBaseException as error:
        raise BenchmarkError(f"The configuration cannot be resolved: {_first_line(error)}") from error
    model = dict(values["model"])
    if not model.get("_target_"):
        raise BenchmarkError("The model's YAML names no class; set _target_: package.module.Class.")
    known = {key: model.pop(key) for key in ("name", "family", "title", "facts") if key in model}
    values["model"] = {**known, "target": model.pop("_target_"), "parameters": model}
    return typed(RunConfig, values, "")


def build_classifier(model: ModelConfig) -> Classifier:
    """The contestant that `model` names, with its parameters checked against its fields."""
    try:
        contestant = get_class(model.target)
    except (ImportError, ValueError, InstantiationException) as error:
        raise BenchmarkError(
            f"model._target_={model.target} cannot be imported ({' '.join(str(error).split())}); "
            "name a class as package.module.Class and install what it needs."
        ) from error
    if not is_dataclass(contestant):
        raise BenchmarkError(
            f"model._target_={model.target} is no dataclass; decorate it, so that options are checked."
        )
    return cast("Classifier", typed(contestant, model.parameters, "model."))


def typed(schema: type[T], values: dict[str, Any], where: str) -> T:
    """An instance of the dataclass `schema`, nested ones included; `where` prefixes option names."""
    try:
        return cast("T", OmegaConf.to_object(OmegaConf.merge(_node(schema, values), values)))
    except OmegaConfBaseException as error:
        option = f"{where}{getattr(error, 'full_key', None) or ''}"
        fields = ", ".join(getattr(error, "object_type", None).__dataclass_fields__) if _is_unknown(error) else ""  # type: ignore[union-attr]
        known = f" Known here: {fields}." if fields else ""
        reason = "it is a list; write [a, b], [a] for one, [] for none" if _wants_list(error) else _first_line(error)
        raise BenchmarkError(f"Option {option}: {reason}.{known}") from error


def _node(schema: type[Any], values: dict[str, Any]) -> DictConfig:
    """OmegaConf's node for `schema`, writable all the way down although the dataclasses are frozen."""
    node = OmegaConf.structured(schema)
    OmegaConf.set_readonly(node, None)
    for name, hint in get_type_hints(schema).items():
        nested = next((candidate for candidate in (hint, *get_args(hint)) if is_dataclass(candidate)), None)
        if nested is not None and isinstance(values.get(name), dict):
            node[name] = _node(cast("type[Any]", nested), values[name])
    return cast("DictConfig", node)


def _is_unknown(error: OmegaConfBaseException) -> bool:
    return "not in" in str(error) and hasattr(getattr(error, "object_type", None), "__dataclass_fields__")


def _wants_list(error: OmegaConfBaseException) -> bool:
    return "is not a ListConfig" in str(error)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
