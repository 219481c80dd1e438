"""LoRA adapters beside a frozen network: a new one to train, or one that was trained before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import PreTrainedModel

from baselines.training.checkpoints import sha256_of_file
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
        untrainable = [name for name in self.targets if name.split(".")[-1] in ("lm_head", "embed_tokens")]
        named = "Name projections such as q_proj, or [all-linear]."
        for refused, problem, fix in (
            (self.rank < 1, f"rank is {self.rank}.", "Set it to 1 or more."),
            (self.alpha < 1, f"alpha is {self.alpha}.", "Set it to 1 or more."),
            (not 0 <= self.dropout < 1, f"dropout is {self.dropout}.", "Set it to a number in [0, 1)."),
            (not self.targets, "targets is empty.", named),
            (untrainable, f"targets names {', '.join(untrainable)}, which is used without adapters here.", named),
        ):
            if refused:
                raise BenchmarkError(f"model.lora.{problem}", fix)

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
    _check_config(name, config, declared, task)
    with torch.device("meta"):
        expected = get_peft_model_state_dict(declared.attach(network, task), save_embedding_layers=False)
    for key in sorted(weights.keys() | expected.keys()):
        found, needed = (tuple(state[key].shape) if key in state else "missing" for state in (weights, expected))
        if found != needed:
            raise BenchmarkError(
                f"The adapter {name} was made for another network: the shape of {key} is {found}, but should be "
                f"{needed}.",
                "Choose the model, model.lora.targets and labels that it was trained with.",
            )
    return Adapter(AdapterSource(name, sha256_of_file(folder / WEIGHTS)), config, weights)


def _check_config(name: str, config: PeftConfig, declared: Lora, task: str) -> None:
    """Raise if the kind, the task, the rank or the scale differs from what is declared, which is what tables show."""
    if not isinstance(config, LoraConfig):
        raise BenchmarkError(f"The adapter {name} is of the kind {config.peft_type}.", "Give a LoRA adapter.")
    needed, other = ("a", "labels") if task == SEQ_CLS else ("no", "head")
    rank, alpha, unscaled = config.r, config.lora_alpha, "set, so that its scale is not alpha / rank."
    for refused, problem, fix in (
        (
            (config.task_type == SEQ_CLS) != (task == SEQ_CLS),
            f"was trained for the task {config.task_type}, but the readout needs {needed} trained classification head.",
            f"Set model.readout={other}.",
        ),
        (
            rank != declared.rank,
            f"has rank {rank}, but model.lora.rank is {declared.rank}.",
            f"Set model.lora.rank={rank}.",
        ),
        (
            alpha != declared.alpha,
            f"has alpha {alpha}, but model.lora.alpha is {declared.alpha}.",
            f"Set model.lora.alpha={alpha}.",
        ),
        (config.use_rslora, f"has use_rslora {unscaled}", "Merge it into its base model."),
        (config.alpha_pattern, f"has alpha_pattern {unscaled}", "Merge it into its base model."),
    ):
        if refused:
            raise BenchmarkError(f"The adapter {name} {problem}", fix)
