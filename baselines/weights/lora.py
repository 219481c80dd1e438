"""New LoRA adapters beside a frozen network."""

from dataclasses import dataclass, field

from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel

from benchmark.errors import BenchmarkError

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
