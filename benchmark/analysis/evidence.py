"""Everything that tables and figures are computed from."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.errors import BenchmarkError
from benchmark.results.catalogue import Contestant, read_contestants
from benchmark.results.store import Run, read_all


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that tables and figures may draw on: the runs made, the contestants there are, the speeds measured.

    Compared by identity, so that what several tables derive from it can be cached.
    """

    runs: list[Run]
    contestants: dict[str, Contestant]
    speeds: list[dict[str, Any]] = field(default_factory=list)


def read_evidence(results_dir: Path) -> Evidence:
    return Evidence(read_all(results_dir), read_contestants(), read_speeds(results_dir))


def read_speeds(results_dir: Path) -> list[dict[str, Any]]:
    """What `python -m benchmark.speed` wrote, by hardware and model."""
    speeds = []
    for path in sorted((results_dir / "speed").glob("*/*.json")):
        try:
            speeds.append(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise BenchmarkError(f"{path} is not JSON ({error}); restore it or measure again.") from error
    return speeds
