"""Every option of peft's LoraConfig is known to be supported, or is refused by its name where it is switched on."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import new_network, save_new_adapter
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from baselines.weights.adapter import WEIGHTS_FILE, Adapter, read_adapter
from baselines.weights.adapter_config import (
    CONFIG_FILE,
    IN_THE_TENSORS,
    PREDICT_WITH_PEFT,
    READ,
    SUPPORTED_VALUES,
    WITHOUT_EFFECT,
    check_base,
    read_adapter_config,
)
from baselines.weights.lora import Lora
from benchmark.configuration.compose import compose
from benchmark.errors import BenchmarkError

SAVED = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj"], task_type="CAUSAL_LM").to_dict()
SAVED = json.loads(json.dumps(SAVED, default=lambda value: sorted(value) if isinstance(value, set) else str(value)))
KNOWN = READ | IN_THE_TENSORS | WITHOUT_EFFECT


def written(folder: Path, **options: Any) -> Path:
    (folder / CONFIG_FILE).write_text(json.dumps(SAVED | options))
    return folder


@pytest.mark.parametrize("option", sorted({one.name for one in fields(LoraConfig)} - KNOWN - {"init_lora_weights"}))
def test_every_other_option_of_peft_is_refused_by_name_where_it_is_on(option: str, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=rf'uses {option}="some value"') as refusal:
        read_adapter_config(written(tmp_path, **{option: "some value"}))
    assert refusal.value.fix is not None


@pytest.mark.parametrize("value", ["pissa", "pissa_niter_16", "olora", "corda", "loftq", "lora_ga", "a_new_one"])
def test_an_initialisation_that_may_change_the_base_model_is_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=f'init_lora_weights="{value}"') as refusal:
        read_adapter_config(written(tmp_path, init_lora_weights=value))
    assert "path_initial_model_for_weight_conversion. If that is not possible: predict with" in str(refusal.value.fix)


@pytest.mark.parametrize("value", SUPPORTED_VALUES["init_lora_weights"])
def test_an_initialisation_of_the_two_matrices_only_is_accepted(value: bool | str, tmp_path: Path) -> None:
    assert read_adapter_config(written(tmp_path, init_lora_weights=value)).rank == 8


def test_unknown_options_are_refused_only_where_they_are_on(tmp_path: Path) -> None:
    off = {"use_superlora": False, "enable_lora": None, "super_pattern": {}, "super_layers": [], "merge_weights": False}
    assert read_adapter_config(written(tmp_path, **off)).alpha == 16
    with pytest.raises(BenchmarkError, match=r"uses gate_scale=3\.0, use_superlora=true,"):
        read_adapter_config(written(tmp_path, **off | {"use_superlora": True, "gate_scale": 3.0}))


@pytest.mark.parametrize("option", ["alora_invocation_tokens", "lora_bias"])
def test_what_cannot_be_merged_has_another_remedy(option: str, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError) as refusal:
        read_adapter_config(written(tmp_path, **{option: [1, 2]}))
    assert refusal.value.fix == PREDICT_WITH_PEFT


@pytest.mark.parametrize("modules", [["classifier", "score"], ["score"], [], None])
def test_a_saved_head_is_supported_and_no_other_module(modules: list[str] | None, tmp_path: Path) -> None:
    head = {"task_type": "SEQ_CLS", "modules_to_save": modules}
    assert read_adapter_config(written(tmp_path, **head)).task == "SEQ_CLS"
    with pytest.raises(BenchmarkError, match="modules_to_save"):
        read_adapter_config(written(tmp_path, **head | {"modules_to_save": ["score", "embed_tokens"]}))


@pytest.mark.parametrize("values", ["[]", "null", "{}", '{"peft_type": "LORA", "r": "many"}', '{"peft_type": "LO'])
def test_a_config_that_is_not_one_is_refused(values: str, tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text(values)
    with pytest.raises(BenchmarkError, match=CONFIG_FILE):
        read_adapter_config(tmp_path)


@pytest.mark.parametrize(
    ("base", "declared", "fits"),
    [
        ("a/b", "a/b", True),
        ("A/b", "a/B", True),  # the hub's ids have one case only
        ("a/b", "a/c", False),
        ("a/b", None, True),  # the weights are a folder, which has no id
        (None, "a/b", True),
        ("/models/b", "a/b", True),
        ("./b", "a/b", True),
    ],
)
def test_the_base_model_must_be_the_declared_one(base: str | None, declared: str | None, fits: bool) -> None:
    if fits:
        check_base(Path("adapter"), base, declared)
        return
    with pytest.raises(BenchmarkError, match="trained on a/b, but model.weights is a/c"):
        check_base(Path("adapter"), base, declared)


def tiny_network() -> Any:
    return new_network(lambda *overrides: compose([*overrides, "dataset=synthetic"]))


def read(folder: Path) -> Adapter:
    with torch.device("meta"):
        network = tiny_network()
    return read_adapter(folder, network, "CAUSAL_LM", Lora(), None)


def test_names_of_a_live_networks_tensors_are_read_as_the_saved_ones(tmp_path: Path) -> None:
    folder = save_new_adapter(tiny_network(), tmp_path / "adapter")
    before = dict(read(folder).weights)
    live = {key.replace(".weight", ".default.weight"): tensor for key, tensor in before.items()}
    save_file(live, folder / WEIGHTS_FILE)
    after = read(folder).weights
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_tensors_without_numbers_are_refused(tmp_path: Path) -> None:
    folder = save_new_adapter(tiny_network(), tmp_path / "adapter")
    weights = load_file(folder / WEIGHTS_FILE)
    save_file({key: torch.zeros(0) for key in weights}, folder / WEIGHTS_FILE)
    with pytest.raises(BenchmarkError, match="is empty.*ZeRO-3") as refusal:
        read(folder)
    assert "zero_to_fp32.py" in str(refusal.value.fix)


def test_an_adapter_on_the_embeddings_is_refused_with_a_remedy_that_works(tmp_path: Path) -> None:
    """No model.lora.targets would help: they may not name the embeddings."""
    folder = save_new_adapter(tiny_network(), tmp_path / "adapter", target_modules=["q_proj", "lm_head"])
    with pytest.raises(BenchmarkError, match="lm_head") as refusal:
        read(folder)
    assert "merge_and_unload" in str(refusal.value.fix)


def test_the_adapter_that_is_attached_has_the_options_that_were_read_and_no_others(tmp_path: Path) -> None:
    folder = save_new_adapter(tiny_network(), tmp_path / "adapter", use_rslora=True, lora_dropout=0.5)
    adapter = read(folder)
    assert adapter.config.use_rslora
    assert (adapter.config.lora_dropout, adapter.config.inference_mode) == (0.0, True)


def test_rank_and_alpha_that_a_file_leaves_out_have_the_defaults_of_peft(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text(json.dumps({"peft_type": "LORA"}))
    read, default = read_adapter_config(tmp_path), LoraConfig()
    assert (read.rank, read.alpha, read.rslora) == (default.r, default.lora_alpha, default.use_rslora)
