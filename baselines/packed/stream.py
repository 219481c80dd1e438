"""Pack samples of different lengths into one stream of tokens without padding: `[prefix | own_1 | own_2 | ...]`.

The prefix is the longest common prefix of the samples' token ids. In a causal model its hidden states are the same for
every sample, so they are computed once. For a bidirectional model it is empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

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
        blocks = [
            replace(block, slots=block.slots.to(device), visible=block.visible.to(device)) for block in self.blocks
        ]
        return Blocks(self.prefix, tuple(blocks))


@dataclass(frozen=True)
class Varlen:
    """Attention by one variable-length call: a segment's queries are its own tokens, its keys also the prefix."""

    keys: torch.Tensor | None  # (keys,): positions in the stream, with the prefix repeated; None means 0, 1, 2, ...
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
    sequences: Sequence[list[int]],
    reads: Sequence[range],
    causal: bool,
    varlen: bool,
    *,
    first_position: int = 0,
    prefix: int | None = None,
) -> Stream:
    """Pack one or more non-empty samples; `reads[i]` are the positions of sample i to read.

    Positions start at `first_position` (2 for RoBERTa). The stream contains the samples sorted by length, so that
    blocks need little padding. `prefix` is a known common prefix; None looks for the longest.
    """
    if prefix is None:
        prefix = shared_prefix(sequences, reads) if causal else 0
    by_length = sorted(range(len(sequences)), key=lambda sample: len(sequences[sample]))
    tokens, positions = sequences[0][:prefix], list(range(prefix))
    starts: dict[int, int] = {}  # where each sample's first token would be, with a prefix of its own
    for sample in by_length:
        starts[sample] = len(tokens) - prefix
        tokens += sequences[sample][prefix:]
        positions += range(prefix, len(sequences[sample]))
    read = [starts[sample] + position for sample, chosen in enumerate(reads) for position in chosen]
    lengths = [len(sequences[sample]) - prefix for sample in by_length]
    return Stream(
        input_ids=torch.tensor([tokens]),
        position_ids=torch.tensor([positions]) + first_position,
        read=torch.tensor(read),
        layout=_varlen(prefix, lengths, causal) if varlen else _blocks(prefix, lengths, causal),
    )


def shared_prefix(sequences: Sequence[list[int]], reads: Sequence[range]) -> int:
    """The length of the longest common prefix that contains no position to read."""
    lowest, highest = min(sequences), max(sequences)  # in lexicographic order, these two differ earliest
    common = next((i for i, (a, b) in enumerate(zip(lowest, highest, strict=False)) if a != b), len(lowest))
    return min(common, min(positions.start for positions in reads))


def fill(stream: Stream, tokens: int, reads: int) -> Stream:
    """Fill `stream` with a dummy sample after the last one, to a number of `tokens` and a number of `reads`.

    The dummy sees only itself and is not seen by the others. It needs variable-length attention and a causal model.
    """
    layout, used = stream.layout, stream.input_ids.shape[1]
    assert isinstance(layout, Varlen)
    assert used < tokens
    dummy = torch.arange(tokens - used)
    query_ends, key_ends = (torch.cat((ends, ends[-1:] + len(dummy))) for ends in (layout.query_ends, layout.key_ends))
    return Stream(
        input_ids=torch.cat((stream.input_ids, torch.zeros_like(dummy)[None]), dim=1),
        position_ids=torch.cat((stream.position_ids, dummy[None]), dim=1),
        read=torch.cat((stream.read, torch.full((reads - len(stream.read),), used))),
        layout=Varlen(
            keys=None if layout.keys is None else torch.cat((layout.keys, used + dummy)),
            query_ends=query_ends,
            key_ends=key_ends,
            most_queries=max(layout.most_queries, len(dummy)),
            most_keys=max(layout.most_keys, len(dummy)),
            causal=layout.causal,
        ),
    )


def _blocks(prefix: int, lengths: list[int], causal: bool) -> Blocks:
    groups = [lengths[first : first + SAMPLES_PER_BLOCK] for first in range(0, len(lengths), SAMPLES_PER_BLOCK)]
    if prefix:
        groups.insert(0, [prefix])
    begins = accumulate(map(sum, groups), initial=0)
    return Blocks(prefix, tuple(_block(begin, group, causal) for begin, group in zip(begins, groups, strict=False)))


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
    query_ends = list(accumulate([prefix, *lengths] if prefix else lengths, initial=0))
    blocks = [range(begin, end) for begin, end in pairwise(query_ends)]
    seen = [blocks[0], *([*range(prefix), *positions] for positions in blocks[1:])] if prefix else blocks
    return Varlen(
        keys=torch.tensor([position for positions in seen for position in positions]) if prefix else None,
        query_ends=torch.tensor(query_ends, dtype=torch.int32),
        key_ends=torch.tensor(list(accumulate(map(len, seen), initial=0)), dtype=torch.int32),
        most_queries=max(map(len, blocks)),
        most_keys=max(map(len, seen)),
        causal=causal,
    )
