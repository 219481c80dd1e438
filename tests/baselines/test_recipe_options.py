"""Class weights, label smoothing, and the weights of the best epoch."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from baselines.packed.sample import Sample
from baselines.training.label_loss import LabelLoss
from benchmark.config import RunConfig, RunSpec
from benchmark.configuration.compose import build_classifier, compose
from benchmark.configuration.published import spec_of
from benchmark.data.load import load
from benchmark.errors import BenchmarkError
from benchmark.interface import ClassWeights, Examples, FitContext, FitReport, Keep, Recipe

Compose = Callable[..., RunConfig]
LABELS = np.array([0, 0, 0, 1, 2, 2])
TRAIN = Examples(tuple("abcdef"), tuple("abcdef"), LABELS)
LOGITS = torch.tensor([[2.0, 0.5, -1.0], [0.0, 1.0, 0.5]])
SAMPLES = [Sample([1], [0]), Sample([1], [1])]


def recipe(**options: object) -> Recipe:
    return replace(compose([]).recipe, **options)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    loss = LabelLoss.from_recipe(recipe(class_weights=ClassWeights.balanced), TRAIN, 3)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    assert loss.weights == pytest.approx(expected.tolist())
    negative = -LOGITS.log_softmax(dim=1)
    assert float(loss(LOGITS, SAMPLES)) == pytest.approx(
        float(expected[0] * negative[0, 0] + expected[1] * negative[1, 1])
    )


def test_a_label_without_training_rows_weighs_one_where_targets_are_smoothed() -> None:
    absent = LabelLoss.from_recipe(recipe(class_weights=ClassWeights.balanced, label_smoothing=0.1), TRAIN, 4)
    assert absent.weights == pytest.approx((6 / 12, 6 / 4, 6 / 8, 1.0))


def test_smoothing_spreads_a_share_of_the_target_over_all_labels() -> None:
    loss = LabelLoss.from_recipe(recipe(label_smoothing=0.1), TRAIN, 3)
    target = 0.9 * torch.eye(3)[:2] + 0.1 / 3
    assert float(loss(LOGITS, SAMPLES)) == pytest.approx(float(-(target * LOGITS.log_softmax(dim=1)).sum()))


def test_newer_options_are_stored_only_if_they_are_used() -> None:
    usual = spec_of(compose([])).as_json()["recipe"]
    assert not {"class_weights", "label_smoothing", "keep", "patience"} & usual.keys()
    given = spec_of(compose(["recipe.keep=best", "recipe.patience=2", "recipe.class_weights=balanced"]))
    assert {"keep", "patience", "class_weights"} == given.as_json()["recipe"].keys() - usual.keys()
    assert RunSpec.from_json(given.as_json()).recipe == given.recipe
    assert "label_smoothing" in asdict(given.recipe)


@pytest.mark.parametrize("overrides", ["patience=2", "label_smoothing=1", "keep=best,patience=0", "class_weights=rare"])
def test_options_that_make_no_sense_are_refused(overrides: str) -> None:
    with pytest.raises(BenchmarkError, match="recipe"):
        compose([f"recipe.{option}" for option in overrides.split(",")])


def test_a_decoder_that_writes_its_answer_has_no_loss_over_labels(compose_run: Compose, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"recipe\.class_weights is balanced") as refused:
        fitted(compose_run("model=tiny_llama", "recipe.class_weights=balanced"), tmp_path)
    assert "model.readout=head" in str(refused.value.fix)


def fitted(config: RunConfig, folder: Path) -> tuple[FitReport, float]:
    """The report of a training, and the accuracy of its final weights on the validation rows."""
    classifier, splits = build_classifier(config.model), load(config.dataset)
    context = FitContext(tuple(config.dataset.labels), config.recipe, config.seed, folder / "work")
    report = classifier.fit(splits.train, splits.validation, context)
    predicted = classifier.predict(splits.validation.texts).predicted
    return report, float((predicted == splits.validation.labels).mean())


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_the_best_epoch_is_kept(model: str, compose_run: Compose, tmp_path: Path) -> None:
    options = ["recipe.max_steps=null", "recipe.epochs=6", "recipe.learning_rate=2e-2", "recipe.schedule=constant"]
    config = compose_run(f"model={model}", *options, "dataset.train_rows=40")
    last, accuracy_of_last = fitted(config, tmp_path / "last")
    found = [point.validation_accuracy for point in last.curve if point.validation_accuracy is not None]
    assert accuracy_of_last == pytest.approx(found[-1])
    best, accuracy = fitted(replace(config, recipe=replace(config.recipe, keep=Keep.best)), tmp_path / "best")
    assert accuracy == pytest.approx(max(found))
    assert best.steps == last.steps


def test_training_stops_when_validation_no_longer_improves(compose_run: Compose, tmp_path: Path) -> None:
    options = ["recipe.max_steps=null", "recipe.epochs=8", "recipe.learning_rate=1e-9", "recipe.keep=best"]
    report, _ = fitted(compose_run("model=tiny_bert", *options, "recipe.patience=2", "dataset.train_rows=40"), tmp_path)
    validated = [point for point in report.curve if point.validation_accuracy is not None]
    assert len(validated) == 3  # the first, and two that are no better


@pytest.mark.parametrize("lost", [0, 1])
def test_epochs_without_improvement_count_on_after_an_interruption(
    lost: int, compose_run: Compose, tmp_path: Path
) -> None:
    """The last `lost` checkpoints were never written."""
    options = ["recipe.max_steps=null", "recipe.epochs=8", "recipe.learning_rate=1e-9", "recipe.keep=best"]
    config = compose_run("model=tiny_bert", *options, "recipe.patience=2", "dataset.train_rows=40")
    whole, _ = fitted(config, tmp_path)
    written = sorted(tmp_path.glob("checkpoint-*"), key=lambda folder: int(folder.name.partition("-")[2]))
    for folder in written[len(written) - lost :]:
        shutil.rmtree(folder)
    resumed, _ = fitted(config, tmp_path)
    assert resumed.steps == whole.steps
