"""Where pretrained weights come from: the hub, a wheel on the package index, a folder, or chance.

Hub revisions are commits and wheels are pinned by hash, so a name always means the same numbers.
Safetensors and GGUF files only; code shipped with weights is never run.
"""

import hashlib
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

import httpx2  # the hub client's own transport
import huggingface_hub
import platformdirs
from huggingface_hub.constants import _HF_DEFAULT_ENDPOINT, ENDPOINT
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from benchmark.errors import BenchmarkError


class Source(StrEnum):
    hub = "hub"
    wheel = "wheel"
    folder = "folder"
    random = "random"


@dataclass(frozen=True)
class Hub:
    id: str
    revision: str


@dataclass(frozen=True)
class Wheel:
    """A wheel `package` (name==version); the files below its `folder` are unpacked, `file` is checked."""

    package: str
    sha256: str
    folder: str
    file: str
    file_sha256: str


@dataclass(frozen=True)
class Weights:
    source: Source
    hub: Hub | None = None
    wheel: Wheel | None = None
    path: str | None = None  # for source=folder

    def __post_init__(self) -> None:
        needed = {Source.hub: "hub", Source.wheel: "wheel", Source.folder: "path"}.get(self.source)
        if needed is not None and getattr(self, needed) is None:
            raise BenchmarkError(f"model.weights.source={self.source} needs model.weights.{needed}; set it.")


@dataclass(frozen=True)
class Checkpoint:
    """A folder transformers can load from, with what to pass along and where it came from."""

    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


def fetch(weights: Weights) -> Checkpoint:
    """The checkpoint on this machine, downloaded if need be; raises `BenchmarkError` with the remedy."""
    if weights.source is Source.wheel:
        assert weights.wheel is not None
        return _from_wheel(weights.wheel)
    if weights.source is Source.hub:
        assert weights.hub is not None
        return _from_hub(weights.hub)
    if weights.source is Source.folder:
        assert weights.path is not None
        return _from_folder(Path(weights.path))
    raise ValueError("random weights have no checkpoint")


def identity(weights: Weights) -> str:
    """One phrase naming the weights, for model cards and tables."""
    if weights.source is Source.hub and weights.hub is not None:
        return f"{weights.hub.id}@{weights.hub.revision[:8]}"
    if weights.source is Source.wheel and weights.wheel is not None:
        return f"{weights.wheel.package} (wheel)"
    return "local folder" if weights.source is Source.folder else "random"


def cache(kind: str) -> Path:
    """The user's folder for what can be made or fetched again."""
    return Path(platformdirs.user_cache_dir("emotion-benchmark")) / kind


def _from_wheel(wheel: Wheel) -> Checkpoint:
    folder = cache("wheels") / wheel.sha256[:16]
    file = folder / wheel.file
    if not file.is_file():
        _unpack(wheel, folder)
    if not file.is_file():
        raise BenchmarkError(
            f"{wheel.package} in {folder} holds no {wheel.file}; delete that folder and rerun, "
            "or correct model.weights.wheel."
        )
    if (actual := _sha256(file)) != wheel.file_sha256:
        raise BenchmarkError(
            f"{file} has hash {actual[:12]}..., not the pinned {wheel.file_sha256[:12]}...; delete {folder} and rerun."
        )
    options = {"gguf_file": wheel.file} if wheel.file.endswith(".gguf") else {}
    provenance = {
        "source": "wheel", "package": wheel.package, "wheel_sha256": wheel.sha256,
        "file": wheel.file, "sha256": wheel.file_sha256,
    }  # fmt: skip
    return Checkpoint(folder, options, provenance)


