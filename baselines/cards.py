"""Model cards of encoders and decoders."""

import hashlib
import json
from typing import Any

from transformers import PreTrainedModel

from baselines.weights.sources import Source, Weights, identity
from benchmark.interface import ModelCard

DIMENSIONS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "vocab_size",
)
USAGE = {
    "encoder": """from transformers import pipeline

pipeline("text-classification", model="FOLDER")("i feel rather well today")""",
    "decoder": """# FOLDER holds the adapter; the prompt and the readout are the suite's
# python -m benchmark model=MODEL model.adapter=FOLDER
from peft import PeftConfig

PeftConfig.from_pretrained("FOLDER").base_model_name_or_path""",
}


def network_card(kind: str, network: PreTrainedModel, weights: Weights, settings: dict[str, Any]) -> ModelCard:
    """A card with the entries that encoders and decoders share; all parameters count as trained."""
    config = network.config
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return ModelCard(
        architecture=config.model_type,
        weights=identity(weights),
        kind=kind,
        parameters=parameters,
        trained_parameters=parameters,
        context_length=getattr(config, "max_position_embeddings", None),
        grouped_query_attention=False,
        # Some architectures have other names for their sizes, and then no such attribute.
        dimensions={key: getattr(config, key) for key in DIMENSIONS if hasattr(config, key)},
        settings=settings,
        random_weights=weights.source is Source.random,
        base_model=weights.hub_id,
        library="peft" if kind == "decoder" else "transformers",
        usage=USAGE.get(kind),
    )


def trained_part_id(weights: dict[str, Any], precision: str, lora: dict[str, Any]) -> str:
    """An id of 16 hex digits, the same for all readouts of one training; unset options of the weights do not count."""
    chosen = {option: value for option, value in weights.items() if value is not None}
    document = json.dumps([chosen, precision, lora], sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()[:16]
