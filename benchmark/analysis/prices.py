"""What machines and electricity cost, as `conf/prices.yaml` states it."""

import re
from dataclasses import dataclass
from math import inf
from pathlib import Path

import yaml

from benchmark.config import CONF_DIR
from benchmark.errors import BenchmarkError

FILE = CONF_DIR / "prices.yaml"


@dataclass(frozen=True)
class Prices:
    """Prices in US dollars. `per_hour` has the name of a machine as tables write hardware, or a part of it."""

    per_hour: dict[str, float]
    per_kwh: float

    def dollars_per_hour(self, hardware: str) -> float | None:
        """The dollars per hour of the first machine whose name is part of `hardware`, or None."""
        machines = (name for name in self.per_hour if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", hardware))
        return self.per_hour.get(next(machines, ""))


def read_prices(path: Path = FILE) -> Prices:
    """Read the prices in a file. Raises `BenchmarkError` for a missing file or entry, or a value that is no price."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        prices = {str(name): machine["dollars_per_hour"] for name, machine in content["machines"].items()}
        per_kwh = content["electricity"]["dollars_per_kwh"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise BenchmarkError(
            f"{path} does not state the prices ({type(error).__name__}: {' '.join(str(error).split())}).",
            "Restore it: it needs machines with dollars_per_hour, and electricity with dollars_per_kwh.",
        ) from error
    for name, price in {**prices, "electricity": per_kwh}.items():
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 < price < inf:
            raise BenchmarkError(f"{path}, {name}: {price!r} is not a price.", "Write a number above 0.")
    return Prices(prices, per_kwh)
