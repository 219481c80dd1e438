"""What each error costs a user: `results/error_costs.csv`, with a row for each gold label and a column for each answer.

The first column has the gold labels. Costs are numbers of 0 or more in any unit. Without the file every error costs 1.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmark.errors import BenchmarkError

FILE = "error_costs.csv"
FIX = "Write a header with the labels, and for each label a row with its name and one number of 0 or more per label."


@dataclass(frozen=True, eq=False)
class ErrorCosts:
    """Costs by gold label (rows) and answered label (columns), both in the order of `labels`."""

    labels: tuple[str, ...]
    costs: npt.NDArray[np.float64]

    def in_order(self, labels: tuple[str, ...]) -> npt.NDArray[np.float64] | None:
        """The costs in the order of these labels; None if the labels are others."""
        if sorted(labels) != sorted(self.labels):
            return None
        places = [self.labels.index(label) for label in labels]
        return self.costs[np.ix_(places, places)]


def read_error_costs(results_dir: Path) -> ErrorCosts | None:
    """The costs in the file of `results_dir`; None if there is none. Raises `BenchmarkError` for what is no cost."""
    path = results_dir / FILE
    try:
        header, *rows = [row for row in csv.reader(path.read_text(encoding="utf-8-sig").splitlines()) if row]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, csv.Error) as error:
        raise BenchmarkError(f"{path} cannot be read ({error}).", FIX) from error
    labels = tuple(label.strip() for label in header[1:])
    costs = {row[0].strip(): [_cost(path, row[0], cell) for cell in row[1:]] for row in rows}
    square = all(len(values) == len(labels) for values in costs.values())
    if len(set(labels)) != len(labels) or sorted(costs) != sorted(labels) or len(rows) != len(labels) or not square:
        raise BenchmarkError(f"{path} has not one row and one column for each label.", FIX)
    return ErrorCosts(labels, np.array([costs[label] for label in labels]))


def _cost(path: Path, label: str, cell: str) -> float:
    try:
        cost = float(cell)
    except ValueError:
        cost = math.nan
    if not 0 <= cost < math.inf:
        raise BenchmarkError(f"{path}, row {label}: {cell!r} is not a cost.", FIX)
    return cost
