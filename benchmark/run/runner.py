"""One run: data gate, seed, fit, predict, record; whatever happens, a record says what."""

import errno
import logging
import os
import random
import re
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from benchmark.config import RunConfig, build_classifier
from benchmark.data.load import Splits, load
from benchmark.data.report import DataReport
from benchmark.errors import BenchmarkError
from benchmark.interface import Classifier, FitContext
from benchmark.results import environment
from benchmark.results import store as records
from benchmark.results.record import Failure, RunRecord, Status, sha256
from benchmark.results.store import Run

log = logging.getLogger(__name__)

PLACES = ("results_dir", "checkpoints_dir", "models_dir")
UNPUBLISHED = (*PLACES, "dataset.path", "hydra.")


def run(config: RunConfig, overrides: Sequence[str] = (), draw: Callable[[Run], None] | None = None) -> Run:
    """Do what `config` asks and publish the record; a finished run is returned as it stands.

    Raises what stopped the run, after a failed or interrupted record of it has been written.
    """
    classifier = build_classifier(config.model)
    record = _begun(config, overrides)
    results_dir = Path(config.results_dir)
    with _failure_published(results_dir, record):
        for found in unwritable(config):
            raise BenchmarkError(f"{found}; name a folder that can.")
        record, splits = _with_data(config, record)
        _announce(config, splits.report)
        lock = _lock(config, record)
    with _alone(lock), _failure_published(results_dir, record):
        if (finished := _finished(results_dir, record)) is not None and not config.force:
            log.info("already finished in %s; force=true runs it again", finished.folder)
            if (kept := _model_dir(config, record)) is not None and not kept.is_dir():
                log.warning("no model of it is kept in %s; force=true trains it again and keeps it there", kept)
            _withdraw_earlier_failure(config, record)
            return finished
        return _contest(config, classifier, splits, record, draw)


@contextmanager
def _failure_published(results_dir: Path, record: RunRecord) -> Iterator[None]:
    """What ends the block is recorded; never while waiting for another process, whose run it is."""
    try:
        yield
    except BaseException as error:
        if not _disk_full(error):
            _publish_failure(results_dir, record, error)
            raise
        explained = BenchmarkError(
            f"The disk is full ({error}); free some space, and the same command continues from the last checkpoint, "
            "if there is one yet."
        )
        _publish_failure(results_dir, record, explained)
        raise explained from error


def unwritable(config: RunConfig) -> Iterator[str]:
    """The folders in which what a run comes to could not be kept, each with the reason."""
    for option in PLACES:
        folder = getattr(config, option)
        if folder is not None and (reason := environment.why_unwritable(Path(folder))):
            yield f"{option}={folder} cannot be written ({reason})"


def record_failure(config: RunConfig, overrides: Sequence[str], error: Exception) -> None:
    """Write the failed record of a run whose process could not, unless another process is at it."""
    record = _begun(config, overrides)
    with suppress(BenchmarkError, OSError):  # else it stands under the digest without data
        record, _ = _with_data(config, record)
    with suppress(Timeout, OSError), _lock(config, record).acquire(timeout=0):
        _publish_failure(Path(config.results_dir), record, error)


def _begun(config: RunConfig, overrides: Sequence[str]) -> RunRecord:
    return RunRecord(
        status=Status.interrupted,
        config=recorded(config),
        overrides=[named for override in overrides if (named := _without_folder(override)) is not None],
        digest=config.digest({}),
        started=_now(),
        finished="",
        environment=environment.describe(),
    )


def _with_data(config: RunConfig, record: RunRecord) -> tuple[RunRecord, Splits]:
    started = time.perf_counter()
    splits = load(config.dataset)
    known = replace(
        record,
        digest=config.digest(splits.report.hashes()),
        data=splits.report.as_json(),
        seconds={"data": time.perf_counter() - started},
    )
    return known, splits


def _publish_failure(results_dir: Path, record: RunRecord, error: BaseException) -> None:
    """A forced repetition that fails leaves the good run alone."""
    try:
        if _finished(results_dir, record) is None:
            records.write(results_dir, _failed(record, error))
    except OSError as unwritable:
        log.error("the failure could not be recorded: %s", unwritable)


