"""Test texts of another data set than the training texts."""

from collections.abc import Iterable

import numpy as np

from benchmark.data.row_choice import select
from benchmark.dataset_config import DatasetConfig
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, normalized_label


def transfer_test_split(test: Examples, trained: DatasetConfig, tested: DatasetConfig) -> tuple[Examples, str]:
    """The test rows whose labels the training data know, with the ids of these labels, and a note that says so."""
    ids = _ids(trained, tested)
    names = ", ".join(tested.labels[label] for label in ids)
    kept = np.flatnonzero([label in ids for label in test.labels.tolist()])
    if not len(kept):
        raise BenchmarkError(
            f"No test row of {tested.name} has one of the labels {names}.", "Map other labels in dataset.test_labels."
        )
    rows = select(test, kept)
    labels = np.array([ids[label] for label in rows.labels.tolist()], dtype=np.int64)
    note = f"Trained on {trained.name}, tested on {len(kept)} of {len(test)} test rows of {tested.name}: {names}."
    return Examples(rows.ids, rows.texts, labels), note


def _ids(trained: DatasetConfig, tested: DatasetConfig) -> dict[int, int]:
    """A mapping from label ids of the tested data to label ids of the training data, for the labels that both have."""
    names = trained.test_labels
    if names is None:
        known = {normalized_label(label): label for label in trained.labels}
        names = {label: known[normalized_label(label)] for label in tested.labels if normalized_label(label) in known}
    if not names:
        raise BenchmarkError(
            f"{tested.name} has none of the labels of {trained.name}, which are {', '.join(trained.labels)}.",
            "Map its labels to these, as in 'dataset.test_labels={happiness: joy}'.",
        )
    _check_names(names.keys(), tested)
    _check_names(names.values(), trained)
    return {tested.labels.index(label): trained.labels.index(known) for label, known in names.items()}


def _check_names(names: Iterable[str], dataset: DatasetConfig) -> None:
    for name in names:
        if name not in dataset.labels:
            raise BenchmarkError(
                f"dataset.test_labels contains {name!r}, which is not a label of {dataset.name}.",
                f"Its keys are labels of the test data and its values labels of the training data; {dataset.name} has "
                f"{', '.join(dataset.labels)}.",
            )
