import doctest
import socket
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pytest
from scipy.special import softmax
from transformers import EvalPrediction

import benchmark.evaluate_metric
from benchmark.analysis.metrics import accuracy, confidence_of, expected_calibration_error, macro_f1, per_class
from benchmark.errors import BenchmarkError
from benchmark.evaluate_metric import EmotionMetrics

LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the metric used the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def metrics(tmp_path: Path) -> EmotionMetrics:
    return EmotionMetrics(labels=LABELS, cache_dir=str(tmp_path))


def sample(rows: int = 50) -> tuple[Any, Any, Any]:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(len(LABELS)), size=rows).astype(np.float32)
    return generator.integers(len(LABELS), size=rows), probabilities.argmax(axis=1), probabilities


def test_scores_equal_those_of_the_analysis(metrics: EmotionMetrics) -> None:
    gold, predicted, probabilities = sample()
    expected = {
        "accuracy": accuracy(gold, predicted),
        "macro_f1": macro_f1(gold, predicted, len(LABELS)),
        "expected_calibration_error": expected_calibration_error(
            gold == predicted, confidence_of(predicted, probabilities)
        ),
    }
    f1 = per_class(gold, predicted, n_labels=len(LABELS)).f1
    expected |= {f"f1_{label}": value for label, value in zip(LABELS, f1, strict=True)}
    assert metrics.compute(predictions=predicted, references=gold, probabilities=probabilities) == expected


def test_lists_give_the_same_scores_as_arrays(metrics: EmotionMetrics) -> None:
    gold, predicted, probabilities = sample()
    arrays = metrics.compute(predictions=predicted, references=gold, probabilities=probabilities)
    lists = [values.tolist() for values in (predicted, gold, probabilities)]
    assert metrics.compute(predictions=lists[0], references=lists[1], probabilities=lists[2]) == arrays


def test_without_probabilities_the_metrics_that_need_them_are_omitted(metrics: EmotionMetrics) -> None:
    gold, predicted, _ = sample()
    scores = metrics.compute(predictions=predicted, references=gold)
    assert set(scores) == {"accuracy", "macro_f1", *(f"f1_{label}" for label in LABELS)}


def test_rows_may_be_added_one_by_one_or_in_batches(metrics: EmotionMetrics) -> None:
    gold, predicted, _ = sample()
    at_once = metrics.compute(predictions=predicted, references=gold)
    metrics.add_batch(predictions=predicted[:30], references=gold[:30])
    for prediction, reference in zip(predicted[30:], gold[30:], strict=True):
        metrics.add(prediction=prediction, reference=reference)
    assert metrics.compute() == at_once


def test_it_combines_with_another_metric(metrics: EmotionMetrics, tmp_path: Path) -> None:
    two_labels = EmotionMetrics(labels=("a", "b"), cache_dir=str(tmp_path))
    combined = evaluate.combine({"six": metrics, "two": two_labels})
    scores = combined.compute(predictions=[0, 1], references=[0, 0])
    assert scores["six_accuracy"] == scores["two_accuracy"] == 0.5
    assert scores["two_macro_f1"] == pytest.approx(3 * scores["six_macro_f1"])


def test_it_serves_a_trainer_as_compute_metrics(metrics: EmotionMetrics) -> None:
    gold, predicted, probabilities = sample()

    def compute_metrics(evaluation: EvalPrediction) -> dict[str, float]:
        rows = softmax(evaluation.predictions, axis=1)
        scores: dict[str, float] = metrics.compute(
            predictions=rows.argmax(axis=1), references=evaluation.label_ids, probabilities=rows
        )
        return scores

    scores = compute_metrics(EvalPrediction(predictions=np.log(probabilities), label_ids=gold))
    assert scores["accuracy"] == (gold == predicted).mean()
    assert {type(score) for score in scores.values()} == {float}


def test_an_answer_that_is_none_of_the_labels_is_wrong(metrics: EmotionMetrics) -> None:
    assert metrics.compute(predictions=[-1, 1], references=[1, 1])["accuracy"] == 0.5


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ({"predictions": [], "references": []}, "no rows"),
        ({"predictions": [0, 6], "references": [0, 1]}, "prediction of row 1 is 6"),
        ({"predictions": [0], "references": [0], "probabilities": [[0.5, 0.5]]}, r"shape \(1, 2\)"),
        ({"predictions": [0], "references": [0], "probabilities": [[9.0] * 6]}, "row 0 have the sum 54"),
        (
            {"predictions": [0], "references": [0], "probabilities": [[0.5, -0.5, 1, 0, 0, 0]]},
            "row 0 contain a negative value",
        ),
        ({"predictions": [0], "references": [0], "probabilities": [[1, 0, 0, 0, 0, np.nan]]}, "row 0 are not finite"),
        (
            {"predictions": [0], "references": [0], "probabilities": [[1, 0, 0, 0, np.inf, -np.inf]]},
            "row 0 are not finite",
        ),
        ({"predictions": [0], "references": [0], "probabilities": [[0.9] * 6]}, "row 0 have the sum 5.4"),
        ({"predictions": [0, 1.5], "references": [0, 1]}, "prediction of row 1 is 1.5"),
        ({"predictions": [0, 1], "references": np.array([0.2, 1])}, "reference of row 0 is 0.2"),
    ],
)
def test_an_error_names_the_input_and_leaves_the_next_call_unaffected(
    metrics: EmotionMetrics, inputs: dict[str, Any], problem: str
) -> None:
    with pytest.raises(BenchmarkError, match=problem):
        metrics.compute(**inputs)
    assert metrics.compute(predictions=[0, 1], references=[0, 1])["accuracy"] == 1


def test_fractions_are_refused_in_batches_too(metrics: EmotionMetrics) -> None:
    metrics.add_batch(predictions=[0.4, 1.9], references=[0, 1])
    with pytest.raises(BenchmarkError, match="prediction of row 0 is 0.4"):
        metrics.compute()


@pytest.mark.parametrize("labels", [("joy", "joy"), ("joy", "Joy "), ("caf\u00e9", "cafe\u0301"), ("joy",), "joy"])
def test_labels_that_are_not_different_names_are_refused(labels: Any) -> None:
    with pytest.raises(BenchmarkError, match="labels is "):
        EmotionMetrics(labels=labels)


def test_the_examples_in_the_docstring_are_correct(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", tmp_path)
    results = doctest.testmod(benchmark.evaluate_metric)
    assert results.attempted == 5
    assert results.failed == 0
