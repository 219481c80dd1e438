"""Load a tokenizer and a network from a pinned checkpoint, or create them with random weights."""

import io
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext, redirect_stderr
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GgufConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from baselines.training.hardware import Attention
from baselines.weights.gguf import dequantised_copy
from baselines.weights.sources import Checkpoint, Source, Weights, fetch, identity
from baselines.weights.tokenizer import train_tokenizer
from benchmark.errors import BenchmarkError
from benchmark.interface import WeightSource


@dataclass(frozen=True)
class Loaded:
    tokenizer: PreTrainedTokenizerBase
    network: PreTrainedModel
    source: WeightSource


def load(
    auto_class: Any,
    weights: Weights,
    architecture: dict[str, Any],
    *,
    texts: Iterable[str],
    dtype: torch.dtype,
    attention: Attention,
    **config_options: Any,
) -> Loaded:
    """Tokenizer and network of class `auto_class`, in `dtype`, on the CPU.

    The tokenizer of a model with random weights is trained on `texts`. `config_options` (the number of labels, for
    example) are not part of the checkpoint. Raises `BenchmarkError` if the checkpoint cannot be loaded.
    """
    transformers_logging.set_verbosity_error()  # the warnings about a new classification head are expected
    transformers_logging.disable_progress_bar()
    if weights.source is Source.random:
        tokenizer = train_tokenizer(architecture, texts)
        config = AutoConfig.for_model(**(architecture | config_options | {"pad_token_id": tokenizer.pad_token_id}))
        network = auto_class.from_config(
            config, attn_implementation=None if attention is Attention.auto else attention.value, dtype=dtype
        )
        return Loaded(tokenizer, network, WeightSource("random"))
    checkpoint = fetch(weights)
    folder, options = checkpoint.folder, checkpoint.options
    try:
        with _progress_on_terminals_only():
            if weights.source is not Source.folder and options:
                folder, options = dequantised_copy(checkpoint), {}
            if options:  # a GGUF file in the user's folder may be too large for a second copy
                config_options["quantization_config"] = GgufConfig(dequantize=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **options)
            network, info = auto_class.from_pretrained(
                folder,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # of a head for other labels; others are refused below
                dtype=dtype,
                attn_implementation=None if attention is Attention.auto else attention.value,
                use_safetensors=True,
                trust_remote_code=False,
                **options,
                **config_options,
            )
    except Exception as error:  # damaged files raise struct.error, SafetensorError or a bare Exception of tokenizers
        raise _unreadable(weights, checkpoint, error) from error
    _check_architecture(network.config, architecture, identity(weights))
    missing = info["missing_keys"] | {name for name, *_ in info["mismatched_keys"]}
    body = network.base_model_prefix if auto_class is AutoModelForSequenceClassification else None
    _check_complete(missing, body, identity(weights))
    return Loaded(tokenizer, network, checkpoint.source)


def build_without_weights(auto_class: Any, architecture: dict[str, Any]) -> PreTrainedModel:
    """The network on torch's meta device, which has shapes but allocates and reads nothing.

    Raises `BenchmarkError` if transformers cannot build it.
    """
    try:
        with torch.device("meta"):
            return auto_class.from_config(AutoConfig.for_model(**architecture))
    except Exception as error:  # every architecture has its own checks and exceptions
        reason = shorten(str(error), 200) or type(error).__name__
        raise BenchmarkError(f"model.architecture cannot be built ({reason}).", "Correct it.") from error


def _progress_on_terminals_only() -> AbstractContextManager[object]:
    """Keep the progress bar of dequantisation, which has no option, out of log files."""
    return nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO())


def _unreadable(weights: Weights, checkpoint: Checkpoint, error: Exception) -> BenchmarkError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    place, own = checkpoint.folder / (checkpoint.gguf_file or ""), weights.source is Source.folder
    return BenchmarkError(
        f"The weights {identity(weights)} in {place} cannot be loaded ({reason}).",
        "Put an intact checkpoint there." if own else f"Delete {checkpoint.folder} to download them again.",
    )


def _check_architecture(loaded: PreTrainedConfig, declared: dict[str, Any], model: str) -> None:
    """Raise if the checkpoint is not what the configuration declares, which is what tables show."""
    for key, value in declared.items():
        actual: Any = getattr(loaded, key, None)
        close = isinstance(value, float) and isinstance(actual, float) and abs(actual - value) < 1e-9
        if actual != value and not close:
            raise BenchmarkError(
                f"The weights of {model} have {key}={actual}, but model.architecture declares {value}.",
                "Correct the declaration or the weights.",
            )


def _check_complete(missing: set[str], body: str | None, model: str) -> None:
    """Raise if weights are missing from the checkpoint or have another shape, so that none are random by accident.

    With a classification head, only what belongs to the network's `body` is needed: the head is new by design, and so
    is the pooler before it in checkpoints that never classified.
    """
    needed = sorted(
        name for name in missing if body is None or (name.startswith(f"{body}.") and ".pooler." not in name)
    )
    if needed:
        raise BenchmarkError(
            f"{needed[0]} is missing from the weights of {model} or has another shape there ({len(needed)} in all).",
            "Give a complete checkpoint of the declared architecture.",
        )
