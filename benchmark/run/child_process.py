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
        except KeyboardInterrupt:
            interrupted = True
            process.terminate()
            returned = returned or _receive(receiver, process)
            process.join()
        except SystemExit:  # submitit ends a job that is queued again
            process.terminate()
            _receive(receiver, process)
            process.join()
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
    return forked.Process(target=target, args=args)


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
    _end_with_parent()
    os.environ.update(environment)  # the server has those of the first job, but Hydra can set them per job
    configure_log(OmegaConf.create(logging_config))
    try:
        sender.send(job(*arguments))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _end_with_parent() -> None:
    """Send SIGTERM to this process when the process of the sweep has ended."""

    def watch() -> None:
        sweep = multiprocessing.parent_process()
        assert sweep is not None
        sweep.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
