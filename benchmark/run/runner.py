"""One run: load the data, train, predict the test texts, write the record.

A run that ends while it trains leaves a record in the results. One that never began to train is no result: it is kept
apart.
"""

import logging
import os
import random
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from benchmark.config import RunConfig, RunSpec, digest_of
from benchmark.data.load import Splits, load
from benchmark.data.report import DataReport
from benchmark.errors import BenchmarkError
from benchmark.interface import Classifier, FitContext, FitReport, MadeElsewhere, Predictions
from benchmark.results import energy, environment, store
from benchmark.results.record import Failure, RunRecord, Status, sha256, to_json
from benchmark.results.store import Run
from benchmark.run import failures, kept, processes
from benchmark.run.compose import build_classifier
from benchmark.run.folders import is_disk_full, unwritable
from benchmark.run.published import published_overrides, spec_of, without_home
from benchmark.run.revisions import pinned, with_commits

log = logging.getLogger(__name__)

Draw = Callable[[Run], None]
"""Saves the plots of a run in its folder."""
Listen = Callable[[Run], None]
"""Is told of each record that is written to the results."""
TRAINING = "training"
"""The name of an empty file beside the checkpoints of a run that has begun to train."""


@dataclass(frozen=True)
class Job:
    """A run in progress: its configuration, and the record with what is known so far."""

    config: RunConfig
    record: RunRecord
    listen: Listen

    @property
    def results_dir(self) -> Path:
        return Path(self.config.results_dir)

    @property
    def work_dir(self) -> Path:
        """For checkpoints; the same folder when the run is repeated."""
        return Path(self.config.checkpoints_dir) / self.record.digest[:16]

    @property
    def model_dir(self) -> Path | None:
        """Where the trained model is saved, named like the record's folder; None if it is not saved."""
        return model_dir_of(self.config, self.record)

    @property
    def lock(self) -> FileLock:
        """Held by the process that makes this run."""
        self.work_dir.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self.work_dir}.lock")

    def finished(self) -> Run | None:
        """The completed run with this digest, if there is one.

        One with weights from another server than this run would ask does not count.
        """
        folder = store.folder_of(self.results_dir, self.record.config, self.record.digest)
        found = store.read(folder) if (folder / "record.json").is_file() else None
        if found is None or found.record.status is not Status.completed:
            return None
        endpoint = found.record.fit.weights.endpoint if found.record.fit else None
        return found if endpoint in (None, os.environ.get("HF_ENDPOINT", "").rstrip("/")) else None

    @property
    def trains(self) -> bool:
        """Whether training has begun, in this process or in one that was killed."""
        return (self.work_dir / TRAINING).exists()

    def begin_training(self) -> None:
        self.work_dir.mkdir(parents=True, exist_ok=True)
        (self.work_dir / TRAINING).touch()

    def write(
        self,
        record: RunRecord,
        predictions: bytes | None = None,
        draw: Draw | None = None,
        validation: bytes | None = None,
    ) -> Run:
        """Write the record to the results."""
        written = store.write(self.results_dir, record, predictions, draw, validation)
        self.listen(written)
        return written


def run(
    config: RunConfig, overrides: Sequence[str] = (), draw: Draw | None = None, listen: Listen = lambda _: None
) -> Run:
    """Make the run and write its record; a finished run is returned as it is.

    Raises whatever stopped the run. If it had begun to train, a failed or interrupted record has been written.
    """
    classifier = build_classifier(config.model)
    job = _started(config, overrides, listen)
    with _failure_recorded(job):
        processes.check_batch(config.recipe.effective_batch)
        for error in unwritable(config):
            raise error
        commits = pinned(config)
    if commits != config:
        classifier = build_classifier(commits.model)
        job = _started(commits, with_commits(overrides, config, commits), listen)
    with _failure_recorded(job):
        job, splits = _with_data(job, classifier)
        _log_data(job.record.config, splits.report)
        lock = job.lock
    with _held(lock):
        (job.work_dir / TRAINING).unlink(missing_ok=True)  # of an earlier attempt
        with _failure_recorded(job):
            if (finished := job.finished()) is None or config.force:
                processes.tell(job.work_dir)
                return _train_and_predict(job, classifier, splits, draw)
    processes.tell(None)
    log.info("already finished in %s; force=true runs it again", finished.folder)
    if job.model_dir is not None and not job.model_dir.is_dir():
        log.warning("its model is not in %s; force=true trains it again and saves it there", job.model_dir)
    failures.forget(config, finished.record)
    return finished