def _contest(
    config: RunConfig,
    classifier: Classifier,
    splits: Splits,
    record: RunRecord,
    draw: Callable[[Run], None] | None,
) -> Run:
    """Fit on train and validation, answer the test texts, publish."""
    labels = tuple(config.dataset.labels)
    random.seed(config.seed)
    np.random.seed(config.seed)  # noqa: NPY002 - libraries below draw from the global state
    work_dir = _work_dir(config, record)
    reports = tuple(config.report_to)
    context = FitContext(labels, config.recipe, config.seed, work_dir, reports, _model_dir(config, record))
    seconds = dict(record.seconds)
    environment.reset_peak_memory()
    with _timed(seconds, "fit"):
        fit = classifier.fit(splits.train, splits.validation, context)
    with _timed(seconds, "predict"):
        predictions = classifier.predict(splits.test.texts)
    predictions.check(len(splits.test), len(labels))
    content = records.encode_predictions(splits.test, predictions, labels)
    record = replace(
        record,
        status=Status.completed,
        finished=_now(),
        card=classifier.describe(),
        fit=fit,
        seconds=seconds,
        peak_memory=environment.peak_memory(),
        predictions_sha256=sha256(content),
        predicted_rows=len(splits.test),
        truncated_test_texts=predictions.truncated_texts,
    )
    published = records.write(Path(config.results_dir), record, content, draw)
    _withdraw_earlier_failure(config, record)
    shutil.rmtree(work_dir, ignore_errors=True)
    log.info("wrote %s", published.folder)
    return published


def recorded(config: RunConfig) -> dict[str, Any]:
    """The configuration as a record keeps it: the identity, and what tables show beside it."""
    recorded = config.identity()
    recorded["model"] |= {"title": config.model.title, "facts": asdict(config.model.facts)}
    return recorded


def _withdraw_earlier_failure(config: RunConfig, record: RunRecord) -> None:
    """Of a start that ended before its data were read."""
    records.withdraw(Path(config.results_dir), record.config, config.digest({}))


def _model_dir(config: RunConfig, record: RunRecord) -> Path | None:
    """Where the trained model is kept, if it is: as the record's folder is named."""
    place = records.folder_of(Path(), record.config, record.digest).relative_to("runs")
    return None if config.models_dir is None else Path(config.models_dir) / place


def _work_dir(config: RunConfig, record: RunRecord) -> Path:
    return Path(config.checkpoints_dir) / record.digest[:16]


def _lock(config: RunConfig, record: RunRecord) -> FileLock:
    """Held by the one process that is at this run."""
    work_dir = _work_dir(config, record)
    work_dir.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{work_dir}.lock")


@contextmanager
def _alone(lock: FileLock) -> Iterator[None]:
    """Wait until no other process is at this run; the system frees the lock of a process that dies."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another process is at this run; waiting for its end")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _disk_full(error: BaseException | None) -> bool:
    """Python says so by number, safetensors in words, torch only that a write failed."""
    if error is None:
        return False
    said = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    words = ("No space left on device", "PytorchStreamWriter failed writing", "unexpected pos")
    return said or any(phrase in str(error) for phrase in words) or _disk_full(error.__cause__ or error.__context__)


def _without_folder(override: str) -> str | None:
    """The override as published: None for where things lie, the last name only of what a model reads."""
    option, _, value = override.partition("=")
    if option.lstrip("+~").startswith(UNPUBLISHED):
        return None
    if option.endswith((".path", ".adapter", "--config-dir")):
        return f"{option}={Path(value).name}"
    return re.sub(r"\b(path|adapter): *([^,}]+)", lambda found: f"{found[1]}:{Path(found[2]).name}", override)


def _finished(results_dir: Path, record: RunRecord) -> Run | None:
    folder = records.folder_of(results_dir, record.config, record.digest)
    if not (folder / "record.json").is_file():
        return None
    found = records.read(folder)
    return found if found.record.status is Status.completed else None


def _failed(record: RunRecord, error: BaseException) -> RunRecord:
    """The record of a run that `error` ended; errors that explain themselves need no traceback."""
    explained = isinstance(error, BenchmarkError)
    trace = None if explained else _without_home("".join(traceback.format_exception(error)))
    return replace(
        record,
        status=Status.failed if isinstance(error, Exception) else Status.interrupted,
        finished=_now(),
        failure=Failure(_without_home(str(error)) or type(error).__name__, trace),
    )


def _without_home(text: str) -> str:
    """As published: paths tell what they must, not whose they are."""
    home = os.environ.get("HOME", "").rstrip("/")
    return re.sub(rf"(?<![\w.-]){re.escape(home)}(?![\w.-])", "~", text) if home else text


def _announce(config: RunConfig, report: DataReport) -> None:
    sizes = ", ".join(f"{split.rows} {name}" for name, split in report.splits.items())
    log.info("%s on %s (%s; %s), recipe %s, seed %d", config.model.title, config.dataset.name, sizes, report.route,
             config.recipe.name, config.seed)  # fmt: skip
    for note in report.notes:
        log.info("%s", note)
    for overlap in report.overlaps:
        if overlap.ids:
            log.info("%d %s texts also occur in %s, %d of them with another label", len(overlap.ids), overlap.of,
                     overlap.within, len(overlap.conflicting_ids))  # fmt: skip


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[phase] = time.perf_counter() - started


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
