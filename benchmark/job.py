"""One job of a command: a run with its errors told, and within a sweep in a process of its own.

A process that dies (killed by the system for its memory, crashed in native code) then takes nothing with it:
the sweep notes the failure and goes on. On Linux the processes are forked from a server that has imported the
libraries once, if there is no GPU: each job would spend some seconds on that, also one that finds its run already
finished.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.core.utils import configure_log
from hydra.errors import CompactHydraException
from omegaconf import OmegaConf

from benchmark.classifier import BenchmarkError
from benchmark.config import RunConfig
from benchmark.terminal import INTERRUPTED

log = logging.getLogger(__name__)

LIBRARIES = [
    "transformers.trainer",
    "peft",
    "datasets",
    "sklearn.linear_model",
    "benchmark.runner",
    "benchmark.report",
    "benchmark.figures",
]
"""What every job needs or may need; importing them starts no threads, as forking demands."""

GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # NVIDIA's; under Windows' Linux; AMD's


class Stopped(CompactHydraException):
    """A failed run, shown by Hydra as its one sentence and exit code 1."""


def attempt(config: RunConfig, overrides: Sequence[str]) -> None:
    """Run, and rebuild the tables whatever came of it; raises `Stopped` with what went wrong."""
    from benchmark import report, runner  # --help and --cfg need neither

    quiet_libraries()
    heed_signals()
    try:
        runner.run(config, overrides)
    except BenchmarkError as error:
        log.error("%s failed: %s", config.model.name, error)
        raise Stopped(str(error)) from None
    except Exception as error:
        log.exception("%s failed", config.model.name)
        raise Stopped(f"{type(error).__name__}: {error}") from None
    finally:
        report.refresh(config.results_dir)


def attempt_apart(config: RunConfig, overrides: Sequence[str], logging_config: Any) -> None:
    """`attempt` in a process of its own; if that dies, the run is recorded as failed here."""
    process = _process(target=_in_child, args=(config, list(overrides), logging_config, dict(os.environ)))
    process.start()
    try:
        process.join()
    except KeyboardInterrupt:
        process.terminate()
        process.join()
        raise
    code = process.exitcode or 0
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code < 0:
        _bury(config, overrides, signal.Signals(-code).name)
    if code != 0:
        raise Stopped(f"{config.model.name} failed, see above")


def _process(target: Callable[..., None], args: tuple[Any, ...]) -> BaseProcess:
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn").Process(target=target, args=args)
    forked = multiprocessing.get_context("forkserver")
    forked.set_forkserver_preload(_preloaded())
    return forked.Process(target=target, args=args)


def _preloaded() -> list[str]:
    """Nothing where there is a GPU: with flash-attn installed transformers asks for one while it is imported.

    After that no forked process can use it.
    """
    return [] if any(Path(device).exists() for device in GPU_DEVICES) else LIBRARIES


def _in_child(config: RunConfig, overrides: list[str], logging_config: Any, environment: dict[str, str]) -> None:
    _end_with_the_sweep()
    os.environ.update(environment)  # the server's is that of the first job; Hydra can set variables for each
    configure_log(OmegaConf.create(logging_config))
    try:
        attempt(config, overrides)
    except Stopped:
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _bury(config: RunConfig, overrides: Sequence[str], cause: str) -> None:
    from benchmark import report, runner

    error = BenchmarkError(
        f"The run's process was killed by {cause}; if the system's memory ran out (see its log), "
        "free some or take a smaller model; the same command continues from the last checkpoint, if there is one yet."
    )
    log.error("%s failed: %s", config.model.name, error)
    runner.record_failure(config, overrides, error)
    report.refresh(config.results_dir)


def heed_signals() -> None:
    """Both ways to ask for an end write an interrupted record; while it is written, further ones are ignored."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt(f"signal {signal.Signals(number).name}")


def _end_with_the_sweep() -> None:
    """Ask for an end, as by SIGTERM, once the sweep's process is gone."""

    def watch() -> None:
        sweep = multiprocessing.parent_process()
        assert sweep is not None
        sweep.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def quiet_libraries() -> None:
    """Keep the terminal for the run's own story."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for name in ("httpx", "httpx2", "filelock", "urllib3", "fsspec", "matplotlib"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message="Could not find a config file")  # peft, of weights from a GGUF file
