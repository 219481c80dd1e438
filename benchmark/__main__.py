"""`python -m benchmark`: compose the configuration, run it, show the results."""

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from operator import itemgetter
from pathlib import Path

import hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from benchmark.command import JobOutcome, attempt, attempt_in_process, outcomes_of, rebuild_reports
from benchmark.config import CONF_DIR
from benchmark.configuration.compose import explain_refusal, from_hydra
from benchmark.configuration.overrides import REFUSALS, check_named, with_groups
from benchmark.errors import BenchmarkError
from benchmark.run import process_group
from benchmark.run.sweep_folder import SweepFolder
from benchmark.terminal import INTERRUPTED, exit_on_error, handle_signals, is_refused, quiet_libraries

FULL_ERROR = "HYDRA_FULL_ERROR"
"""The environment variable that shows tracebacks if it is 1. Hydra raises errors if it is 1, and else prints them."""
TRACEBACKS = os.environ.get(FULL_ERROR) == "1"

WITH_VALUE = {"--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--package", "-p"}
"""Hydra's options whose value is the next word."""

UNSEARCHABLE = (
    "This run trained no network, so it has no validation accuracy to search for. Choose a model that is trained by "
    "gradient descent, such as minilm, without model.train=false and model.adapter."
)

log = logging.getLogger(__name__)


def job(values: DictConfig, outcomes: list[JobOutcome]) -> float | None:
    """One job: the run of a plain command, or one run of a sweep. Returns the validation accuracy.

    How it ended is added to `outcomes`, or for a sweep written to its folder. Exits at the first trial of a search over
    a model without a validation accuracy.
    """
    hydra_config = HydraConfig.get()
    os.chdir(hydra_config.runtime.cwd)  # paths mean the same with hydra.job.chdir=true
    added = [source.path for source in hydra_config.runtime.config_sources if source.provider == "command-line"]
    overrides = [*(f"--config-dir={folder}" for folder in added), *hydra_config.overrides.task]
    if process_group.is_follower():
        quiet_libraries()
        handle_signals()
        process_group.follow(from_hydra(values))
        return None
    outcome = _outcome(values, hydra_config, overrides)
    searched = hydra_config.runtime.choices.get("hydra/sweeper") == "optuna"
    unsearchable = (
        searched and not outcome.interrupted and outcome.error is None and outcome.validation_accuracy is None
    )
    if unsearchable:
        outcome = replace(outcome, error=UNSEARCHABLE)
    if hydra_config.mode is RunMode.MULTIRUN:
        outcome.save(Path(hydra_config.sweep.dir), hydra_config.job.num)
        if outcome.error is not None:
            log.info("this run failed; the reason follows at the end")
    else:
        outcomes.append(outcome)
    if outcome.interrupted:
        raise KeyboardInterrupt
    if unsearchable and SweepFolder.path is not None:  # not in the process of a launcher
        sys.exit(UNSEARCHABLE)
    return outcome.validation_accuracy


def _outcome(values: DictConfig, hydra_config: HydraConf, overrides: list[str]) -> JobOutcome:
    if hydra_config.mode is RunMode.MULTIRUN:
        process_group.check_one_run()
    try:
        config = from_hydra(values)
    except BenchmarkError as error:
        return JobOutcome(tuple(overrides), error=str(error))
    if hydra_config.mode is not RunMode.MULTIRUN:
        return attempt(config, overrides, TRACEBACKS)
    handle_signals()
    logging_config = OmegaConf.to_container(hydra_config.job_logging, resolve=True)
    return attempt_in_process(config, overrides, TRACEBACKS, logging_config)


