"""Where a data set comes from and what it must be, and its form in records and digests."""

import re
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from benchmark.errors import check_option
from benchmark.interface import ADDED_LATER

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class HubDataset:
    """A data set on the hub; the revision is a commit, once `benchmark.configuration.revisions.pin` has resolved it.

    `splits` maps train, test and, if there is one, validation to names of the hub's splits; the others are not used.
    Without it, the splits are those with the usual names.
    """

    id: str
    configuration: str | None
    revision: str
    splits: dict[str, str] | None = field(default=None, metadata={ADDED_LATER: True})

    def __post_init__(self) -> None:
        valid = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", self.id) is not None
        check_option("dataset.hub.id", self.id or "empty", valid, "Write it as OWNER/NAME.")
        if self.splits is not None:
            different = len(set(self.splits.values())) == len(self.splits)
            valid = {"train", "test"} <= set(self.splits) <= set(SPLITS) and different
            fix = "Its keys are train, test and, if there is one, validation, each with a split of its own, as in "
            fix += "{train: train, test: validation}."
            check_option("dataset.hub.splits", dict(self.splits), valid, fix)

    def split_of(self, name: str) -> str:
        """The hub's name of a split that has the usual name or one of `splits`."""
        return (self.splits or {}).get(name, name)


@dataclass(frozen=True)
class Files:
    """How the files in `dataset.path` are written, where that differs from the usual forms.

    `columns` names the columns of CSV or TSV files without a header. `label_column` replaces that of the data set.
    Labels of one row are separated by `label_separator`. `label_names` is a file in the folder that names the label
    ids: one name per line, or lines of an id and a name with a tab between them.
    """

    columns: list[str] | None = None
    label_column: str | None = None
    label_separator: str | None = None
    label_names: str | None = None

    def __post_init__(self) -> None:
        separator = self.label_separator
        fix = "Set it to null for one label per row."
        check_option("dataset.files.label_separator", repr(separator), separator != "", fix)


@dataclass(frozen=True)
class Synthetic:
    """Rows per split of the synthetic data set, and the share of rows with a deliberately wrong label."""

    train: int
    validation: int
    test: int
    flipped_share: float
    seed: int

    def __post_init__(self) -> None:
        for split in SPLITS:
            rows = getattr(self, split)
            check_option(f"dataset.synthetic.{split}", rows, rows >= 1, "Set it to 1 or more.")
        share = self.flipped_share
        check_option("dataset.synthetic.flipped_share", share, 0 <= share < 1, "Set it to a number in [0, 1).")


class RowChoice(StrEnum):
    """Which rows of a split are used where their number is limited."""

    stratified = "stratified"  # drawn with a fixed seed, in the proportions of the labels
    balanced = "balanced"  # drawn with a fixed seed, as many of each label
    first = "first"  # in the order of the file, as runs did before rows were drawn


class Perturbation(StrEnum):
    """How test texts are changed; `benchmark.data.perturb` has the rules."""

    typos = "typos"
    uppercase = "uppercase"
    lowercase = "lowercase"
    no_feel = "no_feel"
    negation = "negation"


