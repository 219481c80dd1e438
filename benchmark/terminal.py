"""What commands have in common: how they end, quiet libraries, and an option."""

import argparse
import errno
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeGuard

from benchmark.errors import BenchmarkError

INTERRUPTED = 130  # 128 + SIGINT, as in shells
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
"""Error numbers of missing permissions, a read-only file system and a full disk."""


@contextmanager
def exit_on_error(tracebacks: bool = False) -> Iterator[None]:
    """End the process if the block raises an error.

    A `BenchmarkError` prints its message and exits with 1, an interrupt exits with 130. A closed pipe, as after
    `| head`, exits with 0 and prints nothing. A file that the system refuses to open is named and exits with 1, unless
    `tracebacks` are asked for. Other errors are raised.
    """
    try:
        yield
        sys.stdout.flush()
    except BenchmarkError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would fail again at exit
        sys.exit(0)
    except OSError as error:
        if tracebacks or not is_refused(error):
            raise
        sys.exit(f"{error.filename} cannot be opened ({error.strerror}).")


def is_refused(error: Exception) -> TypeGuard[OSError]:
    """Whether the system refuses to open a file that `error` names."""
    return isinstance(error, OSError) and error.filename is not None and error.errno in REFUSED


def handle_signals() -> None:
    """Turn SIGTERM and SIGINT into `KeyboardInterrupt`; after the first, both are ignored until the process ends."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, _ignore)
    signal.signal(signal.SIGINT, _ignore)
    raise KeyboardInterrupt(f"signal {signal.Signals(number).name}")


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing. With SIG_IGN in its place, Python prints a traceback if the second signal has arrived already."""


def quiet_libraries() -> None:
    """Keep log lines and warnings of libraries off the terminal.

    Sets `TOKENIZERS_PARALLELISM`, unless the user did, and `logging.raiseExceptions` of this process.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.raiseExceptions = False  # no message about log lines that nobody reads, as after `| head`
    for name in ("httpx", "httpx2", "filelock", "urllib3", "fsspec", "matplotlib"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings(
        "ignore", message="Could not find a config file"
    )  # from peft, with weights from a GGUF file


def add_results_dir(parser: argparse.ArgumentParser) -> None:
    """Add the option --results-dir, also as results_dir=DIR, the way of `python -m benchmark`."""
    parser.add_argument(
        "override", nargs="?", metavar="results_dir=DIR", type=_results_dir, help="folder with the runs"
    )
    parser.add_argument("--results-dir", type=Path, help="the same (default: results)")


def results_dir_of(arguments: argparse.Namespace) -> Path:
    return Path(arguments.results_dir or arguments.override or "results")


def _results_dir(text: str) -> Path:
    option, _, folder = text.partition("=")
    if folder[:1] in ("'", '"') and folder[0] == folder[-1]:  # Hydra's quotes
        folder = folder[1:-1]
    if option != "results_dir" or not folder:
        raise argparse.ArgumentTypeError(f"{text} is not understood; write results_dir=DIR")
    return Path(folder)
