"""The report of the checks on a data set. Every record stores it as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SplitReport:
    """What identifies a split: its size, content and label distribution."""

    rows: int
    sha256: str  # of the split's `text;label` lines
    counts: dict[str, int]  # label -> rows
    words: float | None = None  # mean number of words per text; None in records from before it was counted


@dataclass(frozen=True)
class Overlap:
    """The rows of split `of` whose text also occurs in split `within`."""

    of: str
    within: str
    ids: list[str]
    conflicting_ids: list[str]  # the ids whose label differs from a label of the same text in `within`


@dataclass(frozen=True)
class DataReport:
    """The report of the checks on a data set."""

    route: str  # where the data came from
    splits: dict[str, SplitReport]
    repeated_train_ids: list[str]  # training rows whose text occurs in an earlier training row
    conflicting_train_ids: list[str]  # the repeated rows whose label differs from an earlier label of the same text
    overlaps: list[Overlap]
    notes: list[str]  # sentences about what was changed in the data
    carved_rows: int = 0  # training rows moved to the validation split because the data had none
    perturbed_rows: int = 0  # test texts changed by `dataset.perturb`
    unperturbed_sha256: str | None = None  # of the test split before its texts were changed

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "DataReport":
        """Read what `asdict` wrote. Records from before a field existed have its default."""
        splits = {name: SplitReport(**split) for name, split in values["splits"].items()}
        overlaps = [Overlap(**overlap) for overlap in values["overlaps"]]
        return cls(**{**values, "splits": splits, "overlaps": overlaps})

    @property
    def from_hub(self) -> bool:
        """Whether the data came from the Hugging Face hub, in the words of `benchmark.data.hub.read_hub`."""
        return self.route.startswith("hub ")

    def hashes(self) -> dict[str, str]:
        """The SHA-256 of the content of each split."""
        return {name: split.sha256 for name, split in self.splits.items()}
