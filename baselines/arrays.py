"""Named arrays in one file without pickles, which could run code, and regressions that are kept in this way."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from benchmark.errors import BenchmarkError
from benchmark.files import sha256_of_file

FILE = "model.npz"


def save_arrays(folder: Path | None, **arrays: npt.ArrayLike) -> str | None:
    """Save the arrays in `folder`; returns the SHA-256 of the file, None if there is no folder."""
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / FILE, allow_pickle=False, **{name: np.asarray(array) for name, array in arrays.items()})
    return sha256_of_file(folder / FILE)


def read_arrays(folder: Path, *names: str) -> tuple[list[npt.NDArray[np.generic]], str]:
    """The arrays with these names, and the SHA-256 of their file."""
    try:
        with np.load(folder / FILE, allow_pickle=False) as stored:
            return [stored[name] for name in names], sha256_of_file(folder / FILE)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise BenchmarkError(f"{folder / FILE} cannot be read ({reason}).", "Train the model again.") from error


REGRESSION = ("coef", "intercept", "classes")
"""The names of a regression's arrays in the file."""


def of_regression(regression: LogisticRegression) -> dict[str, npt.NDArray[np.generic]]:
    return {name: getattr(regression, f"{name}_") for name in REGRESSION}


def to_regression(*arrays: npt.NDArray[np.generic]) -> LogisticRegression:
    """The fitted regression with these arrays, in the order of `REGRESSION`."""
    regression = LogisticRegression()
    regression.coef_, regression.intercept_, regression.classes_ = arrays
    return regression


def all_label_probabilities(
    classifier: LogisticRegression | Pipeline, inputs: Any, n_labels: int
) -> npt.NDArray[np.float64]:
    """The probabilities of all labels, (inputs, labels); 0 for labels without training texts."""
    probabilities = np.zeros((len(inputs), n_labels))
    probabilities[:, classifier.classes_] = classifier.predict_proba(inputs)
    return probabilities
