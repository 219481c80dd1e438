"""Weights on the Hugging Face hub, at a pinned revision, and in its local cache.

The cache does not say from which server its files came. Weights from a mirror may be others than those of the same name
on the hub, so another server than the official hub is remembered beside the cached files.
"""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import huggingface_hub
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from huggingface_hub.file_download import repo_folder_name

from baselines.weights.wheel import CHECKPOINT_FILES, USE_FOLDER
from benchmark.errors import BenchmarkError, check_option
from benchmark.files import sha256_of_file
from benchmark.hub import ask, model_errors, other_server, recording_server, repository_info, short_revision
from benchmark.interface import WeightSource

HUB_FILES = [pattern for pattern in CHECKPOINT_FILES if pattern != "*.gguf"]


@dataclass(frozen=True)
class Hub:
    """A repository of the hub, OWNER/NAME, at a commit or another revision."""

    id: str
    revision: str

    def __post_init__(self) -> None:
        valid = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", self.id) is not None
        check_option("model.weights.hub.id", self.id, valid, "Write it as OWNER/NAME.")


def fetch(hub: Hub) -> tuple[Path, WeightSource]:
    """The folder of these weights: from the hub, or from the local cache if the hub cannot be reached."""
    with model_errors(hub.id, hub.revision, USE_FOLDER):
        commit = _served_commit(hub)
        folder = _offline(hub) if commit is None else _download(hub, commit)
    hashes = {file.name: _checked_sha256(file) for file in sorted(folder.glob("*.safetensors"))}
    if not hashes:
        raise BenchmarkError(
            f"{hub.id} at {short_revision(hub.revision)} has no *.safetensors files, and pickled weights are not read.",
            "Set model.revision (or model.weights.hub.revision) to one that has them, such as the refs/pr/N of a "
            f"conversion, or {USE_FOLDER}.",
        )
    return folder, WeightSource("hub", hub.id, hub.revision, other_server(_marker(folder)), sha256=hashes)


def availability(hub: Hub) -> str:
    """A phrase that says where the weights are or will come from; raises `BenchmarkError` if they are not available."""
    with model_errors(hub.id, hub.revision, USE_FOLDER):
        return "available from the hub" if _served_commit(hub) else f"in {_offline(hub)}"


def is_cached(hub: Hub) -> bool:
    """Whether the local cache has these weights as safetensors."""
    return _cached(hub) is not None


def download_bytes(hub: Hub) -> int:
    """Bytes that still have to be downloaded; 0 for cached weights."""
    if _cached(hub) is not None:
        return 0
    with model_errors(hub.id, hub.revision, USE_FOLDER):
        files = huggingface_hub.model_info(hub.id, revision=hub.revision, files_metadata=True).siblings or ()
    paths = [(PurePosixPath(file.rfilename), file.size or 0) for file in files]
    return sum(size for path, size in paths if len(path.parts) == 1 and any(map(path.match, HUB_FILES)))


def _offline(hub: Hub) -> Path:
    """The folder of these weights in the local cache; raises `LocalEntryNotFoundError` if files are missing there."""
    if (folder := _cached(hub)) is None:
        raise LocalEntryNotFoundError(f"The weights of {hub.id} are not in the local cache.")
    return folder


def _cached(hub: Hub) -> Path | None:
    """The folder of these weights in the local cache; None if a file with weights is missing there."""
    with suppress(OSError, HFValidationError, ValueError, KeyError):  # of the client, and of a damaged list of files
        folder = _snapshot(hub, local_files_only=True)
        stored = {file.name for file in folder.glob("*.safetensors")}
        if stored and _shards(folder) <= stored:
            return folder
    return None


def _shards(folder: Path) -> set[str]:
    """The files that hold the weights, where they are several."""
    index = folder / "model.safetensors.index.json"
    return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()) if index.is_file() else set()


def _download(hub: Hub, commit: str) -> Path:
    """The folder of this commit, with what is missing downloaded."""
    name = repo_folder_name(repo_id=hub.id, repo_type="model")
    marker = _marker(Path(huggingface_hub.constants.HF_HUB_CACHE, name, "snapshots", commit))
    with recording_server(marker, _cached(Hub(hub.id, commit)) is not None) as again:
        return _snapshot(hub, local_files_only=False, force_download=again)


def _snapshot(hub: Hub, local_files_only: bool, force_download: bool = False) -> Path:
    """The folder in the local cache, with what is missing there downloaded unless `local_files_only`."""
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


def _served_commit(hub: Hub) -> str | None:
    """The commit of these files; None if the hub cannot be reached or is overloaded. Raises if it refuses."""
    config = huggingface_hub.hf_hub_url(hub.id, "config.json", revision=hub.revision)
    info = repository_info("model", hub.id, hub.revision)
    if info is None or ask(lambda: huggingface_hub.get_hf_file_metadata(config)) is None:  # a gated one has an info
        return None
    return info.sha or hub.revision


def _checked_sha256(file: Path) -> str:
    """The file's hash; raises if it is not the one by which the hub's cache names the file."""
    actual, stored = sha256_of_file(file), file.resolve()
    if len(stored.name) == len(actual) and stored.name != actual:
        raise BenchmarkError(
            f"{file} has the hash {actual[:12]}..., not the {stored.name[:12]}... that the hub states.",
            f"Delete {stored} and run again.",
        )
    return actual


def _marker(snapshot: Path) -> Path:
    """The file that remembers the server: for snapshots/COMMIT in the cache of a repository, endpoints/COMMIT."""
    return snapshot.parent.parent / "endpoints" / snapshot.name
