"""One job of `python -m benchmark`: run a configuration, and say how it ended."""

import json
import logging
import signal
import sys
import traceback
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.config import RunConfig
from benchmark.errors import BenchmarkError
from benchmark.files import replacing
from benchmark.run.child_process import run_in_process
from benchmark.run.sweep_folder import OUTCOMES
from benchmark.terminal import INTERRUPTED, handle_signals, quiet_libraries

if TYPE_CHECKING:
    from benchmark.results.store import Run

log = logging.getLogger(__name__)

LONGEST = 2000
"""Characters of an unexpected error that are shown. The traceback has all of it."""


@dataclass(frozen=True)
class JobOutcome:
    """How one job ended."""

    overrides: tuple[str, ...]
    folder: Path | None = None  # of its record in the results; None if it never began to train
    written: bool = False  # whether that record is new
    error: str | None = None  # None if it completed or was interrupted
    interrupted: bool = False
    validation_accuracy: float | None = None  # of the weights that training ended with, which a search maximises

    def save(self, sweep: Path, number: int) -> None:
        """Write the outcome to the sweep's folder: jobs may run on other machines."""
        (sweep / OUTCOMES).mkdir(parents=True, exist_ok=True)
        path = sweep / OUTCOMES / f"{number}.json"
        with replacing(path) as temporary:  # a killed job leaves nothing that cannot be read
            temporary.write_text(json.dumps(asdict(self), default=str), encoding="utf-8")


def outcomes_of(sweep: Path) -> list[JobOutcome]:
    """The outcomes that the jobs of a sweep have left, in the order of the jobs."""
    ended = []
    files = [path for path in (sweep / OUTCOMES).glob("*.json") if path.stem.isdigit()]
    for path in sorted(files, key=lambda path: int(path.stem)):
        values = json.loads(path.read_text(encoding="utf-8"))
        folder = None if values["folder"] is None else Path(values["folder"])
        ended.append(JobOutcome(**{**values, "overrides": tuple(values["overrides"]), "folder": folder}))
    return ended


def attempt(config: RunConfig, overrides: Sequence[str], tracebacks: bool = False) -> JobOutcome:
    """Make the run. With `tracebacks`, errors come with theirs."""
    from benchmark.report.run_figures import draw_run  # --help and --cfg do not wait for pandas
    from benchmark.results.store import RECORD
    from benchmark.run import runner
    from benchmark.run.job import model_dir_of

    quiet_libraries()
    handle_signals()
    written: list[Run] = []
    error: BaseException | None = None
    with _logging_above_bars():
        try:
            run = runner.run(config, overrides, draw_run, written.append)
        except (Exception, KeyboardInterrupt) as ended:
            error = ended
    if error is None:
        folder = model_dir_of(config, run.record)
        if written and folder is not None and (folder / RECORD).is_file():
            _write_card(run, folder)
        accuracy = run.record.fit.validation_accuracy(config.recipe.keep) if run.record.fit else None
        return JobOutcome(tuple(overrides), run.folder, bool(written), validation_accuracy=accuracy)
    record = written[-1].folder if written else None
    if isinstance(error, KeyboardInterrupt):
        return JobOutcome(tuple(overrides), record, bool(written), interrupted=True)
    return JobOutcome(tuple(overrides), record, bool(written), _message(error, record, tracebacks))


def attempt_in_process(
    config: RunConfig, overrides: Sequence[str], tracebacks: bool, logging_config: Any
) -> JobOutcome:
    """Make the run in a process of its own. If that process is killed, the run is recorded as failed."""
    code, outcome = run_in_process(attempt, config, list(overrides), tracebacks, logging_config=logging_config)
    if code == INTERRUPTED:
        return replace(outcome or JobOutcome(tuple(overrides)), interrupted=True)
    if isinstance(outcome, JobOutcome):
        return outcome
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return _record_killed(config, overrides, how)


def _record_killed(config: RunConfig, overrides: Sequence[str], how: str) -> JobOutcome:
    """Write the failed record of a run whose process was killed."""
    from benchmark.run.failures import record_killed_run

    error = BenchmarkError(
        f"The run's process {how}.",
        "If the system ran out of memory (see its log), free some or use a smaller model. The same command continues "
        "from the last checkpoint, if there is one.",
    )
    written: list[Run] = []
    record_killed_run(config, overrides, error, written.append)
    return JobOutcome(tuple(overrides), written[-1].folder if written else None, bool(written), str(error))


def rebuild_reports(outcomes: Iterable[JobOutcome]) -> None:
    """Rebuild the report of every folder of results whose report is older than a record, or than what else it shows."""
    from benchmark.report.build import refresh
    from benchmark.results.store import results_dir_above

    for results_dir in {results_dir_above(outcome.folder) for outcome in outcomes if outcome.folder is not None}:
        refresh(results_dir)


def _write_card(run: "Run", folder: Path) -> None:
    """Write the model card of a kept model, or log a warning if its file cannot be written."""
    from benchmark.report.model_card import kept_card

    try:
        (folder / "README.md").write_text(kept_card(run), encoding="utf-8")
    except OSError as error:
        results, run_digest = run.results_dir, run.record.digest[:8]
        log.warning("the model's card could not be written (%s); python -m benchmark.report --results-dir %s "
                    "--model-card %s prints it", error, results, run_digest)  # fmt: skip


def _message(error: BaseException, record: Path | None, tracebacks: bool) -> str:
    if tracebacks:
        return "".join(traceback.format_exception(error))[-20_000:]
    if isinstance(error, BenchmarkError):
        return str(error)
    place = (
        f"{record}/record.json holds the traceback" if record is not None else "HYDRA_FULL_ERROR=1 shows the traceback"
    )
    return f"{type(error).__name__}: {str(error)[:LONGEST]} ({place})"


def _logging_above_bars() -> AbstractContextManager[None]:
    """Write log lines above a progress bar, where there is one."""
    if not sys.stderr.isatty():
        return nullcontext()
    from tqdm.contrib.logging import logging_redirect_tqdm

    redirected: AbstractContextManager[None] = logging_redirect_tqdm()
    return redirected
