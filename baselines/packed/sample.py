"""A tokenised text with its targets."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """A tokenised text with its targets: the tokens of an answer, or one label id.

    `soft` has a probability for each label that is learnt in place of the label id.
    """

    input_ids: list[int]
    targets: list[int]
    soft: list[float] | None = None


def tokens_and_reads(samples: Sequence[Sample]) -> tuple[list[list[int]], list[range]]:
    """The tokens of each sample without its last, and the positions before the tokens of the answer."""
    sequences = [sample.input_ids + sample.targets[:-1] for sample in samples]
    return sequences, [range(len(s.input_ids) - 1, len(ids)) for s, ids in zip(samples, sequences, strict=True)]
