"""What a decoder is, computed from its options without weights."""

from dataclasses import asdict, replace

import torch
from transformers import AutoModel, AutoModelForCausalLM

from baselines.cards import network_card, trained_part_id
from baselines.compute.hardware import Quantization
from baselines.decoder.options import DecoderOptions
from baselines.weights.without_weights import build_without_weights
from benchmark.interface import ModelCard, Prompting, Readout


def decoder_card(options: DecoderOptions) -> ModelCard:
    """The card of a decoder, whose parameters do not include a classification head: it depends on the data set.

    Weights that are scored as they are have no LoRA.
    """
    auto_class = AutoModel if options.readout is Readout.head else AutoModelForCausalLM
    network = build_without_weights(auto_class, options.architecture)
    config, lora, precision = network.config, options.lora, _precision(options)
    as_they_are = not options.train and options.adapter is None
    settings = {"precision": precision, "attention": options.attention.value,
                "lora_rank": "none" if as_they_are else lora.rank}  # fmt: skip
    card = network_card("decoder", network, options.weights, settings)
    key_value_heads = getattr(config, "num_key_value_heads", config.num_attention_heads)
    card = replace(
        card,
        grouped_query_attention=key_value_heads < config.num_attention_heads,
        readout=None if options.shots is not None else options.readout.value,
        prompting=_prompting(options),
        training=trained_part_id(asdict(options.weights), precision, {} if as_they_are else asdict(lora)),
    )
    if as_they_are:
        return replace(card, trained_parameters=0)
    with torch.device("meta"):
        adapted = lora.attach(network)
    adapter = {"lora_rank": lora.rank, "lora_alpha": lora.alpha, "lora_targets": list(lora.targets)}
    trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    return replace(card, trained_parameters=trained, dimensions=card.dimensions | adapter)


def _precision(options: DecoderOptions) -> str:
    """The precision with the quantisation of the frozen weights, for tables."""
    quantised = options.quantization is not Quantization.none
    return f"{options.quantization.value} + {options.precision.value}" if quantised else options.precision.value


def _prompting(options: DecoderOptions) -> Prompting | None:
    if options.shots is None:
        return None
    score = options.readout.value if options.readout is Readout.generate else options.score.value
    return Prompting(options.shots, options.prompt.name, score, options.calibrate)