def _unpack(wheel: Wheel, folder: Path) -> None:
    """Download with pip, which checks the hash, and take only the data files, by a final rename."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        _download(wheel, Path(scratch))
        unpacked = Path(scratch) / "unpacked"
        unpacked.mkdir()
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as archive:
            for member in archive.infolist():
                _check_member(member, wheel)
                name = PurePosixPath(member.filename)
                if not name.is_relative_to(wheel.folder) or name.suffix not in DATA_SUFFIXES:
                    continue
                target = unpacked / name.relative_to(wheel.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(member))
        if not folder.exists():
            unpacked.rename(folder)


def _download(wheel: Wheel, folder: Path) -> None:
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{wheel.package} --hash=sha256:{wheel.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--require-hashes", "--dest", str(folder), "--requirement", str(requirement)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if "DO NOT MATCH THE HASHES" in outcome.stderr:
        raise BenchmarkError(
            f"{wheel.package} from the package index has not the pinned hash {wheel.sha256[:12]}..., so it is not "
            "unpacked; check what index pip uses, or set model.weights.source=folder model.weights.path=FOLDER."
        )
    if outcome.returncode != 0:
        reason = (outcome.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise BenchmarkError(
            f"{wheel.package} cannot be had from the package index ({reason}); go online once, "
            "or unpack it elsewhere and set model.weights.source=folder model.weights.path=FOLDER."
        )


def _check_member(member: zipfile.ZipInfo, wheel: Wheel) -> None:
    """Refuse what could write or read outside the folder; no honest wheel holds it."""
    name = PurePosixPath(member.filename)
    if name.is_absolute() or ".." in name.parts or stat.S_ISLNK(member.external_attr >> 16):
        raise BenchmarkError(
            f"{wheel.package} holds {member.filename}, which leaves its folder, so it is not unpacked; "
            "pin another wheel in model.weights.wheel."
        )


DATA_SUFFIXES = {".safetensors", ".gguf", ".json", ".txt", ".model", ".jinja"}
HUB_FILES = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]


def _from_hub(hub: Hub) -> Checkpoint:
    """From the local cache if the hub cannot be reached; one quick question to it comes before any download."""
    with _hub_explained(hub):
        folder = Path(_snapshot(hub, local_files_only=not _granted(hub)))
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise BenchmarkError(
            f"{hub.id} at {hub.revision[:8]} has no *.safetensors, and pickled weights are not opened; name another "
            "revision in model.weights.hub."
        )
    hashes = {file.name: _as_served(file) for file in files}
    provenance = {"source": "hub", "id": hub.id, "revision": hub.revision, "sha256": hashes}
    if ENDPOINT != _HF_DEFAULT_ENDPOINT:  # a mirror, or a stand-in in tests: nobody vouches for its numbers
        provenance["endpoint"] = ENDPOINT
    return Checkpoint(folder, {}, provenance)


def _snapshot(hub: Hub, local_files_only: bool) -> str:
    return huggingface_hub.snapshot_download(
        hub.id,
        revision=hub.revision,
        allow_patterns=HUB_FILES,
        ignore_patterns=["*/*"],  # other frameworks' copies
        local_files_only=local_files_only,
    )


def _granted(hub: Hub) -> bool:
    """Whether the hub hands out the files; False if it cannot be reached, and the refusal raised if it refuses."""
    try:
        huggingface_hub.model_info(hub.id, revision=hub.revision, timeout=10)  # asked once, unlike files
    except (httpx2.TransportError, OfflineModeIsEnabled):
        return False
    huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(hub.id, "config.json", revision=hub.revision))
    return True


@contextmanager
def _hub_explained(hub: Hub) -> Iterator[None]:
    """What the hub's client raises, as one sentence with the remedy."""
    remedy = f"set model.weights.source=folder model.weights.path=FOLDER if you have {hub.id} already"
    try:
        yield
    except GatedRepoError as error:
        raise BenchmarkError(
            f"{hub.id} is gated; accept its licence on the hub and set HF_TOKEN to your token, or {remedy}."
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError, RemoteEntryNotFoundError) as error:
        raise BenchmarkError(
            f"{hub.id} at {hub.revision[:8]} is not on the hub, or HF_TOKEN may not see it; check both, or {remedy}."
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, httpx2.TransportError, OSError) as error:
        raise BenchmarkError(
            f"{hub.id} is neither in the local cache nor to be had from the hub ({type(error).__name__}); "
            f"go online once, or {remedy}."
        ) from error


def _as_served(file: Path) -> str:
    """The file's hash, which the hub's cache has for a name; raises if they differ."""
    actual, stored = _sha256(file), file.resolve()
    if len(stored.name) == len(actual) and stored.name != actual:
        raise BenchmarkError(
            f"{file} has hash {actual[:12]}..., not the {stored.name[:12]}... that the hub states; delete {stored} "
            "and rerun."
        )
    return actual


def _from_folder(folder: Path) -> Checkpoint:
    if not folder.is_dir():
        raise BenchmarkError(f"model.weights.path={folder} is not a folder; give one with weights and tokenizer.")
    if (folder / "adapter_config.json").is_file():
        raise BenchmarkError(f"model.weights.path={folder} is a LoRA adapter; set model.adapter={folder} instead.")
    gguf, safetensors = sorted(folder.glob("*.gguf")), sorted(folder.glob("*.safetensors"))
    if not safetensors and len(gguf) != 1:
        raise BenchmarkError(
            f"model.weights.path={folder} holds no weights that are read here; "
            "give *.safetensors files, or exactly one *.gguf file."
        )
    files = safetensors or gguf
    provenance = {"source": "folder", "sha256": {file.name: _sha256(file) for file in files}}
    return Checkpoint(folder, {} if safetensors else {"gguf_file": gguf[0].name}, provenance)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download_bytes(weights: Weights) -> int:
    """What is still to be fetched from the hub; 0 for other sources and for what the cache holds."""
    if weights.source is not Source.hub:
        return 0
    assert weights.hub is not None
    with suppress(LocalEntryNotFoundError):
        if list(Path(_snapshot(weights.hub, local_files_only=True)).glob("*.safetensors")):
            return 0
    with _hub_explained(weights.hub):
        info = huggingface_hub.model_info(weights.hub.id, revision=weights.hub.revision, files_metadata=True)
    wanted = tuple(pattern.removeprefix("*") for pattern in HUB_FILES)
    return sum(
        file.size or 0 for file in info.siblings or () if file.rfilename.endswith(wanted) and "/" not in file.rfilename
    )


def obtainable(weights: Weights) -> str:
    """Where the checkpoint stands or will come from, in a phrase; raises `BenchmarkError` if it cannot be had."""
    if weights.source is Source.random:
        return "nothing to fetch"
    if weights.source is Source.hub:
        assert weights.hub is not None
        with _hub_explained(weights.hub):
            return "to be had from the hub" if _granted(weights.hub) else f"in {_snapshot(weights.hub, True)}"
    return f"in {fetch(weights).folder}"
