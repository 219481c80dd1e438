"""Which architectures of transformers are encoders, and which are decoders."""

from enum import StrEnum
from typing import Any

from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)

from benchmark.errors import BenchmarkError

SCORE_PREDICTIONS = "Score its predictions with model=external model.path=FILE."


class Kind(StrEnum):
    """The kinds of networks that can be fine-tuned here."""

    encoder = "encoder"
    decoder = "decoder"


def check_kind(architecture: dict[str, Any], wanted: Kind) -> None:
    """Raise unless transformers has this architecture as an encoder or decoder, as wanted."""
    if (name := str(architecture.get("model_type"))) not in CONFIG_MAPPING:
        return  # refused when it is built
    kind = kind_of(name)
    if kind is None or architecture.get("is_encoder_decoder"):
        raise BenchmarkError(f"{name} is not supported as an encoder or a decoder.", SCORE_PREDICTIONS)
    if kind is not wanted:
        raise BenchmarkError(
            f"{name} is a{'n' * (kind is Kind.encoder)} {kind}, but the configuration is for {wanted}s.",
            f"Choose model={kind} in its place, with the same model.id or model.path.",
        )


def check_known(name: str, place: str) -> None:
    """Raise if transformers has no code for the architecture."""
    if name not in CONFIG_MAPPING:
        raise BenchmarkError(
            f"{place} is of the type {name}, which transformers has no code for; code that comes with weights is not "
            "run.",
            SCORE_PREDICTIONS,
        )


def kind_of(name: str) -> Kind | None:
    """Encoder if transformers has a masked language model of this type, decoder if a causal one.

    None if it has no classification head, and for XLNet, which is neither: its tokens see the tokens after them, and
    its head reads the last position, also where that is padding.
    """
    if name == "xlnet" or name not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES:
        return None
    if name in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return Kind.encoder
    return Kind.decoder if name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES else None
