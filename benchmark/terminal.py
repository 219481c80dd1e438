"""How every command ends: an error as one sentence, an interrupt without a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmark.errors import BenchmarkError

INTERRUPTED = 130  # as shells count an interrupt


@contextmanager
def plain_endings() -> Iterator[None]:
    """A `BenchmarkError` within ends the process with its sentence and code 1, an interrupt with code 130."""
    try:
        yield
    except BenchmarkError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(INTERRUPTED)
