"""Ragged batches as one stream of tokens: `[prefix | own_1 | own_2 | ...]`, without padding.

The prefix is the longest common beginning of the samples' token ids. A causal model's hidden states
there are the same for every sample, so they are computed once; a bidirectional model has none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

SAMPLES_A_BLOCK = 16
"""Samples of similar length that attention pads to one block: more pad more, fewer launch more products."""


@dataclass(frozen=True)
class Block:
    """Neighbouring samples of the stream, as a padded block: (samples, longest) slots."""

    begin: int  # their tokens are begin:end of the stream
    end: int
    samples: int
    longest: int
    slots: torch.Tensor  # (end - begin,) where each token stands in the flattened block
    visible: torch.Tensor  # broadcasts to (samples, queries, keys): which keys a query may see


@dataclass(frozen=True)
class Blocks:
    """Attention over padded blocks. The prefix, if any, is `prefix` tokens long and the first block."""

    prefix: int
    blocks: tuple[Block, ...]

    def to(self, device: torch.device) -> "Blocks":
        moved = (
            Block(b.begin, b.end, b.samples, b.longest, b.slots.to(device), b.visible.to(device)) for b in self.blocks
        )
        return Blocks(self.prefix, tuple(moved))


@dataclass(frozen=True)
class Varlen:
    """Attention in one variable-length call: segment i asks with its own tokens and sees the prefix before them."""

    keys: torch.Tensor | None  # (keys,) where the stream holds each key, the prefix repeated; None: as it stands
    query_ends: torch.Tensor  # (segments + 1,) int32, cumulative from 0
    key_ends: torch.Tensor  # (segments + 1,) int32
    most_queries: int
    most_keys: int
    causal: bool

    @property
    def bounds(self) -> tuple[torch.Tensor, torch.Tensor, int, int]:
        """As FlashAttention's variable-length functions take them."""
        return self.query_ends, self.key_ends, self.most_queries, self.most_keys

    def to(self, device: torch.device) -> "Varlen":
        keys = self.keys if self.keys is None else self.keys.to(device)
        ends = self.query_ends.to(device), self.key_ends.to(device)
        return Varlen(keys, *ends, self.most_queries, self.most_keys, self.causal)


Layout = Blocks | Varlen


@dataclass(frozen=True)
class Stream:
    """One forward pass. `read` are the places whose hidden states are wanted, sample after sample as given."""

    input_ids: torch.Tensor  # (1, tokens)
    position_ids: torch.Tensor  # (1, tokens), each sample counted from its own beginning
    read: torch.Tensor  # (reads,)
    layout: Layout

    def to(self, device: torch.device) -> "Stream":
        return Stream(
            self.input_ids.to(device), self.position_ids.to(device), self.read.to(device), self.layout.to(device)
        )


def pack(
    sequences: Sequence[list[int]], reads: Sequence[range], causal: bool, varlen: bool, first_position: int = 0
) -> Stream:
    """Samples, at least one and none empty, as one stream; `reads[i]` are the positions of sample i to read.

    Positions start at `first_position` (2 for RoBERTa). The stream holds the samples by length, so
    that those of one block need little padding.
    """
    prefix = _shared(sequences, reads) if causal else 0
    by_length = sorted(range(len(sequences)), key=lambda sample: len(sequences[sample]))
    tokens = list(sequences[0][:prefix])
    positions = list(range(prefix))
    starts: dict[int, int] = {}
    for sample in by_length:
        own = sequences[sample][prefix:]
        starts[sample] = len(tokens)
        tokens += own
        positions += range(prefix, prefix + len(own))
    read = [starts[sample] + place - prefix for sample, places in enumerate(reads) for place in places]
    lengths = [len(sequences[sample]) - prefix for sample in by_length]
    return Stream(
        input_ids=torch.tensor([tokens]),
        position_ids=torch.tensor([positions]) + first_position,
        read=torch.tensor(read),
        layout=_varlen(prefix, lengths, causal) if varlen else _blocks(prefix, lengths, causal),
    )


def _shared(sequences: Sequence[list[int]], reads: Sequence[range]) -> int:
    """Length of the longest common beginning; what is read belongs to a sample, never to the prefix."""
    lowest, highest = min(sequences), max(sequences)  # in the order of their ids, these two part earliest
    common = next((i for i, (a, b) in enumerate(zip(lowest, highest, strict=False)) if a != b), len(lowest))
    return min(common, min(places.start for places in reads))


def _blocks(prefix: int, lengths: list[int], causal: bool) -> Blocks:
    blocks = [_block(0, [prefix], causal)] if prefix else []
    begin = prefix
    for first in range(0, len(lengths), SAMPLES_A_BLOCK):
        blocks.append(_block(begin, lengths[first : first + SAMPLES_A_BLOCK], causal))
        begin = blocks[-1].end
    return Blocks(prefix, tuple(blocks))


def _block(begin: int, lengths: list[int], causal: bool) -> Block:
    longest = max(lengths)
    slot = torch.arange(longest)
    present = slot < torch.tensor(lengths)[:, None]
    return Block(
        begin=begin,
        end=begin + sum(lengths),
        samples=len(lengths),
        longest=longest,
        slots=present.flatten().nonzero().squeeze(1),
        # Padding stands behind every real token, so that a causal query never sees any.
        visible=(slot <= slot[:, None])[None] if causal else present[:, None],
    )


def _varlen(prefix: int, lengths: list[int], causal: bool) -> Varlen:
    queries = torch.tensor([prefix, *lengths] if prefix else lengths)
    seen = torch.tensor([0] + [prefix] * len(lengths)) if prefix else torch.zeros(len(lengths), dtype=torch.long)
    query_ends = torch.cumsum(torch.cat((torch.zeros(1), queries)), 0).int()
    key_ends = torch.cumsum(torch.cat((torch.zeros(1), queries + seen)), 0).int()
    shared = torch.arange(prefix)
    segments = zip(query_ends[:-1].tolist(), query_ends[1:].tolist(), seen.tolist(), strict=True)
    keys = torch.cat([part for begin, end, before in segments for part in (shared[:before], torch.arange(begin, end))])
    return Varlen(
        keys=keys if prefix else None,
        query_ends=query_ends,
        key_ends=key_ends,
        most_queries=int(queries.max()),
        most_keys=int((queries + seen).max()),
        causal=causal,
    )
