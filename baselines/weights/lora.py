"""New LoRA adapters beside a frozen network."""

from dataclasses import dataclass, field

from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel

from benchmark.errors import BenchmarkError, check_option

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
        check_option("model.lora.rank", self.rank, self.rank >= 1, "Set it to 1 or more.")
        check_option("model.lora.alpha", self.alpha, self.alpha >= 1, "Set it to 1 or more.")
        check_option("model.lora.dropout", self.dropout, 0 <= self.dropout < 1, "Set it to a number in [0, 1).")
        named = "Name projections such as q_proj, or [all-linear]."
        check_option("model.lora.targets", "empty", bool(self.targets), named)
        if untrainable := [name for name in self.targets if name.split(".")[-1] in ("lm_head", "embed_tokens")]:
            problem = f"model.lora.targets names {', '.join(untrainable)}, which is used without adapters here."
            raise BenchmarkError(problem, named)

    def attach(self, network: PreTrainedModel, task: str | None = None) -> PeftModel:
        """Freeze `network` and attach a new adapter for one of peft's tasks."""
        targets = "all-linear" if self.targets == ["all-linear"] else list(self.targets)
        scale = {"r": self.rank, "lora_alpha": self.alpha, "lora_dropout": self.dropout}
        return get_peft_model(network, LoraConfig(**scale, target_modules=targets, task_type=task))


def without_adapter(network: PeftModel | PreTrainedModel) -> PreTrainedModel:
    """The network of transformers, whose layers contain the adapter if there is one."""
    return network.get_base_model() if isinstance(network, PeftModel) else network
