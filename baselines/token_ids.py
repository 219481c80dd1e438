"""The token ids that an encoder reads, and how many it can read."""

from collections.abc import Sequence

from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from baselines.compute.bars import chunks
from baselines.training.memory_estimate import tokens_per_text
from baselines.training.requirements import check_length
from baselines.weights.families import RELATIVE_POSITIONS, first_position
from benchmark.interface import ModelCard

SPECIAL_TOKENS = 2  # around every text


def tokenize(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> tuple[list[list[int]], int]:
    """The token ids of every text, cut to `max_length`, and the number of texts that were cut."""
    token_ids: list[list[int]] = []
    truncated = 0
    for chunk in chunks(texts, "tokenising"):
        encoded = tokenizer(list(chunk), truncation=True, max_length=max_length)
        token_ids += encoded.input_ids
        if tokenizer.is_fast:
            truncated += sum(bool(encoding.overflowing) for encoding in encoded.encodings)
        else:
            whole = tokenizer(list(chunk), truncation=False, verbose=False).input_ids
            truncated += sum(len(ids) > max_length for ids in whole)
    return token_ids, truncated


def expected_tokens(texts: Sequence[str], max_length: int) -> float:
    """The approximate mean number of token ids of a text, without a tokenizer."""
    return min(tokens_per_text(texts) + SPECIAL_TOKENS, max_length)


def positions(config: PreTrainedConfig) -> int | None:
    """The number of tokens that the network reads at most; None if its configuration does not say."""
    limit = getattr(config, "max_position_embeddings", None)
    return None if limit is None else int(limit) - first_position(config)


def check_positions(card: ModelCard, max_length: int) -> None:
    """Raise if texts may have more tokens than there are learned positions."""
    if card.architecture not in RELATIVE_POSITIONS:
        check_length(max_length, card.context_length)
