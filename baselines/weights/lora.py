"""LoRA beside a frozen network: a new one, to be trained, or one from a folder, to be read."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import PreTrainedModel

from benchmark.errors import BenchmarkError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"  # as peft names them

GENERATIVE, CLASSIFYING = "CAUSAL_LM", "SEQ_CLS"
"""peft's tasks; under the second it trains and saves the classification head beside the adapter."""


@dataclass(frozen=True)
class Lora:
    """Hu et al., 2021: W + (alpha / rank) B A, with only A and B trained."""

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.0
    targets: list[str] = field(default_factory=lambda: ["all-linear"])

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha < 1 or not 0 <= self.dropout < 1:
            raise BenchmarkError("model.lora: rank and alpha must be at least 1 and dropout in [0, 1).")
        if not self.targets:
            raise BenchmarkError("model.lora.targets is empty; name projections such as q_proj, or [all-linear].")
        if beside := [target for target in self.targets if target.split(".")[-1] in ("lm_head", "embed_tokens")]:
            raise BenchmarkError(
                f"model.lora.targets names {beside[0]}, which is read without adapters here; name projections such as "
                "q_proj, or [all-linear]."
            )

    def attach(self, network: PreTrainedModel, task: str | None = None) -> PeftModel:
        targets = "all-linear" if self.targets == ["all-linear"] else list(self.targets)
        return get_peft_model(
            network,
            LoraConfig(
                r=self.rank,
                lora_alpha=self.alpha,
                lora_dropout=self.dropout,
                target_modules=targets,
                task_type=task,
            ),
        )


@dataclass(frozen=True)
class Adapter:
    """A trained adapter as its folder holds it."""

    name: str
    config: LoraConfig
    weights: Mapping[str, torch.Tensor]
    sha256: str  # of the file of weights

    def attach(self, network: PreTrainedModel) -> PeftModel:
        """`network` with this adapter, frozen."""
        self.config.inference_mode = True
        adapted = get_peft_model(network, self.config)
        if unplaced := set_peft_model_state_dict(adapted, dict(self.weights)).unexpected_keys:
            raise BenchmarkError(f"The {CONFIG} of {self.name} names no place for {unplaced[0]}; save it again.")
        return adapted


def read_adapter(folder: Path, declared: Lora, network: PreTrainedModel, task: str) -> Adapter:
    """The adapter in `folder`; raises `BenchmarkError` if it is none, or not the one declared for such a network.

    `network` has shapes only (it is on torch's meta device), so that nothing is fetched for an adapter that cannot fit.
    """
    name = folder.name
    if not (folder / CONFIG).is_file():
        raise BenchmarkError(f"model.adapter={name} is no folder with an {CONFIG}; give one that peft saved.")
    if not (folder / WEIGHTS).is_file():
        raise BenchmarkError(
            f"model.adapter={name} holds no {WEIGHTS}, and pickles are not read; save it again as one."
        )
    try:
        config = PeftConfig.from_pretrained(folder)
        weights = load_file(folder / WEIGHTS)
    except Exception as error:  # JSONDecodeError, SafetensorError, TypeError for unknown kinds: all mean a bad file
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BenchmarkError(f"The adapter {name} cannot be read ({reason}); save it again.") from error
    if not isinstance(config, LoraConfig):
        raise BenchmarkError(f"The adapter {name} is of the kind {config.peft_type}; only LoRA is read here.")
    if (config.task_type == CLASSIFYING) != (task == CLASSIFYING):
        wanted, other = ("a", "labels") if task == CLASSIFYING else ("no", "head")
        raise BenchmarkError(
            f"The adapter {name} was trained for the task {config.task_type}, and this read-out needs "
            f"{wanted} classification head of its own; set model.readout={other}."
        )
    _check_scale(name, config, declared)
    with torch.device("meta"):
        expected = get_peft_model_state_dict(declared.attach(network, task), save_embedding_layers=False)
    _check_places(name, _shapes(weights), _shapes(expected))
    with (folder / WEIGHTS).open("rb") as file:
        return Adapter(name, config, weights, hashlib.file_digest(file, "sha256").hexdigest())


def _check_scale(name: str, config: LoraConfig, declared: Lora) -> None:
    """What tables say of it is the declared LoRA."""
    for option, found, expected in (("rank", config.r, declared.rank), ("alpha", config.lora_alpha, declared.alpha)):
        if found != expected:
            raise BenchmarkError(
                f"The adapter {name} has {option} {found}, but model.lora.{option} says {expected}; "
                f"set model.lora.{option}={found}."
            )
    for option in ("use_rslora", "alpha_pattern"):
        if getattr(config, option):
            raise BenchmarkError(
                f"The adapter {name} has {option} set, so that alpha / rank is not its scale; merge it into its base."
            )


def _check_places(name: str, found: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]) -> None:
    for key in sorted(found.keys() | expected.keys()):
        if found.get(key) != expected.get(key):
            raise BenchmarkError(
                f"The adapter {name} was made for another network: of {key} it has {found.get(key, 'none')}, "
                f"and {expected.get(key, 'none')} is needed; choose the model, model.lora.targets and labels "
                "that it was trained with."
            )


def _shapes(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in state.items()}