@dataclass(frozen=True)
class DatasetConfig:
    """Where texts and labels come from, and what they must be.

    An empty `labels` takes the names that the source states, or the different labels of its training rows. The data
    come from `synthetic`, which excludes `path`, else from the folder `path`, else from `hub`. `sha256` maps a split to
    the hash of its `text;label` lines; without an entry the content is not checked. `instruction` is what a decoder is
    asked, and `label_words` maps the name of a label to the word that a decoder writes for it, if that is another.

    With `skip_multilabel`, rows with several labels are left out. With `test`, the test texts are those of that data
    set: `test_labels` maps its labels to `labels`, or else the labels of the same name are used. With `perturb`, the
    test texts are changed; the labels stay.
    """

    name: str
    labels: list[str]
    path: str | None = None
    hub: HubDataset | None = None
    synthetic: Synthetic | None = None
    sha256: dict[str, str] = field(default_factory=dict)
    text_column: str = "text"
    label_column: str = "label"
    validation_share: float = 0.1
    train_rows: int | None = None
    validation_rows: int | None = None
    test_rows: int | None = None
    row_choice: RowChoice = RowChoice.stratified
    instruction: str | None = None
    label_words: dict[str, str] | None = None
    files: Files | None = field(default=None, metadata={ADDED_LATER: True})
    skip_multilabel: bool = field(default=False, metadata={ADDED_LATER: True})
    test: "DatasetConfig | None" = field(default=None, metadata={ADDED_LATER: True})
    test_labels: dict[str, str] | None = field(default=None, metadata={ADDED_LATER: True})
    perturb: Perturbation | None = field(default=None, metadata={ADDED_LATER: True})

    def __post_init__(self) -> None:
        labels, share = list(self.labels), self.validation_share
        different = len(set(labels)) == len(labels) != 1
        check_option("dataset.labels", labels, different, "Name two or more different labels.")
        known = set(self.sha256) <= set(SPLITS)
        check_option("dataset.sha256", sorted(self.sha256), known, f"Its keys are {', '.join(SPLITS)}.")
        unused = "Choose another dataset, or leave it out: the data are synthetic."
        check_option("dataset.path", self.path, self.path is None or self.synthetic is None, unused)
        check_option("dataset.validation_share", share, 0 < share < 1, "Set it to a number between 0 and 1.")
        for split, rows in self.row_limits.items():
            valid = rows is None or rows >= 1
            check_option(f"dataset.{split}_rows", rows, valid, "Set it to 1 or more, or to null for all rows.")
        self._check_test()

    def _check_test(self) -> None:
        """Refuse options of another data set's test split that would have no effect."""
        if self.test is None:
            fix = "Set dataset.test to the data set whose labels it maps, or leave it out."
            check_option("dataset.test_labels", self.test_labels, self.test_labels is None, fix)
            return
        for split, rows in self.test.row_limits.items():
            fix = f"Set dataset.{split}_rows instead: it limits the rows of this run."
            check_option(f"dataset.test.{split}_rows", rows, rows is None, fix)
        fix = "Set dataset.perturb instead: it changes the texts of this run."
        check_option("dataset.test.perturb", self.test.perturb, self.test.perturb is None, fix)
        is_single = self.test.test is None
        check_option("dataset.test.test", "set", is_single, "Name one data set to train on and one to test on.")

    @property
    def title(self) -> str:
        """The name of the data in results: `name`, both names if the test texts are another's, and how they change."""
        name = self.name if self.test is None else f"{self.name}-to-{self.test.name}"
        return name if self.perturb is None else f"{name}-{self.perturb}"

    @property
    def tests_own_texts(self) -> bool:
        """Whether the test texts are this data set's, unchanged."""
        return self.test is None and self.perturb is None

    @property
    def pinned_sha256(self) -> dict[str, str]:
        """The hash that `sha256` states for each split whose rows are this data set's, unchanged."""
        return {name: sha256 for name, sha256 in self.sha256.items() if name != "test" or self.tests_own_texts}

    @property
    def row_limits(self) -> dict[str, int | None]:
        """The largest number of rows of each split that a run may use; None is no limit."""
        return {"train": self.train_rows, "validation": self.validation_rows, "test": self.test_rows}

    @property
    def words(self) -> tuple[str, ...]:
        """The word that a decoder writes for each label."""
        return tuple((self.label_words or {}).get(label, label) for label in self.labels)


def dataset_from_json(values: dict[str, Any]) -> DatasetConfig:
    """Read what `RunSpec.as_json` wrote. Records from before `row_choice` existed used the first rows."""
    nested = {"hub": HubDataset, "synthetic": Synthetic}
    made = {name: values[name] and kind(**values[name]) for name, kind in nested.items()}
    made["row_choice"] = RowChoice(values.get("row_choice", RowChoice.first))
    made["perturb"] = values.get("perturb") and Perturbation(values["perturb"])
    if values.get("test"):
        made["test"] = dataset_from_json(values["test"])
    return DatasetConfig(**{**values, **made})


def dataset_as_json(dataset: DatasetConfig) -> dict[str, Any]:
    """The JSON form, without local paths, and without newer options at their default, which older digests lack."""
    values = without_defaults(dataset)
    for local in ("path", "files"):
        values.pop(local, None)
    if dataset.hub is not None:
        values["hub"] = without_defaults(dataset.hub)
    if dataset.test is not None:
        values["test"] = dataset_as_json(dataset.test)
    return values


def dataset_identity(values: dict[str, Any]) -> dict[str, Any]:
    """The JSON form without what changes no result: the instruction, which is also a parameter of the models that read
    it, the choice of rows where all or the first are used, and options that are not set.
    """
    dataset = {key: value for key, value in values.items() if key != "instruction"}
    limited = any(dataset.get(f"{split}_rows") is not None for split in SPLITS)
    if not limited or dataset.get("row_choice") == RowChoice.first:
        dataset.pop("row_choice", None)
    for option in ("validation_rows", "label_words"):
        if not dataset.get(option):
            dataset.pop(option, None)
    if dataset.get("test"):
        dataset["test"] = dataset_identity(dataset["test"])
    return dataset


def without_defaults(value: Any) -> dict[str, Any]:
    """The fields of a dataclass as JSON values, without later options at their default."""
    later = [option for option in fields(value) if ADDED_LATER in option.metadata]
    unused = {option.name for option in later if getattr(value, option.name) == option.default}
    return {name: part for name, part in asdict(value).items() if name not in unused}