def main() -> None:
    """Make the runs that the command line asks for, show their results, and exit with 1 if one failed."""
    sys.argv[1:] = overrides_last(sys.argv[1:])
    outcomes: list[JobOutcome] = []
    interrupted = False
    ended_early: BenchmarkError | None = None
    with exit_on_error(TRACEBACKS):
        if "LOCAL_RANK" in os.environ:  # of torchrun or accelerate launch
            process_group.join()
        try:
            _compose_and_run(outcomes)
        except KeyboardInterrupt:
            interrupted = True
        except SystemExit as ended:
            if SweepFolder.path is None or ended.code != UNSEARCHABLE:  # of Hydra's parser or of a launcher
                raise
        except BenchmarkError as error:
            if SweepFolder.path is None:
                raise
            ended_early = error
        if SweepFolder.path is not None:
            outcomes.extend(outcomes_of(SweepFolder.path))
        sys.stdout.flush()
        _show(outcomes, interrupted, ended_early)


def overrides_last(words: Sequence[str]) -> list[str]:
    """The command line with its overrides behind its options, because Hydra's parser reads overrides in one place."""
    return [word for _, word in sorted(_marked(words), key=itemgetter(0))]


def _marked(words: Sequence[str]) -> list[tuple[bool, str]]:
    """The words of a command line, each with whether it is an override."""
    return [
        (not word.startswith("-") and ("=" in word or word.startswith("~")) and before not in WITH_VALUE, word)
        for before, word in pairwise(("", *words))
    ]


def _compose_and_run(outcomes: list[JobOutcome]) -> None:
    os.environ[FULL_ERROR] = "1"
    overrides = [word for is_override, word in _marked(sys.argv[1:]) if is_override]
    check_named(overrides)
    sys.argv[1:] = with_groups(sys.argv[1:])

    @hydra.main(config_path=str(CONF_DIR), config_name="config", version_base="1.3")
    def hydra_job(values: DictConfig) -> float | None:
        return job(values, outcomes)

    try:
        hydra_job()
    except REFUSALS as error:
        if TRACEBACKS:
            raise
        raise explain_refusal(error, overrides) from error
    except BenchmarkError:
        raise
    except Exception as error:
        if TRACEBACKS:
            raise
        if SweepFolder.path is not None:
            raise BenchmarkError(
                f"The sweep ended early: {type(error).__name__}: {' '.join(str(error).split())[:300]}",
                f"Read the logs in {SweepFolder.path}. The same command continues: finished runs are not repeated.",
            ) from error
        if not is_refused(error) or os.access(error.filename, os.F_OK):
            raise
        raise BenchmarkError(
            f"{error.filename} cannot be written ({error.strerror}).",
            "Hydra's logs go to outputs/: run in a folder that can be written, or set hydra.run.dir and "
            "hydra.sweep.dir.",
        ) from error


def _show(outcomes: list[JobOutcome], interrupted: bool, ended_early: BenchmarkError | None) -> None:
    """Show the results of this command, then what went wrong, and exit accordingly."""
    recorded = {outcome.folder: outcome.written for outcome in outcomes if outcome.folder is not None}
    if recorded:
        from benchmark.report.terminal_leaderboard import show_runs  # --help does not wait for pandas

        rebuild_reports(outcomes)
        show_runs(recorded)
    sys.stdout.flush()
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if failed:
        sys.stderr.write(f"\n{errors_of(failed, outcomes)}\n")
    if interrupted:
        sys.stderr.write("\nInterrupted. The same command continues from the last checkpoint, if there is one.\n")
        sys.exit(INTERRUPTED)
    if ended_early is not None:
        raise ended_early
    sys.exit(1 if failed else 0)


def errors_of(failed: list[JobOutcome], jobs: list[JobOutcome]) -> str:
    """The error of a run, or each error of a sweep with the overrides that distinguish the jobs it ended."""
    if len(jobs) == 1:
        return str(failed[0].error)
    shared = set.intersection(*(set(job.overrides) for job in jobs))
    named: dict[str, list[str]] = {}
    for outcome in failed:
        words = [word for word in outcome.overrides if word not in shared]
        named.setdefault(str(outcome.error), []).append(" ".join(words))
    lines = [f"  {', '.join(runs)}: {error}" for error, runs in named.items()]
    return "\n".join([f"{len(failed)} of {len(jobs)} runs failed:", *lines])


if __name__ == "__main__":
    main()
