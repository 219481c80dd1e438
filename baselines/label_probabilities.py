"""The probability of each label in a row of a file: one column p_<label> per label, named by any form of the label."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from benchmark.errors import BenchmarkError
from benchmark.files import FileRow
from benchmark.interface import normalized_label


def probability_column(label: str) -> str:
    """The name of the column, in the form of `normalized_label`."""
    return f"p_{normalized_label(label)}"


def read_label_probabilities(row: FileRow, labels: Sequence[str]) -> npt.NDArray[np.float64]:
    """The probabilities in the order of the labels, (labels,), divided by their sum, which may differ by rounding.

    Raises `BenchmarkError` for a missing column, and for values that are not from 0 to 1 with the sum 1.
    """
    given = {normalized_label(column): value for column, value in row.values.items()}
    try:
        values = np.array([float(given[probability_column(label)]) for label in labels])
    except KeyError as error:
        raise BenchmarkError(f"{row.location} has no {error.args[0]}.", "Give the p_<label> of every label.") from error
    except (TypeError, ValueError) as error:
        fix = f"Correct it, or write {1 / len(labels):.4g} for each label where the model gave none."
        raise BenchmarkError(f"{row.location}: p_<label> is not a number ({error}).", fix) from error
    total, rounding = values.sum(), min(0.005 * len(labels), 0.1)  # of two decimals
    if not (np.isfinite(values).all() and (values >= 0).all() and abs(total - 1) <= rounding + 1e-9):
        raise BenchmarkError(
            f"{row.location}: the probabilities are {', '.join(f'{value:g}' for value in values)} with the sum "
            f"{total:g}.",
            "Write numbers from 0 to 1 whose sum is 1, for example divided by their sum.",
        )
    return np.asarray(values / total, np.float64)
