"""Runs that failed: recorded in the results if they had begun to train, else kept with the checkpoints."""

import logging
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from filelock import Timeout

from benchmark.config import RunConfig
from benchmark.configuration.compose import build_classifier
from benchmark.configuration.published import without_home
from benchmark.configuration.revisions import pin, with_commits
from benchmark.errors import BenchmarkError
from benchmark.files import replacing
from benchmark.results.record import Failure, RunRecord, Status, to_json
from benchmark.results.store import folder_of
from benchmark.run.folders import is_disk_full
from benchmark.run.job import Job, OnRecord, new_job, now, with_data

log = logging.getLogger(__name__)


@contextmanager
def recording_failures(job: Job) -> Iterator[None]:
    """Record any error that the block raises as the end of this run, and raise it again.

    The caller holds the lock of the run, or has not started it.
    """
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


def record_killed_run(
    config: RunConfig, overrides: Sequence[str], error: Exception, on_record: OnRecord = lambda _: None
) -> None:
    """Write the failed record of a run whose process was killed. Does nothing while another process makes that run.

    If the run had begun to train, its own process has left its start and its environment.
    """
    job = new_job(config, overrides, on_record)
    with suppress(BenchmarkError, OSError):  # then the digest does not cover the data
        pinned = pin(config)
        job = new_job(pinned, with_commits(overrides, config, pinned), on_record)
        job, _ = with_data(job, build_classifier(pinned.model))
    with suppress(Timeout, OSError), job.lock().acquire(timeout=0):
        with suppress(BenchmarkError, OSError):
            job = job.as_training_began()
        _write_failure(job, error)


def delete_failure_records(config: RunConfig, record: RunRecord) -> None:
    """Delete the records of failed tries of this model on this data set. Called once it works."""
    folder = _folder(config, record)
    with suppress(OSError):  # there are other files, none ever were, or they may not be deleted
        for file in folder.glob("*-seed*-????????.json"):
            file.unlink(missing_ok=True)
        folder.rmdir()


def _write_failure(job: Job, error: BaseException) -> None:
    """Record how the run ended: in the results if it had begun to train, unless a completed run has the same digest."""
    record = _as_failed(job.record, error)
    try:
        if not job.training_began:
            if record.status is Status.failed:
                _write_outside_results(job.config, record)
        elif job.finished_run() is None:
            job.write(record)
    except (OSError, BenchmarkError) as unwritable:  # the second for a damaged record of the same run
        log.error("the failure could not be recorded: %s", unwritable)


def _as_failed(record: RunRecord, error: BaseException) -> RunRecord:
    """The record of a run that `error` ended. A `BenchmarkError` explains itself without a traceback."""
    if isinstance(error, BenchmarkError):
        failure = Failure(without_home(error.problem), fix=error.fix and without_home(error.fix))
    else:
        trace = "".join(traceback.format_exception(error))
        failure = Failure(without_home(str(error)) or type(error).__name__, without_home(trace))
    status = Status.failed if isinstance(error, Exception) else Status.interrupted
    return replace(record, status=status, finished=now(), failure=failure)


def _write_outside_results(config: RunConfig, record: RunRecord) -> None:
    """Write the record of a run that never began to train."""
    file = _folder(config, record) / f"{folder_of(Path(), record.config, record.digest).name}.json"
    with replacing(file) as path:
        path.write_bytes(to_json(record))


def _folder(config: RunConfig, record: RunRecord) -> Path:
    return Path(config.checkpoints_dir) / "failures" / record.model / record.dataset
