"""Check that records, predictions and tables agree."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.frame import read_results, without_copies
from benchmark.config import digest_of
from benchmark.dataset_config import DatasetConfig, RowChoice
from benchmark.errors import BenchmarkError
from benchmark.interface import LabelIds, Predictions
from benchmark.report.tables import all_tables
from benchmark.report.tables.audit import impossible_accuracies
from benchmark.results import schema1
from benchmark.results.record import RunRecord, Status, is_unchanged, sha256
from benchmark.results.shared_times import FILE, read_shared_times
from benchmark.results.store import PREDICTIONS, RECORD, VALIDATION, Run, folder_of, folders_with


@dataclass(frozen=True)
class Fault:
    """A field of a file, and what is wrong with it."""

    file: Path
    field: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field} {self.what}"


@dataclass(frozen=True)
class Verification:
    """The number of runs, the folders that were left out because they hold the same run as another, and all faults."""

    runs: int
    copies: list[Path]
    faults: list[Fault]


def check(results_dir: Path) -> Verification:
    """Find all faults, folder by folder, then in the tables. Copies of runs are left out, as in the report."""
    runs, faults = _read_runs(results_dir)
    all_read = not faults
    runs, copies = without_copies(runs)
    sound: list[Run] = []
    for run in runs:
        of_run = _faults_in(results_dir, run)
        faults += of_run
        if not of_run:
            sound.append(run)
    differing = [*_different_gold(sound)]
    if all_read:  # else not all digests are known
        differing += _unknown_shared_times(results_dir, runs)
    faults += differing
    if not faults:
        faults += _changed_tables(results_dir)
    return Verification(len(runs), [results_dir / "runs" / copy for copy in copies], faults)


def _read_runs(results_dir: Path) -> tuple[list[Run], list[Fault]]:
    """The runs whose records can be read, and a fault for each other folder."""
    runs, unreadable = [], []
    for folder in folders_with(results_dir, RECORD, PREDICTIONS):
        file = folder / RECORD
        try:
            runs.append(Run(RunRecord.from_json(file.read_bytes(), "the record"), folder))
        except (OSError, BenchmarkError) as error:
            unreadable.append(Fault(file, "the file", f"cannot be read ({error})"))
    return runs, unreadable


def _faults_in(results_dir: Path, run: Run) -> list[Fault]:
    try:
        return list(_faults_of_run(results_dir, run, json.loads((run.folder / RECORD).read_bytes())))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return [Fault(run.folder, "the content", f"is not what a run writes ({type(error).__name__}: {error})")]


def _unknown_shared_times(results_dir: Path, runs: list[Run]) -> Iterator[Fault]:
    listed = read_shared_times(results_dir)
    for digest in sorted(listed - {run.record.digest for run in runs}):
        yield Fault(results_dir / FILE, digest, "is the digest of no run")


def doubts_about_the_study() -> list[str]:
    """The accuracies of the study's Table 3 that no number of correct texts gives."""
    return [
        f"the study's Table 3: {study.TABLE3_TITLES[model]} {accuracy} is not k/{study.TEST_ROWS} for any number k "
        "of texts"
        for model, accuracy in impossible_accuracies().items()
    ]


def _faults_of_run(results_dir: Path, run: Run, document: dict[str, Any]) -> Iterator[Fault]:
    record, file = run.record, run.folder / RECORD
    yield from _wrong_checksum(file, document)
    yield from _wrong_identity(results_dir, run, document)
    yield from _wrong_data(file, record)
    if record.status is Status.completed:
        yield from _wrong_predictions(run, "test")
        if record.validation_sha256 is not None or (run.folder / VALIDATION).exists():
            yield from _wrong_predictions(run, "validation")
    elif (run.folder / PREDICTIONS).exists() or record.predictions_sha256 is not None:
        yield Fault(file, "status", f"is {record.status}, but there are predictions")
    if (record.failure is None) is not (record.status is Status.completed):
        yield Fault(file, "failure", f"contradicts the status {record.status}")


def _wrong_checksum(file: Path, document: dict[str, Any]) -> Iterator[Fault]:
    if document["schema_version"] == 1:
        stored, actual = document.get("seal") or {}, schema1.seals(document)
        changed = sorted(name for name in stored.keys() | actual.keys() if stored.get(name) != actual.get(name))
        yield from (Fault(file, name, "is not what the run wrote") for name in changed)
    elif not is_unchanged(document):
        yield Fault(file, "checksum", "does not match: the record was changed")


def _wrong_identity(results_dir: Path, run: Run, document: dict[str, Any]) -> Iterator[Fault]:
    """Find a digest that configuration and data do not give, and a folder that the digest does not give."""
    record, file = run.record, run.folder / RECORD
    if record.digest != digest_of(document["config"], record.data_sha256):
        yield Fault(file, "digest", "does not follow from config and data: one of them was changed")
    if run.folder != (place := folder_of(results_dir, record.config, record.digest)):
        yield Fault(file, "digest", f"belongs to the folder {place}")


