"""Padded batches of encoders and decoders."""

from collections.abc import Sequence

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import BatchEncoding


def padded_texts(sequences: Sequence[list[int]], filler: int, first_position: int) -> BatchEncoding:
    """A batch for an encoder, padded on the right, with positions where they depend on padding.

    transformers would take the padding token in a text for padding.
    """
    batch = pad(sequences, filler, "right")
    if first_position:
        mask = batch["attention_mask"]
        batch["position_ids"] = mask.cumsum(dim=1) * mask + first_position - 1
    return batch


def pad(sequences: Sequence[list[int]], filler: int, side: str) -> BatchEncoding:
    """A batch padded on the `side` "left", where its last column contains every last token, or on the "right"."""

    def fill(rows: list[torch.Tensor], value: int) -> torch.Tensor:
        return pad_sequence(rows, batch_first=True, padding_value=value, padding_side=side)

    ids = [torch.tensor(sequence) for sequence in sequences]
    return BatchEncoding(
        {"input_ids": fill(ids, filler), "attention_mask": fill([torch.ones_like(row) for row in ids], 0)}
    )
