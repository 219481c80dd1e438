"""`python -m benchmark.verify`: recompute every table from the stored predictions; name what does not fit.

A record says what was asked and seen, its predictions what was answered; each is held against the other, against
the hashes and seals written when the run ended, and against the tables. README, page and figures are made from the
same tables: `python -m benchmark.report --check` compares those.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.evidence import read_evidence
from benchmark.analysis.statistics import possible_counts
from benchmark.config import digest_of
from benchmark.errors import BenchmarkError
from benchmark.interface import Predictions
from benchmark.report.table_files import all_tables, table_files
from benchmark.results.record import RunRecord, Status, seal, sha256
from benchmark.results.store import Run, folder_of
from benchmark.terminal import plain_endings


@dataclass(frozen=True)
class Fault:
    """What is wrong, in which field of which file."""

    file: Path
    field: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field} {self.what}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmark.verify", description=__doc__)
    parser.add_argument("--results-dir", type=Path, default=Path("results"), help="default: results")
    results_dir: Path = parser.parse_args().results_dir
    with plain_endings():
        if not (results_dir / "runs").is_dir():
            raise BenchmarkError(f"{results_dir} holds no runs; name the folder that holds them with --results-dir.")
        found = list(faults(results_dir))
    sys.stdout.writelines(f"{fault}\n" for fault in found)
    sys.stdout.writelines(f"{sentence}\n" for sentence in doubts_about_the_study())
    runs = len(list(results_dir.glob("runs/*/*/*/record.json")))
    sys.stdout.write(f"{runs} runs in {results_dir}, {len(found)} faults\n")
    sys.exit(1 if found else 0)


def faults(results_dir: Path) -> Iterator[Fault]:
    """Everything that does not fit, folder by folder, then in the tables."""
    runs: list[Run] = []
    sound: list[Run] = []
    folders = sorted(results_dir.glob("runs/*/*/[!.]*"))
    for folder in folders:
        file = folder / "record.json"
        try:
            content = file.read_bytes()
            run = Run(RunRecord.from_json(content, "it"), folder)
        except (OSError, BenchmarkError) as error:
            yield Fault(file, "the file", f"cannot be read ({error})")
            continue
        runs.append(run)
        try:
            found = [*_broken_seals(file, json.loads(content)), *_contradictions(results_dir, file, run)]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            found = [Fault(folder, "its content", f"is not as a run writes it ({type(error).__name__}: {error})")]
        yield from found
        if not found:
            sound.append(run)
    differing = [*_gold_that_differs(sound), *_impossible_accuracies(results_dir, runs)]
    yield from differing
    if len(sound) == len(folders) and not differing:
        yield from _changed_tables(results_dir)


def doubts_about_the_study() -> list[str]:
    """The same test of k/n, applied to the study's Table 3."""
    return [
        f"the study's Table 3: {title} {study.TABLE3[model]} is no share k/{study.TEST_ROWS} of the test texts"
        for model, title in study.TABLE3_TITLES.items()
        if not possible_counts(study.TABLE3[model], study.TEST_ROWS)
    ]


def _contradictions(results_dir: Path, file: Path, run: Run) -> Iterator[Fault]:
    record = run.record
    yield from _wrong_identity(results_dir, file, record)
    yield from _wrong_data(file, record)
    if record.status is Status.completed:
        yield from _wrong_predictions(run)
    elif (run.folder / "predictions.parquet").exists() or record.predictions_sha256 is not None:
        yield Fault(file, "status", f"is {record.status}, but there are predictions")
    if (record.failure is None) is not (record.status is Status.completed):
        yield Fault(file, "failure", f"does not go with the status {record.status}")


def _broken_seals(file: Path, document: dict[str, Any]) -> Iterator[Fault]:
    sealed, actual = document.get("seal"), seal(document)
    if not isinstance(sealed, dict):
        yield Fault(file, "seal", "is missing")
        return
    for name in sorted(sealed.keys() | actual.keys()):
        if sealed.get(name) != actual.get(name):
            yield Fault(file, name, "is not what the run wrote")


def _wrong_identity(results_dir: Path, file: Path, record: RunRecord) -> Iterator[Fault]:
    """The digest names configuration and data, the folder names the digest."""
    hashes = {name: split["sha256"] for name, split in record.splits.items()}
    if record.digest != digest_of(record.identity, hashes):
        yield Fault(file, "digest", "does not follow from config and data: one of them was changed")
    if file.parent != (place := folder_of(results_dir, record.config, record.digest)):
        yield Fault(file, "digest", f"belongs to the folder {place}")


