"""LoRA adapters beside a frozen network: a new one to train, or one that was trained before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import PreTrainedModel

from baselines.training.checkpoints import file_sha256
from benchmark.errors import BenchmarkError
from benchmark.interface import AdapterSource

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"  # peft's file names
ADAPTER_FILES = ("adapter_*",)
"""The files of an adapter's folder that can change a result."""

CAUSAL_LM, SEQ_CLS = "CAUSAL_LM", "SEQ_CLS"
"""peft's task types. For SEQ_CLS it trains and saves the classification head together with the adapter."""


@dataclass(frozen=True)
class Lora:
    """Low-rank adaptation, W + (alpha / rank) B A, where only A and B are trained (Hu et al., 2021)."""

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.0
    targets: list[str] = field(default_factory=lambda: ["all-linear"])

    def __post_init__(self) -> None:
        for option in ("rank", "alpha"):
            if (value := getattr(self, option)) < 1:
                raise BenchmarkError(f"model.lora.{option} is {value}.", "Set it to 1 or more.")
        if not 0 <= self.dropout < 1:
            raise BenchmarkError(f"model.lora.dropout is {self.dropout}.", "Set it to a number in [0, 1).")
        fix = "Name projections such as q_proj, or [all-linear]."
        if not self.targets:
            raise BenchmarkError("model.lora.targets is empty.", fix)
        if unsupported := [name for name in self.targets if name.split(".")[-1] in ("lm_head", "embed_tokens")]:
            raise BenchmarkError(
                f"model.lora.targets names {unsupported[0]}, which is used without adapters here.", fix
            )

    def attach(self, network: PreTrainedModel, task: str | None = None) -> PeftModel:
        targets = "all-linear" if self.targets == ["all-linear"] else list(self.targets)
        scale = {"r": self.rank, "lora_alpha": self.alpha, "lora_dropout": self.dropout}
        return get_peft_model(network, LoraConfig(**scale, target_modules=targets, task_type=task))


@dataclass(frozen=True)
class Adapter:
    """A trained adapter, read from its folder."""

    source: AdapterSource
    config: LoraConfig
    weights: Mapping[str, torch.Tensor]

    def attach(self, network: PreTrainedModel) -> PeftModel:
        """`network` with this adapter, frozen."""
        self.config.inference_mode = True
        adapted = get_peft_model(network, self.config)
        if unexpected := set_peft_model_state_dict(adapted, dict(self.weights)).unexpected_keys:
            raise BenchmarkError(
                f"The {CONFIG} of {self.source.name} has no place for {unexpected[0]}.", "Save the adapter again."
            )
        return adapted


def read_adapter(folder: Path, declared: Lora, network: PreTrainedModel, task: str) -> Adapter:
    """The adapter in `folder`; raises `BenchmarkError` if it is not readable or not the declared one for `network`.

    `network` is on torch's meta device and gets an adapter to compare shapes with.
    """
    name = folder.name
    if not (folder / CONFIG).is_file():
        raise BenchmarkError(
            f"model.adapter={name} is not a folder with an {CONFIG}.", "Give one that peft or models_dir wrote."
        )
    if not (folder / WEIGHTS).is_file():
        raise BenchmarkError(
            f"The adapter {name} has no {WEIGHTS}, and pickled weights are not read.",
            "Save it again with safe_serialization=True.",
        )
    try:
        config = PeftConfig.from_pretrained(folder)
        weights = load_file(folder / WEIGHTS)
    except Exception as error:  # safetensors, JSON and peft's TypeError for unknown kinds all mean a damaged file
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BenchmarkError(f"The adapter {name} cannot be read ({reason}).", "Save it again.") from error
    if not isinstance(config, LoraConfig):
        raise BenchmarkError(f"The adapter {name} is of the kind {config.peft_type}.", "Give a LoRA adapter.")
    if (config.task_type == SEQ_CLS) != (task == SEQ_CLS):
        wanted, other = ("a", "labels") if task == SEQ_CLS else ("no", "head")
        raise BenchmarkError(
            f"The adapter {name} was trained for the task {config.task_type}, but this readout needs {wanted} trained "
            "classification head.",
            f"Set model.readout={other}.",
        )
    _check_scale(name, config, declared)
    with torch.device("meta"):
        expected = get_peft_model_state_dict(declared.attach(network, task), save_embedding_layers=False)
    _check_shapes(name, _shapes(weights), _shapes(expected))
    return Adapter(AdapterSource(name, file_sha256(folder / WEIGHTS)), config, weights)


def _check_scale(name: str, config: LoraConfig, declared: Lora) -> None:
    """Raise if rank or scale are not the declared ones, which is what tables show."""
    for option, found, expected in (("rank", config.r, declared.rank), ("alpha", config.lora_alpha, declared.alpha)):
        if found != expected:
            raise BenchmarkError(
                f"The adapter {name} has {option} {found}, but model.lora.{option} is {expected}.",
                f"Set model.lora.{option}={found}.",
            )
    for option in ("use_rslora", "alpha_pattern"):
        if getattr(config, option):
            raise BenchmarkError(
                f"The adapter {name} has {option} set, so that its scale is not alpha / rank.",
                "Merge it into its base model.",
            )


def _check_shapes(name: str, found: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]) -> None:
    for key in sorted(found.keys() | expected.keys()):
        if found.get(key) != expected.get(key):
            raise BenchmarkError(
                f"The adapter {name} was made for another network: the shape of {key} is {found.get(key, 'missing')}, "
                f"but should be {expected.get(key, 'missing')}.",
                "Choose the model, model.lora.targets and labels that it was trained with.",
            )


def _shapes(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in state.items()}
