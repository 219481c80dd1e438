"""A trained model that a run kept with `models_dir=`: read it again, and predict the labels of texts."""

import json
import logging
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark.config import ModelConfig, RunSpec, identity_of
from benchmark.configuration.compose import build_classifier
from benchmark.data.checks import check_text
from benchmark.errors import BenchmarkError
from benchmark.files import holds_nothing
from benchmark.interface import Classifier, FitReport, Mergeable, Predictions, Restorable, WeightSource
from benchmark.results.record import RunRecord, is_unchanged, to_json
from benchmark.results.store import RECORD
from benchmark.run.context import fit_context

log = logging.getLogger(__name__)

CHANGEABLE = ("device", "precision", "attention", "batching", "prediction_batch_size", "weights.source", "weights.path")
"""The options of a model that may differ from those of the training: how it is computed, and where its base is."""
TRAIN_AGAIN = "Repeat the run with the same models_dir= and force=true."
HIGHER_PRECISION = "Set model.precision=fp32. If that does not help, train again with a lower recipe.learning_rate."


@dataclass(frozen=True)
class Prediction:
    """The predicted label of a text with its probability, and the probability of every label.

    A text without words has no label. Free generation gives no probabilities, and no label if the generated text names
    none.
    """

    label: str | None = None
    probability: float | None = None
    probabilities: dict[str, float] = field(default_factory=dict)


