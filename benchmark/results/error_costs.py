"""What each error costs a user: `results/error_costs.csv`.

It has a row for each gold label, which is in the first column, and a column for each predicted label. Costs are numbers
of 0 or more in any unit. Without the file every error costs 1.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.errors import BenchmarkError

FILE = "error_costs.csv"
FIX = "Write a header with the labels, and for each label a row with its name and one number of 0 or more per label."


def read_error_costs(results_dir: Path) -> pd.DataFrame | None:
    """The costs by gold label (index) and predicted label (columns); None if there is no file.

    Raises `BenchmarkError` for what is no cost, and unless rows and columns have the same labels, each once.
    """
    path = results_dir / FILE
    if not path.is_file():
        return None
    try:
        written = pd.read_csv(path, index_col=0, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"{path} cannot be read ({error}).", FIX) from error
    written = written.rename(index=str.strip, columns=str.strip)
    if not written.index.is_unique or sorted(map(str, written.index)) != sorted(map(str, written.columns)):
        raise BenchmarkError(f"{path} does not have exactly one row and one column per label.", FIX)
    costs: pd.DataFrame = written.apply(pd.to_numeric, errors="coerce").astype(float)
    for gold, predicted in zip(*np.nonzero(~((costs >= 0) & (costs < np.inf)).to_numpy()), strict=True):
        cell = written.iloc[gold, predicted]
        raise BenchmarkError(f"{path}, row {written.index[gold]}: {cell!r} is not a cost.", FIX)
    return costs