def _wrong_data(file: Path, record: RunRecord) -> Iterator[Fault]:
    """Rows are the sum of their labels; splits used whole have the hashes that the configuration pins.

    Where validation was carved from train, what is left of train has no pinned hash.
    """
    asked = record.config["dataset"]
    for name, split in record.splits.items():
        if split["rows"] != sum(split["counts"].values()):
            yield Fault(file, f"data.splits.{name}.counts", f"do not add up to {split['rows']} rows")
        pinned = asked["sha256"].get(name)
        whole = asked.get(f"{name}_rows") is None and (name == "test" or not record.carved_rows)
        if pinned is not None and whole and split["sha256"] != pinned:
            yield Fault(file, f"data.splits.{name}.sha256", "is not the one that config.dataset pins")


def _wrong_predictions(run: Run) -> Iterator[Fault]:
    record, file = run.record, run.folder / "predictions.parquet"
    try:
        if sha256(file.read_bytes()) != record.predictions_sha256:
            yield Fault(file, "its content", "has not the predictions_sha256 of the record")
        gold, predictions = run.gold, run.predictions
        predictions.check(len(gold), len(record.labels))
    except (OSError, KeyError, BenchmarkError) as error:
        yield Fault(file, "its content", f"cannot be scored ({error})")
        return
    split = record.splits.get("test")
    if split is None:
        yield Fault(run.folder / "record.json", "data", "says nothing of the test split that was answered")
        return
    if not len(gold) == record.predicted_rows == split["rows"]:
        yield Fault(file, "rows", f"are {len(gold)}, but predicted_rows is {record.predicted_rows}")
    counts = {label: int((gold == index).sum()) for index, label in enumerate(record.labels)}
    if counts != split["counts"]:
        yield Fault(file, "gold", "has other counts than data.splits.test of the record")
    if run.table["id"].to_pylist() != [f"test-{row}" for row in range(len(gold))]:
        yield Fault(file, "id", "is not test-0, test-1, ... in order")
    if not np.array_equal(predictions.predicted, _follows_from(predictions, record.labels)):
        yield Fault(file, "predicted", "does not follow from the probabilities or answers beside it")


def _follows_from(predictions: Predictions, labels: tuple[str, ...]) -> Any:
    if predictions.generated is not None:
        return Predictions.from_answers(predictions.generated, labels).predicted
    return predictions.probabilities.argmax(axis=1)


def _gold_that_differs(runs: list[Run]) -> Iterator[Fault]:
    """Runs on the same test split have the same gold labels, row by row."""
    first: dict[str, Run] = {}
    for run in runs:
        if run.record.status is not Status.completed:
            continue
        other = first.setdefault((run.record.data or {})["splits"]["test"]["sha256"], run)
        if not np.array_equal(run.gold, other.gold):
            yield Fault(run.folder / "predictions.parquet", "gold", f"differs from that in {other.folder}")


def _impossible_accuracies(results_dir: Path, runs: list[Run]) -> Iterator[Fault]:
    """An accuracy on n texts, the mean of s seeds, is k / (n s)."""
    tested: dict[str, set[int]] = {}
    for run in runs:
        tested.setdefault(run.record.model, set()).add(run.record.predicted_rows or 0)
    for file in sorted((results_dir / "tables").glob("*.csv")):
        try:
            yield from _impossible_in(file, tested)
        except (OSError, ValueError, BenchmarkError) as error:
            yield Fault(file, "its content", f"cannot be read ({error})")


def _impossible_in(file: Path, tested: dict[str, set[int]]) -> Iterator[Fault]:
    table = pd.read_csv(file)
    if not {"name", "accuracy", "seeds"} <= set(table.columns):
        return
    for row in table.dropna(subset=["accuracy"]).to_dict("records"):
        totals = [rows * int(row["seeds"]) for rows in sorted(tested.get(row["name"], set()) - {0})]
        accuracy = float(row["accuracy"])
        if not 0 <= accuracy <= 1 or not any(possible_counts(accuracy, total, decimals=12) for total in totals):
            of = " or ".join(map(str, totals)) or "no"
            yield Fault(file, f"accuracy of {row['name']}", f"is {row['accuracy']}, no share k/n of {of} answers")


def _changed_tables(results_dir: Path) -> Iterator[Fault]:
    """Tables that say anything else than the records do."""
    try:
        evidence = read_evidence(results_dir)
    except BenchmarkError as error:  # the records are sound by now: a measurement of speed
        yield Fault(results_dir / "speed", "its content", f"cannot be read ({error})")
        return
    for name, content in table_files(all_tables(evidence)).items():
        file = results_dir / "tables" / name
        if file.is_file():
            pairs = zip_longest(content.splitlines(), file.read_text(encoding="utf-8", errors="replace").splitlines())
            if line := next((number for number, (ours, theirs) in enumerate(pairs, 1) if ours != theirs), None):
                yield Fault(file, f"line {line}", "does not follow from the records; run python -m benchmark.report")
