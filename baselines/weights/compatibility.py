"""Checks that the files of a checkpoint are whole, fit each other, and are what the configuration declares.

They read its configuration, tokenizer and names of tensors, but no weights.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase

from baselines.weights.heads import TrainedHead, output_layer, trained_head
from baselines.weights.kinds import SCORE_PREDICTIONS, check_known
from baselines.weights.sources import Checkpoint
from baselines.weights.wheel import CHECKPOINT_FILES
from benchmark.errors import BenchmarkError

NOT_DECLARED = {"num_labels", "_num_labels", "attn_implementation", "_attn_implementation"}
"""Entries of older files that say nothing about the architecture: a training changes them."""


@dataclass(frozen=True)
class CheckpointFiles:
    """Configuration, tokenizer and head of a checkpoint. `head` is None if there is no classification head."""

    config: PreTrainedConfig
    tokenizer: PreTrainedTokenizerBase
    head: TrainedHead | None


def check_files(auto_class: Any, checkpoint: Checkpoint, labels: Sequence[str]) -> CheckpointFiles:
    """Configuration, tokenizer and head of a checkpoint, read without its weights.

    Raises `BenchmarkError` if the architecture is unknown, the weights are quantised, or there is no tokenizer or one
    that does not fit; and what transformers raises for damaged files.
    """
    folder, options = checkpoint.folder, checkpoint.options
    config = read_config(checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **options)
    if not options:  # in a GGUF file the tokenizer is part of the file
        _check_vocabulary_files(folder, tokenizer)
    check_tokenizer(folder, tokenizer, config)
    if not labels or options:  # llama.cpp's format has no heads
        return CheckpointFiles(config, tokenizer, None)
    with torch.device("meta"):
        output = output_layer(auto_class.from_config(config))  # other parts may come from pretraining, as in ModernBERT
    has_head = f"{output}.weight" in _tensor_names(folder)
    return CheckpointFiles(config, tokenizer, trained_head(config, labels) if has_head else None)


def check_declared(loaded: PreTrainedConfig, declared: dict[str, Any], model: str) -> None:
    """Raise if the checkpoint is not what the configuration declares, which is what tables show."""
    built = AutoConfig.for_model(**{"model_type": loaded.model_type, **declared})  # renames entries of older files
    for key in declared.keys() - NOT_DECLARED:
        value, actual = getattr(built, key, None), getattr(loaded, key, None)
        close = isinstance(value, float) and isinstance(actual, float) and math.isclose(actual, value, rel_tol=1e-6)
        if actual != value and not close:
            raise BenchmarkError(
                f"The weights of {model} have {key}={actual}, but model.architecture declares {value}.",
                "Correct the declaration or the weights.",
            )


def read_config(checkpoint: Checkpoint) -> PreTrainedConfig:
    """The configuration; raises for quantised weights and architectures that transformers does not support."""
    if checkpoint.options:  # transformers takes half a minute to parse a GGUF file
        return _config(checkpoint)
    values, _ = PreTrainedConfig.get_config_dict(checkpoint.folder)
    check_known(str(values.get("model_type")), f"The checkpoint in {checkpoint.folder}")
    if values.get("quantization_config"):
        method = values["quantization_config"].get("quant_method", "an unknown method")
        raise BenchmarkError(
            f"The weights in {checkpoint.folder} are quantised by {method}, which is not the declared precision.",
            f"Save them again after dequantize(). {SCORE_PREDICTIONS}",
        )
    return _config(checkpoint)


def check_tokenizer(place: Path, tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig) -> None:
    """Raise if the tokenizer has no vocabulary, or ids without an embedding row.

    The embeddings may have more rows than the tokenizer has tokens, because many are padded to a round number.
    """
    vocabulary, rows = tokenizer.get_vocab(), config.get_text_config().vocab_size
    if vocabulary and set(vocabulary) <= set(tokenizer.all_special_tokens):
        raise BenchmarkError(
            f"The tokenizer in {place} has {len(vocabulary)} special tokens and no others.", _put_tokenizer(tokenizer)
        )
    # Special tokens may have been added without a row; they matter only where they are used.
    special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    check_ids(tokenizer, {*vocabulary.values()} - special, rows)
    check_ids(tokenizer, tokenizer("text").input_ids, rows)


def check_ids(tokenizer: PreTrainedTokenizerBase, ids: Iterable[int], rows: int) -> None:
    """Raise if a token has no row in the embeddings."""
    if (highest := max(ids, default=-1)) >= rows:
        raise BenchmarkError(
            f"The tokenizer has the token {tokenizer.convert_ids_to_tokens(highest)!r} with the id {highest}, but the "
            f"embeddings of the weights have only {rows} rows.",
            "Put the tokenizer beside the weights that it was trained with.",
        )


def check_padding(tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig) -> None:
    """Raise if an encoder's tokenizer pads with another id than its weights, which tell padding by it."""
    padding, expected = tokenizer.pad_token_id, config.pad_token_id
    if padding is None or (expected is not None and padding != expected):
        raise BenchmarkError(
            f"The tokenizer of the weights pads with the id {padding}, but the weights expect {expected}.",
            "Put the tokenizer beside the weights that it was trained with.",
        )


