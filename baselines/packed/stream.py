"""Pack samples of different lengths into one stream of tokens without padding: `[prefix | own_1 | own_2 | ...]`.

The prefix is the longest common prefix of the samples' token ids. In a causal model its hidden states are the same for
every sample, so they are computed once. For a bidirectional model it is empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

SAMPLES_PER_BLOCK = 16
"""Samples of similar length that attention pads to one block. More samples need more padding, fewer more products."""


@dataclass(frozen=True)
class Block:
    """Consecutive samples of the stream as a padded block with (samples, longest) slots."""

    begin: int  # the samples are the tokens begin:end of the stream
    end: int
    samples: int
    longest: int
    slots: torch.Tensor  # (end - begin,): the slot of each token in the flattened block
    visible: torch.Tensor  # broadcasts to (samples, queries, keys): which keys a query attends to


@dataclass(frozen=True)
class Blocks:
    """Attention over padded blocks. If `prefix`, its length in tokens, is not 0, it is the first block."""

    prefix: int
    blocks: tuple[Block, ...]

    def to(self, device: torch.device) -> "Blocks":
        moved = (
            replace(block, slots=block.slots.to(device), visible=block.visible.to(device)) for block in self.blocks
        )
        return Blocks(self.prefix, tuple(moved))


@dataclass(frozen=True)
class Varlen:
    """Attention by one variable-length call: a segment's queries are its own tokens, its keys also the prefix."""

    keys: (
        torch.Tensor | None
    )  # (keys,): the position of each key in the stream, with repeated prefixes; None: 0, 1, ...
    query_ends: torch.Tensor  # (segments + 1,) int32, cumulative from 0
    key_ends: torch.Tensor  # (segments + 1,) int32
    most_queries: int
    most_keys: int
    causal: bool

    @property
    def bounds(self) -> tuple[torch.Tensor, torch.Tensor, int, int]:
        """The arguments of FlashAttention's variable-length functions."""
        return self.query_ends, self.key_ends, self.most_queries, self.most_keys

    def to(self, device: torch.device) -> "Varlen":
        keys = None if self.keys is None else self.keys.to(device)
        return replace(self, keys=keys, query_ends=self.query_ends.to(device), key_ends=self.key_ends.to(device))


Layout = Blocks | Varlen


@dataclass(frozen=True)
class Stream:
    """The input of one forward pass. `read` lists the positions whose hidden states are needed, sample by sample."""

    input_ids: torch.Tensor  # (1, tokens)
    position_ids: torch.Tensor  # (1, tokens), counted from the beginning of each sample
    read: torch.Tensor  # (reads,)
    layout: Layout

    def to(self, device: torch.device) -> "Stream":
        ids, positions, read = (tensor.to(device) for tensor in (self.input_ids, self.position_ids, self.read))
        return Stream(ids, positions, read, self.layout.to(device))


def pack(
    sequences: Sequence[list[int]], reads: Sequence[range], causal: bool, varlen: bool, first_position: int = 0
) -> Stream:
    """Pack one or more non-empty samples; `reads[i]` are the positions of sample i to read.

    Positions start at `first_position` (2 for RoBERTa). The stream contains the samples sorted by length, so that
    blocks need little padding.
    """
    prefix = _shared_prefix(sequences, reads) if causal else 0
    by_length = sorted(range(len(sequences)), key=lambda sample: len(sequences[sample]))
    tokens = list(sequences[0][:prefix])
    positions = list(range(prefix))
    starts: dict[int, int] = {}
    for sample in by_length:
        own = sequences[sample][prefix:]
        starts[sample] = len(tokens)
        tokens += own
        positions += range(prefix, prefix + len(own))
    read = [starts[sample] + position - prefix for sample, chosen in enumerate(reads) for position in chosen]
    lengths = [len(sequences[sample]) - prefix for sample in by_length]
    return Stream(
        input_ids=torch.tensor([tokens]),
        position_ids=torch.tensor([positions]) + first_position,
        read=torch.tensor(read),
        layout=_varlen(prefix, lengths, causal) if varlen else _blocks(prefix, lengths, causal),
    )


def _shared_prefix(sequences: Sequence[list[int]], reads: Sequence[range]) -> int:
    """Length of the longest common prefix that contains no position to read."""
    lowest, highest = min(sequences), max(sequences)  # in lexicographic order, these two differ earliest
    common = next((i for i, (a, b) in enumerate(zip(lowest, highest, strict=False)) if a != b), len(lowest))
    return min(common, min(positions.start for positions in reads))


def _blocks(prefix: int, lengths: list[int], causal: bool) -> Blocks:
    blocks = [_block(0, [prefix], causal)] if prefix else []
    begin = prefix
    for first in range(0, len(lengths), SAMPLES_PER_BLOCK):
        blocks.append(_block(begin, lengths[first : first + SAMPLES_PER_BLOCK], causal))
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
        # Padding comes after the tokens, so that a causal query never attends to it.
        visible=(slot <= slot[:, None])[None] if causal else present[:, None],
    )


def _varlen(prefix: int, lengths: list[int], causal: bool) -> Varlen:
    queries = torch.tensor([prefix, *lengths] if prefix else lengths)
    before = torch.tensor([0] + [prefix] * len(lengths)) if prefix else torch.zeros(len(lengths), dtype=torch.long)
    query_ends = torch.cumsum(torch.cat((torch.zeros(1), queries)), 0).int()
    key_ends = torch.cumsum(torch.cat((torch.zeros(1), queries + before)), 0).int()
    shared = torch.arange(prefix)
    segments = zip(query_ends[:-1].tolist(), query_ends[1:].tolist(), before.tolist(), strict=True)
    keys = torch.cat([part for begin, end, seen in segments for part in (shared[:seen], torch.arange(begin, end))])
    return Varlen(
        keys=keys if prefix else None,
        query_ends=query_ends,
        key_ends=key_ends,
        most_queries=int(queries.max()),
        most_keys=int((queries + before).max()),
        causal=causal,
    )