def record_failure(
    config: RunConfig, overrides: Sequence[str], error: Exception, listen: Listen = lambda _: None
) -> None:
    """Write the failed record of a run whose process could not, unless another process is making that run."""
    job = _started(config, overrides, listen)
    with suppress(BenchmarkError, OSError):  # then the digest does not cover the data
        job = _started(config := pinned(config), overrides, listen)
        job, _ = _with_data(job, build_classifier(config.model))
    with suppress(Timeout, OSError), job.lock.acquire(timeout=0):
        _write_failure(job, error)


def _started(config: RunConfig, overrides: Sequence[str], listen: Listen) -> Job:
    spec = spec_of(config)
    record = RunRecord(
        status=Status.interrupted,
        config=spec,
        overrides=published_overrides(config, overrides),
        digest=digest_of(spec.as_json(), {}),
        started=_now(),
        finished="",
        environment=replace(
            environment.describe(), device_shared=environment.device_is_shared(), processes=processes.together()
        ),
    )
    return Job(config, record, listen)


def _with_data(job: Job, classifier: Classifier) -> tuple[Job, Splits]:
    """Load the data, and add them and the model's card to the record."""
    started = time.perf_counter()
    splits = load(job.config.dataset)
    seconds = {"data": time.perf_counter() - started}
    record = replace(
        job.record,
        digest=digest_of(job.record.config.as_json(), splits.report.hashes()),
        data=splits.report,
        card=classifier.describe(),
        seconds=seconds,
    )
    return replace(job, record=record), splits


def _train_and_predict(job: Job, classifier: Classifier, splits: Splits, draw: Draw | None) -> Run:
    config, labels = job.config, tuple(job.config.dataset.labels)
    random.seed(config.seed)
    np.random.seed(config.seed)  # noqa: NPY002 - libraries draw from the global state
    context = FitContext(
        labels,
        config.recipe,
        config.seed,
        job.work_dir,
        tuple(config.report_to),
        model_dir=job.model_dir,
        label_words=config.dataset.words,
        training_begins=job.begin_training,
    )
    seconds, joules = dict(job.record.seconds), dict(job.record.joules)
    environment.reset_peak_memory()
    with _timed(seconds, "fit"), energy.measured(joules, "fit"):
        fit = _restored(job, classifier) or classifier.fit(splits.train, splits.validation, context)
    matched = classifier.match(splits.test, context) if isinstance(classifier, MadeElsewhere) else {}
    if fit.trained_parameters != 0:
        job.begin_training()
    log.info("answering the %d texts of the test set", len(splits.test))
    with _timed(seconds, "predict"), energy.measured(joules, "predict"):
        predictions = classifier.predict(splits.test.texts)
    predictions.check(len(splits.test), len(labels))
    if predictions.truncated_texts:
        log.info("%d of %d test texts cut to %d tokens", predictions.truncated_texts, len(splits.test),
                 config.recipe.max_length)  # fmt: skip
    content, peak_memory = store.encode_predictions(splits.test, predictions, labels), environment.peak_memory()
    validation = _validation(job, classifier, splits, predictions, trained=fit.trained_parameters != 0)
    if validation is None:
        processes.tell(None)
    record = replace(
        job.record,
        status=Status.completed,
        finished=_now(),
        fit=fit,
        seconds=seconds,
        peak_memory=peak_memory,
        predictions_sha256=sha256(content),
        predicted_rows=len(splits.test),
        truncated_test_texts=predictions.truncated_texts,
        matched=matched,
        joules=joules,
        validation_sha256=None if validation is None else sha256(validation),
    )
    written = job.write(record, content, draw, validation)
    _keep_record(job.model_dir, record)
    failures.forget(config, record)
    shutil.rmtree(job.work_dir, ignore_errors=True)
    log.info("wrote %s", written.folder)
    return written


def _validation(job: Job, classifier: Classifier, splits: Splits, test: Predictions, trained: bool) -> bytes | None:
    """The predictions of the validation split as a file, on which the report fits a temperature.

    None where they would not be used or would cost as much as the run: answers without confidences, models that were
    not trained here, a part of the test texts, and changed test texts.
    """
    dataset, labels = job.config.dataset, tuple(job.config.dataset.labels)
    if not (test.has_confidences and trained) or isinstance(classifier, MadeElsewhere):
        return None
    if dataset.test_rows is not None or dataset.perturb is not None:
        return None
    log.info("predicting the %d texts of the validation split", len(splits.validation))
    processes.tell(job.work_dir)
    predictions = classifier.predict(splits.validation.texts)
    predictions.check(len(splits.validation), len(labels))
    return store.encode_predictions(splits.validation, predictions, labels)


