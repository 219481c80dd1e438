"""The probe's embeddings are those of sentence encoders, and reproduce a published score."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from baselines.compute.hardware import Batching
from baselines.probe import Pooling, Probe
from baselines.training.memory_estimate import TOKENS_PER_WORD
from benchmark.config import RunConfig
from benchmark.configuration.compose import build_classifier, compose
from benchmark.data import load as data
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, FitContext

Compose = Callable[..., RunConfig]
TINY = ["model=probe", "model.weights.source=random", "model.architecture.vocab_size=600"]


def fitted(config: RunConfig, folder: Path) -> tuple[Probe, data.Splits]:
    classifier, splits = build_classifier(config.model), data.load(config.dataset)
    assert isinstance(classifier, Probe)
    context = FitContext(tuple(config.dataset.labels), config.recipe, config.seed, folder, checkpoints=False)
    report = classifier.fit(splits.train, splits.validation, context)
    assert report.trained_parameters == len(config.dataset.labels) * (classifier.network.config.hidden_size + 1)
    return classifier, splits


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_packed_and_padded_embeddings_are_equal_and_have_unit_length(
    pooling: str, compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe, splits = fitted(compose_run(*TINY, f"model.pooling={pooling}"), tmp_path)
    assert probe.computation.batching is Batching.packed
    packed, _ = probe.embed(splits.test.texts)
    monkeypatch.setattr(probe, "computation", replace(probe.computation, batching=Batching.padded))
    padded, _ = probe.embed(splits.test.texts)
    assert np.abs(packed - padded).max() < 1e-6
    assert np.abs(np.linalg.norm(packed, axis=1) - 1).max() < 1e-6
    monkeypatch.setattr(probe, "pooling", Pooling.first if pooling == "mean" else Pooling.mean)
    assert np.abs(probe.embed(splits.test.texts)[0] - padded).max() > 1e-3


def test_a_label_without_training_texts_gets_probability_zero(compose_run: Compose, tmp_path: Path) -> None:
    config = compose_run(*TINY)
    classifier, splits = build_classifier(config.model), data.load(config.dataset)
    chosen = splits.train.labels != 2
    texts = [text for text, kept in zip(splits.train.texts, chosen, strict=True) if kept]
    train = replace(splits.train, texts=tuple(texts), labels=splits.train.labels[chosen])
    context = FitContext(tuple(config.dataset.labels), config.recipe, config.seed, tmp_path, checkpoints=False)
    classifier.fit(train, splits.validation, context)
    predictions = classifier.predict(splits.test.texts)
    predictions.check(len(splits.test.texts), 6)
    assert (predictions.probabilities[:, 2] == 0).all()


def test_the_memory_estimate_counts_the_special_tokens(compose_run: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    config, findings = compose_run(*TINY), Mock(return_value=[])
    monkeypatch.setattr("baselines.probe.network_checks", findings)
    context = FitContext(tuple(config.dataset.labels), config.recipe, config.seed, Path(), checkpoints=False)
    probe = build_classifier(config.model)
    assert isinstance(probe, Probe)
    probe.examine(["one two three"], context)
    assert findings.call_args.args[1] == pytest.approx(3 * TOKENS_PER_WORD + 2)


@pytest.mark.parametrize(("option", "value"), [("C", 0), ("max_iterations", 0), ("prediction_batch_size", 0)])
def test_an_option_that_cannot_be_is_named(option: str, value: int, compose_run: Compose) -> None:
    with pytest.raises(BenchmarkError, match=rf"model\.{option} is {value}"):
        build_classifier(compose_run("model=probe", f"model.{option}={value}").model)


@pytest.mark.slow
@pytest.mark.real_data
def test_minilm_reaches_the_published_score_of_mteb(tmp_path: Path, emotion: Path) -> None:
    """MTEB's EmotionClassification of all-MiniLM-L6-v2 is 0.4083: Muennighoff et al., 2023.

    Its protocol: ten times, 16 texts of each label are drawn from train and a logistic regression is fitted to them.
    """
    config = compose(["model=probe", "dataset=emotion", f"dataset.path={emotion}"])
    splits = data.load(config.dataset)
    labels, order, draws = splits.train.labels, np.arange(len(splits.train.labels)), []
    for _ in range(10):
        np.random.RandomState(42).shuffle(order)  # the order goes on from draw to draw
        ranks = pd.Series(labels[order]).groupby(labels[order]).cumcount().to_numpy()
        draws.append(order[ranks < 16])
    needed = np.unique(np.concatenate(draws))
    train = Examples(
        *(tuple(column[row] for row in needed) for column in (splits.train.ids, splits.train.texts)), labels[needed]
    )
    probe = build_classifier(config.model)
    assert isinstance(probe, Probe)
    context = FitContext(tuple(config.dataset.labels), config.recipe, config.seed, tmp_path, checkpoints=False)
    probe.fit(train, splits.validation, context)
    (embedded, _), (test, _) = probe.embed(train.texts), probe.embed(splits.test.texts)
    accuracies = []
    for drawn in draws:
        regression = LogisticRegression(max_iter=100, random_state=42)
        regression.fit(embedded[np.searchsorted(needed, drawn)], labels[drawn])
        accuracies.append(float((regression.predict(test) == splits.test.labels).mean()))
    assert np.mean(accuracies) == pytest.approx(0.4083, abs=5e-5)
