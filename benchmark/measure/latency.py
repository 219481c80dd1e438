"""How long one text takes when texts come one by one, and how many a second when they come together."""

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmark.config import RunConfig
from benchmark.configuration.compose import SEARCH_PATH, build_classifier, compose
from benchmark.configuration.revisions import pin, pin_dataset
from benchmark.data.load import Splits, load
from benchmark.dataset_config import DatasetConfig
from benchmark.errors import BenchmarkError
from benchmark.interface import Classifier, FitReport, PrecomputedClassifier, Predictions
from benchmark.measure.subject import subject_of
from benchmark.results.speed import Latency, TextTimes
from benchmark.run import kept, measurement
from benchmark.run.context import fit_unsaved

STEPS = 2  # of training: what the weights are does not change the time


def measure(config: RunConfig, texts: int, folder: str | None = None, settings: Sequence[str] = ()) -> Latency:
    """The latency of the kept model in `folder`, or else of the configured model after a short training.

    The first test texts of the configured data set are predicted one by one, and then all together.
    `settings` are overrides, as for `kept.load`.
    """
    shared = measurement.device_is_shared()
    classifier: Classifier
    if folder is not None:
        model = kept.load(folder, *settings)
        classifier, fit, spec = model.classifier, model.fit, model.record.config
        test_texts = _load(config.dataset).test.texts[:texts]
    else:
        pinned = pin(config)
        spec = pinned.spec
        classifier, fit, test_texts = _train_briefly(pinned, texts)
    return Latency(
        subject=subject_of(spec, fit, shared),
        precision=fit.precision,
        readout=classifier.describe().readout,
        dataset=config.dataset.title,
        latency=time_predictions(classifier, test_texts),
    )


def file_suffix(measured: Latency) -> str:
    """The end of the file's name: one model is measured on several data sets and with several settings."""
    settings = filter(None, (measured.dataset, measured.subject.recipe, measured.precision, measured.readout))
    return f"-latency-{'-'.join(settings)}"


def data_overrides(folder: str, overrides: Sequence[str]) -> list[str]:
    """The overrides that choose the data set of the run in `folder`; none if `overrides` name a data set.

    Raises `BenchmarkError` if the record does not say how that data set was chosen.
    """
    if any(override.startswith("dataset=") for override in overrides):
        return []
    record = kept.record_in(Path(folder))
    chosen = [override for override in record.overrides if re.match(r"[+~]*(dataset|experiment)\b", override)]
    problem = f"The model in {folder} was trained on the data set {record.dataset}, which "
    fix = "Set dataset=NAME to the data set to measure on, with --config-dir if its file is not one of the benchmark."
    try:
        composed = compose([*(option for option in overrides if option.startswith(SEARCH_PATH)), *chosen])
    except BenchmarkError as error:
        raise BenchmarkError(f"{problem}cannot be configured here: {error.problem}", fix) from error
    if composed.dataset.title != record.dataset:
        raise BenchmarkError(f"{problem}its record does not configure.", fix)
    return chosen


def _load(dataset: DatasetConfig) -> Splits:
    """Load the data set; an error names it."""
    try:
        return load(pin_dataset(dataset))
    except BenchmarkError as error:
        fix = "Or set dataset.path to a folder with its files, or dataset=NAME to another data set."
        raise BenchmarkError(
            f"The data set {dataset.title} cannot be read: {error.problem}",
            f"{error.fix} {fix}" if error.fix else fix,
        ) from error


def time_predictions(classifier: Classifier, texts: Sequence[str]) -> TextTimes:
    """The times of these texts one by one, of all together, and how much the predictions differ."""
    together = classifier.predict(texts)  # also warms up caches and compiled kernels
    one_by_one, seconds = [], []
    for text in texts:
        started = time.perf_counter()
        one_by_one.append(classifier.predict([text]))
        seconds.append(time.perf_counter() - started)
    started = time.perf_counter()
    classifier.predict(texts)
    batched = time.perf_counter() - started
    median, high, highest = (float(value) for value in np.percentile(seconds, (50, 95, 99)))
    different, largest = _differences(one_by_one, together)
    return TextTimes(len(texts), median, high, highest, len(texts) / batched, different, largest)


def _differences(one_by_one: Sequence[Predictions], together: Predictions) -> tuple[int, float]:
    """How many labels differ, and the largest difference of a probability."""
    predicted = np.concatenate([prediction.predicted for prediction in one_by_one])
    probabilities = np.concatenate([prediction.probabilities for prediction in one_by_one])
    different = int((predicted != together.predicted).sum())
    return different, float(np.abs(probabilities - together.probabilities).max())


def _train_briefly(config: RunConfig, texts: int) -> tuple[Classifier, FitReport, tuple[str, ...]]:
    """The configured model after a few steps, how it was trained, and the first test texts."""
    classifier = build_classifier(config.model)
    if isinstance(classifier, PrecomputedClassifier):
        raise BenchmarkError(
            f"model={config.model.name} has answers that were made elsewhere, which take no time here.",
            "Choose a model that predicts here, such as minilm.",
        )
    splits = _load(config.dataset)
    short = replace(config.spec, recipe=replace(config.recipe, max_steps=STEPS))
    fit = fit_unsaved(classifier, short, splits.train, splits.validation)
    return classifier, fit, splits.test.texts[:texts]
