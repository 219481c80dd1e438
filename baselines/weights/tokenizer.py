"""Tokenizers for models with random weights."""

from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from baselines.weights.families import DECODER_TYPES, POSITIONS_AFTER_PADDING, SUPPORTED
from benchmark.errors import BenchmarkError

BERT_TOKENS = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
ROBERTA_TOKENS = {"cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "<unk>"}
LLAMA_TOKENS = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "pad_token": "<|finetune_right_pad_id|>"}
HEADER_TOKENS = ["<|start_header_id|>", "<|end_header_id|>"]


def train_tokenizer(architecture: dict[str, Any], texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer on `texts`.

    Special tokens have the ids that the architecture expects (RoBERTa's padding is 1, for example). The vocabulary is
    never larger than the architecture's.
    """
    model_type = architecture["model_type"]
    if model_type not in (known := (*SUPPORTED, "deberta-v2")):
        raise BenchmarkError(
            f"Models with random weights can be of the types {', '.join(known)}, not {model_type}.",
            "Set model.weights.source=folder or hub.",
        )
    decoder = model_type in DECODER_TYPES
    like_roberta = model_type in POSITIONS_AFTER_PADDING
    special = LLAMA_TOKENS if decoder else ROBERTA_TOKENS if like_roberta else BERT_TOKENS
    extra = HEADER_TOKENS if decoder else []
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
