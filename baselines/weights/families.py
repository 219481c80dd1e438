"""Facts about architectures that packed batching needs.

`SUPPORTED` lists the architectures for which tests show that packed batching equals padded batching.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

POSITIONS_AFTER_PADDING = (
    "roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "data2vec-text", "xmod", "xlm-roberta-xl", "ibert",
    "roberta-prelayernorm", "luke",
)  # fmt: skip
"""Architectures whose first position follows the id of the padding token."""
FINAL_MODULES = {
    "bert": "encoder",
    "electra": "encoder",
    "roberta": "encoder",
    "xlm-roberta": "encoder",
    "camembert": "encoder",
    "mpnet": "encoder",
    "distilbert": "transformer",
    "modernbert": "final_norm",
}
"""The module of each encoder whose output is the last hidden states."""
WITH_OUTPUT_MODULE = ("bert", "electra", "roberta", "xlm-roberta", "camembert")
"""Encoders in which a module `attention.output` computes everything after attention."""
RELATIVE_POSITIONS = ("modernbert", "deberta-v2", "funnel")
"""Encoders without a table of position embeddings, which would limit the number of tokens."""
DECODER_TYPES = ("llama", "mistral", "qwen2", "qwen3", "gemma3_text", "smollm3", "phi3")
ROTATED_BY_HALVES = ("llama", "mistral", "qwen2", "qwen3")
"""Decoders whose query and key, whole, are x * cos + rotate_half(x) * sin."""
SUPPORTED = (*FINAL_MODULES, *DECODER_TYPES)
BIDIRECTIONAL = {"is_causal": False, "use_bidirectional_attention": True}
"""Entries with which a decoder's tokens see those after them, as in models of embeddings."""


def supports_packing(architecture: Mapping[str, Any]) -> bool:
    """Whether packed batching computes what this architecture, the entries of a config.json, says."""
    bidirectional = any(architecture.get(entry) is value for entry, value in BIDIRECTIONAL.items())
    capped = architecture.get("final_logit_softcapping") is not None
    return architecture["model_type"] in SUPPORTED and not bidirectional and not capped


def first_position(config: PreTrainedConfig) -> int:
    """The position id of the first token."""
    return int(config.pad_token_id) + 1 if config.model_type in POSITIONS_AFTER_PADDING else 0


def final_module(network: PreTrainedModel) -> nn.Module:
    """The module of an encoder whose output is the last hidden states, (1, tokens, hidden)."""
    module: nn.Module = network.base_model.get_submodule(FINAL_MODULES[network.config.model_type])
    return module


def reads_the_mean(config: PreTrainedConfig) -> bool:
    """Whether the classification head reads the mean of all tokens instead of the first token."""
    return bool(getattr(config, "classifier_pooling", "cls") == "mean")
