"""Weights of the hub and of its cache: files of another server stay marked as such."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from baselines.weights import hub_files, sources
from baselines.weights.hub_files import Hub, availability, fetch
from baselines.weights.sources import Source, Weights
from benchmark.errors import BenchmarkError
from benchmark.interface import WeightSource

COMMIT = "a" * 40
MIRROR = "https://mirror.example"


class Client:
    """A download into the cache that is interrupted or finishes, and whether files were downloaded again."""

    def __init__(self, cache: Path) -> None:
        self.folder = cache / "models--o--weights" / "snapshots" / COMMIT
        self.interrupted = False
        self.again: list[bool] = []

    def snapshot_download(self, _: str, *, local_files_only: bool, force_download: bool, **options: Any) -> str:
        file = self.folder / "model.safetensors"
        if local_files_only and not file.is_file():
            raise LocalEntryNotFoundError("not cached")
        if not local_files_only:
            self.again.append(force_download)
            if self.interrupted:
                raise KeyboardInterrupt
            self.folder.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"numbers")
        return str(self.folder)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", client.snapshot_download)
    monkeypatch.setattr(hub_files, "_served_commit", lambda hub: COMMIT)
    return client


@pytest.mark.parametrize(
    ("server", "again", "marked"),
    [
        ("https://huggingface.co", True, None),
        (MIRROR, False, MIRROR),
        ("https://third.example", True, "https://third.example"),
    ],
)
def test_an_interrupted_download_from_a_mirror_is_not_continued_by_another_server(
    server: str, again: bool, marked: str | None, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", MIRROR)
    client.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        fetch(Hub("o/weights", "main"))
    client.interrupted = False
    monkeypatch.setenv("HF_ENDPOINT", server)
    assert fetch(Hub("o/weights", "main"))[1].endpoint == marked
    assert client.again == [False, again]


def test_weights_of_which_a_file_is_missing_are_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    monkeypatch.setattr(hub_files, "_snapshot", lambda *_, **__: tmp_path)
    for number, cached in ((1, False), (2, True)):
        (tmp_path / f"model-{number}.safetensors").write_bytes(b"")
        assert hub_files.is_cached(hub_files.Hub("owner/name", "main")) is cached


def test_offline_a_folder_without_all_weights_is_not_taken_for_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    hub, folder = Hub("o/weights", COMMIT), tmp_path / "models--o--weights" / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    files = {"config.json": "{}", "model.safetensors.index.json": json.dumps(index), "model-1.safetensors": "numbers"}
    for name, content in files.items():
        (folder / name).write_text(content)
        for read in (fetch, availability):
            with pytest.raises(BenchmarkError, match="o/weights is not in the local cache") as refused:
                read(hub)
            assert "Go online once" in str(refused.value.fix)
    (folder / "model-2.safetensors").write_text("numbers")
    assert fetch(hub)[0] == folder
    assert availability(hub) == f"in {folder}"


def test_a_repository_with_an_adapter_is_refused_because_transformers_would_attach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_files, "fetch", lambda _: (tmp_path, WeightSource("hub")))
    weights = Weights(Source.hub, hub=Hub("owner/name", "main"))
    assert sources.fetch(weights).folder == tmp_path
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(BenchmarkError, match="owner/name contains a LoRA adapter"):
        sources.fetch(weights)


def test_cached_weights_keep_their_server_until_the_official_hub_replaces_them(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for server, again, marked in [
        (MIRROR, False, MIRROR),
        ("https://third.example", False, MIRROR),
        ("https://huggingface.co", True, None),
        (MIRROR, False, None),
    ]:
        monkeypatch.setenv("HF_ENDPOINT", server)
        assert fetch(Hub("o/weights", "main"))[1].endpoint == marked
        assert client.again[-1] == again