def _config(checkpoint: Checkpoint) -> PreTrainedConfig:
    config: PreTrainedConfig = AutoConfig.from_pretrained(
        checkpoint.folder, trust_remote_code=False, **checkpoint.options
    )
    return config


def _check_vocabulary_files(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise unless the folder holds the files of this kind of tokenizer: transformers makes up what is missing."""
    whole, parts = _vocabulary_files(tokenizer)
    present = [name for name in (*parts, *whole) if (folder / name).is_file()]
    if (parts or whole) and not set(whole) & set(present) and not (parts and set(parts) <= set(present)):
        raise BenchmarkError(f"{folder} holds no tokenizer.", _put_tokenizer(tokenizer))
    for name in present:
        if not any(fnmatch(name, pattern) for pattern in CHECKPOINT_FILES):
            raise BenchmarkError(
                f"{folder / name} is part of a tokenizer, but not of the files that a record's hash covers.",
                "Save the tokenizer again as tokenizer.json.",
            )
    _check_same_ids(folder, tokenizer)


def _check_same_ids(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise if a vocabulary beside tokenizer.json, which transformers does not read then, has other ids."""
    vocabulary = tokenizer.get_vocab()
    for name in ("vocab.txt", "vocab.json"):
        if not (folder / name).is_file():
            continue
        text = (folder / name).read_text(encoding="utf-8")
        lines = {token.rstrip("\r"): row for row, token in enumerate(text.split("\n"))}
        for token, index in (json.loads(text) if name.endswith(".json") else lines).items():
            if vocabulary.get(token, index) != index:
                raise BenchmarkError(
                    f"{folder} holds two tokenizers: {token!r} has the id {index} in {name}, but "
                    f"{vocabulary[token]} in the tokenizer that transformers reads.",
                    "Keep the files of the tokenizer with which the weights were trained.",
                )


def _put_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    whole, parts = _vocabulary_files(tokenizer)
    choices = " or ".join(filter(None, (*whole, " and ".join(parts))))
    return f"Put {choices} of the model that these weights belong to there."


def _vocabulary_files(tokenizer: PreTrainedTokenizerBase) -> tuple[list[str], list[str]]:
    """The file that holds a whole tokenizer of this kind, if it has one, and the files that do so together."""
    names = tokenizer.vocab_files_names
    return [names[key] for key in names if key == "tokenizer_file"], sorted(
        names[key] for key in names if key != "tokenizer_file"
    )


def _tensor_names(folder: Path) -> Iterator[str]:
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            yield from tensors.keys()
