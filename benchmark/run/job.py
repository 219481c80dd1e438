"""A run in progress: its configuration, the record so far, and where its files go."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from benchmark.config import RunConfig, digest_of
from benchmark.configuration.published import published_overrides, spec_of
from benchmark.data.load import Splits, load
from benchmark.errors import BenchmarkError
from benchmark.files import replacing
from benchmark.hub import OFFICIAL_HUB, endpoint
from benchmark.interface import Classifier
from benchmark.processes import weights_are_sharded, world_size
from benchmark.results import environment, store
from benchmark.results.environment import Environment
from benchmark.results.record import RunRecord, Status, sha256, to_json
from benchmark.results.store import Run
from benchmark.run import measurement

log = logging.getLogger(__name__)

SavePlots = Callable[[Run], None]
"""A function that saves the plots of a run in its folder."""
OnRecord = Callable[[Run], None]
"""A function that is called with each run whose record was written to the results."""
TRAINING_MARKER = "training"
"""The name of a file beside the checkpoints of a run that has begun to train, with the record so far."""
EARLIER_MARKER = "earlier_training"
"""The name of the marker of an earlier attempt while this one has not begun to train."""


@dataclass(frozen=True)
class Job:
    """A run in progress: its configuration, and the record with what is known so far."""

    config: RunConfig
    record: RunRecord
    on_record: OnRecord

    @property
    def results_dir(self) -> Path:
        return Path(self.config.results_dir)

    @property
    def work_dir(self) -> Path:
        """The folder of checkpoints; the same when the run is repeated with weights from the same server."""
        weights = self.config.model.parameters.get("weights")
        from_hub = isinstance(weights, dict) and weights.get("source") == "hub"
        elsewhere = from_hub and endpoint() != OFFICIAL_HUB
        server = f"-{sha256(endpoint().encode())[:8]}" if elsewhere else ""
        return Path(self.config.checkpoints_dir) / f"{self.record.digest[:16]}{server}"

    @property
    def model_dir(self) -> Path | None:
        """Where the trained model is saved, named like the record's folder; None if it is not saved."""
        return model_dir_of(self.config, self.record)

    def lock(self) -> FileLock:
        """The lock that the one process making this run holds. Creates the folder of the lock file."""
        folder = Path(self.config.checkpoints_dir)
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{self.record.digest[:16]}.lock")

    def finished_run(self) -> Run | None:
        """The completed run with this digest, if there is one.

        One with weights from a mirror counts only if this run would ask the same mirror.
        """
        folder = store.folder_of(self.results_dir, self.record.config, self.record.digest)
        earlier = store.read(folder) if (folder / store.RECORD).is_file() else None
        if (
            earlier is None
            or earlier.record.digest != self.record.digest
            or earlier.record.status is not Status.completed
        ):
            return None
        mirror = earlier.record.fit.weights.endpoint if earlier.record.fit else None
        return earlier if mirror in (None, endpoint()) else None

    @property
    def training_began(self) -> bool:
        """Whether training has begun, in this process or in one that was killed."""
        return (self.work_dir / TRAINING_MARKER).exists()

    @property
    def has_checkpoints(self) -> bool:
        """Whether an earlier attempt has left checkpoints, from which training continues."""
        return any(self.work_dir.glob("checkpoint-*"))

    def after_earlier_training(self) -> Self:
        """Set aside the marker of an earlier attempt; returns the job, marked if its time cannot be compared.

        A training that is continued counts the time of all its parts, so their hardware must be known and the same, and
        no part may have shared its device.
        """
        marker = self.work_dir / EARLIER_MARKER
        with suppress(FileNotFoundError):
            (self.work_dir / TRAINING_MARKER).replace(marker)
        if not self.has_checkpoints:
            return self
        with suppress(BenchmarkError, OSError):
            earlier = RunRecord.from_json(marker.read_bytes(), str(marker)).environment
            if not earlier.device_shared and self._hardware(earlier) == self._hardware(self.record.environment):
                return self
        environment = replace(self.record.environment, device_shared=True)
        return replace(self, record=replace(self.record, environment=environment))

    def _hardware(self, environment: Environment) -> str:
        """The hardware that the model uses on a machine: its GPU, unless it has none or the model is set to the CPU."""
        on_gpu = environment.gpu is not None and self.config.model.parameters.get("device") != "cpu"
        return environment.hardware("cuda" if on_gpu else "cpu")

    def begin_training(self) -> None:
        """Leave the marker that training has begun."""
        with replacing(self.work_dir / TRAINING_MARKER) as path:
            path.write_bytes(to_json(self.record))

    def as_training_began(self) -> Self:
        """The job with the record in the marker; raises `BenchmarkError` or `OSError` if it cannot be read."""
        marker = self.work_dir / TRAINING_MARKER
        return replace(self, record=RunRecord.from_json(marker.read_bytes(), str(marker)))

    def write(
        self,
        record: RunRecord,
        predictions: bytes | None = None,
        save_plots: SavePlots | None = None,
        validation: bytes | None = None,
    ) -> Run:
        """Write the run to the results."""
        written = store.write(self.results_dir, record, predictions, save_plots, validation)
        self.on_record(written)
        return written


def model_dir_of(config: RunConfig, record: RunRecord) -> Path | None:
    """Where the trained model of a run is saved, named like the record's folder; None if it is not saved.

    A run on changed test texts saves none: it is the model of the run on the unchanged ones.
    """
    if config.models_dir is None or config.dataset.perturb is not None:
        return None
    return Path(config.models_dir) / store.folder_of(Path(), record.config, record.digest).relative_to("runs")


def new_job(config: RunConfig, overrides: Sequence[str], on_record: OnRecord) -> Job:
    """The job of this run before its data are read: the digest does not cover them yet."""
    spec = spec_of(config)
    record = RunRecord(
        status=Status.interrupted,
        config=spec,
        overrides=published_overrides(config, overrides),
        digest=digest_of(spec.as_json(), {}),
        started=now(),
        finished="",
        environment=replace(
            environment.describe(),
            device_shared=measurement.device_is_shared(),
            processes=world_size(),
            sharded_weights=weights_are_sharded(),
        ),
    )
    return Job(config, record, on_record)


def with_data(job: Job, classifier: Classifier) -> tuple[Job, Splits]:
    """Load the data, and add them and the model's card to the record."""
    began = time.perf_counter()
    splits = load(job.config.dataset)
    seconds = {"data": time.perf_counter() - began}
    record = replace(
        job.record,
        digest=digest_of(job.record.config.as_json(), splits.report.hashes()),
        data=splits.report,
        card=classifier.describe(),
        seconds=seconds,
    )
    return replace(job, record=record), splits


@contextmanager
def exclusive(lock: FileLock) -> Iterator[None]:
    """Wait until no other process makes this run, and hold its lock.

    The system releases the lock of a process that is killed.
    """
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another process makes this run; waiting until it ends")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def now() -> str:
    """The time in UTC, to the second, as records write it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
