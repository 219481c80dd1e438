"""A stream contains every sample once, reads the given positions, and shares only a prefix of all samples."""

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines.packed.stream import SAMPLES_PER_BLOCK, Blocks, Stream, Varlen, pack

PREFIX = [7, 7, 3]


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[list[int]], list[range]]:
    """Samples, often with a common prefix, each read at a few consecutive positions."""
    bodies = draw(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=40))
    prefix = draw(st.sampled_from([[], PREFIX]))
    sequences = [prefix + body for body in bodies]
    starts = [draw(st.integers(0, len(sequence) - 1)) for sequence in sequences]
    reads = [range(start, draw(st.integers(start + 1, len(s)))) for start, s in zip(starts, sequences, strict=True)]
    return sequences, reads


def lengths(stream: Stream) -> list[int]:
    """Of each sample's own tokens, in the order of the stream."""
    assert isinstance(stream.layout, Varlen)
    return torch.diff(stream.layout.query_ends).tolist()  # type: ignore[no-any-return]


@given(batches(), st.integers(0, 2), st.booleans())
def test_reads_return_the_token_and_position_of_each_sample(
    batch: tuple[list[list[int]], list[range]], first_position: int, causal: bool
) -> None:
    sequences, reads = batch
    stream = pack(sequences, reads, causal, varlen=False, first_position=first_position)
    expected = [
        (ids[place], place + first_position) for ids, places in zip(sequences, reads, strict=True) for place in places
    ]
    tokens, positions = stream.input_ids[0, stream.read].tolist(), stream.position_ids[0, stream.read].tolist()
    assert list(zip(tokens, positions, strict=True)) == expected


@given(batches(), st.booleans())
def test_blocks_contain_every_token_once(batch: tuple[list[list[int]], list[range]], causal: bool) -> None:
    sequences, reads = batch
    stream = pack(sequences, reads, causal, varlen=False)
    assert isinstance(stream.layout, Blocks)
    ends = [0, *(block.end for block in stream.layout.blocks)]
    assert [block.begin for block in stream.layout.blocks] == ends[:-1]
    assert ends[-1] == stream.input_ids.shape[1]
    for block in stream.layout.blocks:
        assert block.samples <= SAMPLES_PER_BLOCK
        assert len(set(block.slots.tolist())) == block.end - block.begin
        assert block.slots.max() < block.samples * block.longest


@given(batches())
def test_each_segments_keys_are_the_prefix_and_its_own_tokens(batch: tuple[list[list[int]], list[range]]) -> None:
    sequences, reads = batch
    stream = pack(sequences, reads, causal=True, varlen=True)
    assert isinstance(stream.layout, Varlen)
    layout = stream.layout.to(torch.device("cpu"))
    ids = stream.input_ids[0]
    keys = ids if layout.keys is None else ids[layout.keys]
    ends = layout.key_ends.tolist()
    segments = [keys[begin:end].tolist() for begin, end in itertools.pairwise(ends)]
    if layout.keys is not None:
        prefix = segments.pop(0)
        assert all(sequence[: len(prefix)] == prefix for sequence in sequences)
    assert sorted(segments) == sorted(sequences)
    assert layout.most_keys == max(map(len, sequences))
    assert layout.most_queries == max(lengths(stream))


@given(batches())
def test_the_prefix_is_the_longest_one_that_all_samples_share_before_the_first_read(
    batch: tuple[list[list[int]], list[range]],
) -> None:
    sequences, reads = batch
    layout = pack(sequences, reads, causal=True, varlen=False).layout
    assert isinstance(layout, Blocks)
    first_read = min(places.start for places in reads)
    assert layout.prefix <= first_read
    assert len({tuple(sequence[: layout.prefix]) for sequence in sequences}) == 1
    if layout.prefix < first_read:
        assert len({tuple(sequence[: layout.prefix + 1]) for sequence in sequences}) > 1


def test_a_bidirectional_model_shares_no_prefix() -> None:
    stream = pack([[1, 2, 3], [1, 2, 4]], [range(1)] * 2, causal=False, varlen=False)
    assert stream.input_ids.tolist() == [[1, 2, 3, 1, 2, 4]]


def test_a_shared_prefix_is_in_the_stream_once() -> None:
    stream = pack([[1, 2, 3, 9], [1, 2, 4]], [range(3, 4), range(2, 3)], causal=True, varlen=False)
    assert stream.input_ids.tolist() == [[1, 2, 4, 3, 9]]
    assert stream.position_ids.tolist() == [[0, 1, 2, 2, 3]]
    assert stream.read.tolist() == [4, 2]


def test_blocks_hold_16_samples() -> None:
    layout = pack([[1]] * 33, [range(1)] * 33, causal=False, varlen=False).layout
    assert isinstance(layout, Blocks)
    assert [block.samples for block in layout.blocks] == [16, 16, 1]