@dataclass
class KeptModel:
    """A model that is ready to predict. `truncated_texts` counts the texts that were cut to the model's length.

    `fit_here` says how it was loaded here, and `record` how it was trained.
    """

    record: RunRecord
    classifier: Restorable
    fit_here: FitReport
    truncated_texts: int = 0

    @property
    def fit(self) -> FitReport:
        """`fit_here`, in which random weights and those of a mirror stay marked: the saved files do not say it."""
        trained = self.record.fit
        if trained is None or not trained.weights.stand_in:
            return self.fit_here
        return replace(self.fit_here, weights=trained.weights)

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction for each text, in order. Adds to `truncated_texts`."""
        if isinstance(texts, str):
            raise BenchmarkError("predict() was given one string.", "Give a list of texts.")
        texts = list(texts)
        for row, text in enumerate(texts):
            check_text(text, f"text {row}")
        predictions = [Prediction()] * len(texts)
        filled = [row for row, text in enumerate(texts) if text.strip()]
        if filled:
            answered = self.classifier.predict([texts[row] for row in filled])
            answered.check(
                len(filled), len(self.record.labels), lambda row: reprlib.repr(texts[filled[row]]), HIGHER_PRECISION
            )
            self.truncated_texts += answered.truncated_texts
            for row, prediction in zip(filled, self._predictions(answered), strict=True):
                predictions[row] = prediction
        return predictions

    def merge(self, folder: Path) -> None:
        """Write the base model with the adapter merged into it, as a kept model without an adapter."""
        if not holds_nothing(folder):
            raise BenchmarkError(f"{folder} exists already.", "Name a new folder.")
        assert self.record.fit is not None
        saved_sha256 = self.classifier.save_merged(folder) if isinstance(self.classifier, Mergeable) else None
        if saved_sha256 is None:
            raise BenchmarkError(f"{self.record.title} has no adapter to merge.", "Use its folder as it is.")
        merged = replace(self.record, fit=replace(self.record.fit, saved_sha256=saved_sha256))
        (folder / RECORD).write_bytes(to_json(merged))

    def _predictions(self, predictions: Predictions) -> list[Prediction]:
        labels = self.record.labels
        if predictions.generated is not None:
            return [Prediction(labels[label] if label >= 0 else None) for label in predictions.predicted.tolist()]
        rows = [dict(zip(labels, row, strict=True)) for row in predictions.probabilities.tolist()]
        names = [labels[label] for label in predictions.predicted.tolist()]
        return [Prediction(name, row[name], row) for name, row in zip(names, rows, strict=True)]


def load(folder: str | Path, *settings: str) -> KeptModel:
    """The model in `folder`, which a run kept with `models_dir=`.

    `settings` are overrides such as "model.device=cpu". Raises `BenchmarkError` if the folder holds no kept model, or
    files that are not those of its record.
    """
    folder = Path(folder)
    record = record_in(folder)
    kept = restore_model(folder, record, build_classifier(_with_settings(record.config.model, settings)))
    of_base = [setting for setting in settings if setting.startswith("model.weights.")]
    if of_base and kept.fit_here.saved_sha256 in _hashes(kept.fit_here.weights):
        raise BenchmarkError(f"{of_base[0]} has no effect: {folder} holds the whole model.", "Leave it out.")
    return kept


def restore_model(folder: Path, record: RunRecord, classifier: Classifier) -> KeptModel:
    """The model in `folder`, read by `classifier`, after a check that its files are those of the record."""
    if not isinstance(classifier, Restorable):
        raise BenchmarkError(f"{record.title} in {folder} cannot be read again.", "Choose another model.")
    assert record.fit is not None
    fit = classifier.restore(folder, fit_context(record.config, folder))
    _check_hashes(folder, record.fit, fit)
    return KeptModel(record, classifier, fit)


def find_kept_model(models_dir: Path, spec: RunSpec, data_sha256: dict[str, str]) -> tuple[Path, RunRecord] | None:
    """The kept model of the same configuration and training data, with unchanged test texts, or None.

    Folders whose record cannot be read are skipped with a warning.
    """
    unchanged = replace(spec, dataset=replace(spec.dataset, perturb=None))
    wanted = identity_of(unchanged.as_json())
    for path in sorted((models_dir / spec.model.name / unchanged.dataset.title).glob(f"*/{RECORD}")):
        try:
            record = record_in(path.parent)
        except BenchmarkError as error:
            log.warning("skipped a kept model: %s", error.problem)
            continue
        same_data = all(record.data_sha256.get(split) == data_sha256[split] for split in ("train", "validation"))
        if same_data and identity_of(record.config.as_json()) == wanted:
            return path.parent, record
    return None


def record_in(folder: Path) -> RunRecord:
    """The record of the kept model; raises `BenchmarkError` if it is missing or was changed."""
    try:
        content = (folder / RECORD).read_bytes()
    except OSError as error:
        raise BenchmarkError(
            f"{folder} holds no model of a completed run: {RECORD} cannot be read ({error.strerror}).",
            f"Give a folder below models_dir. {TRAIN_AGAIN}" if folder.is_dir() else "Give a folder below models_dir.",
        ) from error
    record = RunRecord.from_json(content, str(folder / RECORD))
    if record.fit is None or record.fit.saved_sha256 is None:
        raise BenchmarkError(
            f"{folder} is the folder of a run, whose model was not kept there.",
            "Repeat the run with models_dir=DIR and force=true, and give the folder of the model.",
        )
    if not is_unchanged(json.loads(content)):
        raise BenchmarkError(f"{folder / RECORD} was changed after the run wrote it.", TRAIN_AGAIN)
    return record


def _with_settings(model: ModelConfig, settings: Sequence[str]) -> ModelConfig:
    """The configuration under these overrides; raises `BenchmarkError` for options that are not in `CHANGEABLE`."""
    parameters: dict[str, Any] = {**model.parameters}
    for setting in settings:
        option, _, value = setting.partition("=")
        group, _, name = option.removeprefix("model.").rpartition(".")
        if option.removeprefix("model.") not in CHANGEABLE or not option.startswith("model.") or not value:
            raise BenchmarkError(
                f"{setting} cannot be set for a trained model.",
                f"Set model.OPTION=VALUE with one of the options {', '.join(CHANGEABLE)}.",
            )
        if group:
            parameters[group] = {**parameters.get(group, {}), "source": "folder", name: value}
        else:
            parameters[name] = value
    return replace(model, parameters=parameters)


def _check_hashes(folder: Path, trained: FitReport, restored: FitReport) -> None:
    """Raise unless the kept weights, and the base weights under an adapter, are those of the training."""
    if restored.saved_sha256 != trained.saved_sha256:
        raise BenchmarkError(f"The weights in {folder} are not those of {folder / RECORD}.", TRAIN_AGAIN)
    base = _hashes(restored.weights)
    if restored.saved_sha256 not in base and base != _hashes(trained.weights):
        raise BenchmarkError(
            f"The base weights are not those on which the model in {folder} was trained: their hashes differ.",
            "Give those weights in model.weights.path.",
        )


def _hashes(weights: WeightSource) -> set[str]:
    """The SHA-256 of each file of the weights."""
    sha256 = weights.sha256
    return set(sha256.values()) if isinstance(sha256, dict) else {sha256} if sha256 is not None else set()
