"""`python -m benchmark`: compose the configuration, run it, show the results."""

import logging
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from benchmark.command import Outcome, attempt, attempt_in_process
from benchmark.config import CONF_DIR
from benchmark.errors import BenchmarkError
from benchmark.run.compose import from_hydra, refused
from benchmark.run.overrides import REFUSALS, check_named, with_groups
from benchmark.run.sweep import handle_signals
from benchmark.terminal import INTERRUPTED, plain_endings

FULL_ERROR = "HYDRA_FULL_ERROR"
"""The environment variable that shows tracebacks if it is 1. Hydra raises errors if it is 1, and else prints them."""
TRACEBACKS = os.environ.get(FULL_ERROR) == "1"

WITH_VALUE = {"--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--package", "-p"}
"""Hydra's options whose value is the next word."""

log = logging.getLogger(__name__)
outcomes: list[Outcome] = []
"""How the jobs of this command ended."""


@hydra.main(config_path=str(CONF_DIR), config_name="config", version_base="1.3")
def job(values: DictConfig) -> None:
    """One job: the run of a plain command, or one run of a sweep."""
    hydra_config = HydraConfig.get()
    os.chdir(hydra_config.runtime.cwd)  # paths mean the same with hydra.job.chdir=true
    added = [source.path for source in hydra_config.runtime.config_sources if source.provider == "command-line"]
    overrides = [*(f"--config-dir={folder}" for folder in added), *hydra_config.overrides.task]
    try:
        config = from_hydra(values)
    except BenchmarkError as error:
        outcomes.append(Outcome(tuple(overrides), error=str(error)))
        return
    if hydra_config.mode is RunMode.MULTIRUN:
        handle_signals()
        logging_config = OmegaConf.to_container(hydra_config.job_logging, resolve=True)
        outcome = attempt_in_process(config, overrides, TRACEBACKS, logging_config)
    else:
        outcome = attempt(config, overrides, TRACEBACKS)
    outcomes.append(outcome)
    if outcome.error is not None and hydra_config.mode is RunMode.MULTIRUN:
        log.info("this run failed; the reason follows at the end")
    if outcome.interrupted:
        raise KeyboardInterrupt


def main() -> None:
    if os.environ.get("WORLD_SIZE", "1") != "1":  # several processes would wait for each other's lock of the run
        sys.exit(
            "A run is one process on one device. Start it with `python -m benchmark`, not with torchrun or accelerate."
        )
    sys.argv[1:] = overrides_last(sys.argv[1:])
    interrupted = False
    with plain_endings():
        try:
            _compose_and_run()
        except KeyboardInterrupt:
            interrupted = True
        sys.stdout.flush()
        _show(interrupted)


def overrides_last(words: Sequence[str]) -> list[str]:
    """The command line with its overrides behind its options, because Hydra's parser reads overrides in one place."""
    overrides = [
        not word.startswith("-") and ("=" in word or word.startswith("~")) and before not in WITH_VALUE
        for before, word in pairwise(("", *words))
    ]
    return [word for _, word in sorted(zip(overrides, words, strict=True), key=itemgetter(0))]


def _compose_and_run() -> None:
    os.environ[FULL_ERROR] = "1"
    overrides = [word for word in sys.argv[1:] if "=" in word and not word.startswith("-")]
    check_named(overrides)
    sys.argv[1:] = with_groups(sys.argv[1:])
    try:
        job()
    except REFUSALS as error:
        if TRACEBACKS:
            raise
        raise refused(error, overrides) from error


def _show(interrupted: bool) -> None:
    """Show the results of this command, then what went wrong, and exit accordingly."""
    recorded = {outcome.folder: outcome.written for outcome in outcomes if outcome.folder is not None}
    if recorded:
        from benchmark.report.terminal import show_runs  # --help does not wait for pandas

        show_runs(recorded)
    sys.stdout.flush()
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if failed:
        sys.stderr.write(f"\n{errors_of(failed, len(outcomes))}\n")
    if interrupted:
        sys.stderr.write("\nInterrupted. The same command continues from the last checkpoint, if there is one.\n")
        sys.exit(INTERRUPTED)
    sys.exit(1 if failed else 0)


def errors_of(failed: list[Outcome], jobs: int) -> str:
    """The error of a run, or each error of a sweep with the overrides that distinguish the jobs it ended."""
    if jobs == 1:
        return str(failed[0].error)
    shared = set.intersection(*(set(outcome.overrides) for outcome in outcomes))
    named: dict[str, list[str]] = {}
    for outcome in failed:
        words = [word for word in outcome.overrides if word not in shared]
        named.setdefault(str(outcome.error), []).append(" ".join(words))
    lines = [f"  {', '.join(runs)}: {error}" for error, runs in named.items()]
    return "\n".join([f"{len(failed)} of {jobs} runs failed:", *lines])


if __name__ == "__main__":
    main()
