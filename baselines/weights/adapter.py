"""LoRA adapters that were trained before: read from a folder, compared with the network, and attached to it."""

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedModel

from baselines.weights.adapter_config import (
    CONFIG_FILE,
    MERGE_FIRST,
    AdapterConfig,
    check_base,
    is_hub_id,
    read_adapter_config,
)
from baselines.weights.heads import HEADS
from baselines.weights.lora import SEQ_CLS, Lora
from benchmark.errors import BenchmarkError
from benchmark.files import sha256_of_file
from benchmark.interface import AdapterSource

WEIGHTS_FILE = "adapter_model.safetensors"  # peft's file name
LABELS_FILE = "adapter_labels.json"
"""The labels of a head that was trained here, in the order of its rows; peft keeps no names."""
ADAPTER_FILES = ("adapter_*",)
"""The files of an adapter's folder that can change a result."""

PREFIX = "base_model.model."  # of every tensor that peft saves
MATRIX = re.compile(rf"{re.escape(PREFIX)}(.+)\.lora_[AB]\.weight")
HEAD = re.compile(rf"{re.escape(PREFIX)}(\w*(?:{'|'.join(HEADS)}))\..+")
CHOOSE_ANOTHER = "Choose the model that it was trained with."


@dataclass(frozen=True)
class Adapter:
    """A trained adapter, read from its folder."""

    source: AdapterSource
    config: LoraConfig
    weights: Mapping[str, torch.Tensor]
    labels: tuple[str, ...] | None = None  # of the head, in the order of its rows, where they are known

    @property
    def has_head(self) -> bool:
        """Whether the adapter comes with a classification head."""
        return any(HEAD.fullmatch(key) for key in self.weights)

    def attach(self, network: PreTrainedModel) -> PeftModel:
        """Attach this adapter to `network`, frozen."""
        adapted = get_peft_model(network, self.config)
        set_peft_model_state_dict(adapted, dict(self.weights))
        return adapted


def read_adapter(folder: Path, network: PreTrainedModel, task: str, declared: Lora | None, base: str | None) -> Adapter:
    """The adapter in `folder`; raises `BenchmarkError` if it is not readable or does not fit.

    `network` is on torch's meta device and gets an adapter to compare shapes with. `declared` is the expected adapter,
    None for any. `base` is the hub's id of the network's weights, None if they have none.
    """
    for name, fix in (
        (CONFIG_FILE, "Give a folder that peft or models_dir wrote."),
        (WEIGHTS_FILE, "Save it again with safe_serialization=True; pickled weights are not read."),
    ):
        if not (folder / name).is_file():
            raise BenchmarkError(f"The folder model.adapter={folder} has no {name}.", fix)
    config = read_adapter_config(folder)
    check_base(folder, config.base, base)
    _check_task(folder, config, task)
    if declared is not None:
        _check_scale(folder, config, declared)
    weights = _read_weights(folder)
    modules = sorted({match[1] for match in map(MATRIX.fullmatch, weights) if match})
    used = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        use_rslora=config.rslora,
        fan_in_fan_out=config.fan_in_fan_out,
        target_modules=modules,
        task_type=config.task,
        inference_mode=True,
    )
    _check_modules(folder, modules, network, task, declared)
    _check_shapes(folder, weights, network, used)
    named = config.base if config.base is None or is_hub_id(config.base) else Path(config.base).name
    source = AdapterSource(folder.name, sha256_of_file(folder / WEIGHTS_FILE), named)
    return Adapter(source, used, weights, _read_labels(folder))


def _read_labels(folder: Path) -> tuple[str, ...] | None:
    try:
        return tuple(map(str, json.loads((folder / LABELS_FILE).read_text(encoding="utf-8"))))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise BenchmarkError(f"{folder / LABELS_FILE} cannot be read ({error}).", "Save the adapter again.") from error


