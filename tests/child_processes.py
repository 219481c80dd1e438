"""Runs in processes of their own, which tests kill, stop or starve."""

import logging
import multiprocessing
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

from factories import COMMAND, SMALL, variables

from benchmark import command
from benchmark.config import RunConfig
from benchmark.errors import BenchmarkError
from benchmark.results import store
from benchmark.results.store import Run
from benchmark.run import runner
from benchmark.run.child_process import ENDING_SIGNALS
from benchmark.terminal import INTERRUPTED

STEPS = 50
PRELOADED = ["transformers", "benchmark.command", "benchmark.run.runner", "benchmark.report.build", "baselines.encoder"]
PROCESSES = multiprocessing.get_context("forkserver")  # its children start with torch already imported
PROCESSES.set_forkserver_preload([*PRELOADED, "baselines.decoder", "baselines.tfidf", "baselines.majority"])


def attempt(config: RunConfig, tables: bool) -> None:
    """In a child process: as the command line does, or without rebuilding the tables. Logs to `log.txt`."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)  # blocked in a server that a sweep started
    folder = Path(config.results_dir).parent
    folder.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=folder / "log.txt", level=logging.INFO, force=True)
    try:
        if not tables:
            runner.run(config)
            return
        outcome = command.attempt(config, [])
        command.rebuild_reports([outcome])
        logging.error("%s", outcome.error)
    except BenchmarkError:
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(INTERRUPTED if outcome.interrupted else outcome.error is not None)


def start(config: RunConfig, tables: bool = True) -> BaseProcess:
    process = PROCESSES.Process(target=attempt, args=(config, tables))
    process.start()
    return process


def exit_code(config: RunConfig) -> int | None:
    process = start(config)
    process.join()
    return process.exitcode


def finish(config: RunConfig) -> Run:
    process = start(config, tables=False)
    process.join()
    assert process.exitcode == 0, log_of(config)
    (run,) = store.read_all(Path(config.results_dir))
    return run


def log_of(config: RunConfig) -> str:
    return (Path(config.results_dir).parent / "log.txt").read_text()


def moved_to(config: RunConfig, folder: Path) -> RunConfig:
    return replace(config, results_dir=str(folder / "results"), checkpoints_dir=str(folder / "checkpoints"))


def predictions_of(run: Run) -> bytes:
    return (run.folder / "predictions.parquet").read_bytes()


def killed_when(process: BaseProcess, reached: Callable[[], bool]) -> bool:
    """Kill the process when `reached` becomes true; return whether it was still running."""
    while process.is_alive():
        if reached():
            process.kill()
            process.join()
            return process.exitcode == -signal.SIGKILL
    return False


def start_command(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    places = [f"results_dir={folder}/results", f"checkpoints_dir={folder}/checkpoints"]
    places += [f"hydra.run.dir={folder}/run", f"hydra.sweep.dir={folder}/sweep-{random.random()}"]
    return subprocess.Popen(
        [*COMMAND, *arguments, *SMALL, *places],
        env=variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that a test can signal its group
    )


def current_job(sweep: int) -> int | None:
    """The process of a sweep's current job: the only child of the fork server."""
    server = server_of(sweep)
    assert server is not None
    jobs = children_of(server)
    return jobs[0] if jobs else None


def server_of(sweep: int) -> int | None:
    """The process from which the jobs of a sweep are forked."""
    servers = [pid for pid in children_of(sweep) if "forkserver" in Path(f"/proc/{pid}/cmdline").read_text()]
    return servers[0] if servers else None


def children_of(process: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
