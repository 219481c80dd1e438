"""Networks without weights: their shapes, and which attention they have."""

from textwrap import shorten
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, PreTrainedModel

from baselines.compute.hardware import Attention
from baselines.weights.kinds import SCORE_PREDICTIONS
from benchmark.errors import BenchmarkError


def build_without_weights(auto_class: Any, architecture: dict[str, Any]) -> PreTrainedModel:
    """The network on torch's meta device, which has shapes but allocates and reads nothing.

    Raises `BenchmarkError` if transformers cannot build it.
    """
    try:
        with torch.device("meta"):
            return auto_class.from_config(AutoConfig.for_model(**architecture))
    except Exception as error:  # every architecture has its own checks and exceptions
        reason = shorten(str(error), 200) or type(error).__name__
        raise BenchmarkError(
            f"model.architecture cannot be built ({reason}).", f"Correct it. {SCORE_PREDICTIONS}"
        ) from error


def check_attention(architecture: dict[str, Any], attention: Attention) -> None:
    """Raise if transformers does not have the attention for this architecture."""
    network = build_without_weights(AutoModel, architecture)
    has = {
        Attention.auto: True,
        Attention.eager: True,
        Attention.sdpa: network._supports_sdpa,
        Attention.flash_attention_2: network._supports_flash_attn,
    }
    if not has[attention]:
        other = Attention.sdpa if has[Attention.sdpa] else Attention.eager
        raise BenchmarkError(
            f"model.attention is {attention.value}, which transformers does not have for {network.config.model_type}.",
            f"Set model.attention={other.value}.",
        )