def _read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of the adapter under the names that peft saves; raises for any that is not LoRA's or a head's."""
    try:
        stored = load_file(folder / WEIGHTS_FILE)
    except (SafetensorError, OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BenchmarkError(
            f"{folder / WEIGHTS_FILE} cannot be read ({reason}).", "Save the adapter again."
        ) from error
    # The names in a live network's state_dict contain the name of the adapter; save_pretrained leaves it out.
    weights = {re.sub(r"(\.lora_[AB])\.default\.", r"\1.", key): tensor for key, tensor in stored.items()}
    for key, tensor in weights.items():
        if tensor.numel() == 0:
            raise BenchmarkError(
                f"The adapter {folder} is empty: {key} has the shape {tuple(tensor.shape)}, as DeepSpeed's ZeRO-3 "
                "saves it.",
                "Convert the ZeRO checkpoint with its zero_to_fp32.py and save the adapter from it again.",
            )
        if not MATRIX.fullmatch(key) and not HEAD.fullmatch(key):
            raise BenchmarkError(
                f"The adapter {folder} holds {key}, which is not a part of a LoRA adapter.", MERGE_FIRST
            )
    return weights


def _check_task(folder: Path, config: AdapterConfig, task: str) -> None:
    """Raise if the adapter has no classification head but needs one, or has one that this model does not use."""
    if (config.task == SEQ_CLS) == (task == SEQ_CLS):
        return
    if task == SEQ_CLS:
        problem = f"was trained for the task {config.task}, but this model needs an adapter with a trained head"
        head = f'write "{SEQ_CLS}" as task_type in {CONFIG_FILE}'
        fix = f"For a decoder, set model.readout=labels; if it holds a head, {head}."
    else:
        problem, fix = f"was trained for the task {config.task}, with a classification head", "Set model.readout=head."
    raise BenchmarkError(f"The adapter {folder} {problem}.", fix)


def _check_scale(folder: Path, config: AdapterConfig, declared: Lora) -> None:
    """Raise if rank or alpha differ from what is declared, which is what tables show."""
    for name, actual, expected in (("rank", config.rank, declared.rank), ("alpha", config.alpha, declared.alpha)):
        if actual != expected:
            raise BenchmarkError(
                f"The adapter {folder} has {name} {actual:g}, but model.lora.{name} is {expected}.",
                f"Set model.lora.{name}={actual:g}." if actual == int(actual) else MERGE_FIRST,
            )


def _check_modules(
    folder: Path, modules: list[str], network: PreTrainedModel, task: str, declared: Lora | None
) -> None:
    """Raise if the adapter changes modules that the network lacks, or others than `declared` selects."""
    existing = {name for name, _ in network.named_modules()}
    if unknown := [name for name in modules if name not in existing]:
        raise BenchmarkError(
            f"The adapter {folder} was made for another network: it changes {unknown[0]}, which does not exist here.",
            CHOOSE_ANOTHER,
        )
    if not modules:
        raise BenchmarkError(f"The adapter {folder} holds no LoRA matrices.", "Save it with save_pretrained of peft.")
    if declared is None:
        return
    embeddings = (network.get_input_embeddings(), network.get_output_embeddings())
    for name in modules:
        if network.get_submodule(name) in embeddings:
            raise BenchmarkError(
                f"The adapter {folder} changes {name}, which is used without adapters here.", MERGE_FIRST
            )
    if set(modules) == _selected_modules(network, task, declared):
        return
    names = sorted({name.split(".")[-1] for name in modules})
    if others := sorted({name for name in existing if name.split(".")[-1] in names} - set(modules)):
        raise BenchmarkError(
            f"The adapter {folder} was made for another network: it changes {modules[0]}, but not {others[0]}.",
            f"{CHOOSE_ANOTHER} If it was trained on some layers only: {MERGE_FIRST[0].lower()}{MERGE_FIRST[1:]}",
        )
    raise BenchmarkError(
        f"The adapter {folder} changes {', '.join(names)}, but model.lora.targets is [{','.join(declared.targets)}].",
        f"Set model.lora.targets=[{','.join(names)}].",
    )


def _selected_modules(network: PreTrainedModel, task: str, declared: Lora) -> set[str]:
    """The names of the modules that a new adapter would change."""
    with torch.device("meta"):
        adapted = declared.attach(copy.deepcopy(network), task)
    return {name for name, module in adapted.get_base_model().named_modules() if isinstance(module, LoraLayer)}


def _check_shapes(
    folder: Path, weights: Mapping[str, torch.Tensor], network: PreTrainedModel, config: LoraConfig
) -> None:
    """Raise unless the tensors are those of an adapter under `config` on the network, head included."""
    with torch.device("meta"):
        adapted = get_peft_model(copy.deepcopy(network), config)
    expected = {
        key: tuple(tensor.shape)
        for key, tensor in get_peft_model_state_dict(adapted, save_embedding_layers=False).items()
    }
    for key in sorted(weights.keys() | expected.keys()):
        actual, needed = tuple(weights[key].shape) if key in weights else None, expected.get(key)
        if actual == needed:
            continue
        if needed is None:
            raise BenchmarkError(
                f"The adapter {folder} holds {key}, which has no place in this network.", CHOOSE_ANOTHER
            )
        if actual is None:
            raise BenchmarkError(f"The adapter {folder} lacks {key}.", "Save it again with save_pretrained of peft.")
        if HEAD.fullmatch(key) and actual[1:] == needed[1:]:
            raise BenchmarkError(
                f"The head of the adapter {folder} has {actual[0]} labels, but the data set has {needed[0]}.",
                "Choose the data set that it was trained on.",
            )
        raise BenchmarkError(
            f"The adapter {folder} was made for another network: {key} has the shape {actual}, not {needed}.",
            CHOOSE_ANOTHER,
        )
