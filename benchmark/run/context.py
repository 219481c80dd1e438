"""The `FitContext` of a run, and the random seeds of the libraries."""

import random
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmark.config import RunSpec
from benchmark.interface import Classifier, Examples, FitContext, FitReport


def fit_context(spec: RunSpec, work_dir: Path) -> FitContext:
    """What `fit` is given, with the folder of the checkpoints."""
    dataset = spec.dataset
    return FitContext(tuple(dataset.labels), spec.recipe, spec.seed, work_dir, label_words=dataset.words)


def fit_unsaved(classifier: Classifier, spec: RunSpec, train: Examples, validation: Examples) -> FitReport:
    """Train without checkpoints and without a saved model, to measure the model."""
    with tempfile.TemporaryDirectory() as work_dir:
        context = replace(fit_context(spec, Path(work_dir)), checkpoints=False)
        return classifier.fit(train, validation, context)


def seed_libraries(seed: int) -> None:
    """Seed the global generators of Python and NumPy; models seed torch themselves."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries draw from the global state
