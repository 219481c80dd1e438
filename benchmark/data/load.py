"""Load a data set: read it, check it, complete it and report on it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.data.checks import (
    check_hash,
    check_labels,
    content_sha256,
    describe_split,
    find_overlap,
    find_repeats,
    labels_without_rows,
)
from benchmark.data.examples import to_examples, unwrap_single_labels
from benchmark.data.folder import read_folder
from benchmark.data.hub import read_hub
from benchmark.data.label_names import stated_labels
from benchmark.data.perturb import perturb_texts
from benchmark.data.report import DataReport
from benchmark.data.row_choice import SEED, choose, split_off_validation
from benchmark.data.rows import RawSplits
from benchmark.data.synthetic import best_possible_accuracy, generate_splits
from benchmark.data.transferred_texts import transfer_test_split
from benchmark.dataset_config import SPLITS, DatasetConfig, Perturbation, RowChoice
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples

OVERLAPS = (("test", "train"), ("validation", "train"), ("validation", "test"))


@dataclass(frozen=True)
class Splits:
    """A checked data set."""

    train: Examples
    validation: Examples
    test: Examples
    report: DataReport
    whole_train_rows: int
    """The training rows before `train_rows` left any out."""


def load(config: DatasetConfig) -> Splits:
    """Load a data set. Raises `BenchmarkError` at the first problem.

    The content hashes are checked before rows are set aside for validation or left out. Labels without rows are noted.
    """
    config, splits, notes, source = _whole_splits(config)
    if config.test is not None:
        splits["test"], test_notes, test_source = _other_test(config, config.test)
        notes, source = notes + test_notes, f"{source}; test: {test_source}"
    elif config.synthetic is not None and (config.test_rows is None or config.test_rows >= len(splits["test"])):
        notes.append(f"The best possible accuracy is {best_possible_accuracy(config.synthetic):.4f}.")
    carved_rows = 0
    if "validation" not in splits:
        notes.append(_carve_validation(splits, config.validation_share))
        carved_rows = len(splits["validation"])
    elif config.validation_share != DatasetConfig.validation_share:
        notes.append("dataset.validation_share has no effect, because there is a validation split.")
    whole_train_rows = len(splits["train"])
    notes += _limit_rows(splits, config)
    perturbed_rows, unperturbed = 0, None
    if config.perturb is not None:
        unperturbed = content_sha256(splits["test"], config.labels)
        perturbed_rows, note = _perturb_test(splits, config.perturb)
        notes.append(note)
    notes += labels_without_rows(splits, config.labels)
    report = replace(
        _report_on(splits, config, source),
        notes=notes,
        carved_rows=carved_rows,
        perturbed_rows=perturbed_rows,
        unperturbed_sha256=unperturbed,
    )
    return Splits(splits["train"], splits["validation"], splits["test"], report, whole_train_rows)


def resolve_labels(config: DatasetConfig) -> DatasetConfig:
    """The configuration with the labels that the source states, where it names none."""
    test = config.test and resolve_labels(config.test)
    labels = config.labels or stated_labels(_read(config))
    return replace(config, labels=labels, test=test)


def _other_test(trained: DatasetConfig, tested: DatasetConfig) -> tuple[Examples, list[str], str]:
    """The test split of `tested` with the labels of `trained`, notes about it, and its source."""
    tested, splits, notes, source = _whole_splits(tested, ("test",))
    test, note = transfer_test_split(splits["test"], trained, tested)
    return test, [*(f"{tested.name}: {note_of_source}" for note_of_source in notes), note], source


def _carve_validation(splits: dict[str, Examples], share: float) -> str:
    """Set training rows aside as the validation split; returns a note about it."""
    splits["train"], splits["validation"] = split_off_validation(splits["train"], share)
    return (
        f"No validation split: {len(splits['validation'])} training rows are set aside for it, "
        f"stratified by label (share {share}, seed {SEED})."
    )


def _perturb_test(splits: dict[str, Examples], perturbation: Perturbation) -> tuple[int, str]:
    """Change the test texts; returns how many changed, and a note about it."""
    splits["test"], rows = perturb_texts(splits["test"], perturbation)
    return rows, f"{rows} of {len(splits['test'])} test texts are changed: {perturbation}."


def _limit_rows(splits: dict[str, Examples], config: DatasetConfig) -> list[str]:
    """Leave out the rows above the limits; returns a note for each split that has fewer then."""
    notes = []
    for name, limit in config.row_limits.items():
        if limit is not None and limit < len(splits[name]):
            how = "the first" if config.row_choice is RowChoice.first else f"drawn by label, seed {SEED}"
            notes.append(f"Only {limit} of {len(splits[name])} {name} rows are used: {how}.")
            splits[name] = choose(splits[name], limit, config.row_choice)
    return notes


def _report_on(splits: dict[str, Examples], config: DatasetConfig, source: str) -> DataReport:
    """The report on the content of the splits, without notes."""
    repeated, conflicting = find_repeats(splits["train"])
    return DataReport(
        route=source,
        splits={name: describe_split(examples, config.labels) for name, examples in splits.items()},
        repeated_train_ids=repeated,
        conflicting_train_ids=conflicting,
        overlaps=[find_overlap(splits, of, within) for of, within in OVERLAPS],
        notes=[],
    )


def _whole_splits(
    config: DatasetConfig, used_splits: Sequence[str] = SPLITS
) -> tuple[DatasetConfig, dict[str, Examples], list[str], str]:
    """All rows of these splits, if the source has them, checked.

    Returns the configuration with its labels, the splits, notes on what was left out, and the source.
    """
    if config.labels:
        check_labels(config)  # before anything is downloaded
    raw = _read(config)
    if not config.labels:
        config = replace(config, labels=stated_labels(raw))
        check_labels(config)
    splits, notes = {}, []
    if config.synthetic is not None:
        notes.append(f"{config.synthetic.flipped_share:.0%} of the labels are wrong on purpose.")
    for name in (name for name in raw.rows if name in used_splits):
        rows = raw.rows[name]
        used = unwrap_single_labels(rows, config.skip_multilabel)
        splits[name] = to_examples(name, used, config.labels)
        check_hash(name, splits[name], config, raw.source)
        if len(used) < len(rows):
            notes.append(f"{len(rows) - len(used)} of {len(rows)} {name} rows have several labels and are left out.")
    return config, splits, notes, raw.source


def _read(config: DatasetConfig) -> RawSplits:
    if config.synthetic is not None:
        return generate_splits(config.synthetic, config.labels)
    if config.path:
        return read_folder(config, Path(config.path))
    if config.hub is not None:
        return read_hub(config, config.hub)
    raise BenchmarkError(f"Data set {config.name} has no source.", "Set dataset.path to a folder with its splits.")
