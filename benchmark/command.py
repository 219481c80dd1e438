"""One job of `python -m benchmark`: run a configuration, then rebuild the report."""

import logging
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.errors import CompactHydraException

from benchmark.config import RunConfig
from benchmark.errors import BenchmarkError
from benchmark.run.sweep import handle_signals, in_process, quiet_libraries
from benchmark.terminal import INTERRUPTED

log = logging.getLogger(__name__)


class Stopped(CompactHydraException):
    """A run failed; Hydra prints the message alone and exits with code 1."""


def attempt(config: RunConfig, overrides: Sequence[str]) -> None:
    """Run the configuration and rebuild the report in any case; raises `Stopped` if the run failed."""
    from benchmark.report.build import refresh  # --help and --cfg do not wait for pandas
    from benchmark.report.run_figures import draw_run
    from benchmark.run import runner

    quiet_libraries()
    handle_signals()
    try:
        runner.run(config, overrides, draw_run)
    except BenchmarkError as error:
        log.error("%s failed: %s", config.model.name, error)
        raise Stopped(str(error)) from None
    except Exception as error:
        log.exception("%s failed", config.model.name)
        raise Stopped(f"{type(error).__name__}: {error}") from None
    finally:
        refresh(Path(config.results_dir))


def attempt_in_process(config: RunConfig, overrides: Sequence[str], logging_config: Any) -> None:
    """`attempt` in a process of its own. If that process is killed, the run is recorded as failed."""
    code = in_process(attempt, config, list(overrides), logging_config=logging_config)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code < 0:
        record_killed(config, overrides, signal.Signals(-code).name)
    if code != 0:
        raise Stopped(f"{config.model.name} failed; its error is shown above.")


def record_killed(config: RunConfig, overrides: Sequence[str], cause: str) -> None:
    """Write the failed record of a run whose process was killed."""
    from benchmark.report.build import refresh
    from benchmark.run import runner

    error = BenchmarkError(
        f"The run's process was killed by {cause}.",
        "If the system ran out of memory (see its log), free some or use a smaller model. The same command continues "
        "from the last checkpoint, if there is one.",
    )
    log.error("%s failed: %s", config.model.name, error)
    runner.record_failure(config, overrides, error)
    refresh(Path(config.results_dir))
