"""Runs whose times are not comparable, because other jobs used the same device.

New records say so themselves (`Environment.device_shared`). Older ones cannot be changed, so `results/shared_times.txt`
lists their digests, one per line; a line that starts with `#` is a comment.
"""

import re
from pathlib import Path

from benchmark.errors import BenchmarkError

FILE = "shared_times.txt"


def read_shared_times(results_dir: Path) -> frozenset[str]:
    """The digests in the list of `results_dir`; empty if there is no list."""
    path = results_dir / FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return frozenset()
    digests = set()
    for number, line in enumerate(map(str.strip, lines), start=1):
        if re.fullmatch(r"[0-9a-f]{64}", line):
            digests.add(line)
        elif line and not line.startswith("#"):
            raise BenchmarkError(
                f"{path}, line {number}: {line!r} is not the digest of a run.",
                "Write the 64 digits of `digest` in the run's record.json, or start the line with #.",
            )
    return frozenset(digests)