def _restored(job: Job, classifier: Classifier) -> FitReport | None:
    """What is loaded in place of a training: the model that was kept before the test texts were changed, if any."""
    if job.config.dataset.perturb is None or job.config.models_dir is None or processes.together() > 1:
        return None
    found = kept.find(Path(job.config.models_dir), job.record.config, job.record.data_sha256)
    if found is None:
        log.info("%s has no model of this configuration; training it", job.config.models_dir)
        return None
    log.info("reading the model in %s", found[0])
    return replace(kept.restored(*found, classifier).restored, trained_parameters=0)


def model_dir_of(config: RunConfig, record: RunRecord) -> Path | None:
    """Where the trained model of a run is saved, named like the record's folder; None if it is not saved.

    A run on changed test texts saves none: it is the model of the run on the unchanged ones.
    """
    if config.models_dir is None or config.dataset.perturb is not None:
        return None
    return Path(config.models_dir) / store.folder_of(Path(), record.config, record.digest).relative_to("runs")


def _keep_record(folder: Path | None, record: RunRecord) -> None:
    """Write the record beside the saved model: it holds all that is needed to use the model again."""
    assert record.fit is not None
    if folder is not None and record.fit.saved_sha256 is not None:
        (folder / "record.json").write_bytes(to_json(record))
    elif folder is not None:
        log.warning("nothing was saved in %s: this run trained no model that can be saved", folder)


@contextmanager
def _failure_recorded(job: Job) -> Iterator[None]:
    """Record an error that ends the block. Not used while another process makes the same run."""
    try:
        yield
    except BaseException as error:
        if not is_disk_full(error):
            _write_failure(job, error)
            raise
        explained = BenchmarkError(
            f"The disk is full ({error}).",
            "Free some space; the same command continues from the last checkpoint, if there is one.",
        )
        _write_failure(job, explained)
        raise explained from error


def _write_failure(job: Job, error: BaseException) -> None:
    """Record how the run ended: in the results if it had begun to train, unless a completed run has the same digest."""
    record = _failed(job.record, error)
    try:
        if not job.trains:
            if record.status is Status.failed:
                failures.keep(job.config, record)
        elif job.finished() is None:
            job.write(record)
    except OSError as unwritable:
        log.error("the failure could not be recorded: %s", unwritable)


def _failed(record: RunRecord, error: BaseException) -> RunRecord:
    """The record of a run that `error` ended. A `BenchmarkError` explains itself without a traceback."""
    if isinstance(error, BenchmarkError):
        failure = Failure(without_home(error.problem), fix=error.fix and without_home(error.fix))
    else:
        trace = "".join(traceback.format_exception(error))
        failure = Failure(without_home(str(error)) or type(error).__name__, without_home(trace))
    status = Status.failed if isinstance(error, Exception) else Status.interrupted
    return replace(record, status=status, finished=_now(), failure=failure)


@contextmanager
def _held(lock: FileLock) -> Iterator[None]:
    """Wait until no other process makes this run. The system releases the lock of a process that is killed."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another process makes this run; waiting until it ends")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _log_data(spec: RunSpec, report: DataReport) -> None:
    sizes = ", ".join(f"{split.rows} {name}" for name, split in report.splits.items())
    log.info("%s on %s (%s; %s), recipe %s, seed %d", spec.model.title, spec.dataset.name, sizes, report.route,
             spec.recipe.name, spec.seed)  # fmt: skip
    for note in report.notes:
        log.info("%s", note)
    if hint := _shorter_trial(spec, report):
        log.info("%s", hint)
    overlaps = [
        f"{len(overlap.ids)} of {overlap.of} in {overlap.within} ({len(overlap.conflicting_ids)} with another label)"
        for overlap in report.overlaps
        if overlap.ids
    ]
    if overlaps:
        log.info("texts that occur in two splits: %s", ", ".join(overlaps))


def _shorter_trial(spec: RunSpec, report: DataReport) -> str | None:
    """The options that limit the other splits too, if only the training rows of a trial are limited."""
    rows, limits = spec.dataset.train_rows, spec.dataset.row_limits
    whole = [name for name, limit in limits.items() if rows and limit is None and report.splits[name].rows > rows]
    if not whole:
        return None
    sizes = " and ".join(f"all {report.splits[name].rows:,} {name} rows" for name in whole)
    options = " ".join(f"dataset.{name}_rows={rows}" for name in whole)
    return f"This run uses {sizes}. For a short trial add {options}."


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[phase] = time.perf_counter() - started


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
