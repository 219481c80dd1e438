"""How every command ends: with a message instead of a traceback, and with an exit code."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmark.errors import BenchmarkError

INTERRUPTED = 130  # 128 + SIGINT, as in shells


@contextmanager
def plain_endings() -> Iterator[None]:
    """A `BenchmarkError` in the block ends the process with its message and code 1, an interrupt with code 130."""
    try:
        yield
    except BenchmarkError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(INTERRUPTED)
