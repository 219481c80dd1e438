"""A function in a process of its own: each job of a sweep, so that one that is killed does not stop the sweep.

On Linux without a GPU the processes are forked from a server that has imported the libraries once.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from hydra.core.utils import configure_log
from omegaconf import OmegaConf

from benchmark.terminal import INTERRUPTED

LIBRARIES = [
    "transformers.trainer",
    "peft",
    "datasets",
    "sklearn.linear_model",
    "benchmark.command",
    "benchmark.run.runner",
    "benchmark.report.run_figures",
]
"""What most jobs import. Importing them starts no threads, so the process can be forked afterwards."""

ENDING_SIGNALS = {signal.SIGINT, signal.SIGTERM}
GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # NVIDIA; any GPU in WSL; AMD


def run_in_process(job: Callable[..., Any], *arguments: Any, logging_config: Any) -> tuple[int, Any]:
    """Call `job` in a process of its own; returns its exit code and what `job` returned, or None.

    The code is negative if a signal killed the process, and `INTERRUPTED` if this process was interrupted.
    """
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = _process(target=_in_child, args=(job, arguments, logging_config, dict(os.environ), sender))
    process.start()
    sender.close()
    interrupted, returned = False, None
    with receiver:
        try:
            returned = _receive(receiver, process)
            process.join()
        except (KeyboardInterrupt, SystemExit) as ended:
            interrupted = True
            process.terminate()
            returned = returned or _receive(receiver, process)
            process.join()
            if isinstance(ended, SystemExit):  # submitit ends a job that is queued again
                raise
    return INTERRUPTED if interrupted else process.exitcode or 0, returned


def _receive(receiver: Connection, process: BaseProcess) -> Any:
    """What the process sends before it ends, or None. A long message must be read before the process can end."""
    wait([receiver, process.sentinel])
    with suppress(EOFError, OSError):  # OSError: killed while it was sending
        if receiver.poll():
            return receiver.recv()
    return None


def _process(target: Callable[..., None], args: tuple[Any, ...]) -> BaseProcess:
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn").Process(target=target, args=args)
    forked = multiprocessing.get_context("forkserver")
    forked.set_forkserver_preload(_modules_to_preload())
    _start_server()
    return forked.Process(target=target, args=args)


def _start_server() -> None:
    """Start the fork server unless it runs, with the signals blocked that end a sweep.

    Ctrl-C, and SIGTERM to the group of processes, reach it too. It must still wait for the job, and ends with this
    process.
    """
    resource_tracker.ensure_running()  # starting it would unblock the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _modules_to_preload() -> list[str]:
    """The modules that the server imports: none if there is a GPU.

    With flash-attn installed, importing transformers initialises CUDA, which then fails in forked processes.
    """
    return [] if any(Path(device).exists() for device in GPU_DEVICES) else LIBRARIES


def _in_child(
    job: Callable[..., Any],
    arguments: tuple[Any, ...],
    logging_config: Any,
    environment: dict[str, str],
    sender: Connection,
) -> None:
    """Call `job` in the new process, and send what it returns."""
    try:
        if sys.platform == "linux":
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
        _end_with_parent()
        os.environ.update(environment)  # the server has those of the first job, but Hydra can set them per job
        configure_log(OmegaConf.create(logging_config))
        returned = job(*arguments)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    with suppress(BrokenPipeError):  # the process of the sweep was killed
        sender.send(returned)


def _end_with_parent() -> None:
    """Send SIGTERM to this process when the process of the sweep has ended."""

    def watch() -> None:
        sweep = multiprocessing.parent_process()
        assert sweep is not None
        sweep.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