def _wrong_data(file: Path, record: RunRecord) -> Iterator[Fault]:
    """Find splits whose rows are not the sum of their labels, and whole splits without the pinned hash.

    The rest of train after validation rows were set aside has no pinned hash.
    """
    if record.data is None:
        return
    dataset = record.config.dataset
    for name, split in record.data.splits.items():
        if split.rows != sum(split.counts.values()):
            yield Fault(file, f"data.splits.{name}.counts", f"do not add up to {split.rows} rows")
        pinned = dataset.pinned_sha256.get(name)
        whole = dataset.row_limits[name] is None and (name == "test" or not record.data.carved_rows)
        if pinned is not None and whole and split.sha256 != pinned:
            yield Fault(file, f"data.splits.{name}.sha256", "is not the one that config.dataset pins")


def _wrong_predictions(run: Run, split: str) -> Iterator[Fault]:
    """Find predictions of a split that the record does not state, that belong to other rows or do not add up."""
    record, is_test = run.record, split == "test"
    file = run.folder / (PREDICTIONS if is_test else VALIDATION)
    stated_sha256 = record.predictions_sha256 if is_test else record.validation_sha256
    try:
        if sha256(file.read_bytes()) != stated_sha256:
            hash_field = "predictions_sha256" if is_test else "validation_sha256"
            yield Fault(file, "the content", f"does not have the {hash_field} of the record")
        stored = (run.gold, run.predictions) if is_test else run.validation
        if stored is None:  # the record states none
            return
        (gold, predictions), ids = stored, run.ids if is_test else run.validation_ids
        predictions.check(len(gold), len(record.labels), f"{split} row {{}}".format)
    except (OSError, KeyError, BenchmarkError) as error:
        yield Fault(file, "the content", f"cannot be scored ({error})")
        return
    described = record.data.splits.get(split) if record.data is not None else None
    if record.data is None or described is None:
        yield Fault(run.folder / RECORD, "data", f"does not describe the {split} split")
        return
    if len(gold) != described.rows:
        yield Fault(file, "rows", f"are {len(gold)}, but data.splits.{split} has {described.rows}")
    if is_test and len(gold) != record.predicted_rows:
        yield Fault(file, "rows", f"are {len(gold)}, but predicted_rows is {record.predicted_rows}")
    if {label: int((gold == index).sum()) for index, label in enumerate(record.labels)} != described.counts:
        yield Fault(file, "gold", f"has other counts than data.splits.{split} of the record")
    source = "train" if not is_test and record.data.carved_rows else split
    if not _are_rows_of(source, ids, _is_whole(split, source, record.config.dataset)):
        yield Fault(file, "id", f"is not that of rows {source}-0, {source}-1, ... in order")
    if not np.array_equal(predictions.predicted, _expected(predictions, record.config.dataset)):
        yield Fault(file, "predicted", "does not follow from the probabilities or answers beside it")


def _is_whole(split: str, source: str, dataset: DatasetConfig) -> bool:
    """Whether a split has the first rows of its source without a gap: none is left out between them."""
    if source != split or (split == "test" and dataset.test is not None):
        return False
    return dataset.row_limits[split] is None or dataset.row_choice is RowChoice.first


def _are_rows_of(source: str, ids: Sequence[str], whole: bool) -> bool:
    """Whether the ids name rows of this split in order: without a gap from the first if `whole`."""
    rows = [int(match[1]) for name in ids if (match := re.fullmatch(rf"{source}-(\d+)", name))]
    return len(rows) == len(ids) and rows == (list(range(len(rows))) if whole else sorted(set(rows)))


def _expected(predictions: Predictions, dataset: DatasetConfig) -> LabelIds:
    if predictions.generated is not None:
        return Predictions.from_answers(predictions.generated, dataset.labels, dataset.words).predicted
    return Predictions.from_probabilities(predictions.probabilities).predicted


def _different_gold(runs: list[Run]) -> Iterator[Fault]:
    """Find runs whose gold labels differ from another run's on the same test split with the same ids of labels."""
    first: dict[tuple[str, tuple[str, ...]], Run] = {}
    for run in runs:
        if run.record.status is Status.completed:
            other = first.setdefault((run.record.data_sha256["test"], run.record.labels), run)
            if not np.array_equal(run.gold, other.gold):
                yield Fault(run.folder / PREDICTIONS, "gold", f"differs from that in {other.folder}")


def _changed_tables(results_dir: Path) -> Iterator[Fault]:
    """Find tables that differ from what the records give."""
    try:
        analysis = AnalysedResults(read_results(results_dir))
        tables = all_tables(analysis)
    except BenchmarkError as error:  # the runs are sound: a measurement of speed, or costs of errors
        yield Fault(results_dir, "the content", f"cannot be read ({error})")
        return
    for table, data in tables.items():
        for name, content in table.files(data).items():
            file = results_dir / "tables" / name
            if file.is_file():
                stored = file.read_text(encoding="utf-8", errors="replace")
                pairs = enumerate(zip_longest(content.splitlines(), stored.splitlines()), 1)
                if line := next((number for number, (ours, theirs) in pairs if ours != theirs), None):
                    yield Fault(file, f"line {line}", "does not follow from the records: run benchmark.report")
